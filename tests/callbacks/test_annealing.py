"""Annealing sets what it names from the run's step, and says what it cannot set."""

import keras
import numpy as np
import pytest

from keras_transgen.callbacks.annealing import Annealing
from keras_transgen.training import TrainerModel


class Line(TrainerModel):
    """One weight and one number held in a variable."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.dense.build((None, 1))
        self.strength = self.add_weight(name="strength", trainable=False)
        self.plain = 1.0
        self.built = True

    def call(self, x):
        return self.dense(x)


class Seen(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.values = []

    def on_train_batch_end(self, batch, logs=None):
        self.values.append(float(self.model.strength.numpy()))


def train(model, *callbacks, epochs=2):
    if not model.compiled:
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    x = np.zeros((6, 1), "float32")
    return model.fit(x, x, batch_size=2, epochs=epochs, verbose=0, callbacks=list(callbacks))


def test_a_value_for_every_step_and_one_in_the_logs_for_every_epoch():
    seen = Seen()
    history = train(Line(), Annealing("strength", lambda step: 0.5 * step), seen)
    assert seen.values == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert history.history["strength"] == [1.0, 2.5]


class Recorder(Line):
    """Sums what the number was in each step, in the graph."""

    def __init__(self):
        super().__init__()
        self.total = self.add_weight(name="total", initializer="zeros", trainable=False)

    def update_step(self, data, noise):
        self.total.assign_add(self.strength.value)
        return super().update_step(data, noise)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_each_of_the_steps_that_one_call_takes_has_its_own_value(jit_compile):
    model = Recorder()
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile, steps_per_execution=2)
    history = train(model, Annealing("strength", lambda step: 3.0**step))
    assert float(model.total.numpy()) == (3**6 - 1) / 2
    assert history.history["strength"] == [9.0, 243.0]
    # The next run has no schedule.
    train(model, epochs=1)
    assert float(model.total.numpy()) == (3**6 - 1) / 2 + 3 * 243.0


def test_a_run_that_goes_on_takes_the_next_step():
    model = Line()
    train(model, Annealing("strength", lambda step: step), epochs=1)
    seen = Seen()
    train(model, Annealing("strength", lambda step: step), seen, epochs=1)
    assert seen.values == [3.0, 4.0, 5.0]


def test_keras_schedules_and_parts_of_parts():
    model = Line()
    schedule = keras.optimizers.schedules.PolynomialDecay(1.0, 4, 0.0)
    train(model, Annealing("optimizer.learning_rate", schedule), epochs=1)
    # After three steps the third value, that of step 2, is in place.
    assert float(model.optimizer.learning_rate) == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["plain", "absent", "dense.absent"])
def test_what_is_no_variable(name):
    with pytest.raises(ValueError, match=f"variable='{name}'"):
        train(Line(), Annealing(name, lambda step: step))


def test_models_that_count_no_steps():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.zeros((6, 1), "float32")
    with pytest.raises(ValueError, match="counts its steps"):
        model.fit(
            x, x, verbose=0, callbacks=[Annealing("optimizer.learning_rate", lambda step: step)]
        )


def test_no_schedule():
    with pytest.raises(ValueError, match="schedule=3"):
        Annealing("beta", 3)
