"""What the end of an epoch costs: `fit` on a tf.data set, Keras' own against ours.

In TensorFlow 2.21 an iterator often waits at its end for the thread that tunes its pipeline, which
sleeps for up to as long as the epoch took (at most a minute). Both sides train an
equal network on an equal data set; each epoch is timed from its start to the next one's.
"""

import argparse
import time

import keras
import numpy as np
import tensorflow as tf
from report import median, publish

from keras_transgen.training import TrainerModel

ROWS, BATCH = 1280, 64


class Clock(keras.callbacks.Callback):
    """Seconds from each epoch's start to the next one's."""

    def __init__(self):
        super().__init__()
        self.starts = []

    def on_epoch_begin(self, epoch, logs=None):
        self.starts.append(time.perf_counter())

    def on_train_end(self, logs=None):
        self.starts.append(time.perf_counter())

    def epochs(self):
        return list(np.diff(self.starts))


class Ours(TrainerModel):
    def __init__(self, network):
        super().__init__(seed=0)
        self.network = network

    def call(self, x):
        return self.network(x)


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ]
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--epochs", type=int, default=20)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    rng = np.random.default_rng(0)
    images = rng.normal(size=(ROWS, 32, 32, 3)).astype("float32")
    labels = rng.integers(0, 10, ROWS)
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(BATCH)
    data = data.map(lambda x, y: (x * 0.5, y), num_parallel_calls=tf.data.AUTOTUNE)
    data = data.prefetch(tf.data.AUTOTUNE)
    sides = {"keras.Model.fit": network(), "keras_transgen": Ours(network())}
    for model in sides.values():
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, jit_compile=False)
        model.fit(data, verbose=0)
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, model in sides.items():
            clock = Clock()
            model.fit(data, epochs=options.epochs, verbose=0, callbacks=[clock])
            taken[name] += clock.epochs()
    rows = [("side", "median epoch (s)", "mean epoch (s)", "longest (s)", "all epochs (s)")]
    rows += [
        (name, f"{median(s):.2f}", f"{np.mean(s):.2f}", f"{max(s):.2f}", f"{sum(s):.0f}")
        for name, s in taken.items()
    ]
    keras_seconds, ours = (sum(seconds) for seconds in taken.values())
    publish(
        "End of an epoch: fit on a tf.data set",
        "no epoch waits for the pipeline's tuning thread",
        rows,
        f"The same {options.rounds * options.epochs} epochs take {ours / keras_seconds:.2f} of "
        "Keras' time. What differs is the waiting at the ends of epochs.",
        __file__,
    )


if __name__ == "__main__":
    main()
