"""Degradations against NumPy, TensorFlow's own resizing and counting."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.translation import Downscaling, Holes, Noise
from keras_transgen.generative.translation.degradations import DegradationPipeline

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0.3, 0.7, (3, 32, 24, 3)).astype("float32")


def test_noise_has_its_deviation_and_no_mean():
    noise = np.asarray(Noise(0.05)(np.full((4, 64, 64, 3), 0.5, "float32"), seed=1)) - 0.5
    # 49,152 draws: standard errors of 0.0002 for both.
    assert noise.mean() == pytest.approx(0.0, abs=0.001)
    assert noise.std() == pytest.approx(0.05, abs=0.001)


def test_every_image_draws_a_level_of_its_own():
    noisy = np.asarray(Noise((0.01, 0.1))(np.full((8, 64, 64, 3), 0.5, "float32"), seed=1))
    levels = noisy.std(axis=(1, 2, 3))
    assert levels.min() > 0.009
    assert levels.max() < 0.11
    assert levels.max() > 2 * levels.min()


def test_area_downscaling_is_the_mean_of_squares():
    small = Downscaling(4, method="area")(IMAGES)
    expected = IMAGES.reshape(3, 8, 4, 6, 4, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(small, expected, atol=1e-6)


def test_bicubic_downscaling_is_tensorflows():
    expected = tf.image.resize(IMAGES, (16, 12), method="bicubic", antialias=True)
    np.testing.assert_allclose(Downscaling(2)(IMAGES), expected, atol=1e-6)


def test_holes_are_rectangles_filled_with_the_mean_of_the_rest():
    cut = np.asarray(Holes(size=0.5)(IMAGES, seed=3))
    for image, clean in zip(cut, IMAGES):
        mask = image[..., 3] == 1
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert (len(rows), len(columns), mask.sum()) == (16, 12, 16 * 12)
        np.testing.assert_array_equal(image[~mask][:, :3], clean[~mask])
        filling = np.broadcast_to(clean[~mask].mean(axis=0), (mask.sum(), 3))
        np.testing.assert_allclose(image[mask][:, :3], filling, atol=1e-5)
    known = np.zeros((3, 32, 24, 1))
    known[:, 4:8, 4:8] = 1
    np.testing.assert_array_equal(np.asarray(Holes().cut(IMAGES, known))[..., 3:], known)


@pytest.mark.parametrize(
    "degradation",
    [Noise(0.1), Holes(2), DegradationPipeline([Downscaling(2), Noise((0.01, 0.1)), Holes()])],
)
def test_seeds_and_configuration(degradation):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(degradation))
    assert type(again) is type(degradation)
    once, twice = degradation(IMAGES, seed=5), again(IMAGES, seed=5)
    np.testing.assert_array_equal(once, twice)
    assert once.shape[1:] == degradation.output_shape(IMAGES.shape[1:])
    assert not np.array_equal(once, degradation(IMAGES, seed=6))
    assert not np.array_equal(degradation(IMAGES), degradation(IMAGES))


def test_bytes_are_scaled():
    bytes_ = (IMAGES * 255).astype("uint8")
    np.testing.assert_allclose(
        Downscaling(2)(bytes_), Downscaling(2)(bytes_.astype("float32") / 255), atol=1e-6
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Noise(-0.1), "sigma must be"),
        (lambda: Downscaling(1), "at least 2"),
        (lambda: Downscaling(2, method="nearest"), "method must be one of"),
        (lambda: Downscaling(5)(IMAGES), "divisible by factor=5"),
        (lambda: Holes(0), "count must be"),
        (lambda: Holes(size=1.5), "size must be"),
        (lambda: Holes().cut(IMAGES, IMAGES), "Expected a mask of shape"),
        (lambda: DegradationPipeline([Holes(), Noise()]), "Holes come last"),
        (lambda: DegradationPipeline([]), "at least one"),
        (lambda: Noise()(IMAGES[0]), "needs a batch axis"),
        (lambda: Noise()(IMAGES * 255), r"floats in \[0, 1\]"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
