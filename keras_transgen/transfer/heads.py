"""What stands between a backbone and the prediction: features made one vector, then a head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_transgen.backbones.padding_mask import fits, masked_centre, masked_max, masked_mean

POOLINGS = ("average", "max", "flatten", "centre", "none")


def _centre(part: Any, axes: tuple[int, ...]) -> Any:
    for axis in reversed(axes):
        part = keras.ops.take(part, (keras.ops.shape(part)[axis] - 1) // 2, axis=axis)
    return part


_PLAIN = {"average": keras.ops.mean, "max": keras.ops.max, "centre": _centre}
_MASKED = {"average": masked_mean, "max": masked_max, "centre": masked_centre}


@keras.saving.register_keras_serializable(package="keras_transgen")
class FeatureJoin(keras.layers.Layer):
    """Pool each feature map over its positions and join all of them to one vector an example.

    Args:
        pooling: `"average"` (default) or `"max"` over all axes between the first and the last;
            `"centre"`, the position in the middle, the earlier of two; `"flatten"`, all positions
            side by side; or `"none"`: a single output passes as it is. Positions that Keras masks
            as padding do not count (`"flatten"` cannot leave them out, and refuses a mask).
        normalize: Whether each output is divided by its Euclidean norm before joining, so that
            layers of other sizes and scales weigh the same (Head2Toe). Defaults to False.
        **kwargs: `name` and `dtype`, as in `keras.layers.Layer`.

    Example:
        ```python
        import numpy as np
        from keras_transgen.transfer.heads import FeatureJoin

        maps = [np.ones((2, 4, 4, 3), "float32"), np.ones((2, 5), "float32")]
        assert FeatureJoin()(maps).shape == (2, 8)
        ```

    Reference:
        Evci et al., Head2Toe: Utilizing Intermediate Representations for Better Transfer Learning,
        2022.
    """

    def __init__(self, pooling: str = "average", normalize: bool = False, **kwargs: Any) -> None:
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {POOLINGS}. Received: pooling={pooling!r}")
        super().__init__(**kwargs)
        self.pooling = pooling
        self.normalize = normalize
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Join features.

        Args:
            inputs: Features `[batch, ..., size]`, or a list or dict of them.
            mask: Which positions count, bool `[batch, length]`, in the structure of the inputs.
                Keras hands over what the features carry.
        """
        parts = keras.tree.flatten(inputs)
        if self.pooling == "none" and len(parts) == 1 and not self.normalize:
            return parts[0]
        masks = [None] * len(parts)
        if mask is not None:
            masks = keras.tree.flatten(mask)
        parts = [self._vector(part, its) for part, its in zip(parts, masks)]
        return parts[0] if len(parts) == 1 else keras.ops.concatenate(parts, axis=-1)

    def _vector(self, part: Any, mask: Any) -> Any:
        if len(part.shape) > 2 and self.pooling in _MASKED and fits(mask, part):
            part = _MASKED[self.pooling](part, mask)
        elif mask is not None and self.pooling == "flatten":
            raise ValueError(
                "pooling='flatten' keeps every position, and some of these are padding: use "
                "'average', 'max' or 'centre'. Received: features with a mask"
            )
        elif len(part.shape) > 2 and self.pooling in _PLAIN:
            axes = tuple(range(1, len(part.shape) - 1))
            part = _PLAIN[self.pooling](part, axes)
        elif len(part.shape) != 2:
            part = keras.ops.reshape(part, (keras.ops.shape(part)[0], -1))
        return keras.ops.normalize(part, axis=-1) if self.normalize else part

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None but the one that features bring, where they pass as they are."""
        return

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the layer from."""
        return {**super().get_config(), "pooling": self.pooling, "normalize": self.normalize}


def default_head(num_classes: int, dropout: float = 0.0) -> keras.layers.Layer:
    """A dense layer to logits in float32, with dropout before it if wanted.

    Args:
        num_classes: Number of outputs.
        dropout: Share of the features that is left out in training, in [0, 1). Defaults to 0.

    Returns:
        The head, not yet built.

    Raises:
        ValueError: The dropout is no share.
    """
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"dropout must be in [0, 1). Received: dropout={dropout}")
    dense = keras.layers.Dense(num_classes, dtype="float32", name="head")
    if not dropout:
        return dense
    return keras.Sequential([keras.layers.Dropout(dropout), dense], name="dropout_head")


def as_layer(layers: Any, argument: str) -> keras.layers.Layer | None:
    """A layer, a model, or a sequence of layers, as one layer.

    Args:
        layers: What the user gave.
        argument: Name of the argument, for the message.

    Raises:
        ValueError: It is no Keras layer.
    """
    if layers is None or isinstance(layers, keras.layers.Layer):
        return layers
    if isinstance(layers, Sequence) and all(
        isinstance(layer, keras.layers.Layer) for layer in layers
    ):
        return keras.Sequential(list(layers), name=argument)
    raise ValueError(
        f"{argument} must be a Keras layer, a Keras model or a list of layers, which can be saved "
        f"with the model. Received: {argument}={layers!r}"
    )


def dense_of(head: keras.layers.Layer) -> keras.layers.Dense | None:
    """The dense layer of a head that is linear in the features, or `None`.

    Args:
        head: Any head.
    """
    layers = head.layers if isinstance(head, keras.Sequential) else [head]
    layers = [layer for layer in layers if not isinstance(layer, keras.layers.Dropout)]
    is_linear = (
        len(layers) == 1
        and type(layers[0]) is keras.layers.Dense
        and layers[0].activation is keras.activations.linear
        and layers[0].use_bias
        and layers[0].kernel_constraint is None
    )
    return layers[0] if is_linear else None
