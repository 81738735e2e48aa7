"""What all generative models refuse, scale and seed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.generative_model import GenerativeModel, sampling_seed


class Scaler(GenerativeModel):
    """A model of one parameter: the mean of all values."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.mean = self.add_weight(name="mean", shape=(), initializer="zeros")
        self.built = True

    def compile(self, optimizer="sgd", **kwargs):
        super().compile(optimizer=optimizer, **kwargs)

    def update_step(self, data, noise):
        x, _, _ = self.unpack(data)
        self._loss_tracker.update_state(tf.reduce_mean(x) - self.mean)
        return self.get_metrics_result()

    evaluation_step = update_step


def test_bytes_become_the_ends_of_the_range():
    model = Scaler((2, 1, 1), value_range=(-1.0, 1.0))
    x = np.array([0, 255], "uint8").reshape(1, 2, 1, 1)
    np.testing.assert_allclose(np.ravel(model.scaled(x)), [-1.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(
        np.ravel(Scaler((2,)).scaled(np.array([[51, 255]], "uint8"))), [0.2, 1.0], atol=1e-6
    )


def test_floats_stay_as_they_are():
    x = np.array([[0.25, -7.0]])
    scaled = Scaler((2,)).scaled(x)
    assert scaled.dtype == tf.float32
    np.testing.assert_array_equal(scaled, x)


def test_unpack_scales_examples_only():
    labels, weights = np.array([3]), np.array([0.5])
    x, y, weight = Scaler((1,)).unpack((np.array([[255]], "uint8"), labels, weights))
    assert (float(x[0, 0]), y[0], weight[0]) == (1.0, 3, 0.5)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((4, 8, 8), "float32"), r"add the channel axis with x\[\.\.\., None\]"),
        (np.zeros((4, 9, 8, 1), "float32"), r"\[batch, 8, 8, 1\].*Received: x of shape \[4, 9"),
        (np.zeros((8, 8, 1, 1)), r"expects x of shape"),
        (np.full((2, 8, 8, 1), 255.0), r"float values in \[-1, 1\] or uint8.*from 255 to 255"),
        (np.full((2, 8, 8, 1), np.nan), "finite"),
        (np.full((2, 8, 8, 1), np.inf), "finite"),
        (np.full((2, 8, 8, 1), "a"), "expects numbers"),
        (np.ones((2, 8, 8, 1), "uint8"), "Cast them to float32"),
        (np.zeros((0, 8, 8, 1)), "empty"),
    ],
)
def test_wrong_examples_are_refused_before_training(x, message):
    model = Scaler((8, 8, 1), value_range=(-1.0, 1.0))
    with pytest.raises(ValueError, match=message):
        model.fit(x, epochs=1, verbose=0)
    assert int(model.progress.step.numpy()) == 0


def test_wrong_examples_of_a_dataset_are_refused_too():
    data = tf.data.Dataset.from_tensors(tf.fill([4, 8, 8, 1], 9.0))
    with pytest.raises(ValueError, match="from 9 to 9"):
        Scaler((8, 8, 1), value_range=(-1.0, 1.0)).fit(data, verbose=0)


def test_a_single_example_gets_advice():
    with pytest.raises(ValueError, match=r"batch axis, x\[None\]"):
        Scaler((8, 8, 3)).check_examples(np.zeros((8, 8, 3)))


def test_half_of_a_range_warns():
    model = Scaler((2,), value_range=(-1.0, 1.0))
    with pytest.warns(UserWarning, match=r"value_range=\(0\.0, 1\.0\)"):
        model.check_examples(np.array([[0.0, 1.0]]))


@pytest.mark.parametrize("shape", [(), (0, 3), ("a",), (-1,)])
def test_wrong_shapes(shape):
    with pytest.raises(ValueError, match="positive integers"):
        Scaler(shape)


def test_wrong_range():
    with pytest.raises(ValueError, match="low < high"):
        Scaler((3,), value_range=(1.0, -1.0))


def test_a_batch_smaller_than_the_replicas(two_replicas):
    with two_replicas.scope():
        model = Scaler((3,))
    with pytest.raises(ValueError, match=r"at least 2.*Received: 1 examples"):
        model.fit(np.zeros((4, 3), "float32"), batch_size=1)


def test_fit_and_evaluate_compile_by_themselves():
    x = np.full((4, 3), 0.5, "float32")
    assert Scaler((3,)).evaluate(x, verbose=0) == pytest.approx(0.5)
    model = Scaler((3,))
    history = model.fit(x, None, 2, verbose=0)
    assert history.history["loss"] == [pytest.approx(0.5)]
    assert int(model.progress.step.numpy()) == 2


def test_seeds():
    np.testing.assert_array_equal(sampling_seed(5), sampling_seed(5))
    assert not np.array_equal(sampling_seed(5), sampling_seed(6))
    assert not np.array_equal(sampling_seed(2**40), sampling_seed(0))
    assert not np.array_equal(sampling_seed(None), sampling_seed(None))
    keras.utils.set_random_seed(3)
    first = sampling_seed(None)
    keras.utils.set_random_seed(3)
    np.testing.assert_array_equal(first, sampling_seed(None))
