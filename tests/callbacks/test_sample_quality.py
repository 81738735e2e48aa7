"""Distances in the logs: the evaluation room's numbers, repeated between, stopping the run."""

import keras
import numpy as np
import pytest

from keras_transgen.callbacks.sample_quality import FrechetDistance, KernelDistance
from keras_transgen.evaluation import frechet_distance, kernel_distance
from tests.callbacks.samplers import REAL, Sampler, images


def pixels() -> keras.layers.Layer:
    return keras.layers.Flatten(name="pixels")


def means(x):
    """Two features: the means of the upper and the lower half."""
    return np.asarray(x).reshape(len(x), 2, -1).mean(axis=2)


@pytest.mark.parametrize(
    ("callback", "function", "name"),
    [
        (KernelDistance, kernel_distance, "kernel_distance[halves]"),
        (FrechetDistance, frechet_distance, "frechet_distance[halves]"),
    ],
)
def test_logs_the_distance_of_the_features(callback, function, name):
    logs = Sampler(images).run([callback(means, REAL, seed=3, name="halves", batch_size=7)])
    samples = images(40, np.random.default_rng(3))
    assert logs[name][0] == pytest.approx(function(means(REAL), means(samples)), rel=1e-4)


def test_value_range_of_the_model_is_taken_into_account():
    def spread(count, rng):
        return images(count, rng) * 2 - 1

    unit = Sampler(images).run([KernelDistance(pixels(), REAL)])
    wide = Sampler(spread, (-1.0, 1.0)).run([KernelDistance(pixels(), REAL * 2 - 1)])
    name = "kernel_distance[pixels]"
    assert wide[name][0] == pytest.approx(unit[name][0], rel=1e-3)


def test_every_second_epoch_and_repeated_between():
    model = Sampler(lambda count, rng: images(count, rng) * 0.1 * len(model.asked))
    callback = KernelDistance(pixels(), REAL, count=20, every=2)
    logs = model.run([callback], epochs=4)["kernel_distance[pixels]"]
    assert logs[0] == logs[1] > logs[2] == logs[3]
    assert callback.history == {0: logs[0], 2: logs[2]}
    assert [what for what, _ in model.asked] == [20, 20]


def test_early_stopping_finds_it():
    model = Sampler(lambda count, rng: images(count, rng) / len(model.asked))
    callback = KernelDistance(pixels(), REAL)
    stop = keras.callbacks.EarlyStopping(callback.log_name, mode="min", patience=2)
    logs = model.run([callback, stop], epochs=10)
    # It rises from the start: the first epoch and two of patience.
    assert len(logs[callback.log_name]) == 3


def test_conditions_are_handed_to_the_model():
    condition = np.arange(12) % 3
    model = Sampler(images)
    model.run([KernelDistance(pixels(), REAL, condition)])
    assert model.asked[0][0] is condition


@pytest.mark.slow
def test_a_trained_generator_is_nearer_than_a_fresh_one():
    from keras_transgen.generative.adversarial.gan import GAN

    real = np.full((64, 8, 8, 1), 0.8, "float32") + 0.1 * (images(64, np.random.default_rng(0)) - 1)
    gan = GAN((8, 8, 1), 4, filters=4, ema_decay=0.5, seed=0)
    gan.compile(*(keras.optimizers.Adam(5e-3, beta_1=0.5) for _ in range(2)))
    callback = KernelDistance(pixels(), real, every=15)
    gan.fit(real, batch_size=16, epochs=16, verbose=0, callbacks=[callback])
    assert callback.history[15] < 0.5 * callback.history[0]


def test_wrong_settings():
    with pytest.raises(ValueError, match="count=1"):
        KernelDistance(pixels(), REAL, count=1)
    with pytest.raises(ValueError, match="count=4 for 3 conditions"):
        KernelDistance(pixels(), REAL, np.zeros(3, int), count=4)
