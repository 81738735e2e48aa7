"""Both players' gradients from one pass through the discriminator, and when that is exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.generative.adversarial_networks import logits_per_example
from keras_transgen.generative.adversarial_noise import Phase
from keras_transgen.generative.adversarial_steps import (
    Logs,
    discriminator_extras,
    gradient_norm,
    move_discriminator,
    only_present,
    regularization,
    scores,
)
from keras_transgen.generative.one_replica import of_one_replica
from keras_transgen.training import loss_weight
from keras_transgen.training.compilation import flat_layers
from keras_transgen.training.trainer import batch_size_of

if TYPE_CHECKING:
    from keras_transgen.generative.gan import GAN

_BATCH_COUPLED = (keras.layers.BatchNormalization,)


def one_stage_step(gan: GAN, real: tf.Tensor, y: Any, phases: list[Phase]) -> Logs:
    """Both players move at once, from gradients of one pass through the discriminator.

    A sample's gradient is the slope of the loss at its logit times the logit's gradient by the
    sample. The two losses share the second factor, so the generator's gradient is the
    discriminator's, scaled for each sample by the ratio of the two slopes.

    Reference:
        Shen et al., Training generative adversarial networks in one stage, 2021.
    """
    logs: Logs = {}
    for phase in phases[:-1]:
        logs.update(move_discriminator(gan, real, y, phase))
    size = batch_size_of(real)
    discriminator_weight = loss_weight(size, gan.discriminator_optimizer)
    generator_weight = loss_weight(size, gan.generator_optimizer)

    def gradients(weight: tf.Tensor, other: tf.Tensor) -> tuple[list, list, Logs]:
        return one_stage_gradients(gan, real, y, phases[-1], weight, other)

    first, second, more = gan.replica_function(gradients)(discriminator_weight, generator_weight)
    logs.update(more)
    gan.apply_gradients(gan.discriminator_optimizer, first, gan.discriminator_variables)
    gan.apply_gradients(gan.generator_optimizer, second, gan.generator_variables)
    logs["discriminator_gradient_norm"] = gradient_norm(first, discriminator_weight)
    logs["generator_gradient_norm"] = gradient_norm(second, generator_weight)
    return logs


def one_stage_gradients(
    gan: GAN,
    real: tf.Tensor,
    y: Any,
    phase: Phase,
    discriminator_weight: tf.Tensor,
    generator_weight: tf.Tensor,
) -> tuple[list, list, Logs]:
    """The weighted gradients of both players at the same point.

    Args:
        gan: The model.
        real: Real examples of this replica.
        y: Their conditions, or `None`.
        phase: The random numbers of the pass.
        discriminator_weight: What `loss_weight` returned for the discriminator's optimizer.
        generator_weight: The same for the generator's.

    Returns:
        The discriminator's gradients, the generator's, and logs.
    """
    condition = gan.condition_for(y, phase)
    generator_values = [variable.value for variable in gan.generator_variables]
    discriminator_values = [variable.value for variable in gan.discriminator_variables]
    with tf.GradientTape(watch_accessed_variables=False) as generation:
        generation.watch(generator_values)
        fake = gan.generate(phase["latent"], condition, training=True)
        generator_extra = regularization(gan.generator_layers)
    samples = tf.stop_gradient(fake)
    with tf.GradientTape(watch_accessed_variables=False) as judgement:
        judgement.watch([discriminator_values, samples])
        on_real, on_fake = gan.judge_both(real, samples, condition, phase, training=True)
        extra, logs = discriminator_extras(gan, real, samples, on_real, condition, phase)

    real_logits, fake_logits = tf.stop_gradient(on_real.logits), tf.stop_gradient(on_fake.logits)
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as at_logits:
        at_logits.watch([real_logits, fake_logits])
        losses = gan.adversarial_loss(real_logits, fake_logits)
    real_slope, fake_slope = at_logits.gradient(losses.discriminator, [real_logits, fake_logits])
    generator_slope = at_logits.gradient(losses.generator, fake_logits)
    fake_slope = _away_from_zero(fake_slope, gan.compute_dtype)

    *gradients, by_samples = judgement.gradient(
        [on_real.logits, on_fake.logits, extra],
        [*discriminator_values, samples],
        output_gradients=[
            real_slope * discriminator_weight,
            fake_slope * discriminator_weight,
            discriminator_weight,
        ],
    )
    # The logits' scale goes out and the generator's comes in.
    ratio = generator_slope / fake_slope
    ratio *= tf.math.divide_no_nan(generator_weight, discriminator_weight)
    by_samples *= tf.reshape(ratio, [-1] + [1] * (len(samples.shape) - 1))
    generator_gradients = generation.gradient(
        [fake, generator_extra],
        generator_values,
        output_gradients=[by_samples, generator_weight],
    )
    logs = {
        **logs,
        **scores(real_logits, fake_logits),
        "discriminator_loss": losses.discriminator + extra,
        "generator_loss": losses.generator + generator_extra,
    }
    return (
        only_present(gradients, discriminator_weight),
        only_present(generator_gradients, generator_weight),
        logs,
    )


def _away_from_zero(slope: tf.Tensor, compute_dtype: str) -> tf.Tensor:
    """Slopes that can be divided by, changed by no more than the precision of the pass.

    Where the discriminator's loss is flat (hinge beyond the margin, underflow far out) nothing of
    the sample would come back from the pass. A slope this small does come back, and its share in
    the discriminator's gradient is below the rounding of the other samples'.
    """
    count = tf.cast(tf.maximum(tf.size(slope), 1), slope.dtype)
    floor = (1e-6 if compute_dtype == "float32" else 1e-3) / count
    sign = tf.where(slope < 0, -tf.ones_like(slope), tf.ones_like(slope))
    return tf.where(tf.abs(slope) < floor, sign * floor, slope)


def why_not_one_stage(gan: GAN) -> str | None:
    """The reason why the one-stage step would not be exact, or `None` where it is.

    Args:
        gan: The model, with its networks built.
    """
    if gan.has_class_logits:
        return (
            "the auxiliary classifier gives several outputs an example, whose gradients have no "
            "common factor"
        )
    if logits_per_example(gan.discriminator) > 1:
        return (
            "the discriminator gives several logits an example, whose slopes have no common factor"
        )
    return why_batch_coupled(gan)


def why_batch_coupled(gan: GAN) -> str | None:
    """How an example's logit depends on other examples of its batch, or `None` if it does not."""
    for layer in gan.discriminator_layers:
        for inner in [layer, *flat_layers(layer)]:
            if isinstance(inner, _BATCH_COUPLED) and inner.trainable:
                return (
                    f"the discriminator's {type(inner).__name__} {inner.name!r} makes each logit "
                    "depend on the other examples of its batch"
                )
    # Layers of the user's own are found out by their gradients.
    others = other_examples_slope(gan)
    if others > 0.0:
        return (
            "a layer of the discriminator makes each logit depend on the other examples of its "
            f"batch (slope {others:.2g})"
        )
    return None


def other_examples_slope(gan: GAN) -> float:
    """The largest gradient of an example's logit by the other examples of its batch."""
    return float(of_one_replica(lambda: _other_examples_slope(gan)))


def _other_examples_slope(gan: GAN) -> tf.Tensor:
    discriminator = gan.discriminator
    rng = np.random.default_rng(0)

    def probe(tensor: Any) -> tf.Tensor:
        return tf.constant(rng.normal(size=(3, *tensor.shape[1:])).astype("float32"))

    inputs = keras.tree.map_structure(probe, gan.discriminator_inputs())
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        # Stateless, so that neither moving statistics nor seeds move.
        outputs, _ = discriminator.stateless_call(
            [
                tf.convert_to_tensor(variable.value)
                for variable in discriminator.trainable_variables
            ],
            [
                tf.convert_to_tensor(variable.value)
                for variable in discriminator.non_trainable_variables
            ],
            inputs,
            training=True,
        )
        first = tf.cast(tf.reshape(keras.tree.flatten(outputs)[0], [3, -1])[0], tf.float32)
    gradients = tape.gradient(first, keras.tree.flatten(inputs))
    return tf.reduce_max(
        [tf.reduce_max(tf.abs(gradient[1:])) for gradient in gradients if gradient is not None]
    )
