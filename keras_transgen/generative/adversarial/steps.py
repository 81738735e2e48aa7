"""How the two players move in a step: in turns, or in turns that share the generator's pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.generative.adversarial.contract import Differentiates, Logs, TwoPlayers
from keras_transgen.generative.adversarial.step_noise import Phase
from keras_transgen.training import loss_weight
from keras_transgen.training.trainer import batch_size_of


def move(
    model: Differentiates,
    player: str,
    optimizer: keras.optimizers.Optimizer,
    variables: Sequence[keras.Variable],
    size: tf.Tensor,
    objective: Callable[[], tuple[tf.Tensor, Any]],
) -> tuple[Logs, Any]:
    """Move a player against the gradient of its objective.

    Args:
        model: The model, which differentiates and applies.
        player: `"generator"` or `"discriminator"`, for the logs.
        optimizer: The player's.
        variables: The player's.
        size: Examples of this replica.
        objective: Returns what the player minimises and anything else.

    Returns:
        The player's loss and the norm of its gradients as logs, and the objective's second value.
    """
    weight = loss_weight(size, optimizer)
    gradients, loss, extra = model.gradients_of(objective, variables, weight)
    model.apply_gradients(optimizer, gradients, variables)
    return _moved(player, loss, gradients, weight), extra


def _moved(
    player: str, loss: tf.Tensor, gradients: Sequence[tf.Tensor | None], weight: tf.Tensor
) -> Logs:
    return {f"{player}_loss": loss, f"{player}_gradient_norm": gradient_norm(gradients, weight)}


def gradient_norm(gradients: Sequence[tf.Tensor | None], weight: tf.Tensor) -> tf.Tensor:
    """Euclidean norm of a replica's gradients, without their weight."""
    present = [tf.cast(g, tf.float32) for g in gradients if g is not None]
    return tf.math.divide_no_nan(tf.linalg.global_norm(present), weight)


def regularization(layers: Sequence[keras.layers.Layer]) -> tf.Tensor:
    """The sum of the regularization losses of layers."""
    losses = [tf.cast(loss, tf.float32) for layer in layers for loss in layer.losses]
    return tf.add_n(losses) if losses else tf.constant(0.0)


def discriminator_objective(
    gan: TwoPlayers, real: tf.Tensor, fake: tf.Tensor, condition: Any, phase: Phase
) -> tuple[tf.Tensor, Logs]:
    """What the discriminator minimises, and what is worth logging of it; samples are constants."""
    fake = tf.stop_gradient(fake)
    on_real, on_fake = gan.judge_both(real, fake, condition, phase, training=True)
    loss = gan.adversarial_loss(on_real.logits, on_fake.logits).discriminator
    loss += gan.class_loss(on_real, condition) + regularization(gan.discriminator_layers)
    logs = {
        "real_score": tf.reduce_mean(on_real.logits),
        "fake_score": tf.reduce_mean(on_fake.logits),
        # What adaptive augmentation goes by.
        "real_sign": tf.reduce_mean(
            tf.sign(
                on_real.logits
                if gan.border_at_zero
                else on_real.logits - tf.reduce_mean(on_fake.logits)
            )
        ),
    }
    if gan.penalty is not None:

        def score(examples: tf.Tensor) -> tf.Tensor:
            return gan.judge(examples, condition, phase["real"], training=True).of_examples()

        logs["gradient_penalty"] = gan.penalty(score, real, fake, phase["position"])
        loss += gan.gradient_penalty_weight * logs["gradient_penalty"]
    return loss, logs


def generator_objective(
    gan: TwoPlayers, real: tf.Tensor, fake: tf.Tensor, condition: Any, phase: Phase
) -> tuple[tf.Tensor, Logs]:
    """What the generator minimises, without its regularization, which does not need samples."""
    if gan.generator_sees_real:
        on_real, on_fake = gan.judge_both(real, fake, condition, phase, training=True)
    else:
        on_real = on_fake = gan.judge(fake, condition, phase["fake"], training=True)
    loss = gan.adversarial_loss(on_real.logits, on_fake.logits).generator
    extra, logs = gan.sample_loss(real, fake)
    return loss + gan.class_loss(on_fake, condition) + extra, logs


def move_discriminator(
    gan: TwoPlayers, real: tf.Tensor, y: Any, phase: Phase, fake: tf.Tensor | None = None
) -> Logs:
    """Update the discriminator on real examples and samples, fresh ones unless given."""

    def objective() -> tuple[tf.Tensor, Logs]:
        condition = gan.condition_for(y, phase)
        samples = fake
        if samples is None:
            samples = gan.generate(phase["latent"], condition, training=True)
        return discriminator_objective(gan, real, samples, condition, phase)

    moved, logs = move(
        gan,
        "discriminator",
        gan.discriminator_optimizer,
        gan.discriminator_variables,
        batch_size_of(real),
        objective,
    )
    return {**logs, **moved}


def two_stage_step(gan: TwoPlayers, real: tf.Tensor, y: Any, phases: list[Phase]) -> Logs:
    """The usual step: the discriminator moves, then the generator, each on samples of its own."""
    logs: Logs = {}
    for phase in phases[:-1]:
        logs.update(move_discriminator(gan, real, y, phase))
    phase = phases[-1]

    def objective() -> tuple[tf.Tensor, Logs]:
        condition = gan.condition_for(y, phase)
        fake = gan.generate(phase["latent"], condition, training=True)
        loss, more = generator_objective(gan, real, fake, condition, phase)
        return loss + regularization(gan.generator_layers), more

    moved, more = move(
        gan,
        "generator",
        gan.generator_optimizer,
        gan.generator_variables,
        batch_size_of(real),
        objective,
    )
    return {**logs, **more, **moved}


def shared_step(gan: TwoPlayers, real: tf.Tensor, y: Any, phases: list[Phase]) -> Logs:
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
    gradients = tape.gradient([fake, penalty], values, output_gradients=[by_samples, weight])
    # Those of a replica that holds no examples are NaN.
    gradients = [g if g is None else tf.where(weight > 0, g, tf.zeros_like(g)) for g in gradients]
    gan.apply_gradients(gan.generator_optimizer, gradients, variables)
    return {**logs, **more, **_moved("generator", loss + penalty, gradients, weight)}


# By the name that users give as `step=`; "auto" is the first: in a race of conditional GANs on
# MNIST to samples of which 0.95 are right (benchmarks/gan_quality.py) it needed 0.82 of the time.
STEPS: dict[str, Callable[..., Logs]] = {"shared": shared_step, "two_stage": two_stage_step}


def step_named(step: str) -> str:
    """The step that a model's argument `step` asks for.

    Raises:
        ValueError: If there is no such step.
    """
    if isinstance(step, str) and step == "one_stage":
        raise ValueError(
            "step='one_stage' was removed: 'shared', the default, needs less time to the same "
            "samples. Received: step='one_stage'"
        )
    if not isinstance(step, str) or step not in ("auto", *STEPS):
        raise ValueError(f"step must be 'auto' or one of {sorted(STEPS)}. Received: step={step!r}")
    return next(iter(STEPS)) if step == "auto" else step
