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
