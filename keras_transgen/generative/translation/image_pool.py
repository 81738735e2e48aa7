"""A store of made images, so that a discriminator also sees older ones."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

PoolNumbers = dict[str, tf.Tensor]


@keras.saving.register_keras_serializable(package="keras_transgen")
class ImagePool(keras.layers.Layer):
    """Holds made images and hands back, for each new one, the new one or a stored one.

    Until the pool is full, new images are stored and handed back. Then each new image, with
    probability one half, changes places with a stored one; with `size=0` all come back as they
    are. The images lie in a variable on the device, which is saved and restored with the model.
    With several replicas each has a pool of its own images, since each replica's discriminator
    gradients are of its own images, too; a file keeps the first replica's, and after loading all
    replicas start from it.

    Reference:
        Shrivastava et al., Learning from simulated and unsupervised images through adversarial
        training, 2017.
    """

    def __init__(self, size: int, image_shape: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        if size < 0:
            raise ValueError(f"pool_size must not be negative. Received: pool_size={size}")
        self.size = size
        self.image_shape = tuple(image_shape)
        self.images = self._own_variable((size, *self.image_shape), "float32", "images")
        self.count = self._own_variable((), "int32", "count")
        self.built = True

    def _own_variable(self, shape: tuple[int, ...], dtype: str, name: str) -> keras.Variable:
        # Each replica writes its own copy, and nothing is sent between them.
        return keras.Variable(
            "zeros",
            shape=shape,
            dtype=dtype,
            trainable=False,
            name=f"{self.name}_{name}",
            synchronization="on_read",
            aggregation="only_first_replica",
        )

    def draw(self, batch_size: tf.Tensor, seed: tf.Tensor) -> PoolNumbers:
        """The random numbers of one exchange, drawn outside of what XLA compiles."""
        first, second = (tf.random.experimental.stateless_fold_in(seed, n) for n in (0, 1))
        return {
            "coins": tf.random.stateless_uniform([batch_size], first),
            "places": tf.random.stateless_uniform([self.size], second),
        }

    def exchange(self, images: tf.Tensor, numbers: PoolNumbers) -> tf.Tensor:
        """Store images `[batch, *image_shape]` and hand back as many, new or stored."""
        if not self.size:
            return images
        stored, count = (tf.convert_to_tensor(v.value) for v in (self.images, self.count))
        batch = tf.shape(images)[0]
        order = tf.range(batch)
        filling = count < self.size
        # A permutation, so that no two images of a batch ask for the same place.
        places = tf.gather(tf.argsort(numbers["places"]), order % self.size)
        place = tf.where(filling, count + order, places)
        has_place = tf.where(filling, place, order) < self.size
        swaps = has_place & ~filling & (numbers["coins"] < 0.5)
        moves_in = swaps | (has_place & filling)
        old = tf.gather(stored, tf.minimum(place, self.size - 1))
        # For each place, the number of the image that moves in, or -1; one place more for those
        # that do not.
        newcomer = tf.tensor_scatter_nd_max(
            tf.fill([self.size + 1], -1), tf.where(moves_in, place, self.size)[:, None], order
        )[: self.size]
        # A replica may have no images at all: one more, never used, gives `gather` its row.
        padded = tf.concat([images, tf.zeros([1, *self.image_shape])], axis=0)
        new = tf.gather(padded, tf.where(newcomer >= 0, newcomer, batch))
        self.images.assign(tf.where(_per_image(newcomer >= 0), new, stored))
        self.count.assign(tf.minimum(self.size, count + batch))
        return tf.where(_per_image(swaps), old, images)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "image_shape": self.image_shape}


def _per_image(flags: tf.Tensor) -> tf.Tensor:
    return flags[:, None, None, None]
