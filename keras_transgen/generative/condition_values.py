"""What a condition is, and what is refused as one: classes, vectors, what an encoder takes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_transgen.generative.text_conditions import encodes_texts
from keras_transgen.training.counts import check_count, is_count, is_weight

_FOR_ONE = ", one for each example; count=4 draws four without any"


def check_condition_kind(
    num_classes: int | None,
    condition_shape: tuple[int, ...] | None,
    condition_encoder: Any,
    unlabelled_probability: float,
) -> None:
    """Refuse arguments of a conditional model that leave open what a condition is.

    Args:
        num_classes: Number of classes, or `None`.
        condition_shape: Shape of a condition that is no class, or `None`.
        condition_encoder: Keras layer that makes vectors of conditions, or `None`.
        unlabelled_probability: Probability that an example's condition is dropped in training.

    Raises:
        ValueError: With what to change.
    """
    if num_classes is not None:
        if condition_shape is not None or condition_encoder is not None:
            raise ValueError(
                "A condition is a class or a vector: give num_classes, or condition_shape and "
                "condition_encoder. Received: both"
            )
        check_count("num_classes", num_classes, 2)
    elif condition_shape is not None and not _is_shape(condition_shape):
        raise ValueError(
            "condition_shape must be sizes from 1 up, such as (16,) of vectors. "
            f"Received: condition_shape={condition_shape!r:.100}"
        )
    elif (
        condition_encoder is None
        and condition_shape is not None
        and len(tuple(condition_shape)) != 1
    ):
        raise ValueError(
            "Conditions that are no vectors need a condition_encoder= that makes vectors of them. "
            f"Received: condition_shape={condition_shape}"
        )
    if condition_encoder is not None and not isinstance(condition_encoder, keras.layers.Layer):
        raise ValueError(
            "condition_encoder must be a Keras layer or model. "
            f"Received: {type(condition_encoder).__name__}"
        )
    if not is_weight(unlabelled_probability) or unlabelled_probability >= 1.0:
        raise ValueError(
            "unlabelled_probability must be at least 0 and below 1. "
            f"Received: unlabelled_probability={unlabelled_probability!r:.100}"
        )


def _is_shape(shape: Any) -> bool:
    """Whether these are sizes, of which an encoder may leave some open."""
    return isinstance(shape, (tuple, list)) and all(
        size is None or is_count(size) for size in shape
    )


def check_class_labels(labels: Any, num_classes: int, name: str) -> None:
    """Refuse what is no array of class numbers.

    Args:
        labels: What the user handed in.
        num_classes: Number of classes.
        name: What it is called there.

    Raises:
        ValueError: If type, shape or values are wrong.
    """
    if labels is None:
        raise ValueError(
            f"Expected {name}: integers [batch] from 0 to {num_classes - 1}. Received: None"
        )
    values = np.asarray(labels)
    if values.dtype.kind not in "iu":
        is_rows = values.ndim == 2 and values.shape[1] == num_classes and values.dtype.kind == "f"
        how = (
            "of names make numbers: np.unique(labels, return_inverse=True)"
            if values.dtype.kind not in "fb"
            else "turn one-hot rows into numbers with labels.argmax(axis=1)"
            if is_rows
            else "cast them with astype('int32')"
        )
        raise ValueError(
            f"Expected {name} as integers from 0 to {num_classes - 1}; {how}. "
            f"Received: values of type {values.dtype}"
        )
    if not (values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)):
        advice = _FOR_ONE if values.ndim == 0 else ""
        if values.ndim == 2 and values.shape[1] == num_classes:
            advice = "; turn one-hot rows into numbers with labels.argmax(axis=1)"
        raise ValueError(
            f"Expected {name} of shape [batch]{advice}. Received: shape {list(values.shape)}"
        )
    if values.size == 0:
        raise ValueError(f"Expected {name} for at least one example. Received: none")
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= num_classes:
        raise ValueError(
            f"Expected {name} from 0 to {num_classes - 1} (num_classes={num_classes}). "
            f"Received: values from {low} to {high}"
        )


def check_condition_vectors(
    condition: Any, shape: tuple[int | None, ...] | None, name: str
) -> None:
    """Refuse conditions of another shape than the model's, or that are not finite.

    Args:
        condition: What the user handed in.
        shape: Expected shape without the batch, `None` where anything goes.
        name: What it is called there.

    Raises:
        ValueError: If shape or values are wrong.
    """
    if condition is None:
        raise ValueError(f"Expected {name}, one for each example. Received: None")
    values = np.asarray(condition)
    if shape is not None:
        found = values.shape[1:]
        fits = len(found) == len(shape) and all(e in (None, f) for e, f in zip(shape, found))
        if values.ndim == 0 or not fits:
            expected = ", ".join("any" if size is None else str(size) for size in shape)
            raise ValueError(
                f"Expected {name} of shape [batch{', ' if expected else ''}{expected}]"
                f"{_FOR_ONE if values.ndim == 0 else ''}. "
                f"Received: shape {list(values.shape)}"
            )
    if values.ndim == 0 or not len(values):
        raise ValueError(f"Expected {name} for at least one example. Received: none")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"Expected {name} of finite numbers. Received: NaN or infinite values")


def encoded_shape(
    encoder: keras.layers.Layer, condition_shape: tuple[int, ...] | None
) -> tuple[int | None, int]:
    """The shape that an encoder gives, which must be `[batch, features]`; builds the encoder.

    Args:
        encoder: Any Keras layer.
        condition_shape: Shape of a condition, where the encoder does not say it.

    Returns:
        `(None, features)`.

    Raises:
        ValueError: If it cannot be known or is no vector a condition.
    """
    if encodes_texts(encoder):
        return (None, encoder.features)
    shape = getattr(encoder, "output_shape", None) if isinstance(encoder, keras.Model) else None
    if shape is None and condition_shape is None:
        raise ValueError(
            "Give condition_shape=, the shape of a condition without its batch, since the "
            f"condition_encoder does not say what it takes. Received: {type(encoder).__name__}"
        )
    if shape is None:
        shape = tuple(encoder(keras.Input(tuple(condition_shape or ()))).shape)
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] is None:
        raise ValueError(
            "condition_encoder must give a vector a condition, [batch, features]; pool sequences "
            f"and feature maps. Received: output of shape {shape}"
        )
    return shape
