"""Straight paths from noise to data, and the velocity that each kind of prediction gives."""

from __future__ import annotations

import tensorflow as tf

from keras_transgen.training.registry import Registry

# A network that predicts the noise says nothing of the data where all is noise: the velocity is
# divided by the time, and this is the earliest that it is asked for.
_EARLIEST = 0.02

PREDICTIONS = Registry("prediction")


def along(time: tf.Tensor, examples: tf.Tensor) -> tf.Tensor:
    """Times `[batch]` as `[batch, 1, ...]`, to be multiplied with examples."""
    return tf.reshape(time, [-1] + [1] * (examples.shape.rank - 1))


def place_at(time: tf.Tensor, noise: tf.Tensor, data: tf.Tensor) -> tf.Tensor:
    """Where the straight path from noise to an example is at a time.

        x_t = (1 - t) noise + t data

    Time 0 is noise and time 1 data, as in both papers; what some diffusion models call t is 1 - t
    here.

    Args:
        time: Float32 `[batch]` in [0, 1].
        noise: Standard normal `[batch, ...]`.
        data: Examples `[batch, ...]`.

    Reference:
        Liu, Gong and Liu, Flow straight and fast: rectified flow, 2023; Lipman et al., Flow
        matching for generative modeling, 2023 (its optimal transport path).
    """
    share = along(time, data)
    return (1.0 - share) * noise + share * data


class Prediction:
    """What a network predicts of a path: the target of its loss, and the velocity that follows."""

    def target(self, noise: tf.Tensor, data: tf.Tensor) -> tf.Tensor:
        """What the network ought to say, of the shape of examples."""
        raise NotImplementedError

    def velocity(self, predicted: tf.Tensor, place: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        """The velocity at places and times, of what the network says there."""
        raise NotImplementedError

    def asked_at(self, time: tf.Tensor) -> tf.Tensor:
        """The times at which the network is asked, for those at which a velocity is wanted."""
        return time


@PREDICTIONS.register("velocity")
class VelocityPrediction(Prediction):
    """The network predicts data - noise, the velocity itself."""

    def target(self, noise: tf.Tensor, data: tf.Tensor) -> tf.Tensor:
        return data - noise

    def velocity(self, predicted: tf.Tensor, place: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        return predicted


@PREDICTIONS.register("noise")
class NoisePrediction(Prediction):
    """The network predicts the noise; the velocity is (x_t - noise) / t.

    Near time 0 the quotient has no value, and any error of the network is multiplied by 1 / t. No
    velocity is asked for before time 0.02; it changes little over so short a time.
    """

    def target(self, noise: tf.Tensor, data: tf.Tensor) -> tf.Tensor:
        return noise

    def velocity(self, predicted: tf.Tensor, place: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        return (place - predicted) / along(time, place)

    def asked_at(self, time: tf.Tensor) -> tf.Tensor:
        return tf.maximum(time, _EARLIEST)
