"""Waves, one sample after the other, from queues in one compiled loop."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from keras import ops

from keras_transgen.sequences.decoding.compiled_choice import compiled_loop
from keras_transgen.sequences.decoding.uniforms import uniform_rows
from keras_transgen.sequences.wavenet.known_conditions import rows_of
from keras_transgen.sequences.wavenet.sample_distributions import SampleDistribution
from keras_transgen.sequences.wavenet.sample_network import SampleNetwork

_ROWS_AT_A_TIME = 64
_FEWEST_SAMPLES = 256


class Generator(Protocol):
    """What a generation asks of a model."""

    network: SampleNetwork
    distribution: SampleDistribution
    kept_functions: dict[Any, Any]

    def conditions_at(self, known: Any, times: Any, lengths: Any) -> tf.Tensor:
        """What samples are told, `[batch, samples, channels]`."""


def generated_waves(
    model: Generator,
    known: Any,
    lengths: np.ndarray,
    temperature: float,
    seed: int | None,
) -> list[np.ndarray]:
    """A wave of each length, float32 in [-1, 1].

    Args:
        model: The model.
        known: What is known of the clips, arrays `[count, ...]` in any structure, or `None`.
        lengths: In samples, ints `[count]`.
        temperature: See `SampleDistribution.draw`.
        seed: Of the draws; `None` draws afresh.
    """
    count, draws = len(lengths), model.distribution.uniforms
    longest = rounded_samples(int(lengths.max()))
    uniforms = uniform_rows(count, longest * draws, seed).reshape(count, longest, draws)
    if "generate" not in model.kept_functions:
        model.kept_functions["generate"] = compiled_loop(
            lambda *inputs: generated_levels(model.network, *inputs)
        )
    generate = model.kept_functions["generate"]
    found: list[Any] = [None] * count
    for rows in _groups(lengths):
        filled = np.resize(rows, 2 ** math.ceil(math.log2(len(rows))))
        most = int(lengths[rows].max())
        steps = rounded_samples(most)
        times = np.tile(np.arange(steps, dtype="int32"), (len(filled), 1))
        own = rows_of(known, filled)
        conditions = model.conditions_at(own, times, lengths[filled].astype("int32"))
        levels = generate(
            tf.transpose(conditions, [1, 0, 2]),
            tf.constant(uniforms[filled, :steps].transpose(1, 0, 2)),
            tf.constant(temperature, tf.float32),
            tf.constant(most),
        )
        waves = model.distribution.waves(levels).numpy().T
        for row, wave in zip(rows, waves):
            found[row] = wave[: lengths[row]].copy()
    return found


def _groups(lengths: np.ndarray) -> Iterator[np.ndarray]:
    order = np.argsort(lengths, kind="stable")
    for begin in range(0, len(order), _ROWS_AT_A_TIME):
        yield order[begin : begin + _ROWS_AT_A_TIME]


def rounded_samples(samples: int) -> int:
    """A length, rounded up to one of few: four between a power of two and the next."""
    part = max(_FEWEST_SAMPLES, 2 ** (math.ceil(math.log2(samples)) - 3))
    return part * math.ceil(samples / part)


def generated_levels(
    network: SampleNetwork,
    conditions: tf.Tensor,
    uniforms: tf.Tensor,
    temperature: tf.Tensor,
    most: tf.Tensor,
) -> tf.Tensor:
    """Levels of samples, int32 `[samples, batch]`; for XLA to compile.

    Args:
        network: The network.
        conditions: `[samples, batch, channels]`.
        uniforms: `[samples, batch, draws]` in [0, 1).
        temperature: Scalar.
        most: How many samples are wanted, an int32 scalar.
    """
    batch = uniforms.shape[1]
    distribution, stack = network.distribution, network.stack
    weights = stack.step_weights()

    def one(time: tf.Tensor, level: tf.Tensor, levels: tf.Tensor, queues: tf.Tensor) -> tuple:
        parameters, queues = network.step(weights, level, conditions[time], time, queues)
        level = distribution.draw(parameters, uniforms[time], temperature)
        levels = ops.slice_update(levels, (time, 0), level[None])
        return time + 1, level, levels, queues

    silence = tf.fill([batch], tf.constant(distribution.silence))
    levels = tf.fill(uniforms.shape[:2], tf.constant(distribution.silence))
    start = (tf.constant(0), silence, levels, stack.empty_queues(batch))
    return tf.while_loop(lambda time, *_: time < most, one, start)[2]
