"""A batch that leaves a replica idle in every step is refused; one that does not divide is not."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.training.replica_batches import refuse_idle_replicas
from tests.training.test_trainer import CASES

ROWS = np.zeros((8, 2), "float32")
DATA = tf.data.Dataset.from_tensor_slices(ROWS)


@pytest.mark.parametrize(
    ("data", "batch_size"),
    [
        (ROWS, 1),
        (ROWS[:1], None),
        (DATA.batch(1, drop_remainder=True), None),
        ({"image": ROWS}, 1),
    ],
    ids=["small batches", "one example", "data set", "several inputs"],
)
def test_fewer_examples_than_replicas_are_refused(data, batch_size, two_replicas):
    with pytest.raises(ValueError, match="Received: 1 examples a batch for 2 replicas"):
        refuse_idle_replicas(two_replicas, data, batch_size)
    refuse_idle_replicas(tf.distribute.get_strategy(), data, batch_size)


@pytest.mark.parametrize(
    ("data", "batch_size"),
    [(ROWS, 3), (ROWS, None), (DATA.batch(2, drop_remainder=True), None), (DATA.batch(1), None)],
    ids=["does not divide", "the default", "data set", "size not known"],
)
def test_others_are_not(data, batch_size, two_replicas):
    refuse_idle_replicas(two_replicas, data, batch_size)


def test_fit_refuses_before_it_trains(two_replicas):
    case = CASES["classifier"]
    with two_replicas.scope():
        model = case.ready()
    before = [weight.numpy() for weight in model.weights]
    with pytest.raises(ValueError, match="batch_size to at least 2"):
        model.fit(*case.data, batch_size=1, verbose=0)
    for old, weight in zip(before, model.weights):
        np.testing.assert_array_equal(old, weight.numpy())
