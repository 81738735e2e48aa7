"""A batch that no look before training can see ends the step before a weight moves by it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.training.batch_assertions import raise_own, stop_at_wrong_values, stop_unless

RNG = np.random.default_rng(0)
GOOD = RNG.uniform(size=(8, 4, 4, 1)).astype("float32")
LABELS = np.arange(8) % 3
NAN = np.where(np.arange(8)[:, None, None, None] == 5, np.nan, GOOD).astype("float32")


def vae(**compiled):
    keras.utils.set_random_seed(0)
    networks = {
        "encoder": keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()]),
        "decoder": keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(16), keras.layers.Reshape((4, 4, 1))]
        ),
    }
    model = ktg.VAE((4, 4, 1), 2, seed=0, **networks)
    model.compile("adam", **{"jit_compile": False, "steps_per_execution": 1, **compiled})
    return model


def conditional_gan(**compiled):
    size = {"latent_dim": 2, "embedding_dim": 4, "filters": 2}
    model = ktg.ConditionalGAN(3, (8, 8, 1), value_range=(0.0, 1.0), seed=0, **size)
    model.compile(**{"jit_compile": False, **compiled})
    return model


class Rows(keras.utils.PyDataset):
    def __init__(self, *batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def as_data(kind, *batches):
    if kind == "generator":
        return (batch for batch in batches)
    if kind == "rows":
        return Rows(*batches)
    joined = [np.concatenate(parts) for parts in zip(*batches)]
    return tf.data.Dataset.from_tensor_slices(tuple(joined)).batch(8)


@pytest.mark.parametrize("bad", [GOOD * 255, NAN, GOOD - 1], ids=["bytes", "nan", "negative"])
@pytest.mark.parametrize("kind", ["generator", "rows", "data set"])
def test_a_later_batch_of_examples(kind, bad):
    model = vae()
    with pytest.raises(ValueError, match=r"examples of values in \[0, 1\] in every batch"):
        model.fit(as_data(kind, (GOOD,), (bad,)), shuffle=False, verbose=0)
    moved = vae()
    moved.fit(GOOD, batch_size=8, shuffle=False, verbose=0)
    for found, expected in zip(model.get_weights(), moved.get_weights()):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    "compiled",
    [{"jit_compile": True}, {"run_eagerly": True}, {"steps_per_execution": 4}],
    ids=["xla", "eager", "several steps a call"],
)
def test_however_the_step_is_run(compiled):
    model = vae(**compiled)
    with pytest.raises(ValueError, match="Received: a batch of examples with values from 0"):
        model.fit(as_data("data set", (GOOD,), (np.floor(GOOD * 255),)), verbose=0)


@pytest.mark.slow
def test_on_two_replicas(two_replicas):
    with two_replicas.scope():
        model = vae()
    with pytest.raises(ValueError, match="in every batch"):
        model.fit(as_data("data set", (GOOD,), (GOOD * 255,)), verbose=0)


def test_validation_and_evaluation():
    model = vae()
    data = as_data("data set", (GOOD,), (GOOD * 255,))
    with pytest.raises(ValueError, match="in every batch"):
        model.fit(GOOD, validation_data=data, verbose=0)
    with pytest.raises(ValueError, match="in every batch"):
        model.evaluate(data, verbose=0)


@pytest.mark.parametrize("labels", [LABELS + 1, LABELS - 1], ids=["too large", "negative"])
@pytest.mark.parametrize("kind", ["generator", "data set"])
def test_a_later_batch_of_labels(kind, labels):
    model = conditional_gan()
    images = RNG.uniform(size=(8, 8, 8, 1)).astype("float32")
    message = rf"labels as integers from 0 to 2 .* from {labels.min()} to {labels.max()}"
    with pytest.raises(ValueError, match=message):
        model.fit(as_data(kind, (images, LABELS), (images, labels)), verbose=0)


def test_the_first_batch_of_a_generator_is_looked_at_and_put_back():
    model = vae()
    with pytest.raises(ValueError, match="A Bernoulli likelihood needs values in"):
        model.fit(as_data("generator", (GOOD * 255,)), verbose=0)
    history = model.fit(as_data("generator", (GOOD,), (GOOD,), (GOOD,)), verbose=0)
    assert int(model.progress.step.numpy()) == 3
    assert np.isfinite(history.history["loss"]).all()
    with pytest.raises(ValueError, match="used-up generator"):
        model.fit(as_data("generator"), verbose=0)


def test_what_is_predicted_is_looked_at_too():
    with pytest.raises(ValueError, match="A Bernoulli likelihood needs values in"):
        vae().predict(GOOD * 255, verbose=0)


@pytest.mark.parametrize("values", [np.arange(4), np.array([1, 2], "uint8")])
def test_whole_numbers_are_left_to_others(values):
    assert stop_at_wrong_values(tf.constant(values), (0.0, 1.0), "examples") == []


def test_other_errors_are_left_alone():
    raise_own(tf.errors.InvalidArgumentError(None, None, "something else"))
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        stop_unless(tf.constant(False), "Expected less. Received: {}", tf.constant(3))
    with pytest.raises(ValueError, match=r"^Expected less\. Received: 3$"):
        raise_own(caught.value)


def transfer_model(task, count):
    model = ktg.TransferModel(
        "digits", count, task=task, preprocessing=keras.layers.ZeroPadding2D(2), seed=0
    )
    model.compile("sgd", jit_compile=False)
    return model


@pytest.mark.parametrize(
    ("task", "count", "good", "bad", "message"),
    [
        ("classification", 3, LABELS, np.where(np.arange(8) == 5, 3, LABELS), "labels from 0 to 3"),
        ("classification", 3, LABELS, np.where(np.arange(8) == 5, -1, LABELS), "labels from -1"),
        ("classification", 3, np.eye(3)[LABELS], 255.0 * np.eye(3)[LABELS], r"\[0, 1\]"),
        ("multi_label", 2, np.ones((8, 2)), np.full((8, 2), 2.0), r"\[0, 1\]"),
        ("regression", 1, np.ones(8), np.full(8, np.nan), "targets of finite numbers"),
    ],
)
@pytest.mark.parametrize("kind", ["generator", "rows", "data set"])
def test_labels_of_a_later_batch_of_a_transfer_model(kind, task, count, good, bad, message):
    model = transfer_model(task, count)
    before = [weight.numpy() for weight in model.head.weights]
    fits = model.fit(as_data(kind, (GOOD, good)), verbose=0, batch_size=None)
    assert np.isfinite(fits.history["loss"][0])
    moved = [weight.numpy() for weight in model.head.weights]
    assert not np.array_equal(moved[0], before[0])
    with pytest.raises(ValueError, match=message):
        model.fit(as_data(kind, (GOOD, good), (GOOD, bad)), verbose=0)
    with pytest.raises(ValueError, match="inputs of finite numbers"):
        model.fit(as_data(kind, (GOOD, good), (NAN, good)), verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([(GOOD,), (GOOD,), (GOOD[:, :3],)], r"batch 3 with shapes \[8, 3, 4, 1\] after \[any, 4"),
        ([(GOOD,), (GOOD,), (GOOD[..., 0],)], r"batch 3 with shapes \[8, 4, 4\]"),
        ([(GOOD,), (GOOD,), (GOOD, GOOD)], "batch 3 with shapes .*, "),
    ],
)
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_a_later_batch_of_another_form(method, batches, message):
    model = vae()
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(as_data("generator", *batches), verbose=0)
