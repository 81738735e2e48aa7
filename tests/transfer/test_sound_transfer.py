"""Recordings of several lengths through a spectrogram: each as it is alone."""

import keras
import numpy as np
import pytest

from keras_transgen.backbones import (
    KerasBackbone,
    LogMelSpectrogram,
    RandomNoise,
    RandomTimeShift,
)
from keras_transgen.transfer import FeatureTransfer, ParameterTransfer, TransferModel

RNG = np.random.default_rng(2)
LENGTHS = [90, 200, 130, 61, 200, 150, 77, 180]
WAVES = [RNG.uniform(-1, 1, length).astype("float32") for length in LENGTHS]
LABELS = np.arange(8) % 2


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((None, 6)), keras.layers.LSTM(4, return_sequences=True)])


def front(**options):
    return LogMelSpectrogram(8000, 6, 50, 20, **options)


@pytest.mark.parametrize("normalization", ["none", "mean"])
@pytest.mark.parametrize("kind", [TransferModel, FeatureTransfer])
def test_predictions_are_those_of_each_alone(kind, normalization):
    model = kind(network(), 2, preprocessing=front(normalization=normalization), seed=0)
    alone = np.concatenate([np.asarray(model(each[None])) for each in WAVES])
    np.testing.assert_allclose(model.predict(WAVES, verbose=0), alone, atol=1e-5)


def test_losses_are_those_of_each_alone():
    model = TransferModel(network(), 2, preprocessing=front(normalization="mean"), seed=0)
    alone = np.concatenate([np.asarray(model(each[None])) for each in WAVES])
    model.compile("sgd", jit_compile=False)
    rows = alone - np.log(np.exp(alone).sum(axis=1, keepdims=True))
    expected = -rows[np.arange(8), LABELS].mean()
    assert model.evaluate(WAVES, LABELS, verbose=0)[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_training_with_augmentation_moves_the_network_and_learns():
    tones = [
        np.sin((0.3 + 1.5 * label) * np.arange(len(wave))) for wave, label in zip(WAVES, LABELS)
    ]
    tones = [each.astype("float32") for each in tones]
    model = ParameterTransfer(
        KerasBackbone(network()),
        2,
        preprocessing=front(),
        augmentation=[RandomTimeShift(10, seed=1), RandomNoise((20.0, 30.0), seed=2)],
        learning_rate=3e-2,
        head_initialization="random",
        seed=0,
    )
    model.fit(tones, LABELS, epochs=12, batch_size=4, verbose=0)
    assert (model.classify(tones, verbose=0) == LABELS).all()


def test_feature_transfer_says_that_it_varies_one_length_only():
    model = FeatureTransfer(
        network(), 2, preprocessing=front(), augmentation=RandomNoise(seed=0), seed=0
    )
    with pytest.raises(ValueError, match="one length only"):
        model.fit(WAVES, LABELS, verbose=0)
    model.fit(keras.utils.pad_sequences(WAVES, dtype="float32", padding="post"), LABELS, verbose=0)
