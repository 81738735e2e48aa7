"""Differentiable augmentation against NumPy, and the controller's path."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.generative.adversarial.augmentation import (
    NUMBERS_PER_IMAGE,
    DifferentiableAugmentation,
    augmentation_layer,
    color,
    cutout,
    translation,
)

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (3, 8, 8, 3)).astype("float32")


def numbers(**columns) -> np.ndarray:
    """Numbers that change nothing (a brightness of one half, say) but in the columns given."""
    uniform = np.full((3, NUMBERS_PER_IMAGE), 0.5, "float32")
    for name, value in columns.items():
        uniform[:, int(name[1:])] = value
    return uniform


def test_half_of_everything_changes_nothing():
    np.testing.assert_allclose(color(IMAGES, numbers(), 1.0), IMAGES, atol=1e-6)
    np.testing.assert_allclose(translation(IMAGES, numbers(), 1.0), IMAGES)


def test_brightness_saturation_and_contrast():
    np.testing.assert_allclose(color(IMAGES, numbers(_0=1.0), 1.0), IMAGES + 0.5, atol=1e-6)
    np.testing.assert_allclose(color(IMAGES, numbers(_0=0.0), 0.5), IMAGES - 0.25, atol=1e-6)
    grey = np.broadcast_to(IMAGES.mean(3, keepdims=True), IMAGES.shape)
    np.testing.assert_allclose(color(IMAGES, numbers(_1=0.0), 1.0), grey, atol=1e-6)
    mean = IMAGES.mean((1, 2, 3), keepdims=True)
    expected = mean + 1.5 * (IMAGES - mean)
    np.testing.assert_allclose(color(IMAGES, numbers(_2=1.0), 1.0), expected, atol=1e-6)


@pytest.mark.parametrize(("down", "right"), [(1, 0), (-1, 1), (0, -1)])
def test_translation_by_whole_pixels(down, right):
    """An eighth of eight pixels is one; numbers in thirds choose -1, 0 and 1."""
    uniform = numbers(_3=(down + 1.5) / 3, _4=(right + 1.5) / 3)
    padded = np.pad(IMAGES, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = padded[:, 1 - down : 9 - down, 1 - right : 9 - right]
    np.testing.assert_array_equal(translation(IMAGES, uniform, 1.0), expected)


def test_cutout_hides_a_quarter_around_the_centre():
    hidden = cutout(np.ones((3, 8, 8, 1), "float32"), numbers(), 1.0).numpy()
    expected = np.ones((3, 8, 8, 1))
    expected[:, 2:6, 2:6] = 0
    np.testing.assert_array_equal(hidden, expected)


@pytest.mark.parametrize("last", [0.0, 0.99999994, 1.0])
def test_numbers_at_the_ends(last):
    uniform = numbers(_3=last, _4=last, _5=last, _6=last)
    assert np.isfinite(translation(IMAGES, uniform, 1.0)).all()
    assert np.isfinite(cutout(IMAGES, uniform, 1.0)).all()


def test_gradients_go_through():
    """The gradient of the sum of a translated image: one for each pixel that is still there."""
    images = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(translation(images, numbers(_3=1.0), 1.0))
    gradient = tape.gradient(total, images).numpy()
    assert (gradient[:, :-1] == 1).all()
    assert (gradient[:, -1] == 0).all()


def test_the_middle_of_the_range_is_grey():
    layer = DifferentiableAugmentation("cutout", value_range=(0.0, 1.0))
    hidden = layer(np.ones((3, 8, 8, 1), "float32"), numbers())
    assert float(hidden[0, 4, 4, 0]) == 0.5
    assert float(hidden[0, 0, 0, 0]) == 1.0


def test_share_of_images_that_change():
    layer = DifferentiableAugmentation("color", target=0.6)
    layer.probability.assign(0.25)
    count = 4000
    uniform = np.random.default_rng(1).random((count, NUMBERS_PER_IMAGE)).astype("float32")
    images = np.tile(IMAGES[:1], (count, 1, 1, 1))
    changed = np.abs(layer(images, uniform) - images).max(axis=(1, 2, 3)) > 1e-5
    # Five standard errors of a share of a quarter.
    assert changed.mean() == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / count))


def test_controller_rises_falls_and_stops_at_the_ends():
    layer = DifferentiableAugmentation("color", target=0.6, adjustment_images=100)
    assert float(layer.probability) == 0.0
    path = []
    for sign in (0.9, 0.9, 0.1, 0.1, 0.1):
        # Four batches whose mean is the sign.
        for part in (-0.4, 0.4, 0.1, -0.1):
            layer.adapt_to(tf.constant(sign + part), tf.constant(5))
            path.append(float(layer.probability))
    assert path[:3] == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(path[3::4], [0.2, 0.4, 0.2, 0.0, 0.0], atol=1e-6)
    constant = DifferentiableAugmentation("color")
    constant.adapt_to(tf.constant(0.0), tf.constant(10))
    assert float(constant.probability) == 1.0


def test_settings():
    assert augmentation_layer(None, (-1, 1), (8, 8, 3)) is None
    layer = augmentation_layer("color, cutout", (0.0, 1.0), (8, 8, 3))
    assert (layer.names, layer.value_range) == (["color", "cutout"], (0.0, 1.0))
    again = DifferentiableAugmentation.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    for setting, shape, message in (
        ("flip", (8, 8, 3), "flip"),
        (3, (8, 8, 3), "augmentation=3"),
        ("color", (5,), "example_shape"),
    ):
        with pytest.raises(ValueError, match=message):
            augmentation_layer(setting, (-1, 1), shape)
    with pytest.raises(ValueError, match=r"target=1\.5"):
        DifferentiableAugmentation(target=1.5)
    with pytest.raises(ValueError, match="adjustment_images"):
        DifferentiableAugmentation(adjustment_images=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "bias"),
    [
        ("non_saturating", 0.0),
        ("hinge", 0.0),
        *(
            (loss, bias)
            for loss in ("least_squares", "wasserstein", "relativistic_average")
            for bias in (-3.0, 0.0, 3.0)
        ),
    ],
)
@pytest.mark.long
def test_a_discriminator_that_sees_nothing_overfits_under_no_loss(loss, bias):
    """Its logits are one number, wherever the loss moves it: there is nothing to adapt to."""
    blind = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(
                1, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(bias)
            ),
        ]
    )
    blind.layers[-1].trainable = False
    augmentation = DifferentiableAugmentation("translation", target=0.6, adjustment_images=200)
    images = np.random.default_rng(0).uniform(-1, 1, (64, 8, 8, 1)).astype("float32")
    gan = ktg.GAN(
        (8, 8, 1), 4, filters=2, discriminator=blind, loss=loss, augmentation=augmentation
    )
    gan.compile(jit_compile=False)
    history = gan.fit(images, batch_size=8, epochs=1, verbose=0).history
    assert history["augmentation_probability"] == [0.0]


@pytest.mark.parametrize("bias", [-3.0, 0.0, 3.0])
def test_a_critic_that_tells_all_real_images_apart_does_whatever_its_bias(bias):
    critic = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(
                1, kernel_initializer="ones", bias_initializer=keras.initializers.Constant(bias)
            ),
        ]
    )
    critic.layers[-1].trainable = False
    augmentation = DifferentiableAugmentation("translation", target=0.6, adjustment_images=64)
    bright = np.full((64, 8, 8, 1), 0.99, "float32")
    gan = ktg.GAN(
        (8, 8, 1), 4, filters=2, discriminator=critic, loss="wasserstein", augmentation=augmentation
    )
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0), jit_compile=False)
    history = gan.fit(bright, batch_size=8, epochs=1, verbose=0).history
    # Two changes, after four batches each.
    assert float(gan.augmentation.probability) == pytest.approx(1.0)
    assert gan.augmentation is not augmentation
    assert float(augmentation.probability) == 0.0
    assert history["real_score"][-1] - history["fake_score"][-1] > 0.5


def test_a_file_from_before_has_the_share_alone():
    layer = DifferentiableAugmentation("color", target=0.6)
    layer.load_own_variables({"0": np.float32(0.25)})
    assert float(layer.probability) == 0.25
