"""A batch that leaves a replica idle in every step is refused; one that does not divide is not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.training import replica_batches
from keras_transgen.training.replica_batches import refuse_idle_replicas
from tests.training.models import NetworkModel
from tests.training.test_trainer import CASES, compile_classifier

ROWS = np.zeros((8, 2), "float32")
DATA = tf.data.Dataset.from_tensor_slices(ROWS)


@pytest.mark.parametrize(
    ("data", "batch_size"),
    [
        (ROWS, 1),
        (ROWS[:1], None),
        (DATA.batch(1, drop_remainder=True), None),
        ({"image": ROWS}, 1),
    ],
    ids=["small batches", "one example", "data set", "several inputs"],
)
def test_fewer_examples_than_replicas_are_refused(data, batch_size, two_replicas):
    with pytest.raises(ValueError, match="Received: 1 examples a batch for 2 replicas"):
        refuse_idle_replicas(two_replicas, data, batch_size)
    refuse_idle_replicas(tf.distribute.get_strategy(), data, batch_size)


@pytest.mark.parametrize(
    ("data", "batch_size"),
    [(ROWS, 3), (ROWS, None), (DATA.batch(2, drop_remainder=True), None), (DATA.batch(1), None)],
    ids=["does not divide", "the default", "data set", "size not known"],
)
def test_others_are_not(data, batch_size, two_replicas):
    refuse_idle_replicas(two_replicas, data, batch_size)


def test_fit_refuses_before_it_trains(two_replicas):
    case = CASES["classifier"]
    with two_replicas.scope():
        model = case.ready()
    before = [weight.numpy() for weight in model.weights]
    with pytest.raises(ValueError, match="batch_size to at least 2"):
        model.fit(*case.data, batch_size=1, verbose=0)
    for old, weight in zip(before, model.weights):
        np.testing.assert_array_equal(old, weight.numpy())


@pytest.mark.parametrize(
    # As a MirroredStrategy of so many replicas was seen to cut batches of TensorFlow 2.21.
    ("examples", "parts"),
    [(5, (3, 2)), (1, (1, 0)), (4, (2, 2, 0)), (5, (2, 2, 1)), (2, (1, 1, 0)), (3, (1, 1, 1))],
)
def test_which_batches_leave_a_replica_out(examples, parts):
    assert replica_batches._leaves_one_out(examples, len(parts)) == (0 in parts)


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_convolutions_that_lose_their_shape_are_refused_before_training(jit_compile, two_replicas):
    """Will tell when TensorFlow is mended: training then just works."""
    images, labels = np.ones((9, 4, 4, 1), "float32"), np.zeros(9, int)
    with two_replicas.scope():
        layers = [keras.layers.Conv2D(2, 3, 2, activation="leaky_relu"), keras.layers.Flatten()]
        model = NetworkModel(
            keras.Sequential([keras.Input((4, 4, 1)), *layers, keras.layers.Dense(3)])
        )
        compile_classifier(model, jit_compile=jit_compile)
    if replica_batches._loses_shapes() and not jit_compile:
        with pytest.raises(ValueError, match=r"one of 2 replicas without.*Received: 9 examples"):
            model.fit(images, labels, batch_size=8, verbose=0)
        model.fit(images[:8], labels[:8], batch_size=8, verbose=0)
        # What is held out is not trained on.
        model.fit(images, labels, batch_size=8, validation_split=0.12, verbose=0)
    else:
        history = model.fit(images, labels, batch_size=8, verbose=0)
        assert np.isfinite(history.history["loss"]).all()


@pytest.mark.slow
def test_what_is_evaluated_and_predicted_leaves_no_replica_without_examples(two_replicas):
    """9 examples in batches of 8 are 8 and 1, which TensorFlow fails on; they are cut otherwise."""
    images = np.random.default_rng(0).normal(size=(9, 4, 4, 1)).astype("float32")
    labels = np.arange(9) % 3

    def made():
        keras.utils.set_random_seed(1)
        layers = [keras.layers.Conv2D(2, 3, 2, activation="relu"), keras.layers.Flatten()]
        model = NetworkModel(
            keras.Sequential([keras.Input((4, 4, 1)), *layers, keras.layers.Dense(3)])
        )
        compile_classifier(model, jit_compile=False)
        return model

    one = made()
    with two_replicas.scope():
        two = made()
    np.testing.assert_allclose(
        two.predict(images, batch_size=8, verbose=0), one.predict(images, verbose=0), rtol=1e-5
    )
    held_out = {"batch_size": 8, "verbose": 0, "return_dict": True}
    assert two.evaluate(images, labels, **held_out) == pytest.approx(
        one.evaluate(images, labels, **held_out), rel=1e-5
    )
    history = two.fit(
        images[:8], labels[:8], batch_size=8, validation_data=(images, labels), verbose=0
    )
    assert np.isfinite(history.history["val_loss"]).all()


def test_sizes_that_no_batch_leaves_a_replica_out_of(two_replicas, monkeypatch):
    monkeypatch.setattr(replica_batches, "_loses_shapes", lambda: True)
    with two_replicas.scope():
        model = NetworkModel(keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 3)]))

    def size(rows, batch_size):
        images = np.zeros((rows, 4, 4, 1), "float32")
        # As validation data come, without weights.
        data = (images, images[:, 0, 0, 0], None)
        return replica_batches.size_without_lost_convolutions(model, data, batch_size)

    assert [size(9, 8), size(33, None), size(10, 8), size(3, 8)] == [7, 31, 8, 8]
    assert size(3, 2) == 3, "one batch of two and one examples"
    assert size(1, 8) == 8, "nothing helps here"


@pytest.mark.skipif(not replica_batches._loses_shapes(), reason="oneDNN is off, or mended")
def test_fewer_examples_than_replicas(two_replicas):
    import keras_transgen as ktg

    with two_replicas.scope():
        model = ktg.Pix2Pix((8, 8, 1), filters=2, seed=0)
        model.compile(jit_compile=False)
    image = np.zeros((1, 8, 8, 1), "float32")
    for run in (lambda: model.evaluate(image, image, verbose=0), lambda: model.predict(image)):
        with pytest.raises(ValueError, match="1 examples for 2 replicas"):
            run()
