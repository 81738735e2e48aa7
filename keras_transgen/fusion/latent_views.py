"""Images once through an autoencoder, and through a network to align with, before training."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.fusion.latent_codec import LatentCodec
from keras_transgen.generative.flow.alignment import FeatureAlignment
from keras_transgen.generative.generative_model import graph, in_parts, weighs_nothing
from keras_transgen.training.batches import ends_promptly

_BATCH_SIZE = 64
_LARGEST_BYTE = 255.0


class LatentViews:
    """Latents and features of images, and of their mirror images after them.

    Args:
        codec: Of the autoencoder, with the scale of its latents.
        alignment: Whose features are computed, or `None`.
    """

    def __init__(self, codec: LatentCodec, alignment: FeatureAlignment | None = None) -> None:
        self.codec = codec
        self.alignment = alignment
        self._latents = self._function(codec.encode)
        if alignment is not None:
            self._features = self._function(lambda x: _of_unit_size(alignment.features_of(x)))

    def latents(self, images: Any, mirrored: bool) -> np.ndarray:
        """Standardised latents, float32 `[count or 2 count, *latent_shape]`.

        Args:
            images: `[count, *image_shape]` in the codec's value range, or uint8.
            mirrored: Whether those of the mirror images follow.
        """
        return _of_views(self._latents, images, mirrored)

    def features(self, images: Any, mirrored: bool) -> np.ndarray:
        """The maps of the network to align with, in float16: what is compared is their direction.

        Args:
            images: As in `latents`.
            mirrored: As in `latents`.
        """
        assert self.alignment is not None
        return _of_views(self._features, images, mirrored)

    def _function(self, compute: Callable[[tf.Tensor], tf.Tensor]) -> Callable[..., tf.Tensor]:
        def view(images: tf.Tensor, mirror: tf.Tensor) -> tf.Tensor:
            floats = self._scaled(images)
            return compute(tf.where(mirror, tf.reverse(floats, [2]), floats))

        return graph(view)

    def _scaled(self, images: tf.Tensor) -> tf.Tensor:
        if images.dtype != tf.uint8:
            return tf.cast(images, tf.float32)
        low, high = self.codec.value_range
        return tf.cast(images, tf.float32) * ((high - low) / _LARGEST_BYTE) + low


def _of_views(function: Callable[..., tf.Tensor], images: Any, mirrored: bool) -> np.ndarray:
    views = []
    for mirror in (False, True)[: 1 + mirrored]:
        seen = functools.partial(function, mirror=tf.constant(mirror))
        views.append(in_parts(seen, (images,), _BATCH_SIZE))
    return np.concatenate(views)


def _of_unit_size(features: tf.Tensor) -> tf.Tensor:
    """So that half precision holds features of any size; each place's direction stays."""
    largest = tf.reduce_max(tf.abs(features), axis=[1, 2, 3], keepdims=True)
    return tf.cast(tf.math.divide_no_nan(features, largest), tf.float16)


def whole_data(x: Any, y: Any = None, model: str = "The model") -> tuple[Any, Any]:
    """All images and conditions as arrays, out of what `fit` takes.

    Args:
        x: Arrays, or batches: a `tf.data.Dataset` or `PyDataset` that ends.
        y: Conditions of arrays.
        model: What messages call the model.

    Raises:
        ValueError: If there is no end to the data, they can be read only once, are not in batches,
            or have weights.
    """
    if isinstance(x, (np.ndarray, tf.Tensor)):
        return x, y
    if isinstance(x, tf.data.Dataset) and x.cardinality() != tf.data.INFINITE_CARDINALITY:
        found = list(ends_promptly(x).as_numpy_iterator())
    elif isinstance(x, keras.utils.PyDataset) and x.num_batches is not None:
        found = [x[number] for number in range(x.num_batches)]
    else:
        raise ValueError(
            f"{model} encodes all images before it trains: give arrays or a data set that ends "
            "(leave repeat() out). "
            f"Received: {type(x).__name__}"
        )
    if not found:
        raise ValueError("The data are empty: there is no batch. Received: 0 batches")
    parts = [batch if isinstance(batch, (tuple, list)) else (batch,) for batch in found]
    _check_parts(tuple(parts[0]), model)
    images = np.concatenate([each[0] for each in parts])
    conditions = [each[1] if len(each) > 1 else None for each in parts]
    if conditions[0] is None:
        return images, None
    return images, keras.tree.map_structure(lambda *each: np.concatenate(each), *conditions)


def _check_parts(batch: tuple, model: str) -> None:
    refuse_weights(batch, model)
    if isinstance(batch[0], dict) or any(np.ndim(each) == 0 for each in keras.tree.flatten(batch)):
        raise ValueError(
            f"{model} takes batches of images, or of (images, conditions): "
            "data.map(lambda row: (row['image'], row['label'])).batch(32). "
            f"Received: {'a dictionary' if isinstance(batch[0], dict) else 'single examples'}"
        )


def refuse_weights(parts: tuple, model: str) -> None:
    """Refuse what comes behind images and conditions.

    Args:
        parts: Of a batch, or of validation data.
        model: What messages call the model.

    Raises:
        ValueError: If there are weights, which would count for nothing.
    """
    if len(parts) > 2 and parts[2] is not None:
        raise weighs_nothing(model, "sample weights")
