"""-log p of whole waves, those of similar lengths together."""

from __future__ import annotations

from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.sequences.wavenet.clips import Clips, whole_clips
from keras_transgen.sequences.wavenet.known_conditions import rows_of
from keras_transgen.training.padded_sequences import lengths_of, values_and_mask

# About so many samples are computed at once.
_SAMPLES = 2**18


class Judge(Protocol):
    """What a likelihood asks of a model."""

    kept_functions: dict[Any, Any]

    def sample_nats(self, clips: Clips, y: Any) -> tf.Tensor:
        """-log p of each sample, zero behind the ends, `[batch, samples]`."""


def wave_nats(model: Judge, x: Any, y: Any) -> np.ndarray:
    """-log p of each wave, in nats, float64 `[count]`.

    Args:
        model: The model.
        x: What `entered_waves` gave.
        y: Labels or conditions, entered.
    """
    values, lengths = np.asarray(values_and_mask(x)[0]), np.asarray(lengths_of(x))
    if "nats" not in model.kept_functions:

        def nats(waves: tf.Tensor, ends: tf.Tensor, known: Any) -> tf.Tensor:
            clips = whole_clips(waves)
            inside = tf.range(tf.shape(waves)[1])[None] < ends[:, None]
            clips = clips._replace(counted=tf.cast(inside, tf.float32), lengths=ends)
            # A sum of many numbers, in which the last ones must not be lost.
            return tf.reduce_sum(tf.cast(model.sample_nats(clips, known), tf.float64), axis=1)

        model.kept_functions["nats"] = tf.function(nats, autograph=False)
    specified = [tf.TensorSpec([None, None], tf.float32), tf.TensorSpec([None], tf.int32)]
    known = None
    if y is not None:
        known = keras.tree.map_structure(_any_rows, y)
    # Traced once for any number of waves of any lengths.
    function = model.kept_functions["nats"].get_concrete_function(*specified, known)
    found = np.zeros(len(values))
    order = np.argsort(lengths, kind="stable")[::-1]
    while len(order):
        width = int(lengths[order[0]])
        rows, order = np.split(order, [max(1, _SAMPLES // width)])
        ends = tf.constant(lengths[rows].astype("int32"))
        own = [] if y is None else map(tf.constant, tf.nest.flatten(rows_of(y, rows)))
        found[rows] = function(tf.constant(values[rows, :width]), ends, *own).numpy()
    return found


def _any_rows(array: Any) -> tf.TensorSpec:
    array = np.asarray(array)
    return tf.TensorSpec([None] * array.ndim, tf.as_dtype(array.dtype))
