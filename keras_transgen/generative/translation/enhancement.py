"""Clean images from spoilt ones, learnt from clean images alone."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.generative.adversarial.losses import AdversarialLoss
from keras_transgen.generative.adversarial.steps import Logs
from keras_transgen.generative.config_values import serialized
from keras_transgen.generative.generative_model import GenerativeModel, sampling_seed
from keras_transgen.generative.networks.residual_enhancer import residual_enhancer
from keras_transgen.generative.serving import image_endpoint
from keras_transgen.generative.translation.degradations import Degradation
from keras_transgen.generative.translation.pix2pix import Pix2Pix
from keras_transgen.generative.translation.translation_model import checked_image_shape
from keras_transgen.training.config_from_file import Nested
from keras_transgen.training.serving import Endpoint

_SSIM_WINDOW = 11
_IMAGES_AT_A_TIME = 64
_BEST_PSNR = 100.0
# What Pix2Pix is told and this model decides for itself.
_DECIDED = ("target_shape", "dropout", "step")


@keras.saving.register_keras_serializable(package="keras_transgen")
class Enhancer(Pix2Pix):
    """Removes noise, fills holes or raises the resolution: learns to undo a degradation.

    It is a `Pix2Pix` that makes its pairs itself: `fit` takes clean images, and every step spoils
    its batch anew on the device. The network adds to the spoilt image (enlarged by bicubic where it
    is smaller) what it lacks, and begins with nothing: untrained, `enhance` gives the image back,
    noise and all, or bicubic's.

    The logs are those of `Pix2Pix`: `l1` is the mean absolute difference; with validation data also
    `val_psnr` (peak signal-to-noise ratio, decibels, at most 100 an image) and `val_ssim`
    (structural similarity), of the images that `enhance` gives, clipped to `value_range`.
    Validation images are spoilt in the same way in every epoch.

    For real pairs of spoilt and clean images, use `Pix2Pix` with a `residual_enhancer` as its
    generator.

    Labels that come with the images are ignored. Without optimizers `compile` takes Adam with a
    learning rate of 1e-3 for the generator, and for the discriminator what `Pix2Pix.compile` does.

    Args:
        image_shape: `(height, width, channels)` of the clean images. See `for_size` for others
            after training.
        degradation: What is to be undone: `Noise`, `Holes`, `Downscaling`, a `DegradationPipeline`
            of them, or a `Degradation` of your own.
        generator: Keras model from spoilt to clean images in `value_range`; a `residual_enhancer`
            by default. From `Holes` it receives a further channel: the mask, the upper end of
            `value_range` where a pixel is missing, the lower end elsewhere.
        discriminator: See `Pix2Pix`.
        loss: The adversarial loss; see `Pix2Pix`.
        adversarial_weight: Of the adversarial loss. Defaults to 0: without a discriminator the
            result is the most likely image, which is what PSNR rewards; with one (0.01, say) it is
            sharper and further from the truth.
        reconstruction_weight: Of the mean absolute difference. Defaults to 1. For another distance
            pass 0, and the distance as `perceptual_loss`.
        perceptual_loss: A further Keras loss (or its name, or a callable) of `(clean, made)`.
        perceptual_weight: Its weight.
        ema_decay: See `Pix2Pix`.
        value_range: `(low, high)` of float images; uint8 is scaled to it. Defaults to (0, 1).
        filters: Channels of the networks that are built.
        blocks: Residual blocks of the generator that is built.
        **kwargs: Passed to `TrainerModel` (`seed`, `name`).

    Raises:
        ValueError: If the images' size cannot be degraded (a side not divisible by a factor), a
            network does not fit, or an argument is out of its range.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.generative.translation import Downscaling, Enhancer

        images, _ = ktg.datasets.load_digits()
        model = Enhancer((8, 8, 1), Downscaling(2), filters=4, blocks=1)
        model.fit(images[:256], epochs=1, verbose=0)
        small = model.degrade(images[:4])
        assert small.shape == (4, 4, 4, 1)
        assert model.enhance(small).shape == (4, 8, 8, 1)
        ```

    Reference:
        Zhang et al., Beyond a Gaussian denoiser: residual learning of deep CNN for image denoising,
        2017; Shi et al., Real-time single image and video super-resolution using an efficient
        sub-pixel convolutional neural network, 2016; Pathak et al., Context encoders: feature
        learning by inpainting, 2016; Ledig et al., Photo-realistic single image super-resolution
        using a generative adversarial network, 2017 (with `adversarial_weight`).
    """

    _generator_adam = {"learning_rate": 1e-3}
    _row_names = ("spoilt", "enhanced", "clean")

    def __init__(
        self,
        image_shape: tuple[int, ...],
        degradation: Degradation,
        generator: keras.Model | None = None,
        discriminator: keras.Model | None = None,
        loss: str | AdversarialLoss = "non_saturating",
        label_smoothing: float = 0.0,
        adversarial_weight: float = 0.0,
        reconstruction_weight: float = 1.0,
        perceptual_loss: Any = None,
        perceptual_weight: float = 1.0,
        ema_decay: float | None = 0.99,
        value_range: tuple[float, float] = (0.0, 1.0),
        filters: int = 32,
        blocks: int = 4,
        **kwargs: Any,
    ) -> None:
        clean_shape = checked_image_shape(image_shape, "image_shape")
        _check(degradation, value_range)
        spoilt_shape = degradation.output_shape(clean_shape)
        network = generator
        if network is None:
            mask_range = value_range if degradation.spares_the_rest else None
            network = residual_enhancer(spoilt_shape, clean_shape, filters, blocks, mask_range)
        super().__init__(
            spoilt_shape,
            clean_shape,
            generator=network,
            discriminator=discriminator,
            loss=loss,
            label_smoothing=label_smoothing,
            adversarial_weight=adversarial_weight,
            reconstruction_weight=reconstruction_weight,
            perceptual_loss=perceptual_loss,
            perceptual_weight=perceptual_weight,
            dropout=0.0,
            ema_decay=ema_decay,
            value_range=value_range,
            filters=filters,
            **kwargs,
        )
        self._handed_in["generator"] = generator is not None
        self.degradation = degradation
        self.blocks = blocks

    # What a step is made of

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> Any:
        """The pair of a step, spoilt and clean, and what else `Pix2Pix` draws."""
        clean = GenerativeModel.unpack(self, data)[0]
        seeds = tf.random.split(seed, 2)
        pair = (self._spoilt(clean, seeds[0]), clean)
        return {"pair": pair, "phases": super().draw_noise(data, seeds[1], training)}

    def update_step(self, data: Any, noise: Any) -> Logs:
        """Move the generator, and the discriminator if there is one, and return the logs."""
        return super().update_step(noise["pair"], noise["phases"])

    def evaluation_step(self, data: Any, noise: Any) -> Logs:
        """Losses and measures of the averaged generator on spoilt images."""
        return super().evaluation_step(noise["pair"], noise["phases"])

    def _by_average(self, masks: tuple[tf.Tensor, ...], images: tf.Tensor) -> tf.Tensor:
        """Clipped to the range, which losses are not, in training or validation."""
        return tf.clip_by_value(super()._by_average(masks, images), *self._ends)

    def _spoilt(self, clean: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        low, high = self._ends
        unit = tf.clip_by_value((clean - low) / (high - low), 0.0, 1.0)
        return low + (high - low) * self.degradation(unit, seed)

    @property
    def _ends(self) -> tuple[float, float]:
        assert self.value_range is not None
        return self.value_range

    def _compared(self, targets: tf.Tensor, made: tf.Tensor) -> Logs:
        low, high = self._ends
        window = min(_SSIM_WINDOW, *self.target_shape[:2])
        clean, made = targets - low, tf.clip_by_value(made, low, high) - low
        psnr = tf.image.psnr(clean, made, high - low)
        return {
            # Infinite for an image without any error, which would be the mean of all, too.
            "psnr": tf.reduce_mean(tf.minimum(psnr, _BEST_PSNR)),
            "ssim": tf.reduce_mean(tf.image.ssim(clean, made, high - low, filter_size=window)),
        }

    def _log_names(self) -> list[str]:
        return [*super()._log_names(), "psnr", "ssim"]

    # Data: clean images, without targets

    def examples_in(self, x: Any, y: Any) -> list[tuple[Any, str]]:
        """Clean images alone."""
        return [(x, "clean images")]

    def check_data(self, x: Any, y: Any, sample_weight: Any, training: bool) -> None:
        """Refuse data that are no clean images of this model; labels are ignored."""
        self.check_examples(x, "clean images", self.target_shape)
        if sample_weight is not None:
            raise self._weighs_nothing("sample weights")

    # Using the model

    @takes_any_data("images")
    def degrade(self, images: Any, seed: int | None = None) -> np.ndarray:
        """Spoil clean images as training does: inputs for `enhance`, `predict` and `translate`.

        Args:
            images: Clean images `[count, *image_shape]`, as for `fit`.
            seed: Any integer for the same result every time; `None` for fresh draws.

        Returns:
            Float32 `[count, height, width, channels]` in `value_range`, after `Holes` with the mask
            as a further channel.

        Raises:
            ValueError: If the images are none of this model's.
        """
        self.check_examples(images, "clean images", self.target_shape)
        state = sampling_seed(seed)
        parts = []
        for number, start in enumerate(range(0, len(images), _IMAGES_AT_A_TIME)):
            own = tf.random.experimental.stateless_fold_in(state, number)
            clean = self.scaled(images[start : start + _IMAGES_AT_A_TIME])
            parts.append(self._spoilt(clean, own).numpy())
        return np.concatenate(parts)

    @takes_any_data("images")
    def enhance(self, images: Any, batch_size: int = 16) -> np.ndarray:
        """Make spoilt images better.

        Args:
            images: Spoilt images, uint8 or floats in `value_range`, of the shape that `degrade`
                gives; where the model fills holes, prepared by `Holes.cut`.
            batch_size: Images made at once; it does not change them.

        Returns:
            Float32 `[count, *image_shape]` in `value_range`.

        Raises:
            ValueError: If the images are none of this model's inputs.
        """
        return self.translate(images, batch_size=batch_size)

    def for_size(self, height: int, width: int) -> Enhancer:
        """The same enhancer for images of another size: train on crops, enhance the whole.

        The new model has weights of its own, the averaged ones, and no discriminator.

        Args:
            height: Of the clean images in pixels.
            width: The same.

        Returns:
            A model, not compiled.

        Raises:
            ValueError: If the size cannot be degraded, or the generator that was handed in takes
                images of one size only.
        """
        config = {
            **self.get_config(),
            "image_shape": (height, width, self.target_shape[2]),
            "discriminator": None,
            "adversarial_weight": 0.0,
        }
        # A model of an adversarial loss alone would be refused without it.
        config["reconstruction_weight"] = self.reconstruction_weight or 1.0
        # Without the discriminator it has fewer layers to say something of.
        del config["trains"]
        self.average_what_was_loaded()
        other = type(self).from_config(config)
        weights = list(self.generator.weights)
        if self.average is not None:
            weights = self.average.of(weights)
        for weight, value in zip(other.generator.weights, weights, strict=True):
            weight.assign(value)
        if other.average is not None:
            other.average.restart()
        return other

    def _shown(self, inputs: Any) -> np.ndarray:
        """Without the mask of missing pixels."""
        return super()._shown(inputs)[..., : self.target_shape[2]]

    # Saving

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """`enhance`: spoilt images to clean ones."""
        return {"enhance": image_endpoint(self.example_shape, self.call, input_signature)}

    @classmethod
    def nested_arguments(cls) -> dict[str, Nested]:
        """The arguments that a file gives as objects."""
        return {**super().nested_arguments(), "degradation": Nested(Degradation)}

    def get_config(self) -> dict[str, Any]:
        config = {key: v for key, v in super().get_config().items() if key not in _DECIDED}
        return {
            **config,
            "image_shape": self.target_shape,
            "degradation": serialized(self.degradation),
            "blocks": self.blocks,
        }


def _check(degradation: Any, value_range: Any) -> None:
    if not isinstance(degradation, Degradation):
        raise ValueError(
            "degradation must be a Degradation, such as Noise(0.1), Downscaling(2) or Holes(). "
            f"Received: degradation={degradation!r}"
        )
    if value_range is None:
        raise ValueError(
            "An Enhancer needs to know black and white: value_range=(low, high). "
            "Received: value_range=None"
        )
