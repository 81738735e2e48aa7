"""What stands between a backbone and the prediction: features made one vector, then a head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

POOLINGS = ("average", "max", "none")


@keras.saving.register_keras_serializable(package="keras_transgen")
class FeatureJoin(keras.layers.Layer):
    """Pool each feature map over its positions and join all of them to one vector an example.

    Args:
        pooling: `"average"` (default) or `"max"` over all axes between the first and the last, or
            `"none"`: a single output passes as it is.
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
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Join features.

        Args:
            inputs: Features `[batch, ..., size]`, or a list or dict of them.
        """
        parts = keras.tree.flatten(inputs)
        if self.pooling == "none" and len(parts) == 1 and not self.normalize:
            return parts[0]
        parts = [self._vector(part) for part in parts]
        return parts[0] if len(parts) == 1 else keras.ops.concatenate(parts, axis=-1)

    def _vector(self, part: Any) -> Any:
        if len(part.shape) > 2 and self.pooling != "none":
            axes = tuple(range(1, len(part.shape) - 1))
            reduce = keras.ops.mean if self.pooling == "average" else keras.ops.max
            part = reduce(part, axis=axes)
        elif len(part.shape) != 2:
            part = keras.ops.reshape(part, (keras.ops.shape(part)[0], -1))
        return keras.ops.normalize(part, axis=-1) if self.normalize else part

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
