"""The networks for waveforms: lengths, published sizes, phase shuffle."""

import numpy as np
import pytest

from keras_transgen.generative.networks.phase_shuffle import (
    PhaseShuffle,
    phases_from,
    shuffled_phases,
)
from keras_transgen.generative.networks.wavegan import (
    quarterings,
    wavegan_discriminator,
    wavegan_generator,
)


@pytest.mark.parametrize(
    ("length", "count"), [(8, 1), (64, 1), (128, 1), (1024, 3), (4096, 4), (8192, 4), (16384, 5)]
)
def test_quartered_down_to_sixteen_steps(length, count):
    assert quarterings((length, 1)) == count


@pytest.mark.parametrize("shape", [(4, 1), (1022, 1), (4 * 67, 1), (64,), (64, 0), (8, 8, 1)])
def test_lengths_that_cannot_be_made(shape):
    with pytest.raises(ValueError, match=r"strides of 4.*Received: example_shape="):
        wavegan_generator(shape)
    with pytest.raises(ValueError, match="strides of 4"):
        wavegan_discriminator(shape)


def test_default_is_the_published_network():
    """Tables 3 and 4 of Donahue et al.: sizes of the features with d = 64."""
    generator = wavegan_generator(filters=1)
    shapes = [each.output.shape[1:] for each in generator.layers if "transpose" in each.name]
    assert shapes == [(64, 8), (256, 4), (1024, 2), (4096, 1), (16384, 1)]
    discriminator = wavegan_discriminator(filters=1)
    shapes = [each.output.shape[1:] for each in discriminator.layers if "conv" in each.name]
    assert shapes == [(4096, 1), (1024, 2), (256, 4), (64, 8), (16, 16)]
    assert shuffled_phases(discriminator) == 4


def test_phase_shuffle_is_numpys_reflected_shift():
    features = np.random.default_rng(0).normal(size=(5, 7, 3)).astype("float32")
    numbers = np.array([[0.1], [0.3], [0.5], [0.7], [1.0]], "float32")
    with phases_from(numbers):
        moved = PhaseShuffle(0, shift=2)(features).numpy()
    for example, shift, result in zip(features, (-2, -1, 0, 1, 2), moved):
        padded = np.pad(example, ((2, 2), (0, 0)), mode="reflect")
        np.testing.assert_array_equal(result, padded[2 - shift : 9 - shift])


def test_without_numbers_nothing_moves():
    features = np.arange(6.0, dtype="float32").reshape(1, 6, 1)
    np.testing.assert_array_equal(PhaseShuffle()(features), features)


@pytest.mark.parametrize("wrong", [{"column": -1}, {"shift": -1}, {"column": 10**9}])
def test_negative_numbers(wrong):
    with pytest.raises(ValueError, match="from 0 up"):
        PhaseShuffle(**wrong)
