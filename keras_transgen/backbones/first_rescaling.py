"""Which range of values a Keras network takes, read from the rescaling that it begins with."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_transgen.backbones.image_preprocessing import RAW_RANGE, ImagePreprocessing

Range = tuple[float, float]

# How images are kept, the most usual first.
_IMAGES: tuple[Range, ...] = ((0.0, 255.0), (0.0, 1.0), (-1.0, 1.0))
# What networks compute with is about as wide as [0, 1], [-1, 1] or a few standard deviations.
_NARROWEST, _WIDEST, _FARTHEST = 0.9, 6.0, 4.0
# By so many deviations the darkest image lies below the mean that a normalisation was fitted to.
_BELOW_MEAN = 0.2
# Layers that leave the values as they are.
_PASSED = (
    keras.layers.Identity,
    keras.layers.Resizing,
    keras.layers.CenterCrop,
    keras.layers.Cropping2D,
    keras.layers.RandomCrop,
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
    keras.layers.Reshape,
    keras.layers.Permute,
)


def read_value_range(network: keras.Model) -> Range | None:
    """The range of the raw values that a network rescales itself.

    Looked at are the `keras.layers.Rescaling` and `Normalization` layers that a network with one
    input begins with, in models inside it too: `Rescaling(1 / 255)` and
    `Rescaling(1 / 127.5, offset=-1)` take 0 to 255, `Rescaling(2.0, offset=-1)` takes 0 to 1. So
    does `ImagePreprocessing`, which takes 0 to 255.

    Args:
        network: A built Keras model. A `Normalization` is only read where the input is images.

    Returns:
        `(0.0, 255.0)`, `(0.0, 1.0)` or `(-1.0, 1.0)`; `None` where the network does not tell.

    Example:
        ```python
        import keras
        from keras_transgen.backbones.first_rescaling import read_value_range

        layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(4, 3)]
        network = keras.Sequential([keras.Input((8, 8, 3)), *layers])
        assert read_value_range(network) == (0.0, 255.0)
        ```
    """
    steps: list[_Step] = []
    for layer in _first_layers(network):
        if isinstance(layer, _PASSED):
            continue
        if isinstance(layer, keras.layers.Rescaling):
            steps.append(_Step(_array(layer.scale), _array(layer.offset)))
        elif isinstance(layer, keras.layers.Normalization) and _takes_images(network):
            steps.append(_normalization(layer))
        elif isinstance(layer, ImagePreprocessing):
            return RAW_RANGE if all(step.is_identity() for step in steps) else None
        else:
            break
    try:
        return _taken([step for step in steps if not step.is_identity()])
    except ValueError:
        # Channels of other numbers, because something lies between.
        return None


class _Step(NamedTuple):
    """Multiplies by a scale and adds an offset, each a number or one for each channel."""

    scale: np.ndarray
    offset: np.ndarray
    is_fitted: bool = False

    def then(self, other: _Step) -> _Step:
        offset = self.offset * other.scale + other.offset
        return _Step(self.scale * other.scale, offset, self.is_fitted)

    def is_identity(self) -> bool:
        return bool(np.allclose(self.scale, 1.0) and np.allclose(self.offset, 0.0))


def _taken(steps: Sequence[_Step]) -> Range | None:
    """The range of images that become something that a network could compute with."""
    if not steps:
        return None
    whole = functools.reduce(_Step.then, steps)
    if not whole.is_identity():
        return next((each for each in _IMAGES if _fits(each, whole)), None)
    # The first only undoes what a network inside does.
    inner, first = _taken(steps[1:]), steps[0]
    if inner is None or first.scale.size > 1 or first.offset.size > 1:
        return None
    low, high = (float((end - first.offset[0]) / first.scale[0]) for end in inner)
    return (low, high) if low < high else None


def _fits(raw: Range, step: _Step) -> bool:
    """Whether a network could compute with what becomes of images of this range."""
    low, high = raw[0] * step.scale + step.offset, raw[1] * step.scale + step.offset
    if step.is_fitted and low.max() > -_BELOW_MEAN:
        return False
    if np.allclose(low, 0.0, atol=1e-3) and np.allclose(high, 255.0, rtol=1e-2):
        # For a network inside that rescales once more.
        return True
    is_narrow = (high - low >= _NARROWEST).all() and (high - low <= _WIDEST).all()
    return bool(is_narrow and max(np.abs(low).max(), np.abs(high).max()) <= _FARTHEST)


def _array(value: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value), "float64").reshape(-1)


def _normalization(layer: keras.layers.Normalization) -> _Step:
    if layer.mean is None or layer.variance is None:
        return _Step(np.ones(1), np.zeros(1))
    mean = _array(layer.mean)
    deviation = np.maximum(np.sqrt(_array(layer.variance)), keras.backend.epsilon())
    if layer.invert:
        return _Step(deviation, mean)
    return _Step(1.0 / deviation, -mean / deviation, is_fitted=True)


def _takes_images(network: keras.Model) -> bool:
    shape = network.inputs[0].shape
    return len(shape) == 4 and shape[-1] in (1, 3, None)


def _first_layers(network: keras.Model) -> Iterator[Any]:
    """Layers from the input on, as long as each is the only one that takes what the last gives.

    Ends with `None` where a graph forks or nobody knows it.
    """
    if isinstance(network, keras.Sequential):
        for layer in network.layers:
            yield from _entered(layer)
        return
    inputs = getattr(network, "inputs", None)
    if inputs is None or len(inputs) != 1:
        yield None
        return
    tensor = inputs[0]
    while True:
        takers = [
            (operation, node)
            for operation in network.operations
            # Keras has no public way to the calls of a model inside another one.
            for node in operation._inbound_nodes
            if any(each is tensor for each in node.input_tensors)
        ]
        if not takers:
            return
        if len(takers) > 1 or len(takers[0][1].input_tensors) + len(takers[0][1].outputs) != 2:
            yield None
            return
        ((operation, node),) = takers
        yield from _entered(operation)
        tensor = node.outputs[0]


def _entered(layer: Any) -> Iterator[Any]:
    is_known = isinstance(layer, keras.Model) and getattr(layer, "inputs", None) is not None
    if is_known:
        yield from _first_layers(layer)
    else:
        yield layer
