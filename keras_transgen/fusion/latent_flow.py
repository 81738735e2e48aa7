"""Flow matching in the latents of a trained autoencoder: images out, at a part of the cost."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.backbones.multi_scale_features import MultiScaleFeatures
from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.fusion.latent_autoencoder import LatentAutoencoder
from keras_transgen.fusion.latent_codec import LatentCodec
from keras_transgen.fusion.latent_views import LatentViews, refuse_weights, whole_data
from keras_transgen.generative.flow.flow_matching import FlowMatching
from keras_transgen.training.batches import split_last
from keras_transgen.training.config_from_file import Nested
from keras_transgen.training.entrance import FIT_DATA, PARTS
from keras_transgen.training.trainable_flags import KeepsFrozen

# Of the second part of the data where an alignment has features of its own there.
_FEATURES = "features_of_clean_images"
_CONDITION = "condition"


@keras.saving.register_keras_serializable(package="keras_transgen")
class LatentFlow(KeepsFrozen, FlowMatching):
    """`FlowMatching` on the standardised latents of a frozen autoencoder, by `fit(images, labels)`.

    The noise, the network and the loss are those of `FlowMatching`, with latents
    `[rows, columns, channels]` in the place of images; `sample` and `decode` end with the
    autoencoder's decoder and give images. `encode` and `log_likelihood` (the density of the
    standardised latents) begin with its encoder.

    Images are encoded once, when `fit` begins: what a data set gives in one pass is what is learnt,
    so augment by `mirrored=True` instead of in the data set. The autoencoder is copied with its
    averaged weights and is saved with the model, without its discriminator and its losses.

    Args:
        autoencoder: A `LatentAutoencoder` that has been trained, or a `LatentCodec`.
        num_classes: As in `FlowMatching`.
        condition_shape: As in `FlowMatching`.
        condition_encoder: As in `FlowMatching`.
        mirrored: Whether the images' mirror images are learnt, too: as a second view of each.
        align_with: As in `FlowMatching`. The features of the images are computed once, when `fit`
            begins.
        **kwargs: Further arguments of `FlowMatching`: `network`, `width`, `prediction`, `times`,
            `unlabelled_probability`, `embedding_dim`, `ema_decay`, `class_names`,
            `alignment_weight`, `align_layer`, `seed`.

    Raises:
        ValueError: If the autoencoder has not been trained, or an argument is out of its range.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.fusion import LatentAutoencoder, LatentFlow

        images, labels = ktg.datasets.load_digits()
        autoencoder = LatentAutoencoder((8, 8, 1), width=8, value_range=(0.0, 1.0))
        autoencoder.fit(images[:256], epochs=1, verbose=0)
        flow = LatentFlow(autoencoder, num_classes=10, width=8)
        flow.fit(images[:256], labels[:256], epochs=1, verbose=0)
        assert flow.sample([7, 7], steps=2, seed=0).shape == (2, 8, 8, 1)
        ```

    Reference:
        Rombach et al., High-resolution image synthesis with latent diffusion models, 2022; Dao et
        al., Flow matching in latent space, 2023; Yu et al., Representation alignment for
        generation: training diffusion transformers is easier than you think, 2025.
    """

    frozen_parts = ("codec",)

    def __init__(
        self,
        autoencoder: Any,
        num_classes: int | None = None,
        condition_shape: tuple[int, ...] | None = None,
        condition_encoder: keras.layers.Layer | None = None,
        mirrored: bool = False,
        align_with: Any = None,
        **kwargs: Any,
    ) -> None:
        codec = _codec_of(autoencoder)
        for name in ("example_shape", "image_shape", "value_range"):
            if name in kwargs:
                raise ValueError(
                    f"The autoencoder says what images are: leave {name} out. "
                    f"Received: {name}={kwargs[name]!r:.100}"
                )
        if align_with is not None and not isinstance(align_with, MultiScaleFeatures):
            align_with = MultiScaleFeatures(align_with, None, codec.value_range, scales=1)
        super().__init__(
            codec.latent_shape,
            num_classes,
            condition_shape,
            condition_encoder,
            value_range=None,
            align_with=align_with,
            **kwargs,
        )
        self.codec = codec
        self.codec.trainable = False
        self.mirrored = bool(mirrored)
        # That of the images: what is learnt from and what is sampled.
        self.value_range = codec.value_range
        self.check_parts()

    # What is images and what is latents

    @property
    def image_shape(self) -> tuple[int, ...]:
        """`(height, width, channels)` of images and samples."""
        return self.codec.image_shape

    @property
    def limits(self) -> None:
        """Latents have no bounds."""
        return None

    def check_values(self, values: np.ndarray, low: float, high: float, name: str) -> None:
        """Refuse images outside the value range; latents may be any numbers."""
        if values.shape[1:] == self.image_shape:
            super().check_values(values, low, high, name)

    def _scale(self) -> tuple[float, float]:
        # Latents are standardised, and the network sees them as they are.
        return 0.0, 1.0

    def outward(self, x: tf.Tensor) -> tf.Tensor:
        """Images of what the network makes."""
        return self.codec.decode(x)

    # Training

    @takes_any_data(*FIT_DATA, training=True)
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Encode the images, and train on their latents; see `keras.Model.fit`.

        Args:
            x: Images, or a data set of `(images, conditions)` batches that ends.
            y: Conditions, as in `FlowMatching`.
            batch_size: Of latents in a step.
            epochs: As in Keras.
            verbose: As in Keras.
            callbacks: As in Keras.
            validation_split: Share of the images, the last ones, that are held out.
            validation_data: Further images and conditions.
            **kwargs: Further arguments of `keras.Model.fit`.

        Raises:
            ValueError: If the autoencoder has not been trained or the data do not fit, before
                training starts.
        """
        self._check_codec()
        x, y = whole_data(x, y, type(self).__name__)
        self.check_examples(x, "x", self.image_shape)
        self.check_labels(y)
        if validation_split and validation_data is None:
            (x, y), validation_data = split_last((x, y), validation_split)
        if validation_data is not None:
            given = validation_data if isinstance(validation_data, tuple) else (validation_data,)
            refuse_weights(given, type(self).__name__)
            conditions = given[1] if len(given) > 1 else None
            held_out = whole_data(given[0], conditions, type(self).__name__)
            self.check_examples(held_out[0], "validation_data", self.image_shape)
            self.check_labels(held_out[1])
            validation_data = self._seen(*held_out, mirrored=False)
        x, y = self._seen(x, y, self.mirrored)
        return super().fit(
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation_data,
            **kwargs,
        )

    @takes_any_data(*PARTS)
    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """The loss on latents of images; see `keras.Model.evaluate`."""
        if self._is_fitting:
            # Of validation data, which `fit` has encoded.
            return super().evaluate(x, y, *args, **kwargs)
        self._check_codec()
        x, y = whole_data(x, y, type(self).__name__)
        self.check_examples(x, "x", self.image_shape)
        return super().evaluate(*self._seen(x, y, mirrored=False), *args, **kwargs)

    def _check_codec(self) -> None:
        if not self.codec.scale.adapted:
            raise ValueError(
                "A flow learns latents whose scale is known: train the autoencoder first, "
                "autoencoder.fit(images). Received: an autoencoder whose latents were never "
                "measured"
            )

    def _seen(self, x: Any, y: Any, mirrored: bool) -> tuple[Any, Any]:
        """Latents of images, and what comes with them: conditions, and features to align with."""
        views = self._views
        latents = views.latents(x, mirrored)
        if mirrored and y is not None:
            y = keras.tree.map_structure(lambda part: np.concatenate([part, part]), y)
        if self.alignment is None:
            return latents, y
        packed = {_FEATURES: views.features(x, mirrored)}
        return latents, packed if y is None else {**packed, _CONDITION: y}

    @functools.cached_property
    def _views(self) -> LatentViews:
        return LatentViews(self.codec, self.alignment)

    def aligned_features(self, x: tf.Tensor, y: Any) -> tuple[tf.Tensor, Any]:
        """The features that were computed when `fit` began, and the conditions."""
        return y[_FEATURES], y.get(_CONDITION)

    def check_labels(self, y: Any) -> None:
        """Refuse conditions that are none of this model's, and any where it has none."""
        super().check_labels(y.get(_CONDITION) if _is_packed(y) else y)

    def entered_labels(self, labels: Any, training: bool) -> Any:
        """Conditions as arrays; see `ConditionalModel.entered_labels`."""
        return labels if _is_packed(labels) else super().entered_labels(labels, training)

    def stop_at_misfits(self, data: Any) -> list[tf.Operation]:
        """Assertions that latents are finite and labels are classes."""
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        y = y.get(_CONDITION) if _is_packed(y) else y
        return super().stop_at_misfits((x, y, weights))

    # From images to noise

    @takes_any_data("x", "condition")
    def encode(self, x: Any, condition: Any = None, **options: Any) -> np.ndarray:
        """The noise that images' latents come from: the flow followed backwards.

        Args:
            x: Images `[count, *image_shape]`.
            condition: As in `FlowMatching.encode`.
            **options: `steps`, `solver`, `batch_size`, as there.

        Returns:
            Float32 `[count, *latent_shape]`.
        """
        return super().encode(self._latents(x), condition, **options)

    @takes_any_data("x", "condition")
    def log_likelihood(self, x: Any, condition: Any = None, **options: Any) -> np.ndarray:
        """The logarithm of the density of images' standardised latents under the flow, in nats.

        It says nothing of what the autoencoder loses.

        Args:
            x: Images `[count, *image_shape]`.
            condition: As in `FlowMatching.log_likelihood`.
            **options: Further arguments, as there.

        Returns:
            Float32 `[count]`.
        """
        return super().log_likelihood(self._latents(x), condition, **options)

    def inpaint(self, *args: Any, **kwargs: Any) -> np.ndarray:
        """Not for latents, a place of which stands for many pixels.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "inpaint hides values that the flow makes, and this one makes latents, not pixels: use "
            "FlowMatching, on the images themselves. Received: a call of LatentFlow.inpaint"
        )

    def _latents(self, x: Any) -> np.ndarray:
        self._check_codec()
        self.check_examples(x, "x", self.image_shape)
        return self._views.latents(x, mirrored=False)

    # Saving

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["example_shape"], config["value_range"]
        codec = keras.saving.serialize_keras_object(self.codec)
        return {**config, "autoencoder": codec, "mirrored": self.mirrored}

    @classmethod
    def nested_arguments(cls) -> dict[str, Nested]:
        """The arguments that a file gives as objects."""
        return {**super().nested_arguments(), "autoencoder": Nested(LatentCodec)}


def _codec_of(autoencoder: Any) -> LatentCodec:
    if isinstance(autoencoder, LatentAutoencoder):
        autoencoder.check_standardized()
        return autoencoder.averaged_codec()
    if not isinstance(autoencoder, LatentCodec):
        raise ValueError(
            "autoencoder must be a fusion.LatentAutoencoder that has been trained. "
            f"Received: {type(autoencoder).__name__}"
        )
    return autoencoder


def _is_packed(y: Any) -> bool:
    return isinstance(y, dict) and _FEATURES in y
