"""A flow's inner features drawn to those of a pretrained network: representation alignment."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.backbones.multi_scale_features import MultiScaleFeatures
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.counts import check_weights

_HIDDEN = 256
_EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="keras_transgen")
class FeatureAlignment(keras.layers.Layer):
    """How far projected inner features are from a pretrained network's, at every place.

    With the network's inner features h at a noised example, a projection P of three dense layers
    and the pretrained network's features f of the clean example, resized to the places of h, it is

        1 - mean over places of cos(P(h), f)

    between 0 and 2 for each example. The pretrained network is frozen; P trains.

    Args:
        features: The pretrained network, whose coarsest map counts.
        hidden: Units of the projection's first two layers.
        **kwargs: Passed to `keras.layers.Layer`.

    Call arguments:
        inputs: `[inner, features]`, inner `[batch, rows, columns, channels]` or
            `[batch, places, channels]`, features as `features_of` gives them.

    Output shape:
        `[batch]`, float32.

    Reference:
        Yu et al., Representation alignment for generation: training diffusion transformers is
        easier than you think, 2025.
    """

    def __init__(self, features: MultiScaleFeatures, hidden: int = _HIDDEN, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.features = features
        self.hidden = hidden

    def build_for(self, inner_shape: tuple[int, ...], example_shape: tuple[int, ...]) -> None:
        """Make the projection.

        Args:
            inner_shape: Of the inner features of one example.
            example_shape: `(height, width, channels)` of what the network sees, for the grid of
                places that a Transformer has in a row.
        """
        self._grid = grid_of(inner_shape, example_shape)
        size = self.features.image_size or (32, 32)
        channels = self.features.compute_output_shape((None, *size, 3))[-1][-1]
        layers = (
            keras.layers.Dense(self.hidden, activation="swish", name="projection_0"),
            keras.layers.Dense(self.hidden, activation="swish", name="projection_1"),
            keras.layers.Dense(channels, dtype="float32", name="projection_2"),
        )
        shape: tuple[Any, ...] = (None, inner_shape[-1])
        self.projection = layers
        for layer in layers:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def features_of(self, images: Any) -> tf.Tensor:
        """The pretrained network's coarsest map of images, float32, without gradient."""
        return tf.stop_gradient(tf.cast(self.features(images)[-1], tf.float32))

    def call(self, inputs: Any) -> tf.Tensor:
        inner, features = inputs
        x = tf.reshape(inner, [-1, math.prod(self._grid), inner.shape[-1]])
        for layer in self.projection:
            x = layer(x)
        wanted = tf.cast(features, tf.float32)
        if tuple(wanted.shape[1:3]) != self._grid:
            wanted = keras.ops.image.resize(wanted, self._grid, interpolation="bilinear")
        wanted = tf.reshape(wanted, [-1, math.prod(self._grid), wanted.shape[-1]])
        cosine = tf.reduce_sum(_unit(tf.cast(x, tf.float32)) * _unit(wanted), axis=-1)
        return 1.0 - tf.reduce_mean(cosine, axis=1)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (input_shape[0][0],)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("autocast", None)
        features = keras.saving.serialize_keras_object(self.features)
        return {**config, "features": features, "hidden": self.hidden}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FeatureAlignment:
        """Make the layer again from what `get_config` returned."""
        return cls(**arguments_from_file(cls, config, features=Nested(MultiScaleFeatures)))


def aligned_features(
    align_with: Any, example_shape: tuple[int, ...], value_range: tuple[float, float] | None
) -> MultiScaleFeatures:
    """A pretrained network for alignment, as it was handed in or around a backbone.

    Args:
        align_with: As in `FlowMatching`.
        example_shape: Of the examples.
        value_range: Of the examples.

    Raises:
        ValueError: If the examples are no images, or the network sees another range of values.
    """
    if len(example_shape) != 3:
        raise ValueError(
            "align_with= draws a network to a pretrained network's features of images: leave it "
            f"out for other examples. Received: example_shape={example_shape}"
        )
    if not isinstance(align_with, MultiScaleFeatures):
        return MultiScaleFeatures(align_with, None, value_range or (0.0, 1.0), scales=1)
    if value_range is not None and align_with.value_range != tuple(value_range):
        raise ValueError(
            "align_with must see the model's range of values. Make MultiScaleFeatures with "
            f"value_range={tuple(value_range)}. Received: value_range={align_with.value_range}"
        )
    return align_with


def check_alignment(align_with: Any, weight: float, layer: str | None) -> None:
    """Refuse a weight that is none, and a layer without anything to draw it to.

    Raises:
        ValueError: If one is so.
    """
    check_weights(alignment_weight=weight)
    if align_with is None and layer is not None:
        raise ValueError(
            "align_layer= goes with align_with=, the pretrained network. "
            f"Received: align_layer={layer!r}, align_with=None"
        )


def network_with_tap(network: keras.Model, layer: str | None) -> keras.Model:
    """The same network with an inner layer's output as a second one.

    Args:
        network: Of a flow, functional.
        layer: Name of the inner layer; `None` for that of a network that was built by name.

    Raises:
        ValueError: If it is not functional, or there is no such layer.
    """
    names = [each.name for each in network.layers]
    name = _usual_layer(names) if layer is None else layer
    try:
        inner = None if name is None else network.get_layer(name).output
        inputs, output = network.inputs, network.outputs[0]
    except (AttributeError, ValueError, TypeError):
        inner = None
    rank = len(getattr(inner, "shape", ()))
    if rank not in (3, 4):
        raise ValueError(
            "Alignment needs a functional network and the name of one of its layers that has a "
            "vector for each place, [batch, rows, columns, channels] or [batch, places, channels]: "
            f"align_layer=. Received: align_layer={layer!r} for a network with the layers "
            f"{names[:20]}"
        )
    return keras.Model(inputs, [output, inner], name="tapped", dtype="float32")


def _usual_layer(names: list[str]) -> str | None:
    """The middle of a U-Net, or the block at a third of a Transformer's depth."""
    for name in ("middle_attended", "middle"):
        if name in names:
            return name
    blocks = [name for name in names if name.startswith("block_")]
    return blocks[max(0, len(blocks) // 3 - 1)] if blocks else None


def grid_of(inner_shape: tuple[int, ...], example_shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of inner features, which a Transformer has in a row of places.

    Raises:
        ValueError: If the places are no grid in the proportions of the examples.
    """
    if len(inner_shape) == 3:
        return inner_shape[0], inner_shape[1]
    places, (height, width) = inner_shape[0], example_shape[:2]
    rows = round(math.sqrt(places * height / width))
    if rows < 1 or places % rows or rows * width != (places // rows) * height:
        raise ValueError(
            "The places of the inner layer must be a grid over the image. "
            f"Received: {places} places for examples of shape {example_shape}"
        )
    return rows, places // rows


def _unit(x: tf.Tensor) -> tf.Tensor:
    return x * tf.math.rsqrt(tf.reduce_sum(tf.square(x), axis=-1, keepdims=True) + _EPSILON)
