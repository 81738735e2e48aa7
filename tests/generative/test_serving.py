"""Exported generative models sample, encode and decode as the model does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.generative.networks import dense_decoder, dense_encoder
from tests.generative.adversarial.adversarial_models import tiny_conditional_gan, tiny_gan
from tests.served import on_device, served, served_alone, signature_names

RNG = np.random.default_rng(0)
DIGITS = RNG.uniform(size=(6, 8, 8, 1)).astype("float32")
LATENT = RNG.normal(size=(5, 4)).astype("float32")


def vae(**kwargs) -> ktg.VAE:
    return ktg.VAE(
        (8, 8, 1),
        4,
        encoder=dense_encoder((8, 8, 1), (6,)),
        decoder=dense_decoder(4, (8, 8, 1), (6,)),
        **kwargs,
    )


def averaged(gan):
    """With averages that are not the weights, so that it is seen which of them is exported."""
    for average in gan.average.averages:
        average.assign(average.value + 0.1 * keras.random.normal(average.shape))
    return gan


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_vae(tmp_path):
    model = vae()
    model.export(tmp_path)
    assert signature_names(tmp_path) == {
        "sample": (["count", "seed"], ["samples"]),
        "serving_default": (["count", "seed"], ["samples"]),
        "encode": (["inputs"], ["mean", "scale"]),
        "decode": (["latents"], ["mean"]),
    }
    encoded = served(tmp_path, "encode", inputs=DIGITS)
    close(encoded["mean"], model.encode(DIGITS).mean())
    close(encoded["scale"], model.encode(DIGITS).stddev())
    close(served(tmp_path, "decode", latents=LATENT)["mean"], model.decode(LATENT).mean())


def test_a_seed_gives_what_the_model_gives(tmp_path):
    model = vae(prior="mixture")
    model.export(tmp_path)
    for seed in (0, 7, -3, 2**40 + 5):
        given = {"count": np.int32(5), "seed": np.int64(seed)}
        close(served(tmp_path, "sample", **given)["samples"], model.sample(5, seed=seed))


def test_vae_on_tflite(tmp_path):
    model, path = vae(), tmp_path / "vae.tflite"
    model.export(path, format="litert")
    encoded = on_device(path, "encode", inputs=DIGITS)
    close(encoded["mean"], model.encode(DIGITS).mean())
    close(encoded["scale"], model.encode(DIGITS).stddev())
    close(on_device(path, "decode", latents=LATENT)["mean"], model.decode(LATENT).mean())


def test_gan(tmp_path):
    model = averaged(tiny_gan())
    model.export(tmp_path)
    close(served(tmp_path, "decode", latents=LATENT)["samples"], model.predict(LATENT, verbose=0))
    given = {"count": np.int32(3), "seed": np.int64(2)}
    close(served(tmp_path, **given)["samples"], model.sample(3, seed=2))
    # The discriminator stays at home.
    saved = [shape for _, shape in tf.train.list_variables(str(tmp_path / "variables/variables"))]
    numbers = sum(int(np.prod(shape)) for shape in saved if shape)
    assert model.generator.count_params() <= numbers < model.generator.count_params() + 10


def test_from_two_replicas(two_replicas, tmp_path):
    with two_replicas.scope():
        model = averaged(tiny_gan())
    model.export(tmp_path)
    given = {"count": np.int32(3), "seed": np.int64(2)}
    close(served(tmp_path, **given)["samples"], model.sample(3, seed=2))


@pytest.mark.slow
def test_a_gan_without_this_package(tmp_path):
    model = tiny_gan()
    model.export(tmp_path / "gan")
    alone = served_alone(tmp_path / "gan", "sample", count=np.int32(3), seed=np.int64(2))
    close(alone["samples"], model.sample(3, seed=2))


def test_gan_on_tflite(tmp_path):
    model, path = averaged(tiny_gan()), tmp_path / "gan.tflite"
    model.export(path, format="litert")
    close(on_device(path, "decode", latents=LATENT)["samples"], model.predict(LATENT, verbose=0))


@pytest.mark.parametrize("unlabelled", [0.0, 0.2])
def test_conditional_gan(unlabelled, tmp_path):
    model = averaged(tiny_conditional_gan(unlabelled_probability=unlabelled))
    labels = np.array([0, 2, 1], "int32")
    model.export(tmp_path)
    made = served(tmp_path, condition=labels, seed=np.int64(4))["samples"]
    close(made, model.sample(labels, seed=4))
    path = tmp_path / "cgan.tflite"
    model.export(path, format="litert")
    once = served(tmp_path, "decode", latents=LATENT[:3], condition=labels)["samples"]
    close(on_device(path, "decode", latents=LATENT[:3], condition=labels)["samples"], once)


def test_vectors_and_text_as_conditions(tmp_path):
    model = tiny_conditional_gan(num_classes=None, condition_shape=(2,))
    model.export(tmp_path / "vectors")
    vectors = RNG.normal(size=(3, 2)).astype("float32")
    made = served(tmp_path / "vectors", condition=vectors, seed=np.int64(1))["samples"]
    close(made, model.sample(vectors, seed=1))
    words = keras.layers.StringLookup(vocabulary=["zero", "one"], output_mode="one_hot")
    encoder = keras.Sequential([keras.Input((1,), dtype="string"), words])
    model = tiny_conditional_gan(num_classes=None, condition_encoder=encoder)
    model.export(tmp_path / "text")
    text = np.array([["one"], ["zero"]])
    made = served(tmp_path / "text", condition=text, seed=np.int64(1))["samples"]
    close(made, model.sample(text, seed=1))


def test_signatures_are_fixed(tmp_path):
    with pytest.raises(ValueError, match="leave input_signature out"):
        tiny_gan().export(tmp_path, input_signature=LATENT)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (tf.TensorSpec([None, 64]), r"tf.TensorSpec\(\[None\], tf.int32\). Received: .*64"),
        (tf.TensorSpec([None], tf.float32), "Received: .*float32"),
        (tf.TensorSpec([None, 1], tf.int32), r"Received: .*\[None, 1\]"),
    ],
)
def test_a_signature_that_no_call_could_fit_is_refused(tmp_path, asked, told):
    for model in (tiny_conditional_gan(), moved_flow((5,), 3, embedding_dim=3)):
        with pytest.raises(ValueError, match=told):
            model.export(tmp_path / "model", input_signature=asked)
    vae = ktg.VAE((6,), latent_dim=2)
    with pytest.raises(ValueError, match=r"\[None, 6\], tf.float32\). Received: .*\[None, 7\]"):
        vae.export(tmp_path / "model", input_signature=tf.TensorSpec([None, 7]))
    assert not (tmp_path / "model").exists()


def test_a_class_may_be_asked_for_as_another_whole_number(tmp_path):
    model = tiny_conditional_gan()
    model.export(tmp_path / "model", input_signature=tf.TensorSpec([None], tf.int64))
    classes = np.array([1, 0])
    made = served(tmp_path / "model", condition=classes, seed=np.int64(1))["samples"]
    close(made, model.sample(classes, seed=1))


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept")
    for place, options in (("", {}), ("file", {}), ("new", {"bogus": 1})):
        with pytest.raises(ValueError, match=r"filepath must be a folder|further options"):
            tiny_gan().export(place, **options)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "kept"


def test_a_class_that_there_is_not_is_refused(tmp_path):
    tiny_conditional_gan().export(tmp_path / "gan")
    moved_flow((5,), 3, embedding_dim=3).export(tmp_path / "flow")
    settings = {"steps": np.int32(2), "guidance": np.float32(1.0)}
    noise = RNG.normal(size=(2, 5)).astype("float32")
    for name, more, start in (
        ("gan", {}, {"latents": LATENT[:2]}),
        ("flow", settings, {"noise": noise}),
    ):
        for labels in (np.array([0, 3], "int32"), np.array([-1, 2], "int32")):
            said = rf"integers from 0 to 2 .* from {labels[0]} to {labels[1]}"
            with pytest.raises(tf.errors.InvalidArgumentError, match=said):
                served(tmp_path / name, condition=labels, seed=np.int64(0), **more)
            with pytest.raises(tf.errors.InvalidArgumentError, match=said):
                served(tmp_path / name, "decode", condition=labels, **start, **more)


def test_a_flow_refuses_no_steps(tmp_path):
    moved_flow((5,)).export(tmp_path)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"at least 1.*steps=0"):
        served(tmp_path, "sample", count=np.int32(2), seed=np.int64(0), steps=np.int32(0))


@pytest.mark.slow
@pytest.mark.parametrize("unlabelled", [0.0, 0.2])
def test_flow_of_classes(unlabelled, tmp_path):
    model = moved_flow((5,), 3, embedding_dim=3, unlabelled_probability=unlabelled)
    labels = np.array([0, 2, 1], "int32")
    model.export(tmp_path)
    asked = {"condition": labels, "steps": np.int32(3)}
    guidance = {"guidance": np.float32(2.5)} if unlabelled else {}
    made = served(tmp_path, seed=np.int64(4), **asked, **guidance)["samples"]
    close(made, model.sample(labels, steps=3, seed=4, **guidance))
    noise = RNG.normal(size=(3, 5)).astype("float32")
    made = served(tmp_path, "decode", noise=noise, **asked, **guidance)["samples"]
    close(made, model.decode(noise, labels, steps=3, **guidance))
    if unlabelled:
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"finite number.*guidance=nan"):
            served(tmp_path, seed=np.int64(4), **asked, guidance=np.float32(np.nan))


@pytest.mark.long
def test_flow_without_conditions(tmp_path):
    model = moved_flow((8, 8, 1), value_range=(0.0, 1.0))
    model.export(tmp_path / "flow")
    assert signature_names(tmp_path / "flow")["decode"] == (["noise", "steps"], ["samples"])
    given = {"count": np.int32(3), "seed": np.int64(2), "steps": np.int32(2)}
    made = served(tmp_path / "flow", "sample", **given)["samples"]
    close(made, model.sample(3, steps=2, seed=2))
    path = tmp_path / "flow.tflite"
    model.export(path, format="litert")
    noise = RNG.normal(size=(2, 8, 8, 1)).astype("float32")
    made = on_device(path, "decode", noise=noise, steps=np.int32(2))["samples"]
    close(made, model.decode(noise, steps=2))
    with pytest.raises(ValueError, match="leave input_signature out"):
        model.export(tmp_path / "other", input_signature=LATENT)


def moved_flow(*args, **kwargs):
    """A flow whose weights are no longer the zeros that it starts with, nor its averages."""
    model = ktg.FlowMatching(*args, width=4, **kwargs)
    for weight in model.trainable_weights:
        weight.assign(weight + 0.1 * keras.random.normal(weight.shape))
    model.average.restart()
    return averaged(model)
