"""Any network as a function from images to a row of features each."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlparse

import numpy as np

_TOLERANCE = 0.05
_EIGHT_BITS, _SIXTEEN_BITS = 255.0, 65535.0


class FeatureExtractor:
    """A network that gives each image a row of features, with its name and digest.

    Images are brought to what the network takes: resized to its input size, grey ones repeated to
    its channels, values mapped from their range to its range. What is not images `[batch, height,
    width, channels]` is passed on as it is.

    Args:
        backbone: A Keras layer or model, or any callable, from a batch to `[batch, features]`, or
            a name that `load_backbone` takes. A Keras layer runs in inference mode.
        name: What the metrics are named after; defaults to the backbone's own name, or to what
            it was loaded from.
        image_size: Height and width the network takes, or one number for both. Defaults to what
            a backbone of this package or a Keras model says, else to the images' own.
        backbone_range: `(low, high)` of the values the network takes. Defaults to what a backbone
            of this package says or a Keras model's first rescaling tells, else to `(0.0, 1.0)`;
            a warning says so of a trained Keras network for images.
        batch_size: Images per call of the network, at most. Defaults to 64.

    Raises:
        ValueError: If the backbone cannot be called, or has no name and none is given.

    Example:
        ```python
        import keras
        import numpy as np
        from keras_transgen.evaluation import FeatureExtractor

        extractor = FeatureExtractor(keras.layers.Flatten(name="pixels"))
        (features,) = extractor.batches(np.zeros((3, 4, 4, 1), "uint8"))
        assert features.shape == (3, 16)
        ```
    """

    def __init__(
        self,
        backbone: Callable[..., Any] | str | os.PathLike[str],
        name: str | None = None,
        *,
        image_size: int | tuple[int, int] | None = None,
        backbone_range: tuple[float, float] | None = None,
        batch_size: int = 64,
    ) -> None:
        if isinstance(backbone, (str, os.PathLike)):
            from keras_transgen.backbones import load_backbone

            backbone = load_backbone(backbone)
        if not callable(backbone):
            raise ValueError(
                "Expected a backbone that can be called with images: a Keras layer, a model, a "
                f"function, or what load_backbone takes. Received: backbone={backbone!r}"
            )
        if batch_size < 1:
            raise ValueError(f"Expected batch_size of at least 1. Received: {batch_size}")
        from keras_transgen.backbones.unknown_range import known_range, warn_of_unknown_range

        found = name or _name_of(backbone)
        if not found:
            raise ValueError(
                "Expected a name for a backbone that has none; the metrics are named after it. "
                f"Received: name={name!r}, backbone={backbone!r}"
            )
        self.name = found
        self.batch_size = batch_size
        self._backbone = backbone
        contract = getattr(backbone, "input_contract", None)
        shape = getattr(contract, "shape", None) or getattr(backbone, "input_shape", None)
        shape = shape if isinstance(shape, tuple) and len(shape) == 4 else (None,) * 4
        self._size = _pair(image_size) if image_size else _known_size(shape)
        self._channels = shape[3]
        if backbone_range is None:
            warn_of_unknown_range(
                backbone, "backbone_range=(0, 255) or KerasBackbone(model, value_range=(0, 255))"
            )
        self._range = backbone_range or known_range(backbone) or (0.0, 1.0)
        self._dtype = getattr(contract, "dtype", None) or "float32"
        self._calls: dict[int, Callable[..., Any]] = {}
        self._warned = False

    def digest(self) -> str:
        """Hash of the network and of how images are brought to it, 64 hexadecimal digits.

        A backbone of this package gives its own; of another Keras layer the configuration and the
        weights count; of a plain function only the name can.
        """
        import keras

        from keras_transgen.backbones.network_digest import layer_digest

        is_layer = isinstance(self._backbone, keras.layers.Layer)
        network = layer_digest(self._backbone) if is_layer else self.name
        return hashlib.sha256(f"{self._size}{self._range}{network}".encode()).hexdigest()

    def batches(
        self, images: Any, value_range: tuple[float, float] = (0.0, 1.0)
    ) -> Iterator[np.ndarray]:
        """Features of images, batch after batch.

        Args:
            images: Array or tensor `[count, height, width, channels]`, a `tf.data.Dataset`, a
                `keras.utils.PyDataset` or another iterable of such batches; of `(images, labels)`
                batches the images are taken.
            value_range: `(low, high)` of float images; integer ones are 0 to 255, `uint16` ones
                0 to 65535, and booleans 0 and 1.

        Yields:
            Features `[batch, features]`.

        Raises:
            ValueError: If a batch is no array of images, integers do not say which range they have,
                the data set has no end, or the network does not give one row of finite features per
                image (the image is numbered).
        """
        if not len(value_range) == 2 or not value_range[0] < value_range[1]:
            raise ValueError(
                f"Expected value_range as (low, high), low below high. Received: {value_range}"
            )
        seen = 0
        for batch in _batches(images, self.batch_size):
            if seen == 0:
                self._warn_outside(batch[: self.batch_size], value_range)
            limits = _integer_limits(batch, first=seen == 0) or value_range
            for start in range(0, len(batch), self.batch_size):
                part = batch[start : start + self.batch_size]
                yield self._features(part, limits, seen)
                seen += len(part)

    def _features(self, images: Any, value_range: tuple[float, float], first: int) -> np.ndarray:
        # One for grey and one for colour: a trace for both would know neither's channels.
        channels = int(images.shape[-1])
        if channels not in self._calls:
            self._calls[channels] = self._compiled()
        features = self._calls[channels](images, *(float(limit) for limit in value_range))
        features = np.asarray(features)
        if features.ndim != 2 or len(features) != len(images):
            raise ValueError(
                "Expected a backbone that gives one row of features per image, "
                "[batch, features]; pool feature maps with keras.layers.GlobalAveragePooling2D. "
                f"Received: {features.shape} from {self.name!r} for {len(images)} images"
            )
        finite = np.isfinite(features).all(axis=1)
        if not finite.all():
            raise ValueError(
                "Expected images with finite features; a diverged generator gives others. "
                f"Received: NaN or infinity for {np.sum(~finite)} image(s), the first is image "
                f"{first + np.argmin(finite)}"
            )
        return features

    def _compiled(self) -> Callable[..., Any]:
        import keras
        import tensorflow as tf

        def extract(images: Any, low: float, high: float) -> Any:
            prepared = self._prepared(images, low, high)
            if isinstance(self._backbone, keras.layers.Layer):
                return self._backbone(prepared, training=False)
            return self._backbone(prepared)

        # A plain function may leave TensorFlow, so it is not traced.
        if isinstance(self._backbone, keras.layers.Layer):
            return tf.function(extract, reduce_retracing=True)
        return extract

    def _prepared(self, images: Any, low: float, high: float) -> Any:
        import tensorflow as tf

        from keras_transgen.backbones.image_channels import with_channels

        images = tf.convert_to_tensor(images)
        if images.shape.rank != 4:
            return images
        images = tf.clip_by_value((tf.cast(images, tf.float32) - low) / (high - low), 0.0, 1.0)
        if self._size is not None and tuple(images.shape[1:3]) != self._size:
            images = tf.image.resize(images, self._size, antialias=True)
        images = with_channels(images, self._channels)
        bottom, top = self._range
        return tf.cast(images * (top - bottom) + bottom, self._dtype)

    def _warn_outside(self, images: Any, value_range: tuple[float, float]) -> None:
        """Say once that values outside their range, which will be clipped, are more than noise."""
        values = np.asarray(images)
        if self._warned or values.ndim != 4 or values.dtype.kind != "f":
            return
        low, high = value_range
        margin = _TOLERANCE * (high - low)
        outside = np.mean((values < low - margin) | (values > high + margin))
        if outside > 0.01:
            self._warned = True
            warnings.warn(
                f"{100 * outside:.0f} % of the pixels lie outside value_range={value_range} and "
                "are clipped; give the range of your images. Received: values from "
                f"{values.min():.4g} to {values.max():.4g}",
                UserWarning,
                stacklevel=4,
            )


def _integer_limits(batch: Any, first: bool) -> tuple[float, float] | None:
    """The range of images of integers, by their type; `None` for floats.

    Args:
        batch: Images.
        first: Whether they are the first ones, of which the values are looked at for a range that
            their type does not have.
    """
    dtype = np.dtype(getattr(batch.dtype, "as_numpy_dtype", batch.dtype))
    if dtype.kind not in "iub" or len(batch.shape) != 4:
        return None
    if dtype.kind == "b":
        return 0.0, 1.0
    limit = _SIXTEEN_BITS if dtype == np.uint16 else _EIGHT_BITS
    values = np.asarray(batch) if first or dtype not in (np.uint8, np.uint16) else None
    if values is None or values.size == 0:
        return 0.0, limit
    low, high = int(values.min()), int(values.max())
    smaller = 1 if limit == _EIGHT_BITS else _EIGHT_BITS
    if low < 0 or high > limit or 0 < high <= smaller:
        raise ValueError(
            "Integer images are 0 to 255, or 0 to 65535 as uint16, and these are neither. Cast "
            "them to float32 and give their range as value_range=(low, high). "
            f"Received: {dtype.name} images with values from {low} to {high}"
        )
    return 0.0, limit


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(f"Expected image_size in pixels or (height, width). Received: {size}")
    return pair


def _known_size(shape: tuple[Any, ...]) -> tuple[int, int] | None:
    return None if None in shape[1:3] else (int(shape[1]), int(shape[2]))


def _batches(images: Any, batch_size: int) -> Iterator[Any]:
    """The batches of images in what a Keras user calls data."""
    import keras
    import tensorflow as tf

    from keras_transgen.backbones.batch_source import BatchSource

    if hasattr(images, "shape") and hasattr(images, "dtype"):
        yield _checked(images)
    elif isinstance(images, (tf.data.Dataset, keras.utils.PyDataset)):
        for batch, _, _ in BatchSource(images, batch_size).batches(0, 0):
            yield _checked(batch)
    elif hasattr(images, "__iter__") and not isinstance(images, (dict, str, bytes)):
        for batch in images:
            yield _checked(batch[0] if isinstance(batch, (tuple, list)) else batch)
    else:
        raise ValueError(
            "Expected images as an array, a tf.data.Dataset or a keras.utils.PyDataset. "
            f"Received: {type(images).__name__}"
        )


def _checked(batch: Any) -> Any:
    if not hasattr(batch, "shape") or len(batch.shape) < 2:
        raise ValueError(
            "Expected batches of images [batch, height, width, channels]. "
            f"Received: {type(batch).__name__} of shape {getattr(batch, 'shape', None)}"
        )
    return batch


def _name_of(backbone: Any) -> str | None:
    """A network's name if somebody chose one, else what it was loaded from; `None` for none."""
    own = getattr(backbone, "name", None) or getattr(backbone, "__name__", None)
    if own is None or not _was_made_by_keras(str(own), type(backbone).__name__):
        return None if own is None else str(own)
    handle = getattr(backbone, "handle", None)
    if handle:
        address = urlparse(str(handle))
        path = re.sub(r"\.(tar\.gz|tgz|zip)$", "", address.path.rstrip("/"))
        return path.strip("/") if address.netloc else path.split("/")[-1]
    return str(getattr(getattr(backbone, "network", None), "name", own))


def _was_made_by_keras(name: str, class_name: str) -> bool:
    """Whether a name is what Keras calls the n-th layer of a class: `"dense_2"`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower()
    return re.fullmatch(rf"{re.escape(words)}(_\d+)?", name) is not None
