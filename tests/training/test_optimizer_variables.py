"""Optimizers follow what a model trains, and keep the state of what goes on training."""

import keras
import numpy as np
import pytest

from keras_transgen.training.optimizer_variables import follow_variables, variables_of

GRADIENTS = [np.array([0.5, -1.0], "float32"), np.array([2.0], "float32")]


class Nameless(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that no file could hold."""

    def __call__(self, step):
        return 0.1


class OfOwnConstructor(keras.optimizers.SGD):
    def __init__(self, k):
        super().__init__(0.1)
        self.k = k


def _variables():
    return [keras.Variable([1.0, 2.0], name="a"), keras.Variable([3.0], name="b")]


def _optimizers():
    return {
        "adam": lambda: keras.optimizers.Adam(0.1),
        "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
        "average": lambda: keras.optimizers.Adam(0.1, use_ema=True, ema_overwrite_frequency=None),
        "nadam": lambda: keras.optimizers.Nadam(0.1),
        "adafactor": lambda: keras.optimizers.Adafactor(0.1),
        "schedule of one's own": lambda: keras.optimizers.Adam(Nameless()),
        "function": lambda: keras.optimizers.RMSprop(lambda: 0.1),
        "schedule": lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 50)),
        "scaled": lambda: keras.optimizers.LossScaleOptimizer(
            keras.optimizers.Adam(0.1), initial_scale=1.0
        ),
        "multi": lambda: keras.optimizers.MultiOptimizer(
            keras.optimizers.OptimizerMap(keras.optimizers.Adam(0.1))
        ),
    }


@pytest.mark.parametrize("name", _optimizers())
def test_what_stays_moves_as_if_nothing_had_been_frozen(name):
    a, b = _variables()
    expected, other = _variables()
    optimizer, reference = _optimizers()[name](), _optimizers()[name]()
    optimizer.build([a, b])
    reference.build([expected, other])
    for _ in range(3):
        optimizer.apply(GRADIENTS, [a, b])
        reference.apply(GRADIENTS, [expected, other])
    assert follow_variables(optimizer, [a])
    assert not follow_variables(optimizer, [a])
    assert [each is a for each in variables_of(optimizer)] == [True]
    frozen = b.numpy()
    for _ in range(3):
        optimizer.apply(GRADIENTS[:1], [a])
        reference.apply(GRADIENTS, [expected, other])
    np.testing.assert_allclose(a.numpy(), expected.numpy(), rtol=1e-6)
    np.testing.assert_array_equal(b.numpy(), frozen)
    assert int(optimizer.iterations) == 6


def test_what_comes_begins_without_moments():
    a, b = _variables()
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer.build([a])
    optimizer.apply(GRADIENTS[:1], [a])
    optimizer.learning_rate = 0.01
    assert follow_variables(optimizer, [a, b])
    optimizer.apply(GRADIENTS, [a, b])
    np.testing.assert_allclose(b.numpy(), 3.0 - 0.01 * 2.0, rtol=1e-6)
    moment = 0.9 * (-0.1) * GRADIENTS[0] - 0.01 * GRADIENTS[0]
    np.testing.assert_allclose(a.numpy(), [1.0, 2.0] - 0.1 * GRADIENTS[0] + moment, rtol=1e-5)
    # Files and callbacks find the state of every variable once.
    assert len(optimizer.variables) == 4


def test_an_optimizer_that_cannot_be_made_anew_is_told():
    a, b = _variables()
    optimizer = OfOwnConstructor(3)
    optimizer.build([a, b])
    with pytest.raises(ValueError, match="compile the model anew"):
        follow_variables(optimizer, [a])
    assert float(optimizer.learning_rate) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["schedule", "function", "schedule of one's own", "adam"])
def test_as_many_variables_as_one_that_never_followed(name):
    a, b = _variables()
    optimizer, fresh = _optimizers()[name](), _optimizers()[name]()
    optimizer.build([a, b])
    follow_variables(optimizer, [a])
    fresh.build([a])
    assert [v.path.split("/")[-1] for v in optimizer.variables] == [
        v.path.split("/")[-1] for v in fresh.variables
    ]
