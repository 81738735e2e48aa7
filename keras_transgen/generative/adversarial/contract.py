"""What the steps of two players ask of a model, so that they need not know which it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import keras
import tensorflow as tf

from keras_transgen.generative.adversarial.gradient_penalties import GradientPenalty
from keras_transgen.generative.adversarial.losses import AdversarialLosses
from keras_transgen.generative.adversarial.step_noise import Phase

Logs = dict[str, tf.Tensor]


class Judgement(NamedTuple):
    """What the discriminator says of examples.

    Attributes:
        logits: Float32 `[batch]`, or `[batch, views]` where each of an example's views is judged.
        class_logits: Float32 `[batch, classes]`, or `None`.
    """

    logits: tf.Tensor
    class_logits: tf.Tensor | None

    def of_examples(self) -> tf.Tensor:
        """Float32 `[batch]`: the logit of each example, or the mean of its views'."""
        return self.logits if len(self.logits.shape) == 1 else tf.reduce_mean(self.logits, axis=1)


class Differentiates(Protocol):
    """What moving a player asks: the building blocks of `TrainerModel`."""

    def replica_function(self, function: Callable[..., Any]) -> Callable[..., Any]: ...

    def gradients_of(
        self,
        loss_function: Callable[[], tuple[tf.Tensor, Any]],
        variables: Sequence[keras.Variable],
        weight: tf.Tensor,
    ) -> tuple[list[tf.Tensor | None], tf.Tensor, Any]: ...

    def apply_gradients(
        self,
        optimizer: keras.optimizers.Optimizer,
        gradients: Sequence[tf.Tensor | None],
        variables: Sequence[keras.Variable],
    ) -> None: ...


class Players(Differentiates, Protocol):
    """Networks that play against each other; `AdversarialModel` says what each part is."""

    generator_optimizer: keras.optimizers.Optimizer
    discriminator_optimizer: keras.optimizers.Optimizer
    adversarial_loss: Callable[[tf.Tensor, tf.Tensor], AdversarialLosses]
    generator_sees_real: bool
    border_at_zero: bool

    @property
    def generator_layers(self) -> list[keras.layers.Layer]: ...

    @property
    def discriminator_layers(self) -> list[keras.layers.Layer]: ...

    @property
    def generator_variables(self) -> list[keras.Variable]: ...

    @property
    def discriminator_variables(self) -> list[keras.Variable]: ...


class TwoPlayers(Players, Protocol):
    """What the steps of a GAN ask of a model."""

    penalty: GradientPenalty | None
    gradient_penalty_weight: float

    def condition_for(self, y: Any, phase: Phase) -> Any: ...

    def generate(self, latent: tf.Tensor, condition: Any, training: bool) -> tf.Tensor: ...

    def judge(
        self, examples: tf.Tensor, condition: Any, corruption: dict[str, tf.Tensor], training: bool
    ) -> Judgement: ...

    def judge_both(
        self, real: tf.Tensor, fake: tf.Tensor, condition: Any, phase: Phase, training: bool
    ) -> tuple[Judgement, Judgement]: ...

    def class_loss(self, judgement: Judgement, condition: Any) -> tf.Tensor: ...

    def sample_loss(self, real: tf.Tensor, fake: tf.Tensor) -> tuple[tf.Tensor, Logs]: ...
