"""Spectrograms: tones stand where they sound, as loud as they are."""

import numpy as np
import pytest

from keras_transgen.plotting import plot_spectrogram, spectrogram

RATE = 8000
SECONDS = np.arange(RATE // 2) / RATE


def tone(hertz, amplitude=1.0):
    return amplitude * np.sin(2 * np.pi * hertz * SECONDS)


def test_a_tone_has_its_frequency_and_its_power():
    times, frequencies, decibels = spectrogram(tone(1000), RATE)
    assert times[-1] == pytest.approx(0.5, abs=0.01)
    middle = decibels[:, len(times) // 2]
    assert frequencies[middle.argmax()] == 1000
    # A sine on a bin, whose Hann window has a gain of one half.
    assert middle.max() == pytest.approx(0.0, abs=0.05)
    quiet = spectrogram(tone(1000, 0.1), RATE)[2][:, len(times) // 2]
    assert quiet.max() == pytest.approx(-20.0, abs=0.05)


def test_recordings_share_one_scale():
    figure = plot_spectrogram([tone(1000), tone(2000, 0.01)], RATE, names=["loud", "quiet"])
    meshes = [axes.collections[0].get_array() for axes in figure.axes[:2]]
    assert meshes[0].max() == 0.0
    assert meshes[1].max() == pytest.approx(-40.0, abs=0.2)
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["loud", "quiet"]


def test_silence_has_no_power():
    decibels = spectrogram(np.zeros(1000), RATE)[2]
    np.testing.assert_allclose(decibels, -120.0)
    (axes, _) = plot_spectrogram(np.zeros(1000), RATE).axes
    np.testing.assert_allclose(axes.collections[0].get_array(), 0.0)


def test_a_wave_shorter_than_a_window():
    assert len(plot_spectrogram(np.ones(20), RATE).axes) == 2


def test_wrong_settings():
    with pytest.raises(ValueError, match="Received: 0"):
        plot_spectrogram([], RATE)
    with pytest.raises(ValueError, match="name for each of 1"):
        plot_spectrogram([tone(10)], RATE, names=["a", "b"])
    with pytest.raises(ValueError, match="one recording"):
        plot_spectrogram([np.zeros((4, 4))], RATE)
    with pytest.raises(ValueError, match="hop_length=0"):
        spectrogram(tone(10), RATE, hop_length=0)
