"""LatentAutoencoder: the harness, its loss by hand, the scale of its latents, what it refuses."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.fusion import LatentAutoencoder, LatentFlow, PerceptualLoss
from keras_transgen.fusion.latent_codec import LatentCodec
from keras_transgen.generative.networks.image_codec import image_decoder, image_encoder
from tests.fusion.latent_models import IMAGES, LABELS, FixedNoiseAutoencoder
from tests.fusion.small_networks import small_backbone
from tests.generative.flow.flow_models import small_network
from tests.harness import ModelCase, every_check

SMALL = {"image_shape": (8, 8, 1), "latent_channels": 2, "width": 4}


def made(**kwargs):
    return FixedNoiseAutoencoder(
        # So heavy that the small steps of the checks on half precision move a weight of one.
        **{**SMALL, "pixel_weight": 50.0, "adversarial_weight": 5.0, "adversarial_start": 0},
        **kwargs,
        perceptual_loss=PerceptualLoss(small_backbone(), ["half"]),
        discriminator_filters=2,
    )


def compiled(model, **options):
    # Adam divides by the gradient's size, which turns rounding into whole steps.
    optimizers = keras.optimizers.SGD(0.001), keras.optimizers.SGD(0.05)
    if keras.config.dtype_policy().name == "mixed_float16":
        # Of so heavy losses the usual scale of 2**15 is beyond float16: no step would be taken.
        scaled = keras.optimizers.LossScaleOptimizer
        optimizers = tuple(scaled(each, initial_scale=64.0) for each in optimizers)
    model.compile(*optimizers, **options)


CASE = ModelCase(
    make=made,
    data=(IMAGES,),
    compile=compiled,
    outputs=("reconstruct", (IMAGES[:4],), {}),
    imports=("tests.fusion.latent_models",),
    may_move=lambda path: "average" in path or "latent_scale" in path,
    fit={"epochs": 2},
)


def quantized():
    # By absolute differences alone a bias may go to and fro, and end where it was.
    loss = PerceptualLoss(small_backbone(), ["half"])
    weights = {"pixel_weight": 50.0, "perceptual_weight": 50.0}
    return LatentAutoencoder(**SMALL, **weights, perceptual_loss=loss, levels=5)


QUANTIZED = ModelCase(
    make=quantized,
    data=(IMAGES,),
    compile=compiled,
    outputs=("codes", (IMAGES[:4],), {}),
    imports=("tests.fusion.latent_models",),
    may_move=lambda path: "average" in path or "latent_scale" in path,
    fit={"epochs": 2},
)


CASES = {"autoencoder": CASE, "quantised": QUANTIZED}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "check"), every_check(CASES))
def test_model(name, check, tools):
    check(CASES[name], tools)


# The loss


def by_hand(model, images, noise):
    """Every part of the loss, in NumPy, from what the networks say."""
    mean, log_variance = (np.asarray(each) for each in model.codec.posterior(images))
    latents = mean + np.exp(log_variance / 2) * noise
    made = np.asarray(model.codec.reconstructed(latents))
    kl = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance)
    real, fake = (np.asarray(model.discriminator(each)) for each in (images, made))
    one, other = (
        each / np.sqrt((each**2).sum(-1, keepdims=True) + 1e-6)
        for each in (np.asarray(model.perceptual_features(x)[0]) for x in (images, made))
    )
    low, high = model.value_range
    return {
        # Values taken in [-1, 1].
        "pixel": abs(images - made).mean() * 2 / (high - low),
        "perceptual": ((one - other) ** 2).sum(-1).mean(),
        "kl": kl.mean(),
        "adversarial": -fake.mean(),
        "discriminator_loss": np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(),
        "real_score": real.mean(),
        "fake_score": fake.mean(),
    }


def autoencoder(**kwargs):
    loss = PerceptualLoss(small_backbone(), ["half"], value_range=(0.0, 1.0))
    settings = {**SMALL, "value_range": (0.0, 1.0), "discriminator_filters": 2, **kwargs}
    keras.utils.set_random_seed(3)
    return LatentAutoencoder(perceptual_loss=loss, ema_decay=None, **settings)


@pytest.mark.slow
def test_losses_by_hand():
    weights = {"pixel_weight": 0.7, "perceptual_weight": 1.5, "kl_weight": 0.3}
    model = autoencoder(adversarial_weight=0.2, adversarial_start=0, **weights)
    images = IMAGES / 2 + 0.5
    found = model.evaluate(images, batch_size=24, verbose=0, return_dict=True)
    wanted = by_hand(model, images, 0.0)
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name
    total = 0.7 * wanted["pixel"] + 1.5 * wanted["perceptual"] + 0.3 * wanted["kl"]
    assert found["loss"] == pytest.approx(total + 0.2 * wanted["adversarial"], rel=1e-4)

    # In training latents are drawn.
    noise = np.random.default_rng(5).normal(size=(24, 2, 2, 2)).astype("float32")
    _, _, logs = model._compared(images, noise, tf.constant(True), True)
    drawn = by_hand(model, images, noise)
    assert drawn["pixel"] != pytest.approx(wanted["pixel"], rel=1e-4)
    for name in ("pixel", "perceptual", "kl", "adversarial"):
        assert float(logs[name]) == pytest.approx(drawn[name], rel=1e-4), name


@pytest.mark.long
def test_the_discriminator_takes_part_from_its_step_on():
    model = autoencoder(adversarial_weight=0.2, adversarial_start=2)
    model.compile(jit_compile=False)
    images = IMAGES / 2 + 0.5
    start = [each.numpy() for each in model.discriminator.weights]
    logs = model.fit(images, batch_size=12, epochs=1, verbose=0).history
    assert logs["adversarial"] == logs["discriminator_loss"] == [0.0]
    for old, weight in zip(start, model.discriminator.weights):
        np.testing.assert_array_equal(old, weight.numpy())
    logs = model.fit(images, batch_size=12, epochs=1, verbose=0).history
    assert logs["discriminator_loss"][0] > 0.5
    for old, weight in zip(start, model.discriminator.weights):
        assert not np.array_equal(old, weight.numpy()), weight.path
        # The first step of a moment that waited is no leap.
        assert abs(weight.numpy() - old).max() < 2 * 2 * 2e-4


@pytest.mark.slow
def test_learns_to_reconstruct_without_network_and_discriminator():
    images, _ = ktg.datasets.load_digits()
    images = images[:512]
    model = LatentAutoencoder((8, 8, 1), width=8, value_range=(0.0, 1.0), kl_weight=1e-3)
    model.compile(keras.optimizers.Adam(3e-3), jit_compile=False)
    logs = model.fit(images, batch_size=32, epochs=20, verbose=0).history
    assert set(logs) == {"loss", "pixel", "kl", "gradient_norm"}
    error = np.mean((model.reconstruct(images) - images) ** 2)
    # Of the best constant image it is the variance.
    assert error < 0.3 * images.var(axis=0).mean()
    assert model.standardized


# Quantised latents


@pytest.mark.slow
def test_latents_are_rounded_to_levels_by_hand():
    model = LatentAutoencoder(**SMALL, levels=4, ema_decay=None, pixel_weight=2.0)
    raw = np.tanh(np.asarray(model.codec.encoder(IMAGES)))
    levels = np.array([-1.0, -1 / 3, 1 / 3, 1.0])
    codes = abs(raw[..., None] - levels).argmin(-1)
    assert len(np.unique(codes)) > 1
    found = model.codes(IMAGES, batch_size=7)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, codes)
    made = np.asarray(model.codec.decoder(levels[codes].astype("float32")))
    np.testing.assert_allclose(model.reconstruct(IMAGES), made.clip(-1, 1), atol=1e-5)
    logs = model.evaluate(IMAGES, verbose=0, return_dict=True)
    assert "kl" not in logs
    assert logs["loss"] == pytest.approx(2.0 * abs(made - IMAGES).mean(), rel=1e-4)

    # A flow's latents lie between the levels, and are decoded as the nearest ones.
    model.standardize(IMAGES)
    latents = model.encode(IMAGES)
    np.testing.assert_allclose(latents, (raw - raw.mean((0, 1, 2))) / raw.std((0, 1, 2)), atol=1e-3)
    np.testing.assert_allclose(model.decode(latents), model.reconstruct(IMAGES), atol=1e-5)
    # Beyond the outermost levels there are none.
    far = np.asarray(model.codec.quantized(tf.constant([-9.0, 0.99, 4.0])))
    np.testing.assert_allclose(far, [-1.0, 1.0, 1.0], atol=1e-6)


def test_the_gradient_passes_the_rounding_unchanged():
    codec = LatentCodec((8, 8, 1), 2, width=4, levels=3)
    latents = tf.Variable([[0.2, -0.8, 0.9]])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(codec.quantized(latents) * [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(tape.gradient(loss, latents), [[1.0, 2.0, 3.0]])


@pytest.mark.long
def test_quantized_latents_learn_to_reconstruct():
    images, _ = ktg.datasets.load_digits()
    images = images[:512]
    model = LatentAutoencoder((8, 8, 1), width=8, value_range=(0.0, 1.0), levels=5, seed=0)
    model.compile(keras.optimizers.Adam(3e-3), jit_compile=False)
    model.fit(images, batch_size=32, epochs=20, verbose=0)
    error = np.mean((model.reconstruct(images) - images) ** 2)
    assert error < 0.3 * images.var(axis=0).mean()
    # No level of any channel is left unused.
    for channel in range(4):
        assert set(np.unique(model.codes(images)[..., channel])) >= {0, 1, 2, 3, 4}, channel


@pytest.mark.slow
def test_a_flow_learns_quantized_latents(tmp_path):
    model = LatentAutoencoder(**SMALL, levels=5, seed=0)
    model.standardize(IMAGES)
    network = small_network((2, 2, 2), 4)
    flow = LatentFlow(model, num_classes=3, network=network, embedding_dim=4, seed=0)
    flow.compile(jit_compile=False)
    flow.fit(IMAGES, LABELS, epochs=1, verbose=0)
    made = flow.sample([0, 1, 2], steps=2, seed=0)
    flow.save(tmp_path / "flow.keras")
    again = ktg.load_model(tmp_path / "flow.keras")
    assert again.codec.levels == 5
    np.testing.assert_allclose(again.sample([0, 1, 2], steps=2, seed=0), made, atol=1e-5)


def test_what_has_no_codes_says_so():
    with pytest.raises(ValueError, match=r"levels=8.*levels=None"):
        LatentAutoencoder(**SMALL).codes(IMAGES)


# The scale of the latents


@pytest.mark.slow
def test_latents_are_standardised_by_what_numpy_measures():
    model = LatentAutoencoder(**SMALL)
    model.standardize(IMAGES)
    raw = np.asarray(model.averaged_codec().posterior(IMAGES)[0])
    mean, deviation = raw.mean((0, 1, 2)), raw.std((0, 1, 2))
    np.testing.assert_allclose(model.codec.scale.mean.numpy(), mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.codec.scale.deviation.numpy(), deviation, rtol=1e-4)
    latents = model.encode(IMAGES, batch_size=7)
    np.testing.assert_allclose(latents, (raw - mean) / deviation, atol=1e-4)
    np.testing.assert_allclose(model.decode(latents), model.reconstruct(IMAGES), atol=1e-5)
    np.testing.assert_allclose(
        model.predict(IMAGES, verbose=0), model.reconstruct(IMAGES), atol=1e-5
    )


def test_a_data_set_and_bytes_are_measured_alike():
    pixels = np.round((IMAGES + 1) * 127.5).astype("uint8")
    model = LatentAutoencoder(**SMALL, seed=0)
    model.standardize(pixels)
    known = model.codec.scale.mean.numpy()
    model.standardize(tf.data.Dataset.from_tensor_slices((pixels, np.arange(24))).batch(5))
    np.testing.assert_allclose(model.codec.scale.mean.numpy(), known, rtol=1e-4, atol=1e-6)
    assert int(model.codec.scale.rows.numpy()) == 24 * 4
    model.standardize(pixels[:3])
    raw = np.asarray(model.averaged_codec().posterior(pixels[:3] / np.float32(127.5) - 1)[0])
    np.testing.assert_allclose(model.codec.scale.mean.numpy(), raw.mean((0, 1, 2)), atol=1e-5)


@pytest.mark.slow
def test_the_copy_has_the_averaged_weights():
    model = LatentAutoencoder(**SMALL)
    for average in model.average.averages:
        average.assign(1.5 * average + 0.1)
    # They belong together, as where a file gives both.
    model.average.remember()
    model.standardize(IMAGES)
    codec = model.averaged_codec()
    assert isinstance(codec, LatentCodec)
    assert not codec.trainable_weights
    # Two programs, and offsets of 0.1 on every weight: they round otherwise by 5e-5.
    np.testing.assert_allclose(codec.encode(IMAGES), model.encode(IMAGES), atol=1e-3)
    plain = np.asarray(model.codec.encode(IMAGES))
    assert abs(plain - model.encode(IMAGES)).max() > 0.1


def test_a_copy_of_a_frozen_copy_is_frozen():
    codec = LatentCodec(**SMALL)
    assert len(codec.trainable_weights) == len(codec.encoder.weights) + len(codec.decoder.weights)
    frozen = codec.copy_of(codec.weights)
    again = frozen.copy_of(frozen.weights)
    for each in (frozen, again, LatentCodec.from_config(again.get_config())):
        # A model that holds it asks each variable, and not the layer.
        assert not [weight for weight in each.weights if weight.trainable]
    assert codec.trainable_weights


@pytest.mark.slow
def test_an_exported_model_gives_the_same(tmp_path):
    model = LatentAutoencoder(**SMALL)
    model.standardize(IMAGES)
    model.export(tmp_path / "module", verbose=False)
    module = tf.saved_model.load(str(tmp_path / "module"))
    latents = module.signatures["encode"](inputs=tf.constant(IMAGES))["latents"]
    np.testing.assert_allclose(latents, model.encode(IMAGES), atol=1e-5)
    images = module.signatures["decode"](latents=latents)["images"]
    np.testing.assert_allclose(images, model.reconstruct(IMAGES), atol=1e-5)


# The networks


@pytest.mark.parametrize(("downsampling", "channels"), [(2, 3), (4, 2), (8, 1)])
def test_networks_have_the_sizes_they_say(downsampling, channels):
    encoder = image_encoder((16, 8, 3), channels, downsampling, width=2)
    assert encoder.output_shape == (None, 16 // downsampling, 8 // downsampling, channels)
    decoder = image_decoder((16, 8, 3), channels, downsampling, width=2)
    assert decoder.input_shape == encoder.output_shape
    assert decoder.output_shape == (None, 16, 8, 3)


# What is refused


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_shape": (10, 8, 1)}, "multiples of downsampling=4.*image_shape=\\(10, 8, 1\\)"),
        ({"downsampling": 3}, "power of 2.*downsampling=3"),
        ({"kl_weight": -1.0}, "from 0 up.*kl_weight=-1.0"),
        ({"kl_weight": float("inf")}, "from 0 up.*kl_weight=inf"),
        ({"pixel_weight": float("nan")}, "from 0 up.*pixel_weight=nan"),
        ({"perceptual_weight": "a"}, "from 0 up.*perceptual_weight='a'"),
        ({"adversarial_weight": True}, "from 0 up.*adversarial_weight=True"),
        ({"value_range": None}, "value_range=None"),
        ({"perceptual_loss": "digits"}, "fusion.PerceptualLoss.*perceptual_loss='digits'"),
        ({"pixel_weight": 0.0}, "what to make"),
        ({"adversarial_start": -1}, "from 0 up.*adversarial_start=-1"),
        ({"latent_channels": 0}, "from 1 up.*latent_channels=0"),
        ({"latent_channels": 2.5}, "from 1 up.*latent_channels=2.5"),
        ({"discriminator_filters": -1}, "from 1 up.*discriminator_filters=-1"),
        ({"ema_decay": 1.0}, "ema_decay must be"),
        ({"levels": 1}, "from 2 up.*levels=1"),
        ({"levels": 2.5}, "from 2 up.*levels=2.5"),
        ({"levels": "x"}, "from 2 up.*levels='x'"),
        ({"levels": float("nan")}, "from 2 up.*levels=nan"),
    ],
)
def test_what_cannot_be_made_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LatentAutoencoder(**{**SMALL, **settings})


def test_a_loss_of_another_range_is_refused():
    loss = PerceptualLoss(small_backbone(), ["half"], value_range=(0.0, 1.0))
    with pytest.raises(ValueError, match=r"value_range=\(-1.0, 1.0\)"):
        LatentAutoencoder(**SMALL, perceptual_loss=loss)


def test_latents_without_a_scale_are_refused():
    model = LatentAutoencoder(**SMALL)
    with pytest.raises(ValueError, match="not measured since"):
        model.encode(IMAGES)
    with pytest.raises(ValueError, match="not measured since"):
        model.decode(np.zeros((1, 2, 2, 2)))
    with pytest.raises(ValueError, match="not measured since"):
        model.export("nowhere")
    assert not Path("nowhere").exists()
    model.standardize(IMAGES)
    with pytest.raises(ValueError, match=r"\[count, 2, 2, 2\].*\[1, 3, 2, 2\]"):
        model.decode(np.zeros((1, 3, 2, 2)))
    with pytest.raises(ValueError, match="expects images of shape"):
        model.encode(np.zeros((1, 4, 4, 1)))
    with pytest.raises(ValueError, match="batch_size=0"):
        model.reconstruct(IMAGES, batch_size=0)
    with pytest.raises(ValueError, match="latents with NaN or infinite"):
        model.decode(np.full((1, 2, 2, 2), np.inf))


def test_images_that_give_no_scale_are_refused():
    model = LatentAutoencoder(**SMALL, ema_decay=None)
    broken = IMAGES.copy()
    broken[3, 1, 1] = np.nan
    wide = tf.data.Dataset.from_tensors(IMAGES * 7.0)
    for images, message in (
        (broken, "finite numbers"),
        (IMAGES * 255.0, "values"),
        (wide, "values"),
        (IMAGES[:, :4, :4], r"images of shape \[batch, 8, 8, 1\]"),
        (IMAGES[:0], "empty"),
        (None, "NoneType"),
        ((each for each in IMAGES), "generator"),
    ):
        with pytest.raises(ValueError, match=message):
            model.standardize(images)
    assert not model.standardized
    model.codec.encoder.weights[0].assign(model.codec.encoder.weights[0] * np.nan)
    with pytest.raises(ValueError, match="latents of these images are not finite"):
        model.standardize(IMAGES)
    assert not model.standardized


class Interrupted(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_training_that_moves_the_latents_forgets_their_scale(tmp_path):
    model = LatentAutoencoder(**SMALL)
    model.compile(keras.optimizers.SGD(0.5), jit_compile=False)
    model.fit(IMAGES, verbose=0)
    np.testing.assert_allclose(model.encode(IMAGES).std((0, 1, 2)), 1.0, atol=1e-4)
    with pytest.raises(ValueError, match="finite"):
        model.fit(IMAGES * np.nan, verbose=0)
    assert model.standardized
    file = tmp_path / "kept.keras"
    kept = keras.callbacks.ModelCheckpoint(file)
    with pytest.raises(KeyboardInterrupt):
        model.fit(IMAGES, epochs=3, batch_size=4, verbose=0, callbacks=[kept, Interrupted()])
    for stopped in (model, ktg.load_model(file)):
        with pytest.raises(ValueError, match="after a training that was stopped"):
            stopped.encode(IMAGES)
        stopped.standardize(IMAGES)
        np.testing.assert_allclose(stopped.encode(IMAGES).std((0, 1, 2)), 1.0, atol=1e-4)
    model.fit(((IMAGES[k : k + 4],) for k in (0, 4)), verbose=0)
    assert not model.standardized
