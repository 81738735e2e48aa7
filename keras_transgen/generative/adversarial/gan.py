"""Generative adversarial networks."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.generative.adversarial.adversarial_model import AdversarialModel
from keras_transgen.generative.adversarial.augmentation import augmentation_layer
from keras_transgen.generative.adversarial.game_settings import game_settings
from keras_transgen.generative.adversarial.gradient_penalties import (
    gradient_penalty as find_penalty,
)
from keras_transgen.generative.adversarial.losses import (
    AdversarialLoss,
    adversarial_loss,
    border_at_zero,
    generator_sees_real,
)
from keras_transgen.generative.adversarial.player_networks import (
    default_discriminator,
    default_generator,
    known_latent_dim,
    known_shape,
    networks_named,
    one_shape,
)
from keras_transgen.generative.adversarial.steps import step_named
from keras_transgen.generative.config_values import serialized
from keras_transgen.generative.generative_model import graph, in_parts, sampling_seed
from keras_transgen.generative.moving_average import MovingAverage, averaged
from keras_transgen.generative.one_hot import check_symbols, refuse_byte_symbols
from keras_transgen.generative.serving import generator_endpoints
from keras_transgen.generative.text_conditions import encodes_texts
from keras_transgen.plotting.sample_grid import plot_sample_grid
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.counts import is_count
from keras_transgen.training.serving import Endpoint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DEFAULT_IMAGE_SHAPE = (64, 64, 3)
_DEFAULT_LATENT_DIM = 128
_PENALTY_WEIGHT = 10.0


@keras.saving.register_keras_serializable(package="keras_transgen")
class GAN(AdversarialModel):
    """A generator and a discriminator that train each other, by `fit(images)`.

    The generator turns standard normal vectors into images (or vectors); `sample` uses a moving
    average of its weights. Both networks are built for the shape of the examples, or handed in.

    How the players move in a step:

    - `"two_stage"`: the discriminator on samples, then the generator on fresh ones; two passes of
      the generator and three of the discriminator.
    - `"shared"`: the same turns on the same samples, so that the generator's pass is taken once.
    - `"auto"`: `"shared"`, which needed 0.82 of the other's time in a race of conditional GANs on
      MNIST to samples of which 0.95 are right (`benchmarks/gan_quality.py`).

    Args:
        example_shape: `(height, width, channels)` of images, `(length, channels)` of sequences, or
            `(features,)` of vectors. Defaults to what the networks handed in say, else to
            `(64, 64, 3)`.
        latent_dim: Length of the latent vectors. Defaults to what the generator handed in takes,
            else to 128.
        generator: Keras model from `[batch, latent_dim]` to `[batch, *example_shape]` in
            `value_range`; built by default.
        discriminator: Keras model from `[batch, *example_shape]` to logits `[batch, 1]`; built
            by default. One with an attribute `logits_per_example` gives that many of each example,
            and the losses are means over them; one with a method `default_optimizers` says what
            `compile` takes for both networks if it is told nothing.
        loss: `"non_saturating"`, `"minimax"`, `"least_squares"`, `"hinge"`, `"wasserstein"`,
            `"relativistic_average"` or a callable of real and fake logits that returns the
            discriminator's and the generator's loss. `"auto"`, the default, is `"wasserstein"` for
            networks `"residual_1d"`, else `"non_saturating"`.
        label_smoothing: How far the discriminator's label of real images lies below 1.
        gradient_penalty: `None`, `"wgan_gp"`, `"r1"`, `"r2"` or a callable; see
            `generative.adversarial.gradient_penalties`. `"auto"`, the default, is `"wgan_gp"` for
            networks `"residual_1d"` whose loss is left to the model, else `None`.
        gradient_penalty_weight: Its weight.
        instance_noise: Standard deviation of normal noise added to all that the discriminator
            sees, in the units of `value_range`.
        discriminator_steps: Moves of the discriminator for one of the generator, each on the same
            real images and fresh samples. Papers draw new real images for each move; here a step
            is a batch, so that an epoch is a pass over the data whatever this number.
        augmentation: `None`, a policy such as `"color,translation,cutout"`, or a
            `DifferentiableAugmentation` (whose strength may adapt).
        ema_decay: Decay of the moving average of the generator; `None` samples from the generator
            itself.
        value_range: `(low, high)` of float images and of samples; uint8 is scaled to it. `None` for
            vectors without bounds. `"auto"`, the default, is `(0, 1)` for networks
            `"residual_1d"`, else `(-1, 1)`.
        step: `"auto"`, `"shared"` or `"two_stage"`.
        filters: Width of the networks that are built: channels at the largest size.
        networks: Which are built for sequences: `"wavegan"` for waveforms, `"residual_1d"` for
            one-hot vectors, whose rows must sum to one. `"auto"` takes one channel for a waveform
            and several for symbols; give `"wavegan"` for stereo. Images get those of DCGAN,
            vectors dense ones.
        image_shape: Another name of `example_shape`.
        **kwargs: Passed to `TrainerModel` (`seed`, `name`).

    Raises:
        ValueError: If the networks cannot be built for the shape or do not fit together, or
            an argument is unknown.

    Example:
        ```python
        import keras_transgen as ktg

        images, _ = ktg.datasets.load_digits()
        gan = ktg.GAN(example_shape=(8, 8, 1), filters=8, value_range=(0.0, 1.0))
        gan.fit(images, batch_size=64, epochs=1, verbose=0)
        samples = gan.sample(16, seed=0)
        probabilities = gan.discriminate(images[:4])
        ```

    Reference:
        Goodfellow et al., Generative adversarial nets, 2014; Radford et al., Unsupervised
        representation learning with deep convolutional generative adversarial networks, 2016;
        Donahue et al., Adversarial audio synthesis, 2019; Gulrajani et al., Improved training of
        Wasserstein GANs, 2017.
    """

    def __init__(
        self,
        example_shape: tuple[int, ...] | None = None,
        latent_dim: int | None = None,
        generator: keras.Model | None = None,
        discriminator: keras.Model | None = None,
        loss: str | AdversarialLoss = "auto",
        label_smoothing: float = 0.0,
        gradient_penalty: Any = "auto",
        gradient_penalty_weight: float = _PENALTY_WEIGHT,
        instance_noise: float = 0.0,
        discriminator_steps: int = 1,
        augmentation: Any = None,
        ema_decay: float | None = 0.999,
        value_range: tuple[float, float] | str | None = "auto",
        step: str = "auto",
        filters: int = 64,
        networks: str = "auto",
        image_shape: tuple[int, ...] | None = None,
        **kwargs: Any,
    ) -> None:
        example_shape = (
            one_shape(example_shape, image_shape)
            or known_shape(discriminator, "input")
            or known_shape(generator, "output")
            or _DEFAULT_IMAGE_SHAPE
        )
        built = generator is None or discriminator is None
        # Networks that are handed in both say nothing of what the channels of a sequence are.
        kind = networks_named(networks, example_shape) if built or networks != "auto" else None
        self._of_symbols = kind == "residual_1d"
        settings = game_settings(kind, loss, gradient_penalty, value_range)
        self.networks = networks
        super().__init__(example_shape, settings.value_range, **kwargs)
        if latent_dim is None:
            latent_dim = known_latent_dim(generator) or _DEFAULT_LATENT_DIM
        self.latent_dim = latent_dim
        self.loss_setting = settings.loss
        self.label_smoothing = label_smoothing
        self.adversarial_loss = adversarial_loss(settings.loss, label_smoothing)
        self.generator_sees_real = generator_sees_real(settings.loss)
        self.border_at_zero = border_at_zero(settings.loss)
        self.penalty_setting = settings.gradient_penalty
        self.penalty = find_penalty(settings.gradient_penalty)
        self.gradient_penalty_weight = float(gradient_penalty_weight)
        self.instance_noise = float(instance_noise)
        self.discriminator_steps = discriminator_steps
        self.augmentation = augmentation_layer(augmentation, self.value_range, self.example_shape)
        # The layer that was given is the user's, and its weights none of the model's.
        given = isinstance(augmentation, keras.layers.Layer)
        self.augmentation_setting = self.augmentation if given else augmentation
        self.ema_decay = ema_decay
        self.step_setting = step
        self.step_kind = step_named(step)
        self.filters = filters
        self._check_settings()
        # A file keeps networks that were handed in; the others are built again.
        self._handed_in = {
            "generator": generator is not None,
            "discriminator": discriminator is not None,
        }
        self.generator = generator if generator is not None else self._default_generator()
        self.discriminator = (
            discriminator if discriminator is not None else self._default_discriminator()
        )
        self._build_networks()
        self.average = (
            None if ema_decay is None else MovingAverage(self.generator_layers, ema_decay)
        )
        self._trackers = [keras.metrics.Mean(name=name) for name in self._log_names()]
        self.built = True
        self.check_parts()

    def _default_generator(self) -> keras.Model:
        return default_generator(
            self.example_shape, self.latent_dim, self.filters, self.value_range, self.networks
        )

    def _default_discriminator(self) -> keras.Model:
        return default_discriminator(self.example_shape, self.filters, self.networks)

    # Using the model

    def call(self, latent: Any, training: bool = False) -> tf.Tensor:
        """Samples from latent vectors `[batch, latent_dim]` by the averaged generator."""
        return self._by_average(latent, ())

    def _by_average(self, latent: tf.Tensor, condition: Any) -> tf.Tensor:
        with averaged(self.average):
            return self.generate(latent, condition, training=False)

    def sample(self, count: int = 64, seed: int | None = None, batch_size: int = 128) -> np.ndarray:
        """Draw samples from the averaged generator.

        Args:
            count: How many.
            seed: Any integer for the same samples every time; `None` for fresh ones.
            batch_size: Samples made at once; it does not change them.

        Returns:
            Float32 `[count, *example_shape]` in `value_range`.

        Raises:
            ValueError: If `count` is not positive.
        """
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
            raise ValueError(f"count must be a positive integer. Received: count={count!r}")
        return self._sampled(self._latent(count, seed), (), batch_size)

    def _latent(self, count: int, seed: int | None) -> tf.Tensor:
        return tf.random.stateless_normal([count, self.latent_dim], sampling_seed(seed))

    def _sampled(self, latent: tf.Tensor, condition: Any, batch_size: int) -> np.ndarray:
        self.average_what_was_loaded()
        return in_parts(self._sampling_function, (latent, condition), batch_size)

    @functools.cached_property
    def _sampling_function(self) -> Callable[..., tf.Tensor]:
        return graph(self._by_average)

    @takes_any_data("images")
    def discriminate(self, images: Any, batch_size: int = 128) -> np.ndarray:
        """The discriminator's probability that examples are real.

        Args:
            images: Examples, as for `fit`.
            batch_size: Examples judged at once.

        Returns:
            Float32 `[batch]`, the sigmoid of the logits, whatever the loss.

        Raises:
            ValueError: If the examples are none of this model.
        """
        self.check_examples(images, self.examples_name)
        return self._judged(images, (), batch_size)

    def _judged(self, images: Any, condition: Any, batch_size: int) -> np.ndarray:
        return in_parts(self._judging_function, (images, condition), batch_size)

    @functools.cached_property
    def _judging_function(self) -> Callable[..., tf.Tensor]:
        def probabilities(images: Any, condition: Any) -> tf.Tensor:
            judgement = self.judge(self.scaled(images), condition, {}, training=False)
            return tf.sigmoid(judgement.of_examples())

        return graph(probabilities)

    def averaged_generator(self) -> keras.Model:
        """A copy of the generator with its averaged weights, to be used or saved on its own."""
        return self._averaged_copy(self.generator)

    def _averaged_copy(self, layer: Any) -> Any:
        """A layer or model of the generator's anew, with its averaged weights where there are."""
        copy = layer.copied() if encodes_texts(layer) else _made_again(layer)
        if not copy.built:
            copy.build_from_config(layer.get_build_config())
        self.average_what_was_loaded()
        weights = layer.weights if self.average is None else self.average.of(layer.weights)
        copy.set_weights([keras.ops.convert_to_numpy(weight) for weight in weights])
        return copy

    def sample_grid(self, count: int = 64, seed: int | None = None) -> Figure:
        """Samples in a grid, as a Matplotlib figure; see `sample`."""
        return plot_sample_grid(self.sample(count, seed), value_range=self.value_range or (0, 1))

    # Saving and serving

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """`sample` and `decode`; see `generator_endpoints`."""
        return generator_endpoints(self, lambda z: self._by_average(z, ()), input_signature)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "example_shape": self.example_shape,
            "latent_dim": self.latent_dim,
            **self._networks_handed_in(),
            "loss": serialized(self.loss_setting),
            "label_smoothing": self.label_smoothing,
            "gradient_penalty": serialized(self.penalty_setting),
            "gradient_penalty_weight": self.gradient_penalty_weight,
            "instance_noise": self.instance_noise,
            "discriminator_steps": self.discriminator_steps,
            "augmentation": serialized(self.augmentation_setting),
            "ema_decay": self.ema_decay,
            "value_range": self.value_range,
            "step": self.step_setting,
            "filters": self.filters,
            "networks": self.networks,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> GAN:
        """Make the model again from what `get_config` returned."""
        if config.get("step") == "one_stage":
            warnings.warn(
                "step='one_stage' was removed; the model that was saved with it goes on with "
                "'shared'.",
                stacklevel=2,
            )
            config = {**config, "step": "shared"}
        return cls(**arguments_from_file(cls, config, **cls.nested_arguments()))

    @classmethod
    def nested_arguments(cls) -> dict[str, Nested]:
        """The arguments that a file gives as objects."""
        network = Nested(keras.Model, optional=True)
        return {
            "generator": network,
            "discriminator": network,
            "loss": Nested(Callable, optional=True, names=True, functions=True),
            "gradient_penalty": Nested(Callable, optional=True, names=True, functions=True),
            "augmentation": Nested(keras.layers.Layer, optional=True, names=True),
        }

    def check_labels(self, y: Any) -> None:
        """Refuse labels, which nothing here would learn from."""
        if y is not None:
            raise ValueError(
                f"{type(self).__name__} learns from examples alone, and would not see their labels."
                " Use ConditionalGAN to learn from labels, or leave them out: fit(images), "
                "image_folder(..., labelled=False) or data.map(lambda images, labels: images). "
                "Received: labels or targets with the examples"
            )

    def check_values(self, values: np.ndarray, low: float, high: float, name: str) -> None:
        super().check_values(values, low, high, name)
        if self._of_symbols:
            check_symbols(values, name)

    def check_bytes(self, values: np.ndarray, name: str) -> None:
        super().check_bytes(values, name)
        if self._of_symbols:
            refuse_byte_symbols(name)

    def _check_settings(self) -> None:
        if self._of_symbols and self.value_range != (0.0, 1.0):
            raise ValueError(
                "networks='residual_1d' make probabilities of symbols, so value_range is (0, 1). "
                "Leave it out, or take networks='wavegan' for measurements. "
                f"Received: value_range={self.value_range}"
            )
        counts = (self.latent_dim, self.discriminator_steps, self.filters)
        if not all(is_count(each) for each in counts):
            raise ValueError(
                "latent_dim, discriminator_steps and filters must be whole numbers from 1 up. "
                f"Received: latent_dim={self.latent_dim!r}, "
                f"discriminator_steps={self.discriminator_steps!r}, filters={self.filters!r}"
            )
        if not (
            0 <= self.instance_noise < math.inf and 0 <= self.gradient_penalty_weight < math.inf
        ):
            raise ValueError(
                "instance_noise and gradient_penalty_weight must be finite and not negative. "
                "Received: "
                f"instance_noise={self.instance_noise}, "
                f"gradient_penalty_weight={self.gradient_penalty_weight}"
            )


def _made_again(layer: keras.layers.Layer) -> Any:
    return keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
