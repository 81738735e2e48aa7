"""Recordings of spoken digits, a judge that hears which digit a wave is, and how waves compare.

The judge is a logistic regression on log-mel frames of real recordings.
"""

import functools

import numpy as np
import tensorflow as tf
from report import shared
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import keras_transgen as ktg

RATE = 8000
_FRAMES = 24


class Digits:
    """Recordings of some numbers, with digits and speakers."""

    def __init__(self, chosen):
        folder = ktg.datasets.audio_folder(
            shared("data", "spoken_digits"),
            RATE,
            pattern=r"(?P<label>\d)_(?:george|jackson)_\d+\.wav",
        )
        names = [path.rsplit("/", 1)[-1][:-4].split("_") for path in folder.file_paths]
        taken = np.array([chosen(int(number)) for _, _, number in names])
        speakers = np.array([int(speaker == "jackson") for _, speaker, _ in names])
        self.waves = [wave for wave, is_taken in zip(folder.waves, taken) if is_taken]
        self.labels, self.speakers = folder.labels[taken], speakers[taken]

    @property
    def known(self):
        return self.labels, self.speakers


@functools.cache
def mel_weights():
    return tf.signal.linear_to_mel_weight_matrix(32, 129, RATE, 100.0, 3800.0)


def log_mel(wave):
    """Log-mel frames of a wave at 8 kHz, 10 ms apart."""
    wave = np.pad(wave, (0, max(0, 512 - len(wave)))).astype("float32")
    power = tf.abs(tf.signal.stft(wave, 256, 80, 256))
    return tf.math.log(tf.matmul(power, mel_weights()) + 1e-3).numpy()


def described(wave):
    """The frames of a wave, interpolated to as many for all, and its length."""
    frames = log_mel(wave)
    places = np.linspace(0, len(frames) - 1, _FRAMES)
    below = places.astype(int)
    share = (places - below)[:, None]
    above = np.minimum(below + 1, len(frames) - 1)
    return np.append((1 - share) * frames[below] + share * frames[above], np.log(len(wave)))


def judge(data):
    """A classifier of `described` waves, fitted to `data.waves` and `data.labels`."""
    found = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    return found.fit([described(wave) for wave in data.waves], data.labels)


def loudness(waves):
    """Root mean square of a wave, in the mean over waves."""
    return float(np.mean([np.sqrt(np.mean(np.square(wave))) for wave in waves]))


def spectrum(waves):
    """The mean log-mel frame, above the floor of silence."""
    return np.mean(np.concatenate([log_mel(wave) for wave in waves]), axis=0) - np.log(1e-3)


def away(waves, real):
    """How much louder waves are than others, and how far their mean spectrum is from theirs."""
    own, theirs = spectrum(waves), spectrum(real)
    louder = loudness(waves) / loudness(real) - 1.0
    return louder, float(np.linalg.norm(own - theirs) / np.linalg.norm(theirs))
