"""A model that makes whatever a test wants, so that callbacks meet known samples."""

import keras
import numpy as np


class Sampler(keras.Model):
    """`sample` returns what `make(count, rng)` gives; `fit` trains one unused weight."""

    def __init__(self, make, value_range=(0.0, 1.0)):
        super().__init__()
        self.make = make
        self.value_range = value_range
        self.dense = keras.layers.Dense(1)
        self.asked = []

    def call(self, x):
        return self.dense(x)

    def scaled(self, x):
        x = np.asarray(x)
        return x / 255.0 if x.dtype == np.uint8 else x

    def sample(self, what, seed=None):
        self.asked.append((what, seed))
        count = what if isinstance(what, int) else len(what)
        return self.make(count, np.random.default_rng(seed))

    def run(self, callbacks, epochs=1):
        self.compile("sgd", "mse")
        data = np.zeros((2, 1)), np.zeros((2, 1))
        return self.fit(*data, epochs=epochs, verbose=0, callbacks=callbacks).history


def images(count, rng):
    return rng.random((count, 8, 8, 1)).astype("float32")


REAL = images(40, np.random.default_rng(7))
