"""ConditionalGAN: the harness, kinds of conditions, what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.adversarial.conditional_gan import ConditionalGAN
from tests.generative.adversarial.adversarial_models import (
    IMAGES,
    IMPORTS,
    LABELS,
    VECTORS,
    FixedNoiseConditionalGAN,
    plain_generator,
    tiny_conditional_gan,
)
from tests.generative.adversarial.test_gan import compile_with_steady_optimizers
from tests.harness import ModelCase, every_check
from tests.plotting.figure_checks import named_rows

SETTINGS = {"image_shape": (8, 8, 1), "latent_dim": 4, "filters": 2, "embedding_dim": 3}
CONDITIONS = np.random.default_rng(2).normal(size=(24, 2)).astype("float32")


def case(make, data, condition, **kwargs) -> ModelCase:
    return ModelCase(
        make=make,
        data=data,
        compile=compile_with_steady_optimizers,
        outputs=("sample", (condition, 0), {}),
        imports=IMPORTS,
        may_move=lambda path: "moving" in path or "average" in path,
        **kwargs,
    )


CASES = {
    "projection, two-stage": case(
        lambda: FixedNoiseConditionalGAN(
            3, **SETTINGS, generator=plain_generator(embedding_dim=3), step="two_stage"
        ),
        (IMAGES, LABELS),
        LABELS[:5],
    ),
    "classifier, dropped conditions, two-stage": case(
        lambda: FixedNoiseConditionalGAN(
            3,
            **SETTINGS,
            generator=plain_generator(embedding_dim=3),
            discriminator_conditioning="concatenation",
            auxiliary_classifier=True,
            unlabelled_probability=0.3,
            step="two_stage",
        ),
        (IMAGES, LABELS),
        LABELS[:5],
    ),
    "vectors for vectors, normalization": case(
        lambda: ConditionalGAN(
            condition_shape=(2,),
            image_shape=(5,),
            latent_dim=4,
            filters=2,
            embedding_dim=3,
            value_range=None,
            generator_conditioning="normalization",
        ),
        (VECTORS, CONDITIONS),
        CONDITIONS[:5],
        tolerance=None,
    ),
}


@pytest.mark.parametrize(("name", "check"), every_check(CASES))
def test_model(name, check, tools):
    check(CASES[name], tools)


@pytest.mark.slow
def test_learns_what_each_class_is():
    """Classes at -2, 0 and 2: the samples of each come near its own place."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 512)
    data = (rng.normal(size=(512, 1)) * 0.2 + 2.0 * (labels[:, None] - 1)).astype("float32")
    cgan = ConditionalGAN(
        3, (1,), latent_dim=4, filters=8, embedding_dim=4, value_range=None, ema_decay=0.95, seed=0
    )
    adams = [keras.optimizers.Adam(4e-3, beta_1=0.5) for _ in range(2)]
    cgan.compile(*adams, jit_compile=False)
    cgan.fit(data, labels, batch_size=64, epochs=40, verbose=0)
    for label in range(3):
        samples = cgan.sample(np.full(500, label), seed=label)
        assert samples.mean() == pytest.approx(2.0 * (label - 1), abs=0.35)


def test_samples_by_condition_and_seed():
    cgan = tiny_conditional_gan()
    labels = np.array([0, 1, 2, 2, 1])
    samples = cgan.sample(labels, seed=3)
    assert samples.shape == (5, 8, 8, 1)
    np.testing.assert_allclose(samples, cgan.sample(labels, seed=3, batch_size=2), atol=1e-6)
    # The same latent vectors, other conditions: only the examples asked for otherwise differ.
    changed = cgan.sample(np.array([0, 1, 2, 0, 1]), seed=3)
    same = np.isclose(samples, changed, atol=1e-7).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(same, [True, True, True, False, True])


def test_projection_is_the_inner_product_with_the_mapped_embedding():
    cgan = tiny_conditional_gan()
    probabilities = cgan.discriminate(IMAGES[:6], LABELS[:6])
    body = keras.Model(cgan.discriminator.inputs[0], cgan.discriminator.get_layer("logit").input)
    features = body(IMAGES[:6]).numpy()
    kernel, bias = cgan.discriminator.get_layer("logit").get_weights()
    (mapping,) = cgan.discriminator.get_layer("projection").get_weights()
    embedding = cgan.discriminator_embedding.table.numpy()[LABELS[:6]]
    inner = np.sum(features * (embedding @ mapping), axis=1) / np.sqrt(features.shape[1])
    logits = (features @ kernel + bias)[:, 0] + inner
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-logits)), atol=1e-5)


@pytest.mark.slow
def test_dropped_conditions_and_samples_without_one():
    cgan = tiny_conditional_gan(unlabelled_probability=0.5)
    cgan.fit(IMAGES, LABELS, batch_size=8, verbose=0)
    samples = cgan.sample(None, seed=0, count=6)
    assert samples.shape == (6, 8, 8, 1)
    assert not np.allclose(samples, cgan.sample(np.zeros(6, int), seed=0))
    noise = cgan.draw_noise((tf.zeros([4000, 8, 8, 1]),), tf.constant([0, 1]), training=True)
    # A half, within five standard errors.
    assert np.mean(noise[0]["dropped"]) == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(4000))
    assert cgan.evaluate(IMAGES, LABELS, verbose=0, return_dict=True)["generator_loss"] > 0


def test_auxiliary_loss_is_the_cross_entropy_of_examples_that_kept_their_class():
    cgan = tiny_conditional_gan(auxiliary_classifier=True, discriminator_conditioning=None)
    logits = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    judgement = type("J", (), {"class_logits": tf.constant(logits)})
    labels = np.array([0, 2, 1, 1])
    per_example = np.log(np.exp(logits).sum(1)) - logits[np.arange(4), labels]
    loss = cgan.class_loss(judgement, (labels,))
    assert float(loss) == pytest.approx(per_example.mean(), abs=1e-5)
    kept = cgan.class_loss(judgement, (labels, np.array([True, False, False, True])))
    assert float(kept) == pytest.approx(per_example[1:3].sum() / 4, abs=1e-5)


@pytest.mark.slow
def test_an_encoder_trains_with_the_generator_only():
    def encoder():
        return keras.Sequential(
            [keras.Input((4, 2)), keras.layers.Flatten(), keras.layers.Dense(6)]
        )

    sequences = np.random.default_rng(0).normal(size=(24, 4, 2)).astype("float32")
    moved = []
    for generator_rate, discriminator_rate in ((0.1, 0.0), (0.0, 0.1)):
        cgan = tiny_conditional_gan(num_classes=None, condition_encoder=encoder())
        cgan.compile(keras.optimizers.SGD(generator_rate), keras.optimizers.SGD(discriminator_rate))
        before = cgan.condition_encoder.get_weights()[0]
        cgan.fit(IMAGES, sequences, batch_size=8, verbose=0)
        moved.append(not np.array_equal(before, cgan.condition_encoder.get_weights()[0]))
        assert cgan.sample(sequences[:3], seed=0).shape == (3, 8, 8, 1)
    assert moved == [True, False]


@pytest.mark.slow
def test_text_conditions(tmp_path):
    texts = np.array(["a red one", "a blue one", "none"] * 8, dtype=object)
    words = keras.layers.TextVectorization(output_sequence_length=3)
    words.adapt(texts)
    inputs = keras.Input((), dtype="string")
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(10, 4)(words(inputs)))
    cgan = tiny_conditional_gan(num_classes=None, condition_encoder=keras.Model(inputs, pooled))
    cgan.fit(IMAGES, tf.constant(texts), batch_size=8, verbose=0)
    assert not cgan.jit_compile
    samples = cgan.sample(tf.constant(["a red one", "none"]), seed=0)
    cgan.save(tmp_path / "text.keras")
    loaded = keras.saving.load_model(tmp_path / "text.keras")
    again = loaded.sample(tf.constant(["a red one", "none"]), seed=0)
    np.testing.assert_allclose(samples, again, atol=1e-6)


def test_grid_has_a_row_for_each_class(monkeypatch):
    """Samples as bright as their class's number say which row they stand in."""
    cgan = tiny_conditional_gan()
    monkeypatch.setattr(
        cgan,
        "sample",
        lambda labels, seed: np.ones((len(labels), 8, 8, 1)) * (labels - 1.0)[:, *[None] * 3],
    )
    rows = named_rows(cgan.sample_grid(4, seed=0))
    assert list(rows) == ["0", "1", "2"]
    for name, brightness in (("0", 0.0), ("1", 0.5)):
        # Four images of eight pixels, with white gaps of one between them.
        assert (rows[name][:, 0] == brightness).sum() == 32
    assert (rows["2"] == 1.0).all()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS + 1, "from 0 to 2.*values from 1 to 3"),
        (LABELS - 1, "values from -1"),
        (LABELS.astype("float32"), "astype"),
        (0.5 * np.eye(3)[LABELS], "argmax"),
        (np.array(["a", "b", "c", "d"] * 6), "class_names"),
        (None, "Received: None"),
        (LABELS[:-1], r"\[24, 23\]"),
    ],
)
def test_wrong_labels_are_refused_before_training(labels, message):
    cgan = tiny_conditional_gan()
    with pytest.raises(ValueError, match=message):
        cgan.fit(IMAGES, labels, verbose=0)
    assert int(cgan.progress.step.numpy()) == 0


def test_labels_of_a_dataset_are_checked_too():
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS + 5)).batch(8)
    with pytest.raises(ValueError, match="from 0 to 2"):
        tiny_conditional_gan().fit(data, verbose=0)


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_wrong_label_in_a_later_batch_stops_the_run(jit_compile):
    """Only the first batch of a data set is looked at before training."""
    labels = LABELS.copy()
    labels[20] = 7
    data = tf.data.Dataset.from_tensor_slices((VECTORS, labels)).batch(8)
    cgan = ConditionalGAN(3, (5,), latent_dim=4, filters=2, embedding_dim=3, value_range=None)
    cgan.compile(jit_compile=jit_compile)
    with pytest.raises(ValueError, match="labels as integers from 0 to 2"):
        cgan.fit(data, verbose=0)
    assert int(cgan.progress.step.numpy()) == 2


@pytest.mark.slow
def test_images_as_conditions():
    """A convolutional encoder: what `sample` draws for an image depends on the image."""
    encoder = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(2, 3),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    cgan = tiny_conditional_gan(num_classes=None, condition_encoder=encoder)
    cgan.fit(IMAGES, IMAGES[::-1], batch_size=8, verbose=0)
    samples = cgan.sample(IMAGES[:2], seed=0)
    np.testing.assert_allclose(samples[1], cgan.sample(IMAGES[[3, 1]], seed=0)[1], atol=1e-6)
    assert not np.allclose(samples[0], cgan.sample(IMAGES[[3, 1]], seed=0)[0], atol=1e-6)
    with pytest.raises(ValueError, match=r"shape \[batch, 8, 8, 1\].*\[2, 8, 8\]"):
        cgan.sample(IMAGES[:2, ..., 0])


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (np.array([3]), "condition from 0 to 2"),
        (np.zeros((2, 2), int), r"shape \[batch\].*\[2, 2\]"),
        (np.zeros(0, int), "at least one"),
        (np.int64(1), r"shape \[\]"),
        (np.array([0.5]), "integers"),
    ],
)
def test_wrong_classes_at_sample(condition, message):
    with pytest.raises(ValueError, match=message):
        tiny_conditional_gan().sample(condition)


def test_wrong_vectors_at_sample():
    cgan = ConditionalGAN(condition_shape=(2,), image_shape=(5,), value_range=None, filters=2)
    with pytest.raises(ValueError, match=r"shape \[batch, 2\].*\[4, 3\]"):
        cgan.sample(np.zeros((4, 3)))
    with pytest.raises(ValueError, match="finite"):
        cgan.sample(np.full((4, 2), np.nan))
    with pytest.raises(ValueError, match="unlabelled_probability"):
        cgan.sample(None)


def test_discriminate_needs_a_condition_for_every_image():
    with pytest.raises(ValueError, match="24 images, 5 conditions"):
        tiny_conditional_gan().discriminate(IMAGES, LABELS[:5])
    alone = tiny_conditional_gan(auxiliary_classifier=True, discriminator_conditioning=None)
    assert alone.discriminate(IMAGES[:3]).shape == (3,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_classes": None}, "Say what a condition is"),
        ({"condition_shape": (3,)}, "Received: both"),
        ({"num_classes": 1}, "num_classes=1"),
        ({"num_classes": None, "condition_shape": (3, 2)}, "need a condition_encoder"),
        ({"generator_conditioning": "addition"}, "'addition'"),
        ({"discriminator_conditioning": "attention"}, "'attention'"),
        ({"discriminator_conditioning": None}, "auxiliary_classifier=True"),
        ({"unlabelled_probability": 1.0}, "unlabelled_probability=1.0"),
        (
            {"num_classes": None, "condition_shape": (3,), "auxiliary_classifier": True},
            "needs num_classes",
        ),
        ({"num_classes": None, "condition_encoder": len}, "Keras layer"),
        (
            {"num_classes": None, "condition_encoder": keras.layers.Dense(3)},
            "Give condition_shape=",
        ),
        (
            {
                "num_classes": None,
                "condition_encoder": keras.layers.Dense(3),
                "condition_shape": (4, 2),
            },
            "a vector a condition",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        tiny_conditional_gan(**settings)
