"""What is known of clips, on its way in: classes, speakers, or what an encoder takes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.generative.condition_values import (
    check_class_labels,
    check_condition_vectors,
)
from keras_transgen.sequences.sizes import check_whole
from keras_transgen.training.padded_sequences import is_padded, lengths_of, values_and_mask


def check_condition_arguments(
    num_classes: int | None,
    num_speakers: int | None,
    condition_encoder: Any,
    samples_per_frame: int | None,
) -> None:
    """Refuse arguments that leave open what a condition is.

    Raises:
        ValueError: With what to change.
    """
    for name, number, least in (
        ("num_classes", num_classes, 2),
        ("num_speakers", num_speakers, 1),
        ("samples_per_frame", samples_per_frame, 1),
    ):
        if number is not None:
            check_whole(name, number, least)
    if condition_encoder is not None and (num_classes or num_speakers):
        raise ValueError(
            "Conditions are classes and speakers, or what an encoder takes: give num_classes and "
            "num_speakers, or condition_encoder. Received: both"
        )
    if samples_per_frame is not None and condition_encoder is None:
        raise ValueError(
            "samples_per_frame says how long the frames of a condition_encoder last: give both, or "
            f"none. Received: samples_per_frame={samples_per_frame} alone"
        )


def encoded_features(
    encoder: keras.layers.Layer, shape: tuple[int | None, ...] | None, samples_per_frame: int | None
) -> int:
    """How many features an encoder gives; builds it.

    Args:
        encoder: From conditions to `[batch, features]`, or with `samples_per_frame` to
            `[batch, frames, features]`.
        shape: Of a condition without its batch; `None` where the encoder says it.
        samples_per_frame: As in `WaveNet`.

    Raises:
        ValueError: It cannot be known, or the encoder gives something else.
    """
    found = getattr(encoder, "output_shape", None) if isinstance(encoder, keras.Model) else None
    if found is None and shape is None:
        raise ValueError(
            "Give condition_shape=, the shape of a condition without its batch, (None, features) "
            "for frames, since the condition_encoder does not say what it takes. Received: "
            f"{type(encoder).__name__}"
        )
    if found is None:
        found = tuple(encoder(keras.Input(tuple(shape or ()))).shape)
    rank = 2 if samples_per_frame is None else 3
    if not isinstance(found, tuple) or len(found) != rank or found[-1] is None:
        expected = "[batch, features]; frames need samples_per_frame"
        if samples_per_frame is not None:
            expected = "[batch, frames, features]; a vector a clip needs no samples_per_frame"
        raise ValueError(
            f"condition_encoder must give {expected}. Received: output of shape {found}"
        )
    return found[-1]


def check_known(
    y: Any, sizes: dict[str, int], lengths: np.ndarray | None, samples_per_frame: int | None
) -> None:
    """Refuse conditions that are none of a model's.

    Args:
        y: What the user gave, entered.
        sizes: How many classes and speakers there are, by their names; none with an encoder.
        lengths: Of the waves, in samples, where they are known.
        samples_per_frame: Of frames.

    Raises:
        ValueError: They do not fit.
    """
    if sizes:
        names = list(sizes)
        rows = None if y is None else np.asarray(y)
        if rows is not None and len(sizes) == 2:
            if rows.ndim != 2 or rows.shape[1] != 2:
                raise ValueError(
                    "With num_classes and num_speakers, labels are a pair (classes, speakers), or "
                    f"ints [batch, 2]. Received: labels of shape {list(rows.shape)}"
                )
            for at, name in enumerate(names):
                check_class_labels(rows[:, at], sizes[name], name)
            return
        check_class_labels(y, sizes[names[0]], names[0])
        return
    values = None if y is None else values_and_mask(y)[0]
    check_condition_vectors(values, None, "conditions")
    if samples_per_frame is None:
        return
    frames = lengths_of(y)
    if lengths is None or frames is None or len(frames) != len(lengths):
        return
    missing = -(-np.asarray(lengths) // samples_per_frame) - frames
    # Analyses differ by a frame at the ends.
    rows = np.flatnonzero(np.abs(missing) > 1)
    if len(rows):
        row = rows[0]
        raise ValueError(
            f"A frame lasts samples_per_frame={samples_per_frame} samples, so that a wave has "
            "ceil(samples / samples_per_frame) of them, one more or less. Received: a wave of "
            f"{lengths[row]} samples with {frames[row]} frames, in row {row}"
        )


def count_of(y: Any) -> int:
    """For how many clips there are conditions."""
    return len(keras.tree.flatten(y)[0])


def rows_of(y: Any, rows: np.ndarray) -> Any:
    """Conditions of some clips, arrays in the same structure; `None` of none."""
    return None if y is None else keras.tree.map_structure(lambda each: np.asarray(each)[rows], y)


def label_rows(y: Any, columns: int) -> tf.Tensor:
    """Numbers of class and speaker, int32 `[batch, columns]`."""
    return tf.reshape(tf.cast(y, tf.int32), [-1, columns])


def condition_values(y: Any) -> tf.Tensor:
    """What an encoder is given, float32."""
    return tf.cast(values_and_mask(y)[0] if is_padded(y) else y, tf.float32)
