"""What spoils a clean image, so that a model can learn to undo it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.generative.generative_model import sampling_seed
from keras_transgen.training.config_from_file import Nested, arguments_from_file

_METHODS = ("bicubic", "area")
_TOLERANCE = 1e-3


class Degradation:
    """A function of clean images and a seed; a subclass writes `degrade`.

    Images are `[batch, height, width, channels]`, uint8 or floats in [0, 1], and so are the results
    (float32): they are clipped to that range, as an image file would be. Equal seeds give equal
    results. Nothing is differentiated through it, and an `Enhancer` calls it outside of what XLA
    compiles, so any TensorFlow operation will do.

    A subclass is registered with `keras.saving.register_keras_serializable`, and its `get_config`
    gives the arguments of its constructor.

    Attributes:
        marks_holes: Whether the last channel of the result is a mask: 1 where a pixel is missing.
        spares_the_rest: Whether pixels outside of the mask are those of the clean image.

    Example:
        ```python
        import keras, tensorflow as tf
        import keras_transgen as ktg
        from keras_transgen.generative.translation import Degradation

        @keras.saving.register_keras_serializable(package="example")
        class Darkness(Degradation):
            def degrade(self, images, seed):
                return images * tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed)

        images, _ = ktg.datasets.load_digits()
        assert Darkness()(images[:4], seed=0).shape == (4, 8, 8, 1)
        ```
    """

    marks_holes = False
    spares_the_rest = False

    def degrade(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """The spoilt images.

        Args:
            images: Float32 `[batch, height, width, channels]` in [0, 1].
            seed: Int32 `[2]`, for `tf.random.stateless_*`.
        """
        raise NotImplementedError

    def output_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """`(height, width, channels)` of the result; the same as before unless overridden.

        Raises:
            ValueError: If images of this shape cannot be degraded.
        """
        return tuple(image_shape)

    def __call__(self, images: Any, seed: int | tf.Tensor | None = None) -> tf.Tensor:
        """Spoil images.

        Args:
            images: `[batch, height, width, channels]`, uint8 or floats in [0, 1].
            seed: Any integer, or an int32 tensor `[2]`, for the same result every time; `None` for
                fresh draws.

        Returns:
            Float32 `[batch, *output_shape(image_shape)]` in [0, 1].

        Raises:
            ValueError: If these are no images, or their size does not fit.
        """
        images = unit_images(images)
        self.output_shape(tuple(images.shape[1:]))
        drawn_from = seed if tf.is_tensor(seed) else sampling_seed(seed)
        return tf.clip_by_value(self.degrade(images, drawn_from), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Degradation:
        """Make the degradation again from what `get_config` returned."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="keras_transgen")
class Noise(Degradation):
    """Adds normal noise of its own to every value of an image.

    Args:
        sigma: Standard deviation where black is 0 and white is 1 (25 of 255 is about 0.1), or
            `(lowest, highest)`, from which every image draws its own. Defaults to 0.1.

    Raises:
        ValueError: If it is negative or no interval.

    Example:
        ```python
        import numpy as np
        from keras_transgen.generative.translation import Noise

        noisy = Noise(0.1)(np.full((2, 64, 64, 3), 0.5), seed=0)
        assert abs(float(np.std(noisy)) - 0.1) < 0.003
        ```

    Reference:
        Zhang et al., Beyond a Gaussian denoiser: residual learning of deep CNN for image denoising,
        2017 (one network for a range of noise levels).
    """

    def __init__(self, sigma: float | tuple[float, float] = 0.1) -> None:
        self.sigma = _checked_interval("sigma", sigma, highest=None)

    def degrade(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        low, high = _ends(self.sigma)
        seeds = tf.random.split(seed, 2)
        sigma = tf.random.stateless_uniform(
            [tf.shape(images)[0], 1, 1, 1], seeds[0], minval=low, maxval=high
        )
        return images + sigma * tf.random.stateless_normal(tf.shape(images), seeds[1])

    def get_config(self) -> dict[str, Any]:
        return {"sigma": self.sigma}


@keras.saving.register_keras_serializable(package="keras_transgen")
class Downscaling(Degradation):
    """Makes an image smaller by a whole factor, smoothed against aliasing; it stays small.

    Args:
        factor: How many times smaller, at least 2. Defaults to 2.
        method: `"bicubic"` (the default; `tf.image.resize` with `antialias=True`), or `"area"`: the
            mean of `factor x factor` pixels.

    Raises:
        ValueError: If an argument is out of its range; when called, if a side cannot be divided by
            the factor.

    Example:
        ```python
        import numpy as np
        from keras_transgen.generative.translation import Downscaling

        small = Downscaling(4)(np.zeros((1, 32, 48, 3)))
        assert small.shape == (1, 8, 12, 3)
        ```
    """

    def __init__(self, factor: int = 2, method: str = "bicubic") -> None:
        if not isinstance(factor, (int, np.integer)) or factor < 2:
            raise ValueError(
                f"factor must be a whole number of at least 2. Received: factor={factor!r}"
            )
        if method not in _METHODS:
            raise ValueError(f"method must be one of {list(_METHODS)}. Received: method={method!r}")
        self.factor = int(factor)
        self.method = method

    def degrade(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        size = self.output_shape(tuple(images.shape[1:]))[:2]
        return tf.image.resize(images, size, method=self.method, antialias=True)

    def output_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """`(height / factor, width / factor, channels)`."""
        height, width, channels = image_shape
        if height % self.factor or width % self.factor:
            raise ValueError(
                f"Both sides of the images must be divisible by factor={self.factor}: crop or "
                f"resize them. Received: images of shape {tuple(image_shape)}"
            )
        return height // self.factor, width // self.factor, channels

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "method": self.method}


@keras.saving.register_keras_serializable(package="keras_transgen")
class Holes(Degradation):
    """Cuts random rectangles out of an image, and says where.

    A hole is filled with the mean colour of what is left of its image; a channel is added that is 1
    in the holes and 0 elsewhere. `cut` does the same with holes that you know.

    Args:
        count: Rectangles an image; they may overlap. Defaults to 1.
        size: `(smallest, largest)` side of a rectangle as a share of the image's, drawn for height
            and width separately; a number for both. Defaults to `(0.25, 0.5)`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        ```python
        import numpy as np
        from keras_transgen.generative.translation import Holes

        cut = Holes(size=0.5)(np.random.default_rng(0).uniform(size=(1, 8, 8, 3)), seed=0)
        assert cut.shape == (1, 8, 8, 4)
        assert float(np.sum(cut[..., 3])) == 16.0
        ```

    Reference:
        Pathak et al., Context encoders: feature learning by inpainting, 2016.
    """

    marks_holes = True
    spares_the_rest = True

    def __init__(self, count: int = 1, size: float | tuple[float, float] = (0.25, 0.5)) -> None:
        if not isinstance(count, (int, np.integer)) or count < 1:
            raise ValueError(
                f"count must be a whole number of at least 1. Received: count={count!r}"
            )
        self.count = int(count)
        self.size = _checked_interval("size", size, highest=1.0)

    def degrade(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        batch, height, width = (tf.shape(images)[axis] for axis in range(3))
        drawn = tf.random.stateless_uniform([batch, self.count, 4], seed)
        rows = self._within(height, drawn[..., 0], drawn[..., 1])
        columns = self._within(width, drawn[..., 2], drawn[..., 3])
        inside = rows[..., :, None] & columns[..., None, :]
        mask = tf.cast(tf.reduce_any(inside, axis=1), tf.float32)
        return _cut(images, mask[..., None])

    def cut(self, images: Any, mask: Any) -> tf.Tensor:
        """Cut out what a mask says, as in training.

        Args:
            images: `[batch, height, width, channels]`, uint8 or floats in [0, 1].
            mask: `[batch, height, width, 1]`, 1 or `True` where a pixel is missing, else 0.

        Returns:
            Float32 `[batch, height, width, channels + 1]` in [0, 1].

        Raises:
            ValueError: If the mask is none of these images'.
        """
        images = unit_images(images)
        values = np.asarray(mask)
        expected = (*images.shape[:3], 1)
        if values.shape != expected or not np.isin(values, (0, 1)).all():
            raise ValueError(
                f"Expected a mask of shape {expected} of zeros and ones. Received: shape "
                f"{values.shape}, values {np.unique(values)[:5].tolist()}"
            )
        return _cut(images, tf.constant(values.astype("float32")))

    def _within(self, side: tf.Tensor, length: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
        """Whether each row or column lies in a rectangle, `[batch, count, side]`."""
        low, high = _ends(self.size)
        pixels = tf.cast(side, tf.float32)
        length = tf.maximum(tf.round((low + (high - low) * length) * pixels), 1.0)
        start = tf.floor(place * (pixels - length + 1.0))[..., None]
        position = tf.range(pixels)
        return (position >= start) & (position < start + length[..., None])

    def output_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """`(height, width, channels + 1)`."""
        height, width, channels = image_shape
        return height, width, channels + 1

    def get_config(self) -> dict[str, Any]:
        return {"count": self.count, "size": self.size}


@keras.saving.register_keras_serializable(package="keras_transgen")
class DegradationPipeline(Degradation):
    """Several degradations, one after the other, each with a seed of its own.

    Args:
        steps: Degradations in their order; `Holes` come last.

    Raises:
        ValueError: If there are none, or one that marks holes is not the last.

    Example:
        ```python
        import numpy as np
        from keras_transgen.generative.translation.degradations import (
            DegradationPipeline,
            Downscaling,
            Noise,
        )

        old_photo = DegradationPipeline([Downscaling(2), Noise(0.05)])
        assert old_photo(np.zeros((1, 8, 8, 3)), seed=0).shape == (1, 4, 4, 3)
        ```
    """

    def __init__(self, steps: Sequence[Degradation]) -> None:
        self.steps = list(steps)
        if not self.steps or not all(isinstance(step, Degradation) for step in self.steps):
            raise ValueError(
                f"steps must be degradations, at least one. Received: steps={self.steps}"
            )
        if any(step.marks_holes for step in self.steps[:-1]):
            raise ValueError(
                "Holes come last, since nothing else may change their mask. Received: "
                f"{[type(step).__name__ for step in self.steps]}"
            )
        self.marks_holes = self.steps[-1].marks_holes
        self.spares_the_rest = all(step.spares_the_rest for step in self.steps)

    def degrade(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        for number, step in enumerate(self.steps):
            images = step(images, tf.random.experimental.stateless_fold_in(seed, number))
        return images

    def output_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape after all steps."""
        for step in self.steps:
            image_shape = step.output_shape(image_shape)
        return tuple(image_shape)

    def get_config(self) -> dict[str, Any]:
        return {"steps": [keras.saving.serialize_keras_object(step) for step in self.steps]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DegradationPipeline:
        """Make the pipeline again from what `get_config` returned."""
        return cls(**arguments_from_file(cls, config, steps=Nested(Degradation)))


def unit_images(images: Any) -> tf.Tensor:
    """Images as float32 in [0, 1].

    Args:
        images: `[batch, height, width, channels]`, uint8 or floats in [0, 1].

    Raises:
        ValueError: If they have another rank, or values that can be looked at lie outside.
    """
    images = tf.convert_to_tensor(images)
    if images.shape.rank != 4:
        raise ValueError(
            "Expected images [batch, height, width, channels]; a single one needs a batch axis, "
            f"x[None]. Received: shape {images.shape}"
        )
    if images.dtype == tf.uint8:
        return tf.cast(images, tf.float32) / 255.0
    images = tf.cast(images, tf.float32)
    if tf.executing_eagerly() and tf.size(images):
        low, high = float(tf.reduce_min(images)), float(tf.reduce_max(images))
        if not (low >= -_TOLERANCE and high <= 1.0 + _TOLERANCE):
            raise ValueError(
                "Degradations take uint8 images or floats in [0, 1]: scale the images. "
                f"Received: values from {low:g} to {high:g}"
            )
    return images


def _cut(images: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    left = tf.reduce_sum(1.0 - mask, axis=[1, 2], keepdims=True)
    colour = tf.reduce_sum(images * (1.0 - mask), axis=[1, 2], keepdims=True)
    filling = tf.math.divide_no_nan(colour, left)
    return tf.concat([images * (1.0 - mask) + filling * mask, mask], axis=-1)


def _ends(interval: float | tuple[float, float]) -> tuple[float, float]:
    return interval if isinstance(interval, tuple) else (interval, interval)


def _checked_interval(name: str, value: Any, highest: float | None) -> float | tuple[float, float]:
    given = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    allowed = "positive" if highest is None else f"above 0 and at most {highest:g}"
    if (
        len(given) != 2
        or not all(isinstance(end, (int, float, np.number)) for end in given)
        or not 0 < given[0] <= given[1] <= (np.inf if highest is None else highest)
    ):
        raise ValueError(
            f"{name} must be a number, or (lowest, highest), {allowed}. Received: {name}={value}"
        )
    low, high = float(given[0]), float(given[1])
    return low if low == high and not isinstance(value, (tuple, list)) else (low, high)
