"""Log-mel spectrograms against NumPy's Fourier transform and the mel scale written out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones import LogMelSpectrogram
from keras_transgen.backbones.padding_mask import mask_of, with_mask

RATE, FRAME, HOP, BINS = 8000, 50, 20, 6
RNG = np.random.default_rng(3)
WAVES = RNG.uniform(-0.5, 0.5, (2, 190)).astype("float32")


def small(**options):
    return LogMelSpectrogram(RATE, BINS, FRAME, HOP, **options)


def triangles(size):
    """HTK's mel bands, over the bins of a transform of a size."""
    mel = lambda hertz: 1127.0 * np.log1p(np.asarray(hertz) / 700.0)  # noqa: E731
    edges = np.linspace(mel(60.0), mel(RATE / 2), BINS + 2)
    bins = mel(np.linspace(0.0, RATE / 2, size // 2 + 1))[:, None]
    up = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    table = np.maximum(0.0, np.minimum(up, down))
    table[0] = 0.0
    return table


def by_hand(wave):
    """A frame round every hop, the window in the middle of the transform's 64 samples."""
    size = 64
    window = np.zeros(size)
    start = (size - FRAME) // 2
    window[start : start + FRAME] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
    silent = np.pad(wave.astype("float64"), size)
    frames = [
        silent[size + centre - size // 2 : size + centre + size // 2] * window
        for centre in range(0, len(wave), HOP)
    ]
    power = np.abs(np.fft.rfft(frames)) ** 2
    return np.log(power @ triangles(size) + 1e-6)


def test_the_values_are_those_of_the_definition():
    found = np.asarray(small()(WAVES))
    assert found.shape == (2, 10, BINS)
    np.testing.assert_allclose(found, [by_hand(wave) for wave in WAVES], atol=2e-3)


def test_a_tone_is_loudest_in_its_band():
    tone = np.sin(2 * np.pi * 1000 * np.arange(4000) / RATE)[None].astype("float32")
    middle = np.asarray(LogMelSpectrogram(RATE, 20)(tone))[0, 25]
    centres = 700 * np.expm1(np.linspace(np.log1p(60 / 700), np.log1p(4000 / 700), 22)[1:-1])
    assert middle.argmax() == np.abs(centres - 1000).argmin()


def test_silence_is_the_floor_and_normalized_nothing():
    silence = np.zeros((2, 190), "float32")
    np.testing.assert_allclose(small()(silence), np.log(1e-6), rtol=1e-6)
    for normalization in ("mean", "mean_and_variance"):
        found = np.asarray(small(normalization=normalization)(silence))
        # The mean of -13.8 in float32, and its rounding over the least deviation.
        np.testing.assert_allclose(found, 0.0, atol=1e-3)


def test_gradients_are_those_of_the_definition_also_in_silence():
    wave = np.where(np.arange(190) < 90, WAVES[0], 0.0).astype("float32")
    variable = tf.Variable(wave[None])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(small()(variable))
    found = tape.gradient(total, variable).numpy()[0]
    for place in (3, 40, 120, 189):
        step = np.zeros(190)
        step[place] = 1e-6
        slope = (by_hand(wave + step).sum() - by_hand(wave - step).sum()) / 2e-6
        np.testing.assert_allclose(found[place], slope, rtol=2e-2, atol=2e-2)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(small()(0.0 * variable))
    np.testing.assert_array_equal(tape.gradient(total, variable), np.zeros((1, 190)))


def test_a_recording_shorter_than_a_window_has_one_frame():
    short = WAVES[:, :10]
    found = np.asarray(small()(short))
    np.testing.assert_allclose(found, [by_hand(wave) for wave in short], atol=2e-3)
    assert found.shape == (2, 1, BINS)


@pytest.mark.parametrize("normalization", ["none", "mean", "mean_and_variance"])
@pytest.mark.parametrize("length", [1, 19, 20, 21, 130])
def test_padded_equals_alone(length, normalization):
    layer = small(normalization=normalization)
    alone = np.asarray(layer(WAVES[:1, :length]))[0]
    padded = np.array(WAVES)
    # What lies behind the end is not heard, whatever it is.
    mask = np.arange(190)[None] < np.array([[length], [190]])
    together = layer(with_mask(tf.constant(padded), tf.constant(mask)))
    counts = np.asarray(mask_of(together))
    assert counts.sum(axis=1).tolist() == [-(-length // HOP), 10]
    np.testing.assert_allclose(np.asarray(together)[0][counts[0]], alone, atol=1e-5)
    # A loud recording beside it changes nothing.
    loud = np.concatenate([WAVES[:1, :length], np.ones((1, length), "float32")])
    np.testing.assert_allclose(np.asarray(layer(loud))[0], alone, atol=1e-5)


def test_normalized_bands_have_no_mean_and_unit_variance():
    found = np.asarray(small(normalization="mean_and_variance")(WAVES))
    np.testing.assert_allclose(found.mean(axis=1), 0.0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=1), 1.0, atol=5e-3)


def test_channels_repeat_it_for_networks_of_pictures():
    plain, picture = small()(WAVES), small(channels=3)(WAVES)
    assert small(channels=3).compute_output_shape((None, 190)) == (None, 10, BINS, 3)
    for channel in range(3):
        np.testing.assert_array_equal(picture[..., channel], plain)


def test_inside_a_graph_of_any_length_and_after_a_file(tmp_path):
    inputs = keras.Input((None,))
    network = keras.Model(inputs, small(normalization="mean")(inputs))
    network.save(tmp_path / "front.keras")
    loaded = keras.saving.load_model(tmp_path / "front.keras")
    for length in (77, 190):
        expected = small(normalization="mean")(WAVES[:, :length])
        np.testing.assert_allclose(
            loaded.predict(WAVES[:, :length], verbose=0), expected, atol=1e-5
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_mel_bins": 0},
        {"hop_length": 1.5},
        {"min_frequency": 5000.0},
        {"floor": 0.0},
        {"floor": float("inf")},
        {"frame_length": 2**17 + 1},
        {"normalization": "batch"},
        {"channels": 2},
    ],
)
def test_wrong_settings(wrong):
    with pytest.raises(ValueError, match="Received"):
        LogMelSpectrogram(RATE, **wrong)


def test_waves_of_several_channels_are_refused():
    with pytest.raises(ValueError, match=r"\[batch, samples\]"):
        small()(np.zeros((2, 100, 2), "float32"))
