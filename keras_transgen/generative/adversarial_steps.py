"""How the two players move in a step: in turns, or in turns that share the generator's pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from keras_transgen.generative.adversarial_noise import Phase
from keras_transgen.training import loss_weight
from keras_transgen.training.trainer import batch_size_of

if TYPE_CHECKING:
    from keras_transgen.generative.gan import GAN

Logs = dict[str, tf.Tensor]


def regularization(layers: Sequence[keras.layers.Layer]) -> tf.Tensor:
    """The sum of the regularization losses of layers."""
    losses = [tf.cast(loss, tf.float32) for layer in layers for loss in layer.losses]
    return tf.add_n(losses) if losses else tf.constant(0.0)


def discriminator_objective(
    gan: GAN, real: tf.Tensor, fake: tf.Tensor, condition: Any, phase: Phase
) -> tuple[tf.Tensor, Logs]:
    """What the discriminator minimises, and what is worth logging of it."""
    fake = tf.stop_gradient(fake)
    on_real, on_fake = gan.judge_both(real, fake, condition, phase, training=True)
    loss = gan.adversarial_loss(on_real.logits, on_fake.logits).discriminator
    extra, logs = discriminator_extras(gan, real, fake, on_real, condition, phase)
    logs.update(scores(on_real.logits, on_fake.logits))
    return loss + extra, logs


def discriminator_extras(
    gan: GAN, real: tf.Tensor, fake: tf.Tensor, on_real: Any, condition: Any, phase: Phase
) -> tuple[tf.Tensor, Logs]:
    """What the discriminator minimises besides the adversarial loss; samples are constants."""
    extra = gan.class_loss(on_real, condition) + regularization(gan.discriminator_layers)
    if gan.penalty is None:
        return extra, {}

    def score(examples: tf.Tensor) -> tf.Tensor:
        return gan.judge(examples, condition, phase["real"], training=True).of_examples()

    penalty = gan.penalty(score, real, tf.stop_gradient(fake), phase["position"])
    return extra + gan.gradient_penalty_weight * penalty, {"gradient_penalty": penalty}


def generator_objective(
    gan: GAN, real: tf.Tensor, fake: tf.Tensor, condition: Any, phase: Phase
) -> tuple[tf.Tensor, Logs]:
    """What the generator minimises, without its regularization, which does not need samples."""
    if gan.generator_sees_real:
        on_real, on_fake = gan.judge_both(real, fake, condition, phase, training=True)
        loss = gan.adversarial_loss(on_real.logits, on_fake.logits).generator
    else:
        on_fake = gan.judge(fake, condition, phase["fake"], training=True)
        loss = gan.adversarial_loss(on_fake.logits, on_fake.logits).generator
    extra, logs = gan.sample_loss(real, fake)
    return loss + gan.class_loss(on_fake, condition) + extra, logs


def scores(real: tf.Tensor, fake: tf.Tensor) -> Logs:
    """Mean logits, and the mean sign that adaptive augmentation goes by."""
    return {
        "real_score": tf.reduce_mean(real),
        "fake_score": tf.reduce_mean(fake),
        "real_sign": tf.reduce_mean(tf.sign(real)),
    }


def gradient_norm(gradients: Sequence[tf.Tensor | None], weight: tf.Tensor) -> tf.Tensor:
    """Euclidean norm of a replica's gradients, without their weight."""
    present = [tf.cast(g, tf.float32) for g in gradients if g is not None]
    return tf.math.divide_no_nan(tf.linalg.global_norm(present), weight)


def only_present(
    gradients: Sequence[tf.Tensor | None], weight: tf.Tensor
) -> list[tf.Tensor | None]:
    """Zeros in place of the gradients of a replica that holds no examples (they are NaN)."""
    return [None if g is None else tf.where(weight > 0, g, tf.zeros_like(g)) for g in gradients]


def move_discriminator(
    gan: GAN, real: tf.Tensor, y: Any, phase: Phase, fake: tf.Tensor | None = None
) -> Logs:
    """Update the discriminator on real examples and samples, fresh ones unless given."""
    variables = gan.discriminator_variables
    weight = loss_weight(batch_size_of(real), gan.discriminator_optimizer)

    def objective() -> tuple[tf.Tensor, Logs]:
        condition = gan.condition_for(y, phase)
        samples = fake
        if samples is None:
            samples = gan.generate(phase["latent"], condition, training=True)
        return discriminator_objective(gan, real, samples, condition, phase)

    gradients, loss, logs = gan.gradients_of(objective, variables, weight)
    gan.apply_gradients(gan.discriminator_optimizer, gradients, variables)
    return {
        **logs,
        "discriminator_loss": loss,
        "discriminator_gradient_norm": gradient_norm(gradients, weight),
    }


def two_stage_step(gan: GAN, real: tf.Tensor, y: Any, phases: list[Phase]) -> Logs:
    """The usual step: the discriminator moves, then the generator, each on samples of its own."""
    logs: Logs = {}
    for phase in phases[:-1]:
        logs.update(move_discriminator(gan, real, y, phase))
    phase = phases[-1]
    variables = gan.generator_variables
    weight = loss_weight(batch_size_of(real), gan.generator_optimizer)

    def objective() -> tuple[tf.Tensor, Logs]:
        condition = gan.condition_for(y, phase)
        fake = gan.generate(phase["latent"], condition, training=True)
        loss, more = generator_objective(gan, real, fake, condition, phase)
        return loss + regularization(gan.generator_layers), more

    gradients, loss, more = gan.gradients_of(objective, variables, weight)
    gan.apply_gradients(gan.generator_optimizer, gradients, variables)
    logs.update(more)
    logs["generator_loss"] = loss
    logs["generator_gradient_norm"] = gradient_norm(gradients, weight)
    return logs


def shared_step(gan: GAN, real: tf.Tensor, y: Any, phases: list[Phase]) -> Logs:
    """Both players move in turns on the same samples: the generator's pass is taken once.

    The discriminator moves while the tape of the generator's pass waits; then the gradient of the
    generator's loss by the samples, seen by the moved discriminator, goes back through that pass.
    """
    logs: Logs = {}
    for phase in phases[:-1]:
        logs.update(move_discriminator(gan, real, y, phase))
    phase = phases[-1]
    variables = gan.generator_variables
    values = [variable.value for variable in variables]
    weight = loss_weight(batch_size_of(real), gan.generator_optimizer)

    def generation() -> tuple[tf.Tensor, tf.Tensor]:
        fake = gan.generate(phase["latent"], gan.condition_for(y, phase), training=True)
        return fake, regularization(gan.generator_layers)

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        fake, penalty = gan.replica_function(generation)()
    logs.update(move_discriminator(gan, real, y, phase, fake))

    def slope(samples: tf.Tensor, scale: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, Logs]:
        condition = gan.condition_for(y, phase)
        with tf.GradientTape(watch_accessed_variables=False) as by_samples:
            by_samples.watch(samples)
            loss, more = generator_objective(gan, real, samples, condition, phase)
            weighted = loss * scale
        return by_samples.gradient(weighted, samples), loss, more

    by_samples, loss, more = gan.replica_function(slope)(tf.stop_gradient(fake), weight)
    gradients = only_present(
        tape.gradient([fake, penalty], values, output_gradients=[by_samples, weight]), weight
    )
    gan.apply_gradients(gan.generator_optimizer, gradients, variables)
    logs.update(more)
    logs["generator_loss"] = loss + penalty
    logs["generator_gradient_norm"] = gradient_norm(gradients, weight)
    return logs
