"""The metric against the function of `evaluation`, and over replicas."""

import numpy as np
import tensorflow as tf

from keras_transgen.evaluation import active_units
from keras_transgen.generative.active_units_metric import ActiveUnits

MEANS = np.random.default_rng(0).normal(size=(100, 5)) * [1.0, 0.3, 0.15, 0.05, 0.0] + 2.0


def test_batches_give_the_number_of_the_whole():
    assert active_units(MEANS) == 3
    metric = ActiveUnits(5)
    for start in range(0, 100, 33):
        metric.update_state(MEANS[start : start + 33])
    assert float(metric.result()) == 3.0
    metric.reset_state()
    assert float(metric.result()) == 0.0
    metric.update_state(MEANS[:2])
    assert float(metric.result()) == active_units(MEANS[:2])


def test_replicas_count_what_varies_between_them(two_replicas):
    """Each replica sees one value only, so the variance is between them."""
    with two_replicas.scope():
        metric = ActiveUnits(1)

    def update():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        metric.update_state(tf.fill([3, 1], tf.cast(replica, tf.float32)))
        return metric.result()

    # One function around both replicas, or each would wait for the other to come to the sum.
    together = tf.function(lambda: two_replicas.run(update))
    results = two_replicas.experimental_local_results(together())
    assert [float(result) for result in results] == [1.0, 1.0]
    assert float(metric.result()) == 1.0
