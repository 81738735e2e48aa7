"""Images from images, learnt from pairs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.generative.adversarial.contract import Judgement, Logs
from keras_transgen.generative.adversarial.losses import AdversarialLoss
from keras_transgen.generative.adversarial.player_networks import known_shape
from keras_transgen.generative.adversarial.step_noise import Phase
from keras_transgen.generative.adversarial.steps import move, regularization, step_named
from keras_transgen.generative.config_values import serialized
from keras_transgen.generative.generative_model import graph, in_parts, sampling_seed
from keras_transgen.generative.moving_average import averaged
from keras_transgen.generative.networks.patch_discriminator import patch_discriminator
from keras_transgen.generative.networks.unet import unet_generator
from keras_transgen.generative.serving import image_endpoint
from keras_transgen.generative.translation.dropout_masks import (
    batch_masks,
    example_masks,
    neutral_masks,
)
from keras_transgen.generative.translation.pairs_check import check_pairs
from keras_transgen.generative.translation.translation_model import (
    TranslationModel,
    check_judge,
    check_translator,
)
from keras_transgen.plotting.translations import plot_translations
from keras_transgen.training.counts import check_weights
from keras_transgen.training.entrance import FIT_DATA, PARTS
from keras_transgen.training.gradients import num_replicas
from keras_transgen.training.serving import Endpoint
from keras_transgen.training.trainer import batch_size_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DEFAULT_IMAGE_SHAPE = (256, 256, 3)
_TARGETS = "targets (the second argument of fit)"


@keras.saving.register_keras_serializable(package="keras_transgen")
class Pix2Pix(TranslationModel):
    """Learns to make a target image from an input image, by `fit(inputs, targets)`.

    The generator is held to the target by the mean absolute difference, and to what real targets
    look like by a discriminator that sees the input beside each image and judges it patch by
    patch. The logs name the difference `l1`, in the units of `value_range`; with validation data
    `val_l1` is that of `predict`.

    The dropout of the generator is its noise, as in the paper: `translate` draws it, from `seed`
    where one is given; `predict` and `evaluate` leave it out.

    Args:
        image_shape: `(height, width, channels)` of the inputs. Defaults to what the generator
            handed in takes, else to `(256, 256, 3)`.
        target_shape: The same of the targets. Defaults to what the generator handed in makes, else
            to `image_shape`. The built-in networks need sides that can be halved, and targets as
            large as the inputs or a whole number of times larger.
        generator: Keras model from images to images in `value_range`; any will do. Further inputs
            of it receive dropout masks (see `unet_generator`, which is built by default).
        discriminator: Keras model from the list `[input, image]`, or from the image alone if it has
            one input, to logits of patches `[batch, rows, columns, 1]` or of images `[batch, 1]`.
            Built by default: see `patch_discriminator`.
        loss: Name of an adversarial loss, or a callable of real and fake logits; see
            `generative.adversarial.losses`. The mean is over patches, too.
        label_smoothing: How far the discriminator's label of real images lies below 1.
        adversarial_weight: Of the generator's adversarial loss. At 0 there is no discriminator.
        reconstruction_weight: Of the mean absolute difference.
        perceptual_loss: A further Keras loss (or its name, or a callable) of `(target, made)`.
        perceptual_weight: Its weight.
        dropout: Probability with which a number of the deepest maps is set to zero in training and
            in `translate`.
        ema_decay: Decay of the moving average of the generator that `predict` and `translate` use;
            `None` for the generator itself.
        value_range: `(low, high)` of float images; uint8 is scaled to it.
        step: `"shared"` (the generator's pass serves both players), `"two_stage"`, or `"auto"` for
            the first.
        filters: Width of the networks that are built: channels at half the size.
        **kwargs: Passed to `TrainerModel` (`seed`, `name`).

    Raises:
        ValueError: If the networks cannot be built for the shapes or do not fit them, or an
            argument is unknown or out of its range.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.generative.translation import Pix2Pix

        targets, _ = ktg.datasets.load_digits()
        inputs = 1.0 - targets
        model = Pix2Pix(image_shape=(8, 8, 1), filters=4, value_range=(0.0, 1.0))
        model.fit(inputs[:256], targets[:256], batch_size=32, epochs=1, verbose=0)
        made = model.translate(inputs[:4], seed=0)
        assert made.shape == (4, 8, 8, 1)
        ```

    Reference:
        Isola, Zhu, Zhou and Efros, Image-to-image translation with conditional adversarial
        networks, 2017.
    """

    _row_names = ("input", "made", "target")

    def __init__(
        self,
        image_shape: tuple[int, ...] | None = None,
        target_shape: tuple[int, ...] | None = None,
        generator: keras.Model | None = None,
        discriminator: keras.Model | None = None,
        loss: str | AdversarialLoss = "non_saturating",
        label_smoothing: float = 0.0,
        adversarial_weight: float = 1.0,
        reconstruction_weight: float = 100.0,
        perceptual_loss: Any = None,
        perceptual_weight: float = 1.0,
        dropout: float = 0.5,
        ema_decay: float | None = 0.99,
        value_range: tuple[float, float] | None = (-1.0, 1.0),
        step: str = "auto",
        filters: int = 64,
        **kwargs: Any,
    ) -> None:
        image_shape = image_shape or known_shape(generator, "input") or _DEFAULT_IMAGE_SHAPE
        target_shape = target_shape or known_shape(generator, "output") or image_shape
        super().__init__(
            image_shape,
            target_shape,
            loss,
            label_smoothing,
            adversarial_weight,
            ema_decay,
            value_range,
            filters,
            **kwargs,
        )
        self.reconstruction_weight = float(reconstruction_weight)
        self.perceptual_setting = perceptual_loss
        self.perceptual_loss = keras.losses.get(perceptual_loss)
        self.perceptual_weight = float(perceptual_weight)
        self.dropout = float(dropout)
        self.step_setting = step
        self.step_kind = step_named(step)
        self._check_settings(discriminator)
        self._handed_in = {
            "generator": generator is not None,
            "discriminator": discriminator is not None,
        }
        self.generator = generator if generator is not None else self._default_generator()
        self.discriminator = None
        if self.adversarial_weight:
            self.discriminator = (
                discriminator if discriminator is not None else self._default_discriminator()
            )
        self._build_networks()
        self._make_ready()

    def _default_generator(self) -> keras.Model:
        return unet_generator(
            self.example_shape,
            self.target_shape,
            self.filters,
            noise=self.dropout > 0,
            value_range=self.value_range,
        )

    def _default_discriminator(self) -> keras.Model:
        return patch_discriminator(self.target_shape, self.example_shape, self.filters)

    def _build_networks(self) -> None:
        inputs = getattr(self.generator, "inputs", None) or [None]
        self._mask_shapes = [tuple(mask.shape[1:]) for mask in inputs[1:]]
        image = keras.Input(self.example_shape)
        masks = [keras.Input(shape) for shape in self._mask_shapes]
        check_translator(self.generator, [image, *masks] if masks else image, self.target_shape)
        if self.discriminator is None:
            return
        self._sees_input = len(getattr(self.discriminator, "inputs", None) or [None] * 2) > 1
        check_judge(self.discriminator, self.discriminator_inputs())
        self._judge_together()

    def discriminator_inputs(self) -> Any:
        """Symbolic inputs of the discriminator."""
        target = keras.Input(self.target_shape)
        return [keras.Input(self.example_shape), target] if self._sees_input else target

    @property
    def discriminator_layers(self) -> list[keras.layers.Layer]:
        """The layers that train as the discriminator; none without an adversarial loss."""
        return [] if self.discriminator is None else [self.discriminator]

    # What a step is made of: the targets are the real examples, the inputs their condition.

    def unpack(self, data: Any) -> tuple[tf.Tensor, Any, Any]:
        """Split a step's batch into targets and inputs, both scaled, and no weights."""
        inputs, targets, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self.scaled(targets), self.scaled(inputs), None

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> list[Phase]:
        """The dropout masks of a step, a set for each pass of the generator; none to evaluate."""
        if not training:
            return []
        passes = 1 + (self.step_kind == "two_stage" and self.discriminator is not None)
        return [
            {
                "latent": batch_masks(
                    self._mask_shapes,
                    batch_size_of(data),
                    self.dropout,
                    tf.random.experimental.stateless_fold_in(seed, number),
                ),
                "real": {},
                "fake": {},
            }
            for number in range(passes)
        ]

    def condition_for(self, y: Any, phase: Phase) -> Any:
        """The inputs, scaled."""
        return (y,)

    def generate(self, latent: Any, condition: Any, training: bool) -> tf.Tensor:
        """Images, float32, from dropout masks and inputs by the generator as it is."""
        (inputs,) = condition
        together = [inputs, *latent] if self._mask_shapes else inputs
        return tf.cast(self.generator(together, training=training), tf.float32)

    def judge(
        self, examples: tf.Tensor, condition: Any, corruption: dict[str, tf.Tensor], training: bool
    ) -> Judgement:
        """The discriminator's logits of all patches, `[batch, patches]`."""
        assert self.discriminator is not None
        inputs = [condition[0], examples] if self._sees_input else examples
        return self._patches(self.discriminator, inputs, training)

    def sample_loss(self, real: tf.Tensor, fake: tf.Tensor) -> tuple[tf.Tensor, Logs]:
        """The weighted distances of made images from their targets, and the distances."""
        logs = {"l1": tf.reduce_mean(tf.abs(real - fake))}
        loss = self.reconstruction_weight * logs["l1"]
        if self.perceptual_loss is not None:
            perceptual = tf.reduce_mean(tf.cast(self.perceptual_loss(real, fake), tf.float32))
            if isinstance(self.perceptual_loss, keras.losses.Loss):
                # Keras' losses divide by the number of replicas; here the step's weight does.
                perceptual *= num_replicas()
            logs["perceptual"] = perceptual
            loss += self.perceptual_weight * perceptual
        return loss, logs

    def update_step(self, data: Any, noise: list[Phase]) -> Logs:
        """Move both players, or the generator alone, and return the logs."""
        if self.discriminator is not None:
            return super().update_step(data, noise)
        targets, inputs, _ = self.unpack(data)
        size = batch_size_of(targets)

        def objective() -> tuple[tf.Tensor, Logs]:
            made = self.generate(noise[0]["latent"], (inputs,), training=True)
            loss, logs = self.sample_loss(targets, made)
            return loss + regularization(self.generator_layers), logs

        moved, logs = move(
            self, "generator", self.generator_optimizer, self.generator_variables, size, objective
        )
        if self.average is not None:
            self.average.update(self.progress.step.value)
        return self._epoch_means({**logs, **moved}, size)

    def evaluation_step(self, data: Any, noise: list[Phase]) -> Logs:
        """Losses and scores of the averaged generator, without noise."""
        targets, inputs, _ = self.unpack(data)

        def evaluated() -> Logs:
            with averaged(self.average):
                made = self.generate(self._neutral(inputs), (inputs,), training=False)
                penalty = regularization(self.generator_layers)
            loss, logs = self.sample_loss(targets, made)
            loss += penalty
            logs.update(self._compared(targets, made))
            if self.discriminator is None:
                return {**logs, "generator_loss": loss}
            on_real = self.judge(targets, (inputs,), {}, training=False).logits
            on_fake = self.judge(made, (inputs,), {}, training=False).logits
            losses = self.adversarial_loss(on_real, on_fake)
            return {
                **logs,
                "generator_loss": losses.generator + loss,
                "discriminator_loss": losses.discriminator
                + regularization(self.discriminator_layers),
                "real_score": tf.reduce_mean(on_real),
                "fake_score": tf.reduce_mean(on_fake),
            }

        return self._epoch_means(self.replica_function(evaluated)(), batch_size_of(targets))

    def _compared(self, targets: tf.Tensor, made: tf.Tensor) -> Logs:
        """Further measures of validation images."""
        return {}

    def _log_names(self) -> list[str]:
        names = ["generator_loss", "generator_gradient_norm", "l1"]
        if self.perceptual_loss is not None:
            names.append("perceptual")
        if self.discriminator is not None:
            names += [name for name in super()._log_names() if name not in names]
        return names

    # Data

    def examples_in(self, x: Any, y: Any) -> list[tuple[Any, str]]:
        """Both images of each pair."""
        return [(x, "inputs"), (y, "targets")]

    def check_labels(self, y: Any) -> None:
        """Refuse targets that are none of this model's."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} learns from pairs: fit(inputs, targets), or a data set of "
                "(inputs, targets). For images without partners use CycleGAN. Received: no targets"
            )
        self.check_examples(y, _TARGETS, self.target_shape)

    @takes_any_data(*FIT_DATA, training=True)
    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train the model on inputs and targets, or on a data set of `(inputs, targets)` batches.

        Takes the arguments of `keras.Model.fit` and returns its history. See `TrainerModel.fit`.

        Raises:
            ValueError: If the data are no pairs of this model, before training starts.
        """
        check_pairs(x, y, type(self).__name__)
        return super().fit(x, y, *args, **kwargs)

    @takes_any_data(*PARTS)
    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluate the model, with the arguments and the result of `keras.Model.evaluate`."""
        check_pairs(x, y, type(self).__name__)
        return super().evaluate(x, y, *args, **kwargs)

    # Using the model

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        """Images made of inputs by the averaged generator, without noise."""
        images = self.scaled(inputs)
        return self._by_average(self._neutral(images), images)

    def _neutral(self, images: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return neutral_masks(self._mask_shapes, tf.shape(images)[0])

    def _by_average(self, masks: tuple[tf.Tensor, ...], images: tf.Tensor) -> tf.Tensor:
        with averaged(self.average):
            return self.generate(masks, (images,), training=False)

    @takes_any_data("images")
    def translate(self, images: Any, seed: int | None = None, batch_size: int = 16) -> np.ndarray:
        """Make images of images, with the generator's noise.

        Args:
            images: Inputs, as for `fit`.
            seed: Any integer for the same noise every time; `None` for fresh noise. `predict`
                leaves it out.
            batch_size: Images made at once; it does not change them.

        Returns:
            Float32 `[count, *target_shape]` in `value_range`.

        Raises:
            ValueError: If the images are none of this model's inputs.
        """
        self.check_examples(images, "images")
        translate = functools.partial(self._translating_function, seed=sampling_seed(seed))
        self.average_what_was_loaded()
        return in_parts(translate, (images, tf.range(len(images), dtype=tf.int32)), batch_size)

    @functools.cached_property
    def _translating_function(self) -> Callable[..., tf.Tensor]:
        def made(images: tf.Tensor, numbers: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
            masks = example_masks(self._mask_shapes, numbers, self.dropout, seed)
            return self._by_average(masks, self.scaled(images))

        return graph(made)

    @takes_any_data("inputs", "targets")
    def translation_grid(self, inputs: Any, targets: Any = None, seed: int | None = None) -> Figure:
        """Inputs in a row, what the model makes of them below, and the targets if there are any.

        Args:
            inputs: About eight images, as for `fit`.
            targets: Their targets, or `None`.
            seed: See `translate`.

        Returns:
            A Matplotlib figure.
        """
        rows = [self._shown(inputs), self.translate(inputs, seed)]
        if targets is not None:
            rows.append(np.asarray(self.scaled(targets)))
        named = dict(zip(self._row_names, rows))
        return plot_translations(named, value_range=self.value_range or (0.0, 1.0))

    def _shown(self, inputs: Any) -> np.ndarray:
        return np.asarray(self.scaled(inputs))

    # Saving

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """`translate`, as `predict` does it: without the generator's noise."""
        return {"translate": image_endpoint(self.example_shape, self.call, input_signature)}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **self._networks_handed_in(),
            "adversarial_weight": self.adversarial_weight,
            "reconstruction_weight": self.reconstruction_weight,
            "perceptual_loss": serialized(self.perceptual_setting),
            "perceptual_weight": self.perceptual_weight,
            "dropout": self.dropout,
            "step": self.step_setting,
        }

    def _check_settings(self, discriminator: Any) -> None:
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(
                f"dropout must be at least 0 and below 1. Received: dropout={self.dropout}"
            )
        check_weights(
            reconstruction_weight=self.reconstruction_weight,
            perceptual_weight=self.perceptual_weight,
        )
        without = self.perceptual_setting is None or not self.perceptual_weight
        if not self.adversarial_weight and not self.reconstruction_weight and without:
            raise ValueError(
                "Nothing would tell the generator what to make: raise adversarial_weight or "
                "reconstruction_weight, or give a perceptual_loss. Received: all of them 0"
            )
        if discriminator is not None and not self.adversarial_weight:
            raise ValueError(
                "A discriminator has no part in training without an adversarial loss. Leave it out "
                "or raise adversarial_weight. Received: discriminator=..., adversarial_weight=0"
            )
