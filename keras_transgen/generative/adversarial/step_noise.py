"""All random numbers of an adversarial step, drawn at once and outside of what XLA compiles."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_transgen.generative.adversarial.augmentation import NUMBERS_PER_IMAGE

Phase = dict[str, Any]


def draw_phases(
    count: int,
    size: tf.Tensor,
    seed: tf.Tensor,
    latent_dim: int,
    *,
    noisy_shape: tuple[int, ...] | None = None,
    augmented: bool = False,
    positions: bool = False,
    drop_probability: float = 0.0,
    shuffled: int = 0,
) -> list[Phase]:
    """Random numbers for each pass of a step through the networks.

    Args:
        count: Number of passes.
        size: Examples of this replica.
        seed: Int32 `[2]`.
        latent_dim: Length of a latent vector.
        noisy_shape: Shape of an example that noise is added to, or `None`.
        augmented: Draw numbers for the augmentation.
        positions: Draw positions on the lines between real examples and samples.
        drop_probability: Probability that an example's condition is dropped.
        shuffled: Numbers that the discriminator's `PhaseShuffle` layers need of an example.

    Returns:
        A dictionary a pass: `latent [size, latent_dim]`, `real` and `fake` with what corrupts
        these (`uniform`, `normal`, `shuffle`), `position [size]`, `dropped [size]`.
    """
    drawn = 0

    def next_seed() -> tf.Tensor:
        nonlocal drawn
        drawn += 1
        return tf.random.experimental.stateless_fold_in(seed, drawn)

    def corruption() -> dict[str, tf.Tensor]:
        numbers = {}
        if augmented:
            numbers["uniform"] = tf.random.stateless_uniform([size, NUMBERS_PER_IMAGE], next_seed())
        if noisy_shape is not None:
            numbers["normal"] = tf.random.stateless_normal([size, *noisy_shape], next_seed())
        if shuffled:
            numbers["shuffle"] = tf.random.stateless_uniform([size, shuffled], next_seed())
        return numbers

    phases = []
    for _ in range(count):
        phase: Phase = {"latent": tf.random.stateless_normal([size, latent_dim], next_seed())}
        phase["real"], phase["fake"] = corruption(), corruption()
        if positions:
            phase["position"] = tf.random.stateless_uniform([size], next_seed())
        if drop_probability:
            phase["dropped"] = tf.random.stateless_uniform([size], next_seed()) < drop_probability
        phases.append(phase)
    return phases
