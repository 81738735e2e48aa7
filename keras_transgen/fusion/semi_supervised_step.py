"""How the players of a semi-supervised GAN move: the classifier by three losses, then the samples.

Replicas take together the step that one would take: each loss is a mean over rows of its own kind,
so each weighs by how many of these a replica holds, and the mean features are those of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from keras_transgen.fusion.paired_batches import NO_LABEL
from keras_transgen.fusion.semi_supervised_losses import (
    generated_losses,
    matching_loss,
    mean_where,
    real_losses,
    supervised_losses,
)
from keras_transgen.generative.adversarial.steps import regularization
from keras_transgen.training import loss_weight
from keras_transgen.training.gradients import num_replicas
from keras_transgen.training.trainer import batch_size_of

# By name, a mean and how many rows it is over.
Means = dict[str, tuple[tf.Tensor, tf.Tensor]]


class Plays(Protocol):
    """What a step asks of its model."""

    generator_optimizer: Any
    discriminator_optimizer: Any

    @property
    def generator_layers(self) -> list[keras.layers.Layer]: ...
    @property
    def discriminator_layers(self) -> list[keras.layers.Layer]: ...
    @property
    def generator_variables(self) -> list[keras.Variable]: ...
    @property
    def discriminator_variables(self) -> list[keras.Variable]: ...

    def generate(self, latent: tf.Tensor, condition: Any, training: bool) -> tf.Tensor:
        """Samples, float32."""

    def features(self, examples: tf.Tensor, training: bool) -> tf.Tensor:
        """Features of examples, float32."""

    def class_logits(self, features: tf.Tensor) -> tf.Tensor:
        """Class logits, float32."""

    def replica_function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compiles inside a replica."""

    def gradients_of(
        self,
        loss_function: Callable[[], tuple[tf.Tensor, Any]],
        variables: Sequence[keras.Variable],
        weight: tf.Tensor,
    ) -> tuple[list[tf.Tensor | None], tf.Tensor, Any]:
        """Differentiates."""

    def apply_gradients(
        self,
        optimizer: keras.optimizers.Optimizer,
        gradients: Sequence[tf.Tensor | None],
        variables: Sequence[keras.Variable],
    ) -> None:
        """Applies."""


def labelled_rows(labels: tf.Tensor) -> tf.Tensor:
    """Float32 `[batch]`, 1 where there is a label."""
    return tf.cast(tf.not_equal(labels, NO_LABEL), tf.float32)


def supervised_part(logits: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean cross-entropy and share of right answers, over the rows that have labels."""
    rows = labelled_rows(labels)
    losses = supervised_losses(logits, tf.maximum(labels, 0))
    right = tf.cast(tf.equal(tf.argmax(logits, -1, tf.int32), labels), tf.float32)
    return mean_where(losses, rows), mean_where(right, rows)


def move_discriminator(model: Plays, x: tf.Tensor, labels: tf.Tensor, latent: tf.Tensor) -> Means:
    """Move the classifier against the sum of the supervised and the unlabelled loss.

    Args:
        model: The model.
        x: Examples, with a label or without.
        labels: Int32 `[batch]`, -1 where there is none.
        latent: Latent vectors of the samples of this move.

    Returns:
        `supervised_loss`, `accuracy` and `unlabelled_loss`.
    """
    rows, made = batch_size_of(x), batch_size_of(latent)
    with_label = labelled_rows(labels)
    labelled = tf.reduce_sum(with_label)
    unlabelled = tf.cast(rows, tf.float32) - labelled
    whole = loss_weight(rows)
    shares = tf.stack(
        [
            tf.math.divide_no_nan(loss_weight(count), whole)
            for count in (labelled, unlabelled, tf.cast(made, tf.float32))
        ]
    )
    optimizer, variables = model.discriminator_optimizer, model.discriminator_variables

    def objective() -> tuple[tf.Tensor, Any]:
        samples = tf.stop_gradient(model.generate(latent, (), training=True))
        features = model.features(tf.concat([x, samples], axis=0), training=True)
        logits = model.class_logits(features)
        supervised, accuracy = supervised_part(logits[:rows], labels)
        real = mean_where(real_losses(logits[:rows]), 1.0 - with_label)
        generated = mean_where(generated_losses(logits[rows:]), tf.ones([made]))
        loss = shares[0] * supervised + 0.5 * (shares[1] * real + shares[2] * generated)
        loss += regularization(model.discriminator_layers)
        return loss, (supervised, accuracy, 0.5 * (real + generated))

    gradients, _, parts = model.gradients_of(objective, variables, loss_weight(rows, optimizer))
    model.apply_gradients(optimizer, gradients, variables)
    return {
        "supervised_loss": (parts[0], labelled),
        "accuracy": (parts[1], labelled),
        "unlabelled_loss": (parts[2], unlabelled),
    }


def move_generator(model: Plays, x: tf.Tensor, labels: tf.Tensor, latent: tf.Tensor) -> Means:
    """Move the generator towards samples whose mean features are those of unlabelled examples.

    Args:
        model: The model.
        x: Examples, of which those without a label count.
        labels: Int32 `[batch]`, -1 where there is none.
        latent: Latent vectors of the samples of this move.

    Returns:
        `matching_loss`.
    """
    rows, made = batch_size_of(x), batch_size_of(latent)
    without = 1.0 - labelled_rows(labels)
    unlabelled = tf.reduce_sum(without)
    optimizer, variables = model.generator_optimizer, model.generator_variables
    values = [variable.value for variable in variables]

    def means() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        samples = model.generate(latent, (), training=True)
        features = model.features(tf.concat([x, samples], axis=0), training=True)
        of_real = mean_where(tf.stop_gradient(features[:rows]), without)
        of_samples = mean_where(features[rows:], tf.ones([made]))
        return of_samples, of_real, regularization(model.generator_layers)

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        of_samples, of_real, penalty = model.replica_function(means)()
    of_real = mean_over_replicas(of_real, unlabelled)
    of_all_samples = mean_over_replicas(of_samples, made)
    # Where no row of the batch is without a label there is nothing to come near.
    there = tf.cast(mean_over_replicas(tf.ones([]), unlabelled) > 0, tf.float32)
    count = tf.cast(tf.shape(of_real)[0], tf.float32)
    slope = there * 2.0 * (of_all_samples - of_real) / count
    weight = loss_weight(made, optimizer)
    gradients = tape.gradient(
        [of_samples, penalty], values, output_gradients=[slope * weight, weight]
    )
    # Those of a replica that holds no examples may be NaN.
    gradients = [g if g is None else tf.where(weight > 0, g, tf.zeros_like(g)) for g in gradients]
    model.apply_gradients(optimizer, gradients, variables)
    return {"matching_loss": (matching_loss(of_real, of_all_samples), unlabelled)}


def mean_over_replicas(mean: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """The mean of all replicas' rows, from each one's mean and count; zero of no rows."""
    if num_replicas() == 1:
        return tf.where(tf.cast(count, tf.float32) > 0, mean, tf.zeros_like(mean))
    replica = tf.distribute.get_replica_context()
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, mean * loss_weight(count))
