"""Whether a discriminator's logit of an example depends on the other examples of its batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.generative.one_replica import of_one_replica
from keras_transgen.training.compilation import flat_layers


def is_batch_coupled(
    discriminator: keras.Model, layers: Sequence[keras.layers.Layer], inputs: Any
) -> bool:
    """Whether real examples and samples, judged in one pass, would mix their statistics.

    Args:
        discriminator: The network, built.
        layers: All layers that train as the discriminator.
        inputs: Symbolic inputs of the network.
    """
    flat = [inner for layer in layers for inner in (layer, *flat_layers(layer))]
    if any(isinstance(each, keras.layers.BatchNormalization) and each.trainable for each in flat):
        return True
    # Layers of the user's own are found out by their gradients.
    return float(of_one_replica(lambda: _slope_by_others(discriminator, inputs))) > 0.0


def _slope_by_others(discriminator: keras.Model, inputs: Any) -> tf.Tensor:
    """The largest gradient of an example's logit by the other examples of its batch."""
    rng = np.random.default_rng(0)

    def probe(tensor: Any) -> tf.Tensor:
        return tf.constant(rng.normal(size=(3, *tensor.shape[1:])).astype("float32"))

    examples = keras.tree.map_structure(probe, inputs)
    # Stateless, so that neither moving statistics nor seeds move.
    values = [
        [tf.convert_to_tensor(variable.value) for variable in variables]
        for variables in (discriminator.trainable_variables, discriminator.non_trainable_variables)
    ]
    with tf.GradientTape() as tape:
        tape.watch(examples)
        outputs, _ = discriminator.stateless_call(*values, examples, training=True)
        first = tf.cast(tf.reshape(keras.tree.flatten(outputs)[0], [3, -1])[0], tf.float32)
    gradients = tape.gradient(first, keras.tree.flatten(examples))
    return tf.reduce_max([tf.reduce_max(tf.abs(g[1:])) for g in gradients if g is not None])
