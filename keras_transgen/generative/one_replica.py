"""Computing at once, in Python, while the scope of several replicas is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def of_one_replica(function: Callable[[], Any]) -> Any:
    """What a function computes as one of the replicas, or as it is where there is only one.

    A model that is made within a strategy's scope may have to look at what its networks compute.
    Keras' layers do so there; a SavedModel that was loaded for several replicas runs within one of
    them only ("a graph generated from the cross-replica context").
    """
    strategy = tf.distribute.get_strategy()
    if not tf.distribute.in_cross_replica_context() or strategy.num_replicas_in_sync == 1:
        return function()
    results = strategy.run(tf.function(function, autograph=False))
    return keras.tree.map_structure(
        lambda value: strategy.experimental_local_results(value)[0], results
    )
