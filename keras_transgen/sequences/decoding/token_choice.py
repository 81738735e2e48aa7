"""Which token comes next: the likeliest, or one drawn by its probability."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

_IMPOSSIBLE = -1e30
# A lower temperature is as good as none, and float32 divides by it.
LEAST_TEMPERATURE = 1e-6
# Beyond it all tokens are alike.
_HOTTEST = 1e30


class Choice(NamedTuple):
    """How tokens are chosen.

    Attributes:
        temperature: Divides the logits; 0 takes the likeliest token.
        top_k: Only so many of the likeliest tokens; `None` for all.
        top_p: Only the likeliest tokens that together have this probability; `None` for all.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def check(self) -> None:
        """Refuse what is no way to choose.

        Raises:
            ValueError: A number is out of its range.
        """
        if not _is(numbers.Real, self.temperature) or not 0.0 <= self.temperature < _HOTTEST:
            raise ValueError(
                "temperature must be a number of at least 0; 0 takes the likeliest token. "
                f"Received: temperature={self.temperature!r}"
            )
        if self.top_k is not None and (not _is(numbers.Integral, self.top_k) or self.top_k < 1):
            raise ValueError(
                f"top_k must be a whole number of at least 1. Received: top_k={self.top_k!r}"
            )
        if self.top_p is not None and not (
            _is(numbers.Real, self.top_p) and 0.0 < self.top_p <= 1.0
        ):
            raise ValueError(f"top_p must be in (0, 1]. Received: top_p={self.top_p!r}")
        if self.temperature == 0.0 and (self.top_k, self.top_p) != (None, None):
            raise ValueError(
                "The likeliest token is taken, and none drawn, at a temperature of 0: give one, "
                f"such as 1.0, or leave top_k and top_p. Received: {self.said()}"
            )

    def said(self) -> str:
        """What was asked for, as the user wrote it."""
        given = {name: value for name, value in self._asdict().items() if value is not None}
        return ", ".join(f"{name}={value!r}" for name, value in given.items())

    @property
    def mode(self) -> str:
        """What has to be computed: `"greedy"`, `"all"`, or `"some"`, which sorts."""
        if self.temperature < LEAST_TEMPERATURE or self.top_k == 1:
            return "greedy"
        return "all" if self.top_k is None and self.top_p in (None, 1.0) else "some"

    def numbers(self, vocabulary_size: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """What `next_tokens` takes of it, as tensors, so that another number compiles nothing."""
        temperature = max(self.temperature, LEAST_TEMPERATURE)
        top_k = min(self.top_k or vocabulary_size, vocabulary_size)
        top_p = 1.0 if self.top_p is None else self.top_p
        return (
            tf.constant(temperature, tf.float32),
            tf.constant(int(top_k)),
            tf.constant(top_p, tf.float32),
        )


def _is(kind: type, value: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def next_tokens(
    mode: str, logits: tf.Tensor, uniform: tf.Tensor, numbers: tuple[Any, Any, Any]
) -> tf.Tensor:
    """Choose tokens by the inverse of the cumulated probabilities.

    Args:
        mode: `Choice.mode`.
        logits: float32 `[batch, vocabulary]`.
        uniform: `[batch]` in [0, 1), drawn outside of what XLA compiles.
        numbers: `Choice.numbers`.

    Returns:
        int32 `[batch]`.

    Reference:
        Holtzman et al., "The curious case of neural text degeneration", 2020 (`top_p`).
    """
    if mode == "greedy":
        return likeliest(logits, uniform)
    temperature, top_k, top_p = numbers
    logits = logits / temperature
    if mode == "all":
        return _drawn(tf.nn.softmax(logits), uniform)
    logits, tokens = tf.math.top_k(logits, k=logits.shape[-1])
    probabilities = tf.nn.softmax(tf.where(tf.range(logits.shape[-1]) < top_k, logits, _IMPOSSIBLE))
    # The token that reaches top_p is kept: the sum before it has not.
    before = tf.cumsum(probabilities, axis=-1, exclusive=True)
    kept = tf.where(before < top_p, probabilities, 0.0)
    return tf.gather(tokens, _drawn(kept, uniform), batch_dims=1)


def likeliest(logits: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """The likeliest tokens, whatever the numbers.

    Args:
        logits: `[batch, vocabulary]`.
        uniform: Not used.

    Returns:
        int32 `[batch]`.
    """
    return tf.argmax(logits, axis=-1, output_type=tf.int32)


def chosen_by(mode: str, numbers: tuple[Any, Any, Any]) -> Callable[..., tf.Tensor]:
    """`next_tokens` as a function of logits and uniform numbers.

    Args:
        mode: `Choice.mode`.
        numbers: `Choice.numbers`.
    """
    return lambda logits, uniform: next_tokens(mode, logits, uniform, numbers)


def _drawn(weights: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    cumulated = tf.cumsum(weights, axis=-1)
    reached = uniform[:, None] * cumulated[:, -1:]
    place = tf.reduce_sum(tf.cast(cumulated <= reached, tf.int32), axis=-1)
    # A uniform number next to 1 may round up to the sum: the last token that has a weight.
    last = tf.reduce_max(tf.where(weights > 0.0, tf.range(tf.shape(weights)[-1]), 0), axis=-1)
    return tf.minimum(place, last)
