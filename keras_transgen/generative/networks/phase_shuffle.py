"""Features of a waveform moved by a few steps in time, so that no phase gives a sample away."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

_MOST = 1000
_NUMBERS: contextvars.ContextVar[Any] = contextvars.ContextVar("phase_numbers", default=None)


@contextlib.contextmanager
def phases_from(numbers: Any) -> Iterator[None]:
    """Let the `PhaseShuffle` layers called inside move their inputs by these random numbers.

    Args:
        numbers: Uniform in [0, 1), `[batch, layers]`: a column for each layer of the network; or
            `None`, for features left where they are.
    """
    token = _NUMBERS.set(numbers)
    try:
        yield
    finally:
        _NUMBERS.reset(token)


@keras.saving.register_keras_serializable(package="keras_transgen")
class PhaseShuffle(keras.layers.Layer):
    """Moves each example's features by up to `shift` steps in time; ends are filled by reflection.

    It draws no number itself: the step of the model draws them, anew for every step and replica,
    and passes them by `phases_from`. Outside of it, as in `predict`, features stay as they are.

    Args:
        column: Which of the numbers of an example are this layer's.
        shift: The largest move, in steps of the features.

    Raises:
        ValueError: If `column` or `shift` is negative, or 1,000 or more.

    Example:
        ```python
        import numpy as np
        from keras_transgen.generative.networks.phase_shuffle import PhaseShuffle, phases_from

        with phases_from(np.array([[0.99]], "float32")):
            moved = PhaseShuffle(0, shift=1)(np.array([[[1.0], [2.0], [3.0]]]))
        assert moved.numpy().ravel().tolist() == [2.0, 1.0, 2.0]
        ```

    Reference:
        Donahue, McAuley and Puckette, Adversarial audio synthesis, 2019.
    """

    def __init__(self, column: int = 0, shift: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not (0 <= column < _MOST and 0 <= shift < _MOST):
            raise ValueError(
                f"column and shift must be whole numbers from 0 up, below {_MOST}. "
                f"Received: column={column}, shift={shift}"
            )
        self.column = column
        self.shift = shift

    def call(self, inputs: Any) -> Any:
        numbers = _NUMBERS.get()
        if numbers is None or not self.shift:
            return inputs
        length = inputs.shape[1]
        moves = tf.cast(tf.floor(numbers[:, self.column] * (2 * self.shift + 1)), tf.int32)
        source = tf.range(length)[None, :] - tf.minimum(moves, 2 * self.shift)[:, None] + self.shift
        # -1 is read at 1, and one past the end at the last but one.
        source = tf.abs(source)
        source = (length - 1) - tf.abs((length - 1) - source)
        return tf.gather(inputs, source, batch_dims=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "column": self.column, "shift": self.shift}


def shuffled_phases(network: Any) -> int:
    """How many numbers an example needs for the `PhaseShuffle` layers of a network."""
    layers = getattr(network, "layers", None) or []
    columns = [layer.column + 1 for layer in layers if isinstance(layer, PhaseShuffle)]
    return max([0, *columns, *(shuffled_phases(layer) for layer in layers)])
