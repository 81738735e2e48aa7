"""A batch that does not fit ends the step before it moves a weight, with the package's own words.

Arrays are looked at whole before training, of other data only the first batch can be. What comes
later is looked at in the step's graph, outside of what XLA compiles.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from keras_transgen.datasets.damaged_images import refuse_damaged_images

_MARK = "keras_transgen: "
_END = " :keras_transgen"
# As far as resampled images overshoot, as a share of the range.
_TOLERANCE = 1e-3


def stop_unless(fits: tf.Tensor, message: str, *numbers: tf.Tensor) -> list[tf.Operation]:
    """Let a step fail with a message; part of the step's graph.

    Args:
        fits: Boolean scalar, whether all is well.
        message: What to say else, with `{}` for each of the numbers.
        *numbers: Scalars to name.

    Returns:
        The operations that the rest of the step must wait for; none where it runs eagerly.
    """
    text = tf.strings.format(f"{_MARK}{message}{_END}", numbers)
    assertion = tf.debugging.Assert(fits, [text])
    return [] if assertion is None or not hasattr(assertion, "graph") else [assertion]


def stop_at_wrong_values(
    values: Any, limits: tuple[float, float] | None, name: str
) -> list[tf.Operation]:
    """Let a step fail whose values are not finite or lie outside of a range; see `stop_unless`.

    Args:
        values: Examples, of which floats are looked at.
        limits: `(low, high)`; `None` for finite numbers of any size.
        name: What they are called in the message.
    """
    if not tf.as_dtype(values.dtype).is_floating:
        return []
    values = tf.cast(values, tf.float32)
    expected = "finite numbers"
    fits = tf.reduce_all(tf.math.is_finite(values))
    if limits is not None:
        low, high = limits
        slack = _TOLERANCE * (high - low)
        expected = f"values in [{low:g}, {high:g}]"
        fits = tf.reduce_all((values >= low - slack) & (values <= high + slack))
    return stop_unless(
        fits,
        f"Expected {name} of {expected} in every batch; scale the data, or remove what is not "
        f"finite. Received: a batch of {name} with values from {{}} to {{}}",
        tf.reduce_min(values),
        tf.reduce_max(values),
    )


def stop_at_wrong_labels(labels: Any, num_classes: int) -> list[tf.Operation]:
    """Let a step fail whose labels are outside the classes; part of the step's graph.

    Args:
        labels: Integers, one for each example of the replica.
        num_classes: Number of classes.

    Returns:
        The operations that the rest of the step must wait for; none where it runs eagerly.
    """
    numbers = tf.cast(labels, tf.float32)
    whole = tf.reduce_all(tf.equal(numbers, tf.floor(numbers)))
    inside = tf.reduce_all((numbers >= 0) & (numbers < num_classes))
    return stop_unless(
        whole & inside,
        f"Expected labels as integers from 0 to {num_classes - 1} (num_classes={num_classes}) in "
        "every batch. Received: a batch of labels from {} to {}",
        tf.reduce_min(labels),
        tf.reduce_max(labels),
    )


def raise_own(error: tf.errors.OpError) -> None:
    """Raise what a step said by `stop_unless` as a `ValueError`; nothing for other errors."""
    found = re.search(f"{_MARK}(.*?){_END}", str(error), re.DOTALL)
    if found:
        raise ValueError(found[1]) from None


@contextlib.contextmanager
def own_words(*data: Any) -> Iterator[None]:
    """Errors while data are read as what they mean: `stop_unless`, and images that are damaged.

    Args:
        *data: Data sets that may be read; see `refuse_damaged_images`.
    """
    try:
        yield
    except tf.errors.OpError as error:
        raise_own(error)
        refuse_damaged_images(error, *data)
        raise
