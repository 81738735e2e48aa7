"""How the four networks of a CycleGAN move in a step."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from keras_transgen.generative.adversarial.contract import Logs, Players
from keras_transgen.generative.adversarial.step_noise import Phase
from keras_transgen.generative.adversarial.steps import move, regularization
from keras_transgen.training.trainer import batch_size_of


class TwoDirections(Players, Protocol):
    """What the step asks of a model; `CycleGAN` says what each part is."""

    cycle_weight: float
    identity_weight: float
    pool_a: Any
    pool_b: Any

    def make_a(self, b: tf.Tensor, training: bool) -> tf.Tensor: ...

    def make_b(self, a: tf.Tensor, training: bool) -> tf.Tensor: ...

    def judge_as(self, kind: str, images: tf.Tensor, training: bool) -> tf.Tensor: ...


class Made(NamedTuple):
    """Images made in a step: `a` of images of B, `b` of images of A."""

    a: tf.Tensor
    b: tf.Tensor


def cycle_step(model: TwoDirections, a: tf.Tensor, b: tf.Tensor, noise: list[Phase]) -> Logs:
    """Both generators move; then both discriminators, on images out of the pools."""
    size = batch_size_of(a)

    def generators() -> tuple[tf.Tensor, tuple[Logs, Made]]:
        loss, logs, made = generator_objective(model, a, b, training=True)
        return loss + regularization(model.generator_layers), (logs, made)

    moved, (logs, made) = move(
        model, "generator", model.generator_optimizer, model.generator_variables, size, generators
    )
    logs = {**logs, **moved}
    shown = Made(*(tf.stop_gradient(images) for images in made))
    if noise:
        shown = Made(
            model.pool_a.exchange(shown.a, noise[0]["pool_a"]),
            model.pool_b.exchange(shown.b, noise[0]["pool_b"]),
        )

    def discriminators() -> tuple[tf.Tensor, Logs]:
        loss, scores = discriminator_objective(model, a, b, shown, training=True)
        return loss + regularization(model.discriminator_layers), scores

    moved, scores = move(
        model,
        "discriminator",
        model.discriminator_optimizer,
        model.discriminator_variables,
        size,
        discriminators,
    )
    return {**logs, **scores, **moved}


def generator_objective(
    model: TwoDirections, a: tf.Tensor, b: tf.Tensor, training: bool
) -> tuple[tf.Tensor, Logs, Made]:
    """What both generators minimise, its parts, and the images they made."""
    made = Made(model.make_a(b, training), model.make_b(a, training))
    loss = tf.constant(0.0)
    for kind, real, fake in (("a", a, made.a), ("b", b, made.b)):
        on_fake = model.judge_as(kind, fake, training)
        on_real = model.judge_as(kind, real, training) if model.generator_sees_real else on_fake
        loss += model.adversarial_loss(on_real, on_fake).generator
    logs = {
        "cycle": _distance(a, model.make_a(made.b, training))
        + _distance(b, model.make_b(made.a, training))
    }
    loss += model.cycle_weight * logs["cycle"]
    if model.identity_weight:
        logs["identity"] = _distance(a, model.make_a(a, training)) + _distance(
            b, model.make_b(b, training)
        )
        loss += model.identity_weight * logs["identity"]
    return loss, logs, made


def discriminator_objective(
    model: TwoDirections, a: tf.Tensor, b: tf.Tensor, shown: Made, training: bool
) -> tuple[tf.Tensor, Logs]:
    """What both discriminators minimise on real and shown images, and their mean logits."""
    loss = tf.constant(0.0)
    real_scores, fake_scores = [], []
    for kind, real, fake in (("a", a, shown.a), ("b", b, shown.b)):
        on_real = model.judge_as(kind, real, training)
        on_fake = model.judge_as(kind, fake, training)
        loss += model.adversarial_loss(on_real, on_fake).discriminator
        real_scores.append(tf.reduce_mean(on_real))
        fake_scores.append(tf.reduce_mean(on_fake))
    return loss, {
        "real_score": tf.add_n(real_scores) / 2.0,
        "fake_score": tf.add_n(fake_scores) / 2.0,
    }


def _distance(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.abs(one - other))
