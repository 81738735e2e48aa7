"""A model of one's own logs its loss through the core, without a metric or a private name."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.training import TrainerModel, loss_weight


class Mean(TrainerModel):
    """Its loss is weight times the mean of the batch; it also measures the largest value."""

    def __init__(self):
        super().__init__()
        self.weight = self.add_weight(shape=(), initializer="ones")
        self.largest = keras.metrics.Mean(name="largest")
        self.built = True

    def update_step(self, data, noise):
        x = keras.utils.unpack_x_y_sample_weight(data)[0]
        weight = loss_weight(tf.shape(x)[0], self.optimizer)
        gradients, loss, _ = self.gradients_of(
            lambda: (self.weight * tf.reduce_mean(x), None), [self.weight], weight
        )
        self.apply_gradients(self.optimizer, gradients, [self.weight])
        self.largest.update_state(tf.reduce_max(x))
        return self.track_loss(loss, tf.shape(x)[0])

    def evaluation_step(self, data, noise):
        x = keras.utils.unpack_x_y_sample_weight(data)[0]
        return self.track_loss(self.weight * tf.reduce_mean(x), tf.shape(x)[0])


def test_the_loss_of_an_epoch_is_the_mean_over_its_examples():
    x = np.array([1, 2, 3, 4, 5, 6, 7, 8, 90, 100], "float32")[:, None]
    model = Mean()
    # A gradient of 22.6 for the mean of all; at this rate the weight hardly moves.
    model.compile(keras.optimizers.SGD(1e-9), jit_compile=False)
    options = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0}
    history = model.fit(x, validation_data=(x[:5],), validation_batch_size=4, **options).history
    # A mean over batches of 4, 4 and 2 would be 34.7.
    assert history["loss"] == pytest.approx([22.6, 22.6], rel=1e-5)
    assert history["largest"] == pytest.approx([(4 + 8 + 100) / 3] * 2)
    assert history["val_loss"] == pytest.approx([3.0, 3.0], rel=1e-5)


class Adversary(Mean):
    """Logs two means of its own, and keeps a third that is no log of a step, as GANs do."""

    def __init__(self):
        super().__init__()
        self.smallest = keras.metrics.Mean(name="smallest")
        self.unused = keras.metrics.Mean(name="unused")

    def evaluation_step(self, data, noise):
        x = keras.utils.unpack_x_y_sample_weight(data)[0]
        size = tf.shape(x)[0]
        mean = tf.where(size > 0, tf.reduce_mean(x), 0.0)
        self.largest.update_state(mean, sample_weight=size)
        self.smallest.update_state(-mean, sample_weight=size)
        return {"largest": self.largest.result(), "smallest": self.smallest.result()}


@pytest.mark.parametrize(("examples", "batch_size"), [(33, 32), (7, 2), (5, 4), (1, 2)])
def test_logs_of_two_replicas_are_means_over_examples(examples, batch_size, two_replicas):
    x = np.arange(1.0, examples + 1.0, dtype="float32")[:, None] ** 2
    with two_replicas.scope():
        model = Adversary()
        model.compile("sgd", jit_compile=False)
    logs = model.evaluate(x, batch_size=batch_size, verbose=0, return_dict=True)
    assert logs["largest"] == pytest.approx(x.mean(), rel=1e-6)
    assert logs["smallest"] == pytest.approx(-x.mean(), rel=1e-6)
