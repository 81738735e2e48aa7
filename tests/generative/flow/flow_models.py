"""Flows whose velocity is known, and flows whose noise is a function of the examples."""

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.generative.flow.flow_matching import FlowMatching
from tests.generative.adversarial.adversarial_models import noise_of_examples


@keras.saving.register_keras_serializable(package="tests")
class FixedNoiseFlow(FlowMatching):
    """Noise, times and dropped conditions go with the example, so that replicas can be compared."""

    def draw_noise(self, data, seed, training):
        return noise_of_examples(data, super().draw_noise(data, seed, training))


@keras.saving.register_keras_serializable(package="tests")
class GaussianPath(keras.layers.Layer):
    """What the best network says on the paths from N(0, 1) to N(mean, covariance).

    With C_t = (1 - t)^2 + t^2 covariance, the covariance of the places at time t, it is

        E[data - noise | x_t] = mean + (t covariance - (1 - t)) C_t^-1 (x_t - t mean)
        E[noise | x_t]        = (1 - t) C_t^-1 (x_t - t mean)
    """

    def __init__(self, mean, covariance, prediction="velocity", **kwargs):
        super().__init__(**kwargs)
        self.mean, self.covariance = np.asarray(mean), np.asarray(covariance)
        self.prediction = prediction
        self.values, self.basis = np.linalg.eigh(self.covariance)

    def call(self, inputs):
        x, t = inputs
        t = t[:, None]
        basis = tf.cast(self.basis, tf.float32)
        values, mean = tf.cast(self.values, tf.float32), tf.cast(self.mean, tf.float32)
        in_basis = tf.matmul(x - t * mean, basis)
        variance = (1 - t) ** 2 + t**2 * values
        if self.prediction == "noise":
            return tf.matmul((1 - t) / variance * in_basis, basis, transpose_b=True)
        slope = (t * values - (1 - t)) / variance
        return mean + tf.matmul(slope * in_basis, basis, transpose_b=True)

    def compute_output_shape(self, input_shape):
        return input_shape[0]


class Gaussian:
    """A normal distribution, its exact flow, and the map from noise to data that it is."""

    def __init__(self, mean=(1.0, -0.5), covariance=((0.5, 0.3), (0.3, 1.5))):
        self.mean, self.covariance = np.array(mean), np.array(covariance)
        values, basis = np.linalg.eigh(self.covariance)
        self.root = basis @ np.diag(np.sqrt(values)) @ basis.T

    def flow(self, prediction="velocity", **kwargs):
        size = len(self.mean)
        x, t = keras.Input((size,)), keras.Input(())
        path = GaussianPath(self.mean, self.covariance, prediction)
        network = keras.Model([x, t], path([x, t]))
        return FlowMatching((size,), network=network, prediction=prediction, **kwargs)

    def moved(self, noise):
        """Where the flow takes noise: the way of a straight line in each principal direction."""
        return np.asarray(noise) @ self.root + self.mean

    def data(self, count, seed=0):
        rng = np.random.default_rng(seed)
        return self.moved(rng.normal(size=(count, len(self.mean)))).astype("float32")


def constant_flow(size=2, num_classes=3, **kwargs):
    """A flow whose velocity is the condition's vector, whatever place and time."""
    x, t, condition = keras.Input((size,)), keras.Input(()), keras.Input((size,))
    at_rest = keras.layers.Rescaling(0.0)
    outputs = keras.layers.Add()([condition, at_rest(x)])
    return FlowMatching(
        (size,),
        num_classes,
        network=keras.Model([x, t, condition], outputs),
        embedding_dim=size,
        **kwargs,
    )


def small_network(shape=(8, 8, 1), embedding_dim=None):
    """Two convolutions that are told time and condition: quick to compile."""
    x, t = keras.Input(shape), keras.Input(())
    inputs, told = [x, t], keras.layers.Reshape((1,))(t)
    if embedding_dim:
        inputs.append(keras.Input((embedding_dim,)))
        told = keras.layers.Concatenate()([told, inputs[-1]])
    told = keras.layers.Dense(4, name="told")(told)
    inner = keras.layers.Conv2D(4, 3, padding="same", name="convolution")(x)
    inner = keras.layers.Add(name="inner")([inner, keras.layers.Reshape((1, 1, 4))(told)])
    inner = keras.layers.Activation("swish", name="active")(inner)
    outputs = keras.layers.Conv2D(shape[-1], 3, padding="same", dtype="float32", name="said")
    return keras.Model(inputs, outputs(inner), dtype="float32")
