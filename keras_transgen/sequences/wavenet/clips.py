"""Waves of several lengths on their way in: as one array with lengths, checked."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import as_arrays
from keras_transgen.datasets.wave_file import Wave
from keras_transgen.training.padded_sequences import is_padded, padded, values_and_mask

_KINDS = (
    "Waves are floats in [-1, 1]: a list of arrays [samples], one an example, or an array "
    "[count, samples]"
)
# As far as resampled sound overshoots.
_TOLERANCE = 2e-3


class Clips(NamedTuple):
    """Recordings, or windows of them, in a step.

    Attributes:
        waves: `[batch, samples]`.
        before: The same a sample earlier, silence before the beginning.
        counted: Which samples count, and how much, float32 `[batch, samples]`.
        begins: Where in their recordings they begin, int32 `[batch]`.
        lengths: Samples of the whole recordings, int32 `[batch]`.
    """

    waves: tf.Tensor
    before: tf.Tensor
    counted: tf.Tensor
    begins: tf.Tensor
    lengths: tf.Tensor


def entered_waves(waves: Any, name: str, sample_rate: int) -> dict[str, Any]:
    """Waves in any form as `padded_sequences.padded` gives them, float32.

    Args:
        waves: A list of arrays, or of what `read_wav` gives; an array `[count, samples]`; ragged.
        name: What messages call them.
        sample_rate: Of the model.

    Raises:
        ValueError: They are no waves, or of another sample rate.
    """
    if is_padded(waves):
        return waves
    if isinstance(waves, Wave):
        waves = [waves]
    if isinstance(waves, (list, tuple)) and any(isinstance(each, Wave) for each in waves):
        rates = sorted({each.sample_rate for each in waves if isinstance(each, Wave)})
        if rates != [sample_rate]:
            raise ValueError(
                f"All waves must have the model's sample_rate={sample_rate}: read them at it, "
                f"ktg.datasets.read_wav(path, sample_rate={sample_rate}). Received: {name} at "
                f"{', '.join(map(str, rates))} samples a second"
            )
        waves = [each.samples if isinstance(each, Wave) else each for each in waves]
    found = as_arrays(waves, name, 2)
    if isinstance(found, tf.RaggedTensor) and found.dtype.is_floating and found.shape.rank == 2:
        return keras.tree.map_structure(np.asarray, padded(tf.cast(found, tf.float32), name))
    shape = tuple(getattr(found, "shape", ()))
    dtype = tf.as_dtype(found.dtype) if hasattr(found, "dtype") else None
    if dtype is None or not dtype.is_floating:
        advice = ""
        if dtype is not None and dtype.is_integer:
            advice = f"; divide integers by their largest, x / {dtype.max + 1:.0f}"
        raise ValueError(
            f"{_KINDS}{advice}. Received: {name} of type "
            f"{type(found).__name__ if dtype is None else dtype.name}"
        )
    if len(shape) != 2 or 0 in shape:
        advice = "; average channels, wave.mean(axis=-1)" if len(shape) == 3 else ""
        raise ValueError(f"{_KINDS}{advice}. Received: {name} of shape {list(shape)}")
    found = np.asarray(found, "float32")
    return with_lengths(found, np.full(len(found), found.shape[1]))


def with_lengths(waves: Any, lengths: Any) -> dict[str, Any]:
    """Waves of which the first samples count.

    Args:
        waves: float `[count, samples]`, or what `entered_waves` gave.
        lengths: Ints `[count]`, how many samples each has.

    Raises:
        ValueError: There are not as many lengths, or one is longer than the array.
    """
    values = np.asarray(values_and_mask(waves)[0], "float32")
    ends = np.asarray(lengths)
    fits = ends.dtype.kind in "iu" and ends.shape == values.shape[:1]
    if not fits or ends.min() < 1 or ends.max() > values.shape[1]:
        raise ValueError(
            "lengths must be whole numbers, one a wave, from 1 to the array's "
            f"{values.shape[1]} samples. Received: lengths of shape {list(ends.shape)}"
            + (f", from {ends.min()} to {ends.max()}" if ends.size else "")
        )
    # What stands behind the ends, NaN say, must not be computed with.
    inside = np.arange(values.shape[1])[None] < ends[:, None]
    row_lengths = tf.constant(ends, tf.int64)
    flat = tf.RaggedTensor.from_row_lengths(values[inside], row_lengths)
    return keras.tree.map_structure(np.asarray, padded(flat))


def check_waves(x: Any, name: str = "x") -> None:
    """Refuse waves that are not finite or leave [-1, 1].

    Args:
        x: What `entered_waves` gave, or a batch `[batch, samples]`.
        name: What messages call them.
    """
    values = np.asarray(values_and_mask(x)[0])
    if values.ndim != 2 or values.dtype.kind != "f":
        raise ValueError(
            f"{_KINDS}. Received: {name} of shape {list(values.shape)} and type {values.dtype}"
        )
    rows = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(rows):
        raise ValueError(
            f"Waves must be finite numbers: leave the recordings out, or repair them. Received: "
            f"{len(rows)} waves in {name} with NaN or infinite samples, the first in row {rows[0]}"
        )
    loudest = np.abs(values).max(axis=1)
    rows = np.flatnonzero(loudest > 1.0 + _TOLERANCE)
    if len(rows):
        raise ValueError(
            "Waves must lie in [-1, 1]: divide them by their largest sample, or integers by their "
            f"type's largest, such as 32768. Received: {len(rows)} waves in {name} that do not, "
            f"the first in row {rows[0]} with samples up to {loudest[rows[0]]:g}"
        )


def lengths_in(x: Any) -> tf.Tensor:
    """The lengths of a batch, int32 `[batch]`."""
    values, mask = values_and_mask(x)
    if mask is None:
        return tf.fill(tf.shape(values)[:1], tf.shape(values)[1])
    return tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)


def whole_clips(x: Any, weights: Any = None) -> Clips:
    """A batch of recordings as they are.

    Args:
        x: What `entered_waves` gave, or `[batch, samples]`.
        weights: `[batch]`, what each recording's samples weigh. Defaults to one.
    """
    values, mask = values_and_mask(x)
    values = tf.cast(values, tf.float32)
    counted = tf.ones_like(values) if mask is None else tf.cast(mask, tf.float32)
    if weights is not None:
        counted *= tf.reshape(tf.cast(weights, tf.float32), [-1, 1])
    before = tf.pad(values, [[0, 0], [1, 0]])[:, :-1]
    begins = tf.zeros(tf.shape(values)[:1], tf.int32)
    return Clips(values, before, counted, begins, lengths_in(x))


def windows(clips: Clips, uniform: tf.Tensor, window: int, context: int) -> Clips:
    """A random window of each recording.

    The first `context` samples of one that does not begin its recording are heard and do not
    count: what is before them is not there to be heard.

    Args:
        clips: Of `whole_clips`.
        uniform: `[batch]` in [0, 1), by which the windows begin.
        window: Samples.
        context: How many do not count.
    """
    if clips.waves.shape[1] is not None and clips.waves.shape[1] <= window:
        return clips
    last = tf.cast(tf.maximum(clips.lengths - window, 0), tf.float32)
    # As many begin a recording as it takes for its first samples to count as often as the others.
    early = tf.where(last > 0, float(context), 0.0)
    begins = tf.maximum(tf.cast(tf.floor(uniform * (last + early + 1.0) - early), tf.int32), 0)
    width = tf.minimum(window, tf.shape(clips.waves)[1])
    places = tf.minimum(
        begins[:, None] + tf.range(width, dtype=tf.int32)[None], tf.shape(clips.waves)[1] - 1
    )
    past_end = begins[:, None] + tf.range(width)[None] >= clips.lengths[:, None]
    too_early = (begins[:, None] > 0) & (tf.range(width)[None] < context)
    waves, before, counted = (tf.gather(each, places, batch_dims=1) for each in clips[:3])
    counted = tf.where(past_end | too_early, 0.0, counted)
    return Clips(waves, before, counted, begins, clips.lengths)
