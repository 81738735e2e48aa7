"""Data sets whose iterators go at once when the data end.

A `tf.data` iterator has a thread that tunes the pipeline and sleeps in between: 10 ms, 20 ms, and
twice as long each time, up to a minute. When the iterator goes, the thread is woken, but in
TensorFlow 2.21 the call is often lost, and the end of an epoch then waits until the thread wakes by
itself: for up to as long as the epoch took (`benchmarks/epoch_ends.py`). Without the tuning,
`tf.data.AUTOTUNE` stands for as many parallel calls as there are threads.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def ends_promptly(data: Any) -> Any:
    """A data set without the tuning thread, unless its own options ask for it.

    Args:
        data: A `tf.data.Dataset`, or anything else, which is returned as it is.

    Returns:
        The data set with `options.autotune.enabled = False`.
    """
    if not isinstance(data, tf.data.Dataset) or data.options().autotune.enabled is not None:
        return data
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)
