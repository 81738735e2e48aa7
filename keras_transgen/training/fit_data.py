"""What `fit` is given, checked as a whole before training starts, and made to end promptly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_transgen.training.epoch_shuffle import (
    check_lengths,
    check_weights_have_labels,
    is_arrays,
    plain_batches,
)
from keras_transgen.training.iterator_end import ends_promptly

CheckData = Callable[..., None]


def check_arrays(parts: tuple, check_data: CheckData, training: bool) -> None:
    """Refuse arrays of unequal lengths, weights without labels, and what the model refuses.

    Args:
        parts: `(x, y, sample_weight)`, arrays or structures of arrays.
        check_data: `TrainerModel.check_data`.
        training: Whether they are trained on.
    """
    x, y, sample_weight = parts
    check_lengths(parts)
    check_data(x, y, sample_weight, training=training)
    check_weights_have_labels(y, sample_weight)


def held_out_data(
    validation_data: Any,
    batch_size: int | None,
    validation_steps: int | None,
    check_data: CheckData,
) -> tuple[Any, int | None]:
    """Check validation data, and batch arrays in the order they have.

    Args:
        validation_data: As `keras.Model.fit` takes it.
        batch_size: Rows a batch, as asked for.
        validation_steps: As `keras.Model.fit` takes it; Keras then counts the batches itself.
        check_data: `TrainerModel.check_data`.

    Returns:
        The data, and the size of the batches that are still to be made of them.
    """
    if validation_data is None:
        return None, batch_size
    parts = keras.utils.unpack_x_y_sample_weight(validation_data)
    if is_arrays(parts):
        check_arrays(parts, check_data, training=False)
        batches = plain_batches(parts, batch_size or 32) if validation_steps is None else None
        if batches is not None:
            return batches, None
    return ends_promptly(validation_data), batch_size
