"""One strategy a process: a cell that is run twice trains twice."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.distributed import local_strategy, mirrored_strategy

# What a notebook's cell does, from the strategy to the training.
CELL = """
strategy = ktg.distributed.mirrored_strategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units)])
    model.compile("sgd", "mse")
data = tf.data.Dataset.from_tensor_slices((x, np.zeros((8, units), "float32"))).batch(4)
losses.append(model.fit(data, epochs=2, verbose=0).history["loss"][-1])
"""


@pytest.mark.slow
def test_a_cell_run_again_and_again_trains():
    """With `tf.distribute.MirroredStrategy(...)` in its place, the third run fails."""
    seen = {
        "ktg": ktg,
        "keras": keras,
        "tf": tf,
        "np": np,
        "x": np.ones((8, 4), "float32"),
        "losses": [],
    }
    for units in (1, 3, 2, 5):
        exec(CELL, {**seen, "units": units})
    assert len(seen["losses"]) == 4
    assert np.isfinite(seen["losses"]).all()


def test_the_same_devices_give_the_same_strategy(two_replicas):
    assert mirrored_strategy(["CPU:0", "CPU:1"]) is two_replicas
    assert mirrored_strategy(["/cpu:0", "/device:CPU:1"]) is two_replicas
    assert mirrored_strategy(("CPU:1", "cpu:0", "CPU:1")) is two_replicas
    if not tf.config.list_logical_devices("GPU"):
        assert mirrored_strategy() is two_replicas
    assert two_replicas.num_replicas_in_sync == 2


def test_another_set_of_devices_warns(two_replicas, monkeypatch):
    monkeypatch.setattr(local_strategy, "_made", dict(local_strategy._made))
    with pytest.warns(UserWarning, match=r"one set of devices.*CPU:0'\], after \[\["):
        other = mirrored_strategy(["CPU:0"])
    assert other.num_replicas_in_sync == 1


@pytest.mark.parametrize("devices", [["CPU:7"], [], "no device", [3], 3])
def test_devices_that_are_not_there_are_refused(devices):
    with pytest.raises(ValueError, match=r"Expected devices among.*CPU:0"):
        mirrored_strategy(devices)
