"""Pix2Pix: the harness, its losses against NumPy, its noise, what it refuses."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.networks.unet import unet_generator
from keras_transgen.generative.translation.pix2pix import Pix2Pix
from tests.generative.adversarial.adversarial_models import noise_of_examples
from tests.harness import MODEL_CHECKS, ModelCase
from tests.plotting.figure_checks import named_rows

RNG = np.random.default_rng(0)
INPUTS = RNG.uniform(-1, 1, (24, 8, 8, 1)).astype("float32")
TARGETS = np.concatenate([INPUTS, -INPUTS, 0.5 * INPUTS], axis=-1)
SETTINGS: dict[str, Any] = {"image_shape": (8, 8, 1), "target_shape": (8, 8, 3), "filters": 2}


@keras.saving.register_keras_serializable(package="tests")
class FixedNoisePix2Pix(Pix2Pix):
    """Its masks are a function of the input image, so that replicas can be compared."""

    def draw_noise(self, data, seed, training):
        return noise_of_examples(data, super().draw_noise(data, seed, training))


def compile_with_steady_optimizers(model, **kwargs):
    model.compile(keras.optimizers.SGD(0.02, 0.5), keras.optimizers.SGD(0.02, 0.5), **kwargs)


def small_generator() -> keras.Model:
    """With one mask, as the U-Net has, and few layers to trace."""
    image, mask = keras.Input((8, 8, 1)), keras.Input((4, 4, 2))
    x = keras.layers.Conv2D(2, 4, strides=2, padding="same", activation="relu")(image)
    x = keras.layers.Multiply()([x, mask])
    x = keras.layers.Conv2DTranspose(3, 4, strides=2, padding="same", dtype="float32")(x)
    return keras.Model([image, mask], x)


def small_discriminator() -> keras.Model:
    images = [keras.Input((8, 8, 1)), keras.Input((8, 8, 3))]
    x = keras.layers.Concatenate()(images)
    return keras.Model(images, keras.layers.Conv2D(1, 4, strides=2, dtype="float32")(x))


def everything() -> FixedNoisePix2Pix:
    return FixedNoisePix2Pix(
        generator=small_generator(),
        discriminator=small_discriminator(),
        loss="least_squares",
        label_smoothing=0.1,
        reconstruction_weight=5.0,
        perceptual_loss=keras.losses.MeanSquaredError(),
    )


CASE = ModelCase(
    make=everything,
    data=(INPUTS, TARGETS),
    compile=compile_with_steady_optimizers,
    outputs=("translate", (INPUTS[:5], 0), {}),
    imports=("tests.generative.translation.test_pix2pix",),
    may_move=lambda path: "average" in path,
)


@pytest.mark.parametrize("check", MODEL_CHECKS)
def test_model(check, tools):
    check(CASE, tools)


@pytest.mark.slow
def test_logs_of_an_untrained_step_are_those_of_the_paper():
    """L1 and cross-entropy over patches, by NumPy from the networks' own outputs."""
    model = FixedNoisePix2Pix(**SETTINGS, reconstruction_weight=7.0, adversarial_weight=0.5)
    data = (tf.constant(INPUTS[:8]), tf.constant(TARGETS[:8]))
    masks = model.draw_noise(data, tf.constant([0, 0]), True)[0]["latent"]
    made = model.generator([data[0], *masks]).numpy()
    fake = model.discriminator([data[0], tf.constant(made)]).numpy()
    real = model.discriminator(list(data)).numpy()
    assert fake.shape == (8, 4, 4, 1)
    model.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0), jit_compile=False)
    history = model.fit(
        INPUTS[:8],
        TARGETS[:8],
        batch_size=8,
        shuffle=False,
        verbose=0,
        validation_data=(INPUTS, TARGETS),
    )
    logs = {name: values[0] for name, values in history.history.items()}
    l1 = np.abs(made - TARGETS[:8]).mean()
    assert logs["l1"] == pytest.approx(l1, rel=1e-5)
    adversarial = np.log1p(np.exp(-fake)).mean()
    assert logs["generator_loss"] == pytest.approx(7.0 * l1 + 0.5 * adversarial, rel=1e-5)
    expected = np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean()
    assert logs["discriminator_loss"] == pytest.approx(expected, rel=1e-5)
    without_noise = model.predict(INPUTS, verbose=0)
    assert logs["val_l1"] == pytest.approx(np.abs(without_noise - TARGETS).mean(), rel=1e-4)


@pytest.mark.slow
def test_a_perceptual_loss_of_any_kind_counts_once():
    def doubled(target, made):
        return 2.0 * tf.reduce_mean((target - made) ** 2, axis=[1, 2, 3])

    for loss, factor in ((keras.losses.MeanSquaredError(), 1.0), ("mse", 1.0), (doubled, 2.0)):
        model = Pix2Pix(**SETTINGS, perceptual_loss=loss, reconstruction_weight=0.0, dropout=0.0)
        logs = model.evaluate(INPUTS, TARGETS, return_dict=True, verbose=0)
        made = model.predict(INPUTS, verbose=0)
        expected = factor * np.square(made - TARGETS).mean()
        assert logs["perceptual"] == pytest.approx(expected, rel=1e-4)


def test_noise_is_a_function_of_the_seed_and_the_image():
    model = Pix2Pix(**SETTINGS, seed=0)
    made = model.translate(INPUTS, seed=3)
    assert made.shape == (24, 8, 8, 3)
    np.testing.assert_allclose(made, model.translate(INPUTS, seed=3, batch_size=7), atol=1e-5)
    assert np.abs(made - model.translate(INPUTS, seed=4)).max() > 1e-3
    assert np.abs(model.translate(INPUTS) - model.translate(INPUTS)).max() > 1e-3
    np.testing.assert_array_equal(
        model.predict(INPUTS, verbose=0), model.predict(INPUTS, verbose=0)
    )
    quiet = Pix2Pix(**SETTINGS, dropout=0.0)
    np.testing.assert_allclose(quiet.translate(INPUTS), quiet.predict(INPUTS, verbose=0), atol=1e-6)


def test_bytes_are_scaled_on_the_device():
    pixels = RNG.integers(0, 256, (8, 8, 8, 1)).astype("uint8")
    scaled = pixels.astype("float32") / 127.5 - 1.0
    model = Pix2Pix((8, 8, 1), filters=2, dropout=0.0)
    np.testing.assert_allclose(
        model.predict(pixels, verbose=0), model.predict(scaled, verbose=0), atol=1e-5
    )
    losses = [
        model.evaluate(x, y, verbose=0, return_dict=True)["l1"]
        for x, y in ((pixels, pixels), (scaled, scaled))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.slow
def test_both_steps_train_alike():
    """At small rates turns on the same images and on fresh ones differ by the second order only."""
    moved = {}
    for step in ("shared", "two_stage"):
        model = FixedNoisePix2Pix(**SETTINGS, step=step, ema_decay=None, seed=0)
        keras.utils.set_random_seed(0)
        for weight in model.weights:
            weight.assign(keras.random.normal(weight.shape, stddev=0.1))
        before = [weight.numpy() for weight in model.generator.trainable_variables]
        model.compile(keras.optimizers.SGD(1e-3), keras.optimizers.SGD(1e-3), jit_compile=False)
        model.fit(INPUTS, TARGETS, batch_size=24, shuffle=False, verbose=0)
        after = [weight.numpy() for weight in model.generator.trainable_variables]
        moved[step] = [new - old for old, new in zip(before, after)]
    for one, other in zip(*moved.values()):
        assert np.abs(one).max() > 0
        np.testing.assert_allclose(one, other, atol=2e-2 * np.abs(other).max())


@pytest.mark.slow
def test_learns_the_negative_in_seconds():
    """The mean absolute error falls to a tenth of that of the mean image."""
    rng = np.random.default_rng(1)
    blocks = rng.choice([-0.8, 0.8], (64, 4, 4, 1)).repeat(2, axis=1).repeat(2, axis=2)
    inputs = blocks.astype("float32")
    model = Pix2Pix((8, 8, 1), filters=4, dropout=0.0, ema_decay=0.9, seed=0)
    adams = [keras.optimizers.Adam(5e-3, beta_1=0.5) for _ in range(2)]
    model.compile(*adams, jit_compile=False)
    history = model.fit(
        inputs, -inputs, batch_size=16, epochs=25, verbose=0, validation_data=(inputs, -inputs)
    )
    of_the_mean = np.abs(-inputs - (-inputs).mean(0)).mean()
    assert history.history["val_l1"][-1] < 0.1 * of_the_mean


def test_any_model_from_images_to_images_may_be_the_generator():
    plain = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(3, 1)])
    alone = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    model = Pix2Pix(generator=plain, discriminator=alone)
    assert (model.example_shape, model.target_shape) == ((8, 8, 1), (8, 8, 3))
    before = plain.get_weights()[0].copy()
    history = model.fit(
        tf.data.Dataset.from_tensor_slices((INPUTS, TARGETS)).batch(8), verbose=0
    ).history
    assert {"l1", "real_score"} <= set(history)
    assert not np.array_equal(before, plain.get_weights()[0])
    again = type(model).from_config(model.get_config())
    assert again.generator.count_params() == plain.count_params()


def _in_unit_range(model, values):
    low, high = model.value_range
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def test_grid_shows_input_made_and_target():
    model = Pix2Pix(**SETTINGS)
    figure = model.translation_grid(INPUTS[:3], TARGETS[:3], seed=0)
    rows = named_rows(figure)
    assert list(rows) == ["input", "made", "target"]
    made = model.translate(INPUTS[:3], seed=0)
    for name, images in (("input", INPUTS), ("made", made), ("target", TARGETS)):
        # The line of pixels at the middle of the first image, drawn in [0, 1].
        expected = _in_unit_range(model, images[0, 3, :, 0])
        np.testing.assert_allclose(rows[name][:8, 0], expected, atol=1e-3, err_msg=name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_shape": (7, 8, 1)}, r"halved at least once.*\(7, 8, 1\)"),
        ({"target_shape": (8, 8)}, r"target_shape must be \(height, width, channels\)"),
        ({"target_shape": (12, 12, 1)}, "whole number of times larger"),
        ({"target_shape": (4, 4, 1)}, "whole number of times larger"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"step": "one_stage"}, "step='one_stage'"),
        ({"adversarial_weight": -1}, "adversarial_weight=-1"),
        ({"adversarial_weight": 0, "reconstruction_weight": 0}, "Nothing would tell"),
        ({"loss": "nonsense"}, "loss must be one of"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Pix2Pix(**{"image_shape": (8, 8, 1), "filters": 2, **settings})


def test_networks_that_do_not_fit_are_refused():
    wide = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(3, 1)])
    with pytest.raises(ValueError, match=r"must make images of shape \[batch, 8, 8, 1\]"):
        Pix2Pix((8, 8, 1), (8, 8, 1), generator=wide)
    with pytest.raises(ValueError, match="one logit a patch"):
        Pix2Pix((8, 8, 1), discriminator=wide, filters=2)
    with pytest.raises(ValueError, match="no part in training"):
        Pix2Pix((8, 8, 1), discriminator=wide, adversarial_weight=0, filters=2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((INPUTS, TARGETS[:20]), "24 inputs and 20 targets"),
        ((INPUTS,), r"fit\(inputs, targets\).*no targets"),
        ((INPUTS, INPUTS), r"targets .*\[batch, 8, 8, 3\]"),
        ((TARGETS, TARGETS), r"expects x of shape \[batch, 8, 8, 1\]"),
        ((INPUTS, 3 * TARGETS), r"targets.*with values from -"),
        ((tf.data.Dataset.from_tensor_slices(INPUTS).batch(8),), "no targets"),
    ],
)
def test_data_that_are_no_pairs_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        Pix2Pix(**SETTINGS).fit(*data, verbose=0)


@pytest.mark.parametrize(
    ("shape", "levels"), [((256, 256, 3), 7), ((64, 96, 3), 5), ((28, 28, 1), 2), ((6, 6, 1), 1)]
)
def test_unet_takes_any_size_that_can_be_halved(shape, levels):
    network = unet_generator(shape, filters=1)
    assert network.output_shape == (None, *shape)
    strided = [
        layer
        for layer in network.layers
        if type(layer) is keras.layers.Conv2D and layer.strides == (2, 2)
    ]
    assert len(strided) == levels
    assert len(network.inputs) - 1 == min(3, levels - 1)


def test_masks_of_zero_cut_a_level_off():
    """With the deepest mask at zero, nothing below it reaches the image."""
    network = unet_generator((8, 8, 1), filters=2)
    image, mask = INPUTS[:2], np.zeros((2, 4, 4, 2), "float32")
    before = network([image, mask]).numpy()
    for layer in network.layers:
        if type(layer) is keras.layers.Conv2D and layer.filters == 4:
            layer.kernel.assign(layer.kernel * -3.0 + 1.0)
    np.testing.assert_allclose(network([image, mask]), before, atol=1e-6)
    assert np.abs(network([image, mask + 1.0]) - before).max() > 1e-4
