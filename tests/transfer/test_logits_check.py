"""A head or a loss of probabilities is refused where there must be logits."""

import functools

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.training.loading import files_load
from keras_transgen.transfer import (
    FeatureTransfer,
    ParameterTransfer,
    StructureTransfer,
    TransferModel,
)
from tests.transfer.tiny import IMAGES, LABELS, backbone

L = keras.layers


def _functional_head():
    features = keras.Input((6,))
    return keras.Model(features, keras.ops.softmax(L.Dense(3)(features)))


@pytest.mark.parametrize(
    ("head", "task"),
    [
        (lambda: L.Dense(3, activation="softmax"), "classification"),
        (lambda: L.Dense(3, activation="sigmoid"), "multi_label"),
        (lambda: [L.Dense(3), L.Softmax()], "classification"),
        (lambda: [L.Dense(3), L.Activation("sigmoid")], "multi_label"),
        (lambda: [L.Dense(4), keras.Sequential([L.Dense(3, "softmax")])], "classification"),
        (_functional_head, "classification"),
        (lambda: L.Dense(3, activation="hard_sigmoid"), "multi_label"),
    ],
)
def test_a_head_of_probabilities_is_refused_at_construction(head, task):
    with pytest.raises(ValueError, match=r"activation=None.*Received: head"):
        TransferModel(backbone(), 3, head=head(), task=task, pooling="average")


@pytest.mark.parametrize("kind", [FeatureTransfer, ParameterTransfer, StructureTransfer])
def test_every_kind_refuses_it(kind):
    head = L.Dense(3, activation="softmax")
    with pytest.raises(ValueError, match="activation=None"):
        kind(backbone(), 3, head=head, pooling="average")


def test_a_regression_may_end_as_it_likes_and_log_probabilities_are_logits():
    head = L.Dense(1, activation="sigmoid")
    TransferModel(backbone(), head=head, task="regression", pooling="average")
    head = L.Dense(3, activation="log_softmax")
    TransferModel(backbone(), 3, head=head, pooling="average").fit(IMAGES, LABELS, verbose=0)


@keras.saving.register_keras_serializable("tests")
class OwnLoss(keras.losses.Loss):
    from_logits = False

    def call(self, y_true, y_pred):
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        "crossentropy",
        "SparseCategoricalCrossentropy",
        "binary_crossentropy",
        "kl_divergence",
        "poisson",
        "mean_squared_logarithmic_error",
        keras.losses.sparse_categorical_crossentropy,
        keras.losses.BinaryFocalCrossentropy(),
        keras.losses.CategoricalFocalCrossentropy(),
        keras.losses.Dice(),
        keras.losses.get({"class_name": "CategoricalCrossentropy", "config": {}}),
        {"class_name": "CategoricalCrossentropy", "config": {"from_logits": False}},
        [keras.losses.CategoricalCrossentropy()],
        functools.partial(keras.losses.categorical_crossentropy, label_smoothing=0.1),
        OwnLoss(),
    ],
)
def test_a_loss_of_probabilities_is_refused_at_compile(loss):
    with pytest.raises(ValueError, match=r"The head gives logits.*Received: loss="):
        TransferModel(backbone(), 3).compile("adam", loss=loss)


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        functools.partial(keras.losses.sparse_categorical_crossentropy, from_logits=True),
        "categorical_hinge",
        lambda labels, logits: keras.ops.mean(keras.ops.square(logits), axis=-1),
    ],
)
def test_a_loss_of_logits_is_taken(loss):
    TransferModel(backbone(), 3).compile("adam", loss=loss)


def test_a_regression_takes_any_loss():
    TransferModel(backbone(), 1, task="regression").compile(loss="binary_crossentropy")


def test_files_with_such_heads_load_and_train_no_further(tmp_path):
    with files_load():
        old = TransferModel(backbone(), 3, head=L.Dense(3, activation="softmax"), pooling="average")
        old.compile("adam", loss="sparse_categorical_crossentropy")
    old.save(tmp_path / "old.keras")
    loaded = ktg.load_model(tmp_path / "old.keras")
    np.testing.assert_allclose(
        loaded.predict(IMAGES, verbose=0), old.predict(IMAGES, verbose=0), atol=1e-6
    )
    with pytest.raises(ValueError, match="activation=None"):
        loaded.fit(IMAGES, LABELS, verbose=0)


def test_the_advice_names_a_class_that_exists():
    with pytest.raises(ValueError, match=r"such as loss=OwnLoss\(from_logits=True\)"):
        TransferModel(backbone(), 3).compile("adam", loss=OwnLoss())
    with pytest.raises(ValueError, match=r"keras.losses.BinaryCrossentropy\(from_logits=True\)"):
        TransferModel(backbone(), 3).compile("adam", loss="binary_crossentropy")
