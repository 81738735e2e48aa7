"""An autoencoder whose latents a flow can learn: perceptual, of patches, standardised."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.fusion.latent_codec import LatentCodec
from keras_transgen.fusion.measured_latents import (
    ForgottenScale,
    can_be_read_again,
    measure_latents,
)
from keras_transgen.generative.adversarial.adversarial_model import AdversarialModel
from keras_transgen.generative.adversarial.contract import Logs
from keras_transgen.generative.adversarial.losses import adversarial_loss
from keras_transgen.generative.adversarial.steps import gradient_norm, regularization
from keras_transgen.generative.config_values import serialized
from keras_transgen.generative.generative_model import graph, in_parts
from keras_transgen.generative.moving_average import MovingAverage, averaged
from keras_transgen.generative.networks.patch_discriminator import patch_discriminator
from keras_transgen.generative.serving import examples_spec
from keras_transgen.generative.translation.translation_model import check_judge
from keras_transgen.plotting.translations import plot_translations
from keras_transgen.training import loss_weight
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.counts import check_count, check_weights
from keras_transgen.training.entrance import FIT_DATA
from keras_transgen.training.gradients import num_replicas
from keras_transgen.training.serving import Endpoint
from keras_transgen.training.trainer import batch_size_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ADAM = {"learning_rate": 1e-3}
# The second moment of a discriminator that begins late would be far too small with 0.999.
_DISCRIMINATOR_ADAM = {"learning_rate": 2e-4, "beta_1": 0.5, "beta_2": 0.9}


@keras.saving.register_keras_serializable(package="keras_transgen")
class LatentAutoencoder(AdversarialModel):
    """Brings images to a small map of latents and back, by `fit(images)`; for `LatentFlow`.

    With the encoder's normal distribution q(z|x) of latents, a z drawn from it and the decoder's
    image y(z), values taken in [-1, 1], it minimises

        pixel_weight mean |x - y| + perceptual_weight d(x, y)
            + kl_weight mean KL(q(z|x) || N(0, 1)) + adversarial_weight mean(-D(y))

    d is a pretrained network's distance (`PerceptualLoss`), the KL a mean over the latents in nats,
    and D a discriminator that judges patches, by the hinge loss, from step `adversarial_start` on.
    The logs name the parts `pixel`, `perceptual`, `kl` and `adversarial` without their weights, and
    `gradient_norm`, the length of the gradient of encoder and decoder.

    After `fit` the mean and deviation of each channel of the latents are measured on the training
    images (10,000 at most), and are weights of the model: `encode` gives standardised latents and
    `decode` takes them. A training that begins forgets them, so that one that is stopped, or what
    `ModelCheckpoint` writes, asks for `standardize(images)`. Both, `reconstruct` and `evaluate` use
    the averaged weights, and the mean of q(z|x) where training draws from it.

    With `levels` latents are quantised: nothing is drawn and there is no KL. Each latent lies
    within (-1, 1), and the decoder sees the nearest of so many evenly spaced values, of which
    `codes` gives the numbers. `encode` gives latents before they are rounded, for a flow to learn.

    Args:
        image_shape: `(height, width, channels)`, the sides multiples of `downsampling`. Defaults to
            `(64, 64, 3)`.
        perceptual_loss: A `fusion.PerceptualLoss`, or another Keras loss of `(images, made)`. Its
            `value_range` must be the model's. Without it pictures are blurred.
        latent_channels: Channels of the latents. Defaults to 4.
        downsampling: Pixels a side that a place of the latents stands for: 2, 4 (default), 8, ...
        width: Channels of the networks' largest maps. Defaults to 48.
        pixel_weight: Of the mean absolute difference. Defaults to 1.
        perceptual_weight: Of the perceptual loss. Defaults to 1.
        kl_weight: Of the KL, in nats a latent. Defaults to 1e-4, which keeps latents near zero and
            smooth without losing detail. Not used with `levels`.
        levels: Values that each latent is rounded to, from 2 up; a place of the latents has one of
            `levels ** latent_channels` codes. `None`, the default, for normal latents.
        adversarial_weight: Of the discriminator's part. At 0, the default, there is none.
        adversarial_start: Step from which the discriminator takes part; until then it costs
            nothing. Defaults to 500.
        discriminator_filters: Channels of the discriminator's first maps. Defaults to 32.
        ema_decay: Share that the moving average of the weights keeps in a step; `None` for none.
            Defaults to 0.995.
        value_range: `(low, high)` of float images and of what is made; uint8 is scaled to it.
            Defaults to `(-1, 1)`.
        **kwargs: `seed` and others of `TrainerModel`.

    Raises:
        ValueError: If the sides are no multiples of `downsampling`, or an argument is out of its
            range.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.fusion import LatentAutoencoder, PerceptualLoss

        images, _ = ktg.datasets.load_digits()
        loss = PerceptualLoss("digits", ["block1_pool"], value_range=(0.0, 1.0))
        autoencoder = LatentAutoencoder((8, 8, 1), loss, width=8, value_range=(0.0, 1.0))
        autoencoder.fit(images[:256], epochs=1, verbose=0)
        assert autoencoder.encode(images[:4]).shape == (4, 2, 2, 4)
        ```

    Reference:
        Rombach et al., High-resolution image synthesis with latent diffusion models, 2022; Esser,
        Rombach and Ommer, Taming transformers for high-resolution image synthesis, 2021; of
        `levels`, Mentzer et al., Finite scalar quantization: VQ-VAE made simple, 2024.
    """

    # What the steps of adversarial models ask for and no autoencoder has.
    latent_dim = 0
    penalty = None
    augmentation = None
    instance_noise = 0.0

    def __init__(
        self,
        image_shape: tuple[int, ...] = (64, 64, 3),
        perceptual_loss: Any = None,
        latent_channels: int = 4,
        downsampling: int = 4,
        width: int = 48,
        pixel_weight: float = 1.0,
        perceptual_weight: float = 1.0,
        kl_weight: float = 1e-4,
        adversarial_weight: float = 0.0,
        adversarial_start: int = 500,
        discriminator_filters: int = 32,
        ema_decay: float | None = 0.995,
        value_range: tuple[float, float] = (-1.0, 1.0),
        levels: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_shape, value_range, **kwargs)
        if self.value_range is None:
            raise ValueError(
                "Images are made between two values: give value_range=(low, high). "
                "Received: value_range=None"
            )
        self.perceptual_setting = perceptual_loss
        self.perceptual_loss = _found_loss(perceptual_loss)
        # A layer of this model, so that its weights are known as the model's.
        self.perceptual_features = getattr(self.perceptual_loss, "features", None)
        check_weights(
            pixel_weight=pixel_weight,
            perceptual_weight=perceptual_weight,
            kl_weight=kl_weight,
            adversarial_weight=adversarial_weight,
        )
        self.pixel_weight = float(pixel_weight)
        self.perceptual_weight = float(perceptual_weight)
        self.kl_weight = float(kl_weight)
        self.adversarial_weight = float(adversarial_weight)
        self.adversarial_start = adversarial_start
        self.discriminator_filters = discriminator_filters
        self.ema_decay = ema_decay
        self._check_weights()
        sizes = (latent_channels, downsampling, width)
        self.codec = LatentCodec(
            self.example_shape, *sizes, value_range, levels=levels, name="codec"
        )
        self.adversarial_loss = adversarial_loss("hinge")
        self.discriminator = None
        if self.adversarial_weight:
            self.discriminator = patch_discriminator(
                self.example_shape, filters=discriminator_filters
            )
            check_judge(self.discriminator, keras.Input(self.example_shape))
        self._handed_in = {}
        self.average = (
            None if ema_decay is None else MovingAverage(self.generator_layers, ema_decay)
        )
        self._trackers = [keras.metrics.Mean(name=name) for name in self._log_names()]
        self.built = True
        self.check_parts()

    def _check_weights(self) -> None:
        seen = self.perceptual_loss is not None and self.perceptual_weight
        if not self.pixel_weight and not seen:
            raise ValueError(
                "Nothing would tell the decoder what to make: raise pixel_weight, or give a "
                "perceptual_loss with a weight. Received: neither"
            )
        check_count("adversarial_start", self.adversarial_start, 0)
        check_count("discriminator_filters", self.discriminator_filters)

    # The parts

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """`(rows, columns, channels)` of an image's latents."""
        return self.codec.latent_shape

    @property
    def standardized(self) -> bool:
        """Whether mean and deviation of the latents are known: after `fit`, or `standardize`."""
        return self.codec.scale.adapted

    @property
    def generator_layers(self) -> list[keras.layers.Layer]:
        """Encoder and decoder, which train together and which the moving average follows."""
        return [self.codec.encoder, self.codec.decoder]

    @property
    def discriminator_layers(self) -> list[keras.layers.Layer]:
        """The layers that train as the discriminator; none without an adversarial loss."""
        return [] if self.discriminator is None else [self.discriminator]

    def averaged_codec(self) -> LatentCodec:
        """A copy of encoder, decoder and scale with the averaged weights, frozen."""
        self.average_what_was_loaded()
        weights = self.codec.weights
        return self.codec.copy_of(weights if self.average is None else self.average.of(weights))

    # Training

    def compile(
        self,
        optimizer: Any = None,
        discriminator_optimizer: Any = None,
        jit_compile: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        """Configure the model for training; `fit` does it with the defaults if nobody has.

        Args:
            optimizer: Of encoder and decoder, a Keras optimizer or its name. Defaults to Adam with
                a learning rate of 0.001.
            discriminator_optimizer: Another one. Defaults to Adam with a learning rate of 2e-4,
                `beta_1=0.5` and `beta_2=0.9`.
            jit_compile: `True`, `False` or `"auto"`; see `TrainerModel.compile`.
            **kwargs: `run_eagerly`, `steps_per_execution`; see `TrainerModel.compile`.

        Raises:
            ValueError: If one optimizer is given twice.
        """
        with self.distribute_strategy.scope():
            optimizer = keras.optimizers.Adam(**_ADAM) if optimizer is None else optimizer
            if discriminator_optimizer is None:
                discriminator_optimizer = keras.optimizers.Adam(**_DISCRIMINATOR_ADAM)
        super().compile(optimizer, discriminator_optimizer, jit_compile, **kwargs)
        self.remember_compile(
            optimizer=optimizer, discriminator_optimizer=discriminator_optimizer, **kwargs
        )

    @takes_any_data(*FIT_DATA, training=True)
    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train the model, then measure the scale of its latents on the same images.

        Takes the arguments of `keras.Model.fit` and returns its history. A Python generator is used
        up by training: call `standardize(images)` after it.

        Raises:
            ValueError: If the data do not fit the model, before training starts.
        """
        history = super().fit(x, y, *args, **kwargs)
        if can_be_read_again(x):
            measure_latents(self, x)
        return history

    def _with_own_callbacks(self, callbacks: Any, passed: Any = None) -> Any:
        found = super()._with_own_callbacks(callbacks, passed)
        return [ForgottenScale(), *found] if isinstance(found, list) else found

    @takes_any_data("images")
    def standardize(self, images: Any) -> None:
        """Measure mean and deviation of each channel of the latents; `fit` does it at its end.

        Args:
            images: As for `fit`, or a data set of batches of them; 10,000 are looked at.

        Raises:
            ValueError: If they are none of this model's, or a generator, which could be read once.
        """
        if not can_be_read_again(images):
            raise ValueError(
                "standardize takes images, or a data set of batches of them. "
                f"Received: images of type {type(images).__name__}"
            )
        measure_latents(self, images)

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> Any:
        """Standard normal `[batch, *latent_shape]`; zeros in evaluation, which takes the means."""
        if self.codec.levels is not None:
            return ()
        shape = [batch_size_of(data), *self.latent_shape]
        return tf.random.stateless_normal(shape, seed) if training else tf.zeros(shape)

    def update_step(self, data: Any, noise: Any) -> Logs:
        """Move encoder and decoder, and the discriminator on what they made, once it takes part."""
        images, _, _ = self.unpack(data)
        size = batch_size_of(images)
        takes_part = self._takes_part()

        def objective() -> tuple[tf.Tensor, tuple[tf.Tensor, Logs]]:
            loss, made, logs = self._compared(images, noise, takes_part, True)
            return loss, (made, logs)

        weight = loss_weight(size, self.generator_optimizer)
        variables = self.generator_variables
        gradients, loss, (made, logs) = self.gradients_of(objective, variables, weight)
        self.apply_gradients(self.generator_optimizer, gradients, variables)
        logs["gradient_norm"] = gradient_norm(gradients, weight)
        if self.discriminator is not None:
            made = tf.stop_gradient(made)
            logs.update(self._move_discriminator(images, made, takes_part, size))
        if self.average is not None:
            self.average.update(self.progress.step.value)
        return self._logged(loss, logs, size)

    def _takes_part(self) -> tf.Tensor:
        return tf.convert_to_tensor(self.progress.step.value) >= self.adversarial_start

    def _compared(
        self, images: tf.Tensor, noise: tf.Tensor, takes_part: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor, Logs]:
        """What encoder and decoder minimise, what they made, and the parts."""
        low, high = self.codec.value_range
        latents, log_variance = self.codec.posterior(images, training)
        logs = {}
        loss = tf.constant(0.0)
        if log_variance is not None:
            divergence = tf.square(latents) + tf.exp(log_variance) - 1.0 - log_variance
            logs["kl"] = 0.5 * tf.reduce_mean(divergence)
            loss += self.kl_weight * logs["kl"]
            latents += tf.exp(0.5 * log_variance) * noise
        made = self.codec.reconstructed(latents, training)
        logs["pixel"] = tf.reduce_mean(tf.abs(images - made)) * (2.0 / (high - low))
        loss += self.pixel_weight * logs["pixel"]
        if self.perceptual_loss is not None:
            distance = tf.reduce_mean(tf.cast(self.perceptual_loss(images, made), tf.float32))
            if isinstance(self.perceptual_loss, keras.losses.Loss):
                # Keras' losses divide by the number of replicas; here the step's weight does.
                distance *= num_replicas()
            logs["perceptual"] = distance
            loss += self.perceptual_weight * distance
        if self.discriminator is not None:
            logs["adversarial"] = tf.cond(
                takes_part, lambda: -tf.reduce_mean(self._patches(made, training)), _nothing
            )
            loss += self.adversarial_weight * logs["adversarial"]
        return loss + regularization(self.generator_layers), made, logs

    def _patches(self, images: tf.Tensor, training: bool) -> tf.Tensor:
        """The discriminator's logits, one for each patch of images."""
        assert self.discriminator is not None
        return tf.cast(self.discriminator(images, training=training), tf.float32)

    def _judged(
        self, images: tf.Tensor, made: tf.Tensor, takes_part: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The discriminator's loss, and its mean logits of images and of what is made of them."""

        def judged() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            real, fake = self._patches(images, training), self._patches(made, training)
            loss = self.adversarial_loss(real, fake).discriminator
            loss += regularization(self.discriminator_layers)
            return loss, tf.reduce_mean(real), tf.reduce_mean(fake)

        return tf.cond(takes_part, judged, lambda: (_nothing(), _nothing(), _nothing()))

    def _move_discriminator(
        self, images: tf.Tensor, made: tf.Tensor, takes_part: tf.Tensor, size: tf.Tensor
    ) -> Logs:
        def objective() -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
            loss, *scores = self._judged(images, made, takes_part, True)
            return loss, tuple(scores)

        optimizer, variables = self.discriminator_optimizer, self.discriminator_variables
        weight = loss_weight(size, optimizer)
        gradients, loss, (real, fake) = self.gradients_of(objective, variables, weight)
        self.apply_gradients(optimizer, gradients, variables)
        return {"discriminator_loss": loss, "real_score": real, "fake_score": fake}

    def evaluation_step(self, data: Any, noise: Any) -> Logs:
        """The loss and its parts on held-out images, of the averaged weights."""
        images, _, _ = self.unpack(data)
        takes_part = self._takes_part()

        def evaluated() -> tuple[tf.Tensor, Logs]:
            with averaged(self.average):
                loss, made, logs = self._compared(images, noise, takes_part, False)
            if self.discriminator is not None:
                judged = self._judged(images, made, takes_part, False)
                names = ("discriminator_loss", "real_score", "fake_score")
                logs.update(zip(names, judged))
            return loss, logs

        loss, logs = self.replica_function(evaluated)()
        return self._logged(loss, logs, batch_size_of(images))

    def _logged(self, loss: tf.Tensor, logs: Logs, size: tf.Tensor) -> Logs:
        means = self._epoch_means(logs, size)
        self._loss_tracker.update_state(
            tf.where(size > 0, loss, 0.0), sample_weight=tf.where(size > 0, size, 0)
        )
        return {"loss": self._loss_tracker.result(), **means}

    def _log_names(self) -> list[str]:
        names = ["pixel", "gradient_norm"]
        if self.codec.levels is None:
            names.append("kl")
        if self.perceptual_loss is not None:
            names.append("perceptual")
        if self.discriminator is not None:
            names += ["adversarial", "discriminator_loss", "real_score", "fake_score"]
        return names

    # Using the model

    def check_inputs(self, x: Any) -> None:
        """Refuse what is no image of this model; see `TrainerModel.check_inputs`."""
        self.check_examples(x, "images")

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        """Reconstructions of images, by the averaged weights."""
        images = self.scaled(inputs)
        with averaged(self.average):
            made = self.codec.reconstructed(self.codec.posterior(images)[0])
        return tf.clip_by_value(made, *self.codec.value_range)

    @takes_any_data("images")
    def reconstruct(self, images: Any, batch_size: int = 64) -> np.ndarray:
        """Images brought to their latents' means and back.

        Args:
            images: As for `fit`.
            batch_size: Images at a time.

        Returns:
            Float32 `[count, *image_shape]` in `value_range`.

        Raises:
            ValueError: If the images are none of this model's.
        """
        self.check_examples(images, "images")
        return self._computed("reconstruct", images, batch_size)

    @takes_any_data("images")
    def encode(self, images: Any, batch_size: int = 64) -> np.ndarray:
        """Standardised latents of images, the means of q(z|x).

        Args:
            images: As for `fit`.
            batch_size: Images at a time.

        Returns:
            Float32 `[count, *latent_shape]`.

        Raises:
            ValueError: If the images are none of this model's, or the latents' scale is not known.
        """
        self.check_standardized()
        self.check_examples(images, "images")
        return self._computed("encode", images, batch_size)

    @takes_any_data("images")
    def codes(self, images: Any, batch_size: int = 64) -> np.ndarray:
        """Numbers of the levels that images' latents are rounded to.

        Args:
            images: As for `fit`.
            batch_size: Images at a time.

        Returns:
            Int32 `[count, *latent_shape]` from 0 to `levels - 1`.

        Raises:
            ValueError: If the images are none of this model's, or its latents are not quantised.
        """
        if self.codec.levels is None:
            raise ValueError(
                "Latents of a normal distribution have no codes: give LatentAutoencoder levels=8, "
                "say. Received: levels=None"
            )
        self.check_examples(images, "images")
        return self._computed("codes", images, batch_size).astype("int32")

    def decode(self, latents: Any, batch_size: int = 64) -> np.ndarray:
        """Images of standardised latents.

        Args:
            latents: `[count, *latent_shape]`, as `encode` gives them.
            batch_size: Images at a time.

        Returns:
            Float32 `[count, *image_shape]` in `value_range`.

        Raises:
            ValueError: If they are no latents of this model, or their scale is not known.
        """
        self.check_standardized()
        latents = np.asarray(latents, "float32")
        if latents.shape[1:] != self.latent_shape or not len(latents):
            raise ValueError(
                f"latents must be of shape [count, {', '.join(map(str, self.latent_shape))}]. "
                f"Received: shape {list(latents.shape)}"
            )
        if not np.isfinite(latents).all():
            raise ValueError(
                "latents must be finite numbers. Received: latents with NaN or infinite values"
            )
        return self._computed("decode", latents, batch_size)

    def check_standardized(self) -> None:
        """Refuse to hand out latents before their scale is known.

        Raises:
            ValueError: If it is not.
        """
        if not self.standardized:
            raise ValueError(
                "The scale of the latents is measured at the end of fit(images): call it first, or "
                "standardize(images) after a training that was stopped or read a Python generator. "
                f"Received: a {type(self).__name__} whose latents were not measured since"
            )

    def _computed(self, name: str, data: Any, batch_size: int) -> np.ndarray:
        self.average_what_was_loaded()
        return in_parts(self._functions[name], (data,), batch_size)

    @functools.cached_property
    def _functions(self) -> dict[str, Callable[..., tf.Tensor]]:
        def encode(images: tf.Tensor) -> tf.Tensor:
            with averaged(self.average):
                return self.codec.encode(self.scaled(images))

        def latents(images: tf.Tensor) -> tf.Tensor:
            with averaged(self.average):
                return self.codec.posterior(self.scaled(images))[0]

        def decode(latents: tf.Tensor) -> tf.Tensor:
            with averaged(self.average):
                return self.codec.decode(tf.cast(latents, tf.float32))

        def codes(images: tf.Tensor) -> tf.Tensor:
            return self.codec.codes(latents(images))

        made = {"encode": encode, "decode": decode, "reconstruct": self.call, "latents": latents}
        if self.codec.levels is not None:
            made["codes"] = codes
        return {name: graph(function) for name, function in made.items()}

    @takes_any_data("images")
    def reconstruction_grid(self, images: Any) -> Figure:
        """Images in a row and their reconstructions below, as a Matplotlib figure.

        Args:
            images: About eight, as for `fit`.
        """
        rows = {"image": np.asarray(self.scaled(images)), "made": self.reconstruct(images)}
        return plot_translations(rows, value_range=self.codec.value_range)

    # Saving

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """`encode` (images to `latents`), `decode` (back), `reconstruct`; `codes` with levels."""
        # It would answer in the scale of latents that were never measured.
        self.check_standardized()
        functions = self._functions
        images = examples_spec(self.example_shape, input_signature)
        latents = tf.TensorSpec([None, *self.latent_shape], tf.float32, "latents")
        endpoints = {
            "encode": Endpoint(lambda x: {"latents": functions["encode"](x)}, images),
            "decode": Endpoint(lambda z: {"images": functions["decode"](z)}, (latents,)),
            "reconstruct": Endpoint(lambda x: {"images": functions["reconstruct"](x)}, images),
        }
        if "codes" in functions:
            endpoints["codes"] = Endpoint(lambda x: {"codes": functions["codes"](x)}, images)
        return endpoints

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "image_shape": self.example_shape,
            "perceptual_loss": serialized(self.perceptual_setting),
            "latent_channels": self.codec.latent_channels,
            "downsampling": self.codec.downsampling,
            "width": self.codec.width,
            "pixel_weight": self.pixel_weight,
            "perceptual_weight": self.perceptual_weight,
            "kl_weight": self.kl_weight,
            "adversarial_weight": self.adversarial_weight,
            "adversarial_start": self.adversarial_start,
            "discriminator_filters": self.discriminator_filters,
            "ema_decay": self.ema_decay,
            "value_range": self.value_range,
            "levels": self.codec.levels,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LatentAutoencoder:
        """Make the model again from what `get_config` returned."""
        loss = Nested(Callable, optional=True, names=True, functions=True)
        return cls(**arguments_from_file(cls, config, perceptual_loss=loss))


def _found_loss(loss: Any) -> Any:
    """The perceptual loss; `None` for none."""
    try:
        return keras.losses.get(loss)
    except ValueError as error:
        raise ValueError(
            "perceptual_loss must be a Keras loss: of a pretrained network by its name, "
            f"fusion.PerceptualLoss(name, value_range=...). Received: perceptual_loss={loss!r:.100}"
        ) from error


def _nothing() -> tf.Tensor:
    return tf.constant(0.0)
