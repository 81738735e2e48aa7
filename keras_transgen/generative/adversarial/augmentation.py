"""Differentiable augmentation of what the discriminator sees, and its adaptive strength."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_transgen.training.gradients import num_replicas

# Uniform numbers that one image needs; every transformation reads its own columns.
_BRIGHTNESS, _SATURATION, _CONTRAST, _DOWN, _RIGHT, _TOP, _LEFT = range(7)
_APPLY = {"color": 7, "translation": 8, "cutout": 9}
NUMBERS_PER_IMAGE = 10

_TRANSLATION = 0.125
_CUTOUT = 0.5


def color(images: tf.Tensor, uniform: tf.Tensor, half_range: float) -> tf.Tensor:
    """Random brightness, saturation and contrast, in this order.

    Args:
        images: `[batch, height, width, channels]`, centred on zero.
        uniform: Numbers in [0, 1], `[batch, NUMBERS_PER_IMAGE]`.
        half_range: Half the distance from black to white.

    Returns:
        Images of the same shape.
    """

    def per_image(column: int) -> tf.Tensor:
        return uniform[:, column, None, None, None]

    images = images + (per_image(_BRIGHTNESS) - 0.5) * half_range
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    images = grey + (images - grey) * (2.0 * per_image(_SATURATION))
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return mean + (images - mean) * (0.5 + per_image(_CONTRAST))


def _shifted(images: tf.Tensor, shift: tf.Tensor, axis: int) -> tf.Tensor:
    """Move every image by its own whole number of pixels along an axis; zeros move in."""
    size = images.shape[axis]
    source = tf.range(size)[None, :] - shift[:, None]
    inside = tf.cast((source >= 0) & (source < size), images.dtype)
    moved = tf.gather(images, tf.clip_by_value(source, 0, size - 1), batch_dims=1, axis=axis)
    return moved * tf.reshape(inside, [-1] + [size if a == axis else 1 for a in (1, 2)] + [1])


def translation(images: tf.Tensor, uniform: tf.Tensor, half_range: float) -> tf.Tensor:
    """Move each image by up to an eighth of its size; zeros (mid-grey) move in.

    Args:
        images: `[batch, height, width, channels]`, centred on zero.
        uniform: Numbers in [0, 1], `[batch, NUMBERS_PER_IMAGE]`.
        half_range: Not used.

    Returns:
        Images of the same shape.
    """
    for axis, column in ((1, _DOWN), (2, _RIGHT)):
        most = int(images.shape[axis] * _TRANSLATION + 0.5)
        shift = tf.cast(tf.floor(uniform[:, column] * (2 * most + 1)), tf.int32) - most
        images = _shifted(images, tf.clip_by_value(shift, -most, most), axis)
    return images


def cutout(images: tf.Tensor, uniform: tf.Tensor, half_range: float) -> tf.Tensor:
    """Set a rectangle of half the image's height and width to zero (mid-grey).

    Args:
        images: `[batch, height, width, channels]`, centred on zero.
        uniform: Numbers in [0, 1], `[batch, NUMBERS_PER_IMAGE]`.
        half_range: Not used.

    Returns:
        Images of the same shape.
    """
    hidden = []
    for axis, column in ((1, _TOP), (2, _LEFT)):
        size = images.shape[axis]
        length = int(size * _CUTOUT + 0.5)
        # The centre is uniform over the image, so the rectangle may reach over the edge.
        centre = tf.floor(uniform[:, column, None] * (size + 1 - length % 2))
        offset = tf.range(size, dtype=tf.float32)[None, :] - centre + length // 2
        hidden.append((offset >= 0) & (offset < length))
    both = hidden[0][:, :, None, None] & hidden[1][:, None, :, None]
    return images * (1.0 - tf.cast(both, images.dtype))


TRANSFORMATIONS = {"color": color, "translation": translation, "cutout": cutout}


# Over how many batches the mean sign is taken, as in the reference implementation.
_BATCHES = 4


@keras.saving.register_keras_serializable(package="keras_transgen")
class DifferentiableAugmentation(keras.layers.Layer):
    """Transforms real images and samples alike before the discriminator sees them.

    The generator learns through the transformations, so they do not leak into its samples, and the
    discriminator cannot learn a small data set by heart. With a `target` the share of transformed
    images adapts: it rises while the discriminator is surer of real images than the target, and
    falls again. How sure it is, is the mean sign of its logits for real images, over four batches;
    under losses whose logits have no border at zero (`"least_squares"`, `"wasserstein"`,
    `"relativistic_average"`, one's own) it is the sign of their distance from the mean logit of
    samples, since the logits as such say nothing there.

    Args:
        policy: Comma-separated names out of `"color"`, `"translation"`, `"cutout"`.
        target: Mean sign to hold, such as 0.6. `None` transforms every image.
        adjustment_images: Images in which the share can go from 0 to 1. Defaults to 500,000.
        value_range: `(low, high)` of the images; the model sets its own.
        **kwargs: Passed to `keras.layers.Layer`.

    Raises:
        ValueError: If a name is unknown or the target cannot be reached.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.generative.adversarial.augmentation import DifferentiableAugmentation

        adaptive = DifferentiableAugmentation("color,translation,cutout", target=0.6)
        gan = ktg.GAN(image_shape=(32, 32, 3), augmentation=adaptive)
        ```

    Reference:
        Zhao et al., Differentiable augmentation for data-efficient GAN training, 2020; Karras et
        al., Training generative adversarial networks with limited data, 2020.
    """

    def __init__(
        self,
        policy: str = "color,translation,cutout",
        target: float | None = None,
        adjustment_images: int = 500_000,
        value_range: tuple[float, float] = (-1.0, 1.0),
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        names = [name.strip() for name in policy.split(",")]
        unknown = [name for name in names if name not in TRANSFORMATIONS]
        if unknown:
            raise ValueError(
                f"augmentation must be comma-separated names out of {sorted(TRANSFORMATIONS)}. "
                f"Received: {policy!r}, of which {unknown} are unknown"
            )
        if target is not None and not -1.0 < target < 1.0:
            raise ValueError(
                "The target is a mean sign, between -1 and 1; 0.6 is usual. "
                f"Received: target={target}"
            )
        if adjustment_images < 1:
            raise ValueError(f"adjustment_images must be positive. Received: {adjustment_images}")
        self.policy = policy
        self.names = names
        self.target = target
        self.adjustment_images = adjustment_images
        self.value_range = tuple(value_range)
        self.probability = self.add_weight(
            name="probability",
            shape=(),
            initializer="ones" if target is None else "zeros",
            trainable=False,
        )
        self.signs: Any = None
        self.batches: Any = None
        self.images: Any = None
        if target is not None:
            # Of the batches since the last change: signs and numbers of images.
            self.signs, self.images, self.batches = (
                self.add_weight(name=name, shape=(), initializer="zeros", trainable=False)
                for name in ("signs", "images", "batches")
            )
        self.built = True

    def load_own_variables(self, store: Any) -> None:
        """Load what was saved; files from before have the share alone."""
        if len(store.keys()) == 1:
            self.probability.assign(store["0"])
        else:
            super().load_own_variables(store)

    def call(self, images: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        """Transform images by uniform numbers `[batch, NUMBERS_PER_IMAGE]`."""
        low, high = self.value_range
        half_range = (high - low) / 2
        images = images - (low + high) / 2
        for name in self.names:
            changed = TRANSFORMATIONS[name](images, uniform, half_range)
            if self.target is not None:
                chosen = uniform[:, _APPLY[name]] < self.probability.value
                changed = tf.where(chosen[:, None, None, None], changed, images)
            images = changed
        return images + (low + high) / 2

    def adapt_to(self, real_sign: tf.Tensor, batch_size: tf.Tensor) -> None:
        """Count a batch, and move the share of transformed images after every fourth.

        Called by the step, outside compiled functions.

        Args:
            real_sign: Mean sign of this replica's real images, see the class.
            batch_size: Their number.
        """
        if self.target is None:
            return
        count = tf.cast(batch_size, tf.float32)
        # The mean over a replica's no examples is NaN.
        total = tf.where(count > 0, real_sign * count, 0.0)
        if num_replicas() > 1:
            replica = tf.distribute.get_replica_context()
            total, count = replica.all_reduce(tf.distribute.ReduceOp.SUM, [total, count])
        signs, images = self.signs.value + total, self.images.value + count
        batches = self.batches.value + 1.0
        due = batches >= _BATCHES
        change = tf.sign(signs / images - self.target) * images / self.adjustment_images
        moved = tf.clip_by_value(self.probability.value + change, 0.0, 1.0)
        self.probability.assign(tf.where(due, moved, self.probability.value))
        for variable, value in (
            (self.signs, signs),
            (self.images, images),
            (self.batches, batches),
        ):
            variable.assign(tf.where(due, 0.0, value))

    def compute_output_shape(self, images_shape: Any, uniform_shape: Any = None) -> Any:
        return images_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "policy": self.policy,
            "target": self.target,
            "adjustment_images": self.adjustment_images,
            "value_range": self.value_range,
        }


def augmentation_layer(
    setting: Any, value_range: tuple[float, float] | None, example_shape: tuple[int, ...]
) -> DifferentiableAugmentation | None:
    """Turn a model's `augmentation` argument into a layer.

    Args:
        setting: `None`, a policy such as `"color,translation"`, or a layer.
        value_range: The model's.
        example_shape: The model's; only images can be augmented.

    Returns:
        The layer, or `None`.

    Raises:
        ValueError: If the setting is wrong or the examples are no images.
    """
    if setting is None:
        return None
    if len(example_shape) != 3:
        raise ValueError(
            "augmentation transforms images [height, width, channels]; leave it None for other "
            f"examples. Received: augmentation={setting!r}, example_shape={example_shape}"
        )
    if isinstance(setting, str):
        return DifferentiableAugmentation(setting, value_range=value_range or (-1.0, 1.0))
    if isinstance(setting, DifferentiableAugmentation):
        # A copy, since its range and its share are this model's.
        config = {**setting.get_config(), "value_range": value_range or (-1.0, 1.0)}
        return type(setting).from_config(config)
    raise ValueError(
        "augmentation must be None, comma-separated names such as 'color,translation,cutout', or "
        f"a DifferentiableAugmentation. Received: augmentation={setting!r}"
    )
