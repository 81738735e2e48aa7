"""What adversarial models from images to images share: settings, optimizers, pairs of shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.generative.adversarial.adversarial_model import AdversarialModel, Judgement
from keras_transgen.generative.adversarial.losses import (
    AdversarialLoss,
    AdversarialLosses,
    adversarial_loss,
    border_at_zero,
    generator_sees_real,
)
from keras_transgen.generative.config_values import serialized
from keras_transgen.generative.moving_average import MovingAverage
from keras_transgen.generative.network_calls import called
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.counts import check_count, check_weights

_ADAM = {"learning_rate": 2e-4, "beta_1": 0.5}


class TranslationModel(AdversarialModel):
    """Two shapes of images, a generator from one to the other, and somebody who judges it.

    The arguments are those of `Pix2Pix`.
    """

    # What the steps of adversarial models ask for and no translation has.
    latent_dim = 0
    penalty = None
    augmentation = None
    instance_noise = 0.0
    discriminator_steps = 1
    # Of the generator, where nobody gives an optimizer.
    _generator_adam = _ADAM

    def __init__(
        self,
        image_shape: tuple[int, ...],
        target_shape: tuple[int, ...],
        loss: str | AdversarialLoss,
        label_smoothing: float,
        adversarial_weight: float,
        ema_decay: float | None,
        value_range: tuple[float, float] | None,
        filters: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_shape, value_range, **kwargs)
        self.target_shape = checked_image_shape(target_shape, "target_shape")
        checked_image_shape(self.example_shape, "image_shape")
        check_weights(adversarial_weight=adversarial_weight)
        check_count("filters", filters)
        self.loss_setting = loss
        self.label_smoothing = label_smoothing
        self.adversarial_weight = float(adversarial_weight)
        self._unweighted_loss = adversarial_loss(loss, label_smoothing)
        self.generator_sees_real = generator_sees_real(loss)
        self.border_at_zero = border_at_zero(loss)
        self.ema_decay = ema_decay
        self.filters = filters

    def adversarial_loss(self, real: tf.Tensor, fake: tf.Tensor) -> AdversarialLosses:
        """Both players' losses, the generator's with its weight."""
        losses = self._unweighted_loss(real, fake)
        return AdversarialLosses(losses.discriminator, self.adversarial_weight * losses.generator)

    def _make_ready(self) -> None:
        """The average and the logs, once the networks are there."""
        self.average = (
            None if self.ema_decay is None else MovingAverage(self.generator_layers, self.ema_decay)
        )
        self._trackers = [keras.metrics.Mean(name=name) for name in self._log_names()]
        self.built = True
        self.check_parts()

    def compile(
        self,
        generator_optimizer: Any = None,
        discriminator_optimizer: Any = None,
        jit_compile: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        """Configure the model for training; `fit` does it with the defaults if nobody has.

        Args:
            generator_optimizer: Keras optimizer or its name. Defaults to Adam with a learning rate
                of 2e-4 and `beta_1=0.5`.
            discriminator_optimizer: Another one, with the same default.
            jit_compile: `True`, `False` or `"auto"`; see `TrainerModel.compile`.
            **kwargs: `run_eagerly`, `steps_per_execution`; see `TrainerModel.compile`.

        Raises:
            ValueError: If one optimizer is given twice.
        """
        with self.distribute_strategy.scope():
            if generator_optimizer is None:
                generator_optimizer = keras.optimizers.Adam(**self._generator_adam)
            if discriminator_optimizer is None:
                discriminator_optimizer = keras.optimizers.Adam(**_ADAM)
        super().compile(generator_optimizer, discriminator_optimizer, jit_compile, **kwargs)

    def check_inputs(self, x: Any) -> None:
        """Refuse what is no image to be translated; see `TrainerModel.check_inputs`."""
        self.check_examples(x, "images")

    def _patches(self, discriminator: keras.Model, inputs: Any, training: bool) -> Judgement:
        """The logits of all patches, `[batch, patches]`."""
        logits = tf.cast(discriminator(inputs, training=training), tf.float32)
        # Known sizes, since a replica may be left without an example to infer them from.
        return Judgement(tf.reshape(logits, [-1, int(np.prod(logits.shape[1:]))]), None)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "image_shape": self.example_shape,
            "target_shape": self.target_shape,
            "loss": serialized(self.loss_setting),
            "label_smoothing": self.label_smoothing,
            "ema_decay": self.ema_decay,
            "value_range": self.value_range,
            "filters": self.filters,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TranslationModel:
        """Make the model again from what `get_config` returned."""
        return cls(**arguments_from_file(cls, config, **cls.nested_arguments()))

    @classmethod
    def nested_arguments(cls) -> dict[str, Nested]:
        """The arguments that a file gives as objects."""
        network = Nested(keras.Model, optional=True)
        return {
            **dict.fromkeys(("generator", "generator_ab", "generator_ba"), network),
            **dict.fromkeys(("discriminator", "discriminator_a", "discriminator_b"), network),
            "loss": Nested(Callable, optional=True, names=True, functions=True),
            "perceptual_loss": Nested(Callable, optional=True, names=True, functions=True),
        }


def checked_image_shape(shape: Any, name: str) -> tuple[int, ...]:
    """The shape of an image, as three positive integers."""
    given = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if len(given) != 3 or not all(isinstance(s, (int, np.integer)) and s > 0 for s in given):
        raise ValueError(
            f"{name} must be (height, width, channels), positive integers. Received: {name}={shape}"
        )
    return tuple(int(size) for size in given)


def check_translator(
    network: Any, inputs: Any, target_shape: tuple[int, ...], name: str = "generator"
) -> None:
    """Refuse a network that does not make images of a shape; builds it."""
    made = called(network, inputs, name)
    if not hasattr(made, "shape") or tuple(made.shape[1:]) != target_shape:
        raise ValueError(
            f"The {name} must make images of shape "
            f"[batch, {', '.join(map(str, target_shape))}] from its input. "
            f"Received: a {name} with output of shape {getattr(made, 'shape', made)}"
        )


def check_judge(network: Any, inputs: Any, name: str = "discriminator") -> None:
    """Refuse a discriminator that does not give logits of patches; builds it."""
    judged = called(network, inputs, name)
    shape: tuple[Any, ...] = tuple(getattr(judged, "shape", ()))
    if len(shape) < 2 or shape[-1] != 1 or None in shape[1:]:
        raise ValueError(
            f"The {name} must give one logit a patch, [batch, rows, columns, 1], or one an image, "
            f"[batch, 1]. Received: output of shape {shape or judged}"
        )
