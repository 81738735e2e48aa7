"""What makes the backbone's input of raw input, and which positions of that count."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_transgen.backbones.padding_mask import mask_of, with_mask
from keras_transgen.training.compilation import flat_layers


def takes_masks(layer: Any) -> bool:
    """Whether a layer, and all that it is made of, can be told which positions count.

    Args:
        layer: Of preprocessing or augmentation.
    """
    if isinstance(layer, keras.Model):
        parts = [
            each
            for each in flat_layers(layer)
            if not isinstance(each, (keras.Model, keras.layers.InputLayer))
        ]
        return bool(parts) and all(map(takes_masks, parts))
    return bool(getattr(layer, "supports_masking", False))


def passed_through(layer: Any, x: Any, mask: Any, training: bool) -> tuple[Any, Any]:
    """What a layer makes of raw input, and the mask of that.

    A layer that knows no masks keeps the positions it is given, as far as anybody can tell; one
    that does may make others of them, such as frames of the samples of a wave.

    Args:
        layer: Of preprocessing or augmentation; `None` for none.
        x: Raw input.
        mask: Which of its positions count, bool `[batch, length]`, or `None`.
        training: Whether it alters at random.
    """
    if layer is None:
        return x, mask
    if mask is None or not takes_masks(layer):
        return layer(x, training=training), mask
    # The tensor that came in may be the user's, and bears no mask of ours afterwards.
    made = layer(with_mask(tf.identity(x), mask), training=training)
    own = mask_of(made)
    # The mask goes beside it: Keras warns of a model that is given it with the tensor.
    return tf.identity(made), mask if own is None else own
