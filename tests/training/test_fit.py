"""`fit` takes what Keras' `fit` takes, with Keras' results."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.models import NetworkModel, TwoPlayers
from tests.training.test_trainer import CASES, IMAGES, LABELS, classifier, compile_classifier

WEIGHTS = np.linspace(0.1, 2, 24).astype("float32")


class Batches(keras.utils.PyDataset):
    """IMAGES and LABELS in batches of 8, in their order."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple:
        rows = slice(8 * index, 8 * index + 8)
        return IMAGES[rows], LABELS[rows]


def dataset() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(8)


FITS = {
    "arrays": lambda: ((IMAGES, LABELS), {"batch_size": 8, "shuffle": False}),
    "class weights": lambda: (
        (IMAGES, LABELS),
        {"batch_size": 8, "shuffle": False, "class_weight": {0: 1.0, 1: 3.0, 2: 0.5}},
    ),
    "sample weights": lambda: (
        (IMAGES, LABELS),
        {"batch_size": 8, "shuffle": False, "sample_weight": WEIGHTS},
    ),
    "tf.data": lambda: ((dataset(),), {}),
    "PyDataset": lambda: ((Batches(),), {"shuffle": False}),
    "generator": lambda: (
        (((IMAGES[i : i + 8], LABELS[i : i + 8]) for i in [0, 8, 16] * 3),),
        {"steps_per_epoch": 3},
    ),
    "repeated, with steps": lambda: ((dataset().repeat(),), {"steps_per_epoch": 3}),
    "validation split": lambda: (
        (IMAGES, LABELS),
        {"batch_size": 8, "shuffle": False, "validation_split": 0.25},
    ),
    "validation data": lambda: (
        (IMAGES, LABELS),
        {"batch_size": 8, "shuffle": False, "validation_data": (IMAGES[:10], LABELS[:10])},
    ),
}


@pytest.mark.parametrize("name", FITS)
def test_ends_as_keras_does(name):
    ours = classifier()
    plain = keras.models.clone_model(ours.network)
    plain.set_weights(ours.network.get_weights())
    histories = []
    for model in (ours, plain):
        compile_classifier(model, jit_compile=False)
        args, kwargs = FITS[name]()
        histories.append(model.fit(*args, epochs=2, verbose=0, **kwargs).history)
    for one, other in zip(ours.weights, plain.weights):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)
    assert histories[0].keys() == histories[1].keys()
    for log in histories[1]:
        np.testing.assert_allclose(histories[0][log], histories[1][log], atol=1e-5, err_msg=log)


@functools.cache
def trained_by(steps_per_execution: int, strategy: tf.distribute.Strategy) -> list[np.ndarray]:
    """24 rows in batches of 7: four steps, the last one ragged."""
    keras.utils.set_random_seed(2)
    with strategy.scope():
        model = TwoPlayers()
        model.compile(jit_compile=False, steps_per_execution=steps_per_execution)
    model.fit(IMAGES[:, :4], batch_size=7, epochs=2, verbose=0)
    assert int(model.progress.step.numpy()) == 8
    # Statistics are each replica's own.
    alone = strategy.num_replicas_in_sync == 1
    return [weight.numpy() for weight in (model.weights if alone else model.trainable_weights)]


@pytest.mark.parametrize("steps", [2, 3, 50])
def test_steps_per_execution_changes_nothing(steps):
    strategy = tf.distribute.get_strategy()
    for one, other in zip(trained_by(1, strategy), trained_by(steps, strategy), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [2, 50])
def test_steps_per_execution_changes_nothing_on_two_replicas(steps, two_replicas):
    for one, other in zip(
        trained_by(1, two_replicas), trained_by(steps, two_replicas), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_eager_equals_graph():
    results = []
    for run_eagerly in (False, True):
        model = CASES["classifier"].make()
        keras.utils.set_random_seed(0)
        model.set_weights([np.full(w.shape, 0.1) for w in model.weights])
        model.progress.seed.assign(3)
        compile_classifier(model, run_eagerly=run_eagerly)
        model.fit(IMAGES, LABELS, batch_size=8, verbose=0)
        results.append(model.get_weights())
    for one, other in zip(*results):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_train_on_batch_takes_keras_step():
    ours = classifier()
    plain = keras.models.clone_model(ours.network)
    plain.set_weights(ours.network.get_weights())
    losses = []
    for model in (ours, plain):
        compile_classifier(model, jit_compile=False)
        losses.append(model.train_on_batch(IMAGES, LABELS, return_dict=True)["loss"])
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-6)
    for one, other in zip(ours.weights, plain.weights):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)


@pytest.mark.parametrize("data", [(IMAGES[:0], LABELS[:0]), (tf.data.Dataset.range(0).batch(2),)])
def test_empty_data_are_refused(data):
    model = classifier()
    compile_classifier(model)
    with pytest.raises(ValueError, match="empty"):
        model.fit(*data, verbose=0)


def test_unequal_lengths_are_refused():
    model = classifier()
    compile_classifier(model)
    with pytest.raises(ValueError, match=r"\[24, 23\]"):
        model.fit(IMAGES, LABELS[:-1], verbose=0)


def test_jit_compile_is_checked_and_chosen(monkeypatch):
    dense = classifier()
    with pytest.raises(ValueError, match="jit_compile='fast'"):
        compile_classifier(dense, jit_compile="fast")
    compile_classifier(dense, jit_compile="auto")
    assert dense.jit_compile is True
    convolutional = NetworkModel(
        keras.Sequential(
            [keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 3), keras.layers.Flatten()]
        )
    )
    compile_classifier(convolutional, jit_compile="auto")
    assert convolutional.jit_compile is bool(tf.config.list_physical_devices("GPU"))
    assert convolutional.get_compile_config()["jit_compile"] == "auto"


def test_one_optimizer_for_two_networks_is_refused():
    adam = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="optimizer of its own"):
        TwoPlayers().compile(generator_optimizer=adam, discriminator_optimizer=adam)


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [1, 2])
def test_end_of_data_of_unknown_length_counts_no_step(replicas, two_replicas):
    """Three batches an epoch; what is met at their end must not move an optimizer's counter."""
    strategy = two_replicas if replicas == 2 else tf.distribute.get_strategy()
    data = tf.data.Dataset.from_tensor_slices(IMAGES[:, :4]).batch(8)
    data = data.filter(lambda batch: tf.size(batch) > 0)
    assert data.cardinality() == tf.data.UNKNOWN_CARDINALITY
    with strategy.scope():
        model = TwoPlayers()
        model.compile(jit_compile=False)
    model.fit(data, epochs=2, verbose=0, shuffle=False)
    assert int(model.progress.step.numpy()) == 6
    for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
        assert int(optimizer.iterations.numpy()) == 6
