"""Two replicas take one replica's step, for every kind of Keras optimizer."""

import keras
import numpy as np
import pytest

from tests.training.models import NetworkModel

RNG = np.random.default_rng(3)
X = RNG.normal(size=(22, 4)).astype("float32")
Y = RNG.integers(0, 3, 22)

OPTIMIZERS = {
    "plain": lambda: keras.optimizers.SGD(0.5),
    "momentum": lambda: keras.optimizers.SGD(0.5, momentum=0.9, nesterov=True),
    "clipped norm": lambda: keras.optimizers.SGD(0.5, clipnorm=0.05),
    "clipped value": lambda: keras.optimizers.SGD(0.5, clipvalue=0.02),
    "clipped global norm": lambda: keras.optimizers.Adam(0.05, global_clipnorm=0.05),
    "accumulated": lambda: keras.optimizers.SGD(0.5, gradient_accumulation_steps=2),
    "averaged weights": lambda: keras.optimizers.Adam(0.05, use_ema=True),
    "overwriting average": lambda: keras.optimizers.Adam(
        0.05, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2
    ),
    "weight decay": lambda: keras.optimizers.AdamW(0.05, weight_decay=0.1),
    "loss scale": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5)),
    "loss scale, accumulated": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.5, gradient_accumulation_steps=2)
    ),
    "loss scale factor": lambda: keras.optimizers.SGD(0.5, loss_scale_factor=8.0, clipnorm=0.05),
}


def classifier() -> NetworkModel:
    keras.utils.set_random_seed(4)
    regularizer = keras.regularizers.L2(0.1)
    return NetworkModel(
        keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(5, activation="tanh", kernel_regularizer=regularizer),
                keras.layers.Dense(3),
            ]
        )
    )


def trained(optimizer, batch_size=8, epochs=2) -> tuple[NetworkModel, keras.callbacks.History]:
    model = classifier()
    model.compile(
        optimizer=optimizer(),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    history = model.fit(X, Y, batch_size=batch_size, epochs=epochs, shuffle=False, verbose=0)
    return model, history


QUICK = ("clipped norm",)
# What each takes another way through the step; the rest goes with the long tests.
SOON = ("plain", "clipped global norm", "loss scale, accumulated", "overwriting average")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            n, marks=() if n in QUICK else pytest.mark.slow if n in SOON else pytest.mark.long
        )
        for n in OPTIMIZERS
    ],
)
def test_two_replicas_take_the_step_of_one(name, two_replicas):
    # 22 rows in batches of 8 leave a last batch of 6; batches of 7 split unevenly into 4 and 3.
    one, history_of_one = trained(OPTIMIZERS[name], batch_size=7)
    with two_replicas.scope():
        two, history_of_two = trained(OPTIMIZERS[name], batch_size=7)
    for alone, together in zip(one.trainable_weights, two.trainable_weights):
        np.testing.assert_allclose(alone.numpy(), together.numpy(), atol=2e-6)
    for log in history_of_one.history:
        np.testing.assert_allclose(
            history_of_one.history[log], history_of_two.history[log], atol=1e-5, err_msg=log
        )


def test_one_replica_takes_keras_own_step():
    """The independent source: the same network, data and optimizer in a plain Keras model."""
    ours, _ = trained(OPTIMIZERS["clipped global norm"])
    network = classifier().network
    plain = keras.Model(network.inputs, network.outputs)
    plain.compile(
        optimizer=OPTIMIZERS["clipped global norm"](),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    plain.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    for one, other in zip(ours.weights, plain.weights):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)


def test_a_replica_without_examples_adds_nothing(two_replicas):
    """21 rows in batches of 4 leave one row for two replicas: the second one's mean is NaN."""
    one = classifier()
    with two_replicas.scope():
        two = classifier()
    for model in (one, two):
        with model.distribute_strategy.scope():
            model.compile(
                optimizer=keras.optimizers.SGD(0.5),
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                jit_compile=False,
            )
        model.fit(X[:21], Y[:21], batch_size=4, shuffle=False, verbose=0)
    for alone, together in zip(one.trainable_weights, two.trainable_weights):
        np.testing.assert_allclose(alone.numpy(), together.numpy(), atol=2e-6)


def test_the_switch_that_the_core_replaces_still_exists(two_replicas):
    """Tells when TensorFlow renames what `_updates_across_replicas` relies on."""
    assert two_replicas.extended._use_merge_call() is True
    assert callable(keras.optimizers.LossScaleOptimizer._common_apply)


def test_rows_that_were_looked_up_twice_count_once(two_replicas):
    """Keras' Adam squares each looked-up row by itself, which is no Adam; by hand it is that."""

    def table():
        keras.utils.set_random_seed(0)
        model = NetworkModel(
            keras.Sequential(
                [
                    keras.Input((2,), dtype="int32"),
                    keras.layers.Embedding(3, 1, embeddings_initializer="zeros"),
                    keras.layers.Flatten(),
                ]
            )
        )
        model.compile(keras.optimizers.Adam(0.1), loss="mean_squared_error", jit_compile=False)
        return model

    rows = np.array([[0, 0], [0, 1]], "int32")
    targets = np.array([[1.0, 2.0], [3.0, 1.0]], "float32")
    weights, mean, square = np.zeros(3), np.zeros(3), np.zeros(3)
    for step in range(1, 4):
        gradient = np.zeros(3)
        np.add.at(gradient, rows, 2 * (weights[rows] - targets) / targets.size)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        rate = 0.1 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        weights = weights - rate * mean / (np.sqrt(square) + 1e-7)
    alone = table()
    alone.fit(rows, targets, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(alone.network.weights[0].numpy()[:, 0], weights, atol=1e-5)
    with two_replicas.scope():
        together = table()
    together.fit(rows, targets, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(together.network.weights[0].numpy()[:, 0], weights, atol=1e-5)
