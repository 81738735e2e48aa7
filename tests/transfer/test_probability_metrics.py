"""Keras' metrics of probabilities agree with scikit-learn's, whatever the labels look like."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics as sk

import keras_transgen as ktg
from keras_transgen.transfer import FeatureTransfer, TransferModel
from tests.transfer.tiny import IMAGES, LABELS, backbone

M = keras.metrics
NOISE = np.random.default_rng(0).normal(0, 0.5, IMAGES.shape)
HARD = np.clip(IMAGES + NOISE, 0, 1).astype("float32")
ROWS = np.eye(3, dtype="float32")[LABELS]


def _metrics():
    return [
        "accuracy",
        M.Recall(class_id=1, name="recall"),
        M.Precision(class_id=0, name="precision", thresholds=0.3),
        M.AUC(multi_label=True, num_labels=3, num_thresholds=2000, name="auc"),
        M.F1Score(average="macro", name="f1"),
        M.MeanIoU(3, name="iou"),
        M.SparseCategoricalCrossentropy(name="cross_entropy"),
        M.CategoricalCrossentropy(from_logits=True, name="of_logits"),
        M.BinaryAccuracy(name="binary"),
        M.TopKCategoricalAccuracy(2, name="top"),
        "mean_squared_error",
    ]


def _expected(p):
    chosen = p.argmax(1)
    return {
        "accuracy": sk.accuracy_score(LABELS, chosen),
        "recall": sk.recall_score(LABELS == 1, p[:, 1] > 0.5),
        "precision": sk.precision_score(LABELS == 0, p[:, 0] > 0.3),
        "auc": sk.roc_auc_score(ROWS, p, average="macro"),
        "f1": sk.f1_score(LABELS, chosen, average="macro"),
        "iou": sk.jaccard_score(LABELS, chosen, average="macro"),
        "cross_entropy": sk.log_loss(LABELS, p),
        "of_logits": sk.log_loss(LABELS, p),
        "binary": ((p > 0.5) == ROWS).mean(),
        "top": sk.top_k_accuracy_score(LABELS, p, k=2),
        "mean_squared_error": ((p - ROWS) ** 2).mean(),
    }


def _check(model, got):
    expected = _expected(model.predict_probabilities(HARD, verbose=0).astype("float64"))
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, abs=2e-3 if name == "auc" else 1e-5), name


@pytest.mark.slow
@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], ROWS], ids=["int", "column", "rows"])
def test_fit_validation_and_evaluate_agree_with_scikit_learn(labels, tmp_path):
    model = TransferModel(backbone(), 3, seed=0)
    model.head.kernel.assign(20.0 * model.head.kernel)
    model.compile(keras.optimizers.SGD(0.0), metrics=_metrics())
    log = model.fit(HARD, labels, validation_data=(HARD, labels), batch_size=8, verbose=0).history
    _check(model, {name: values[-1] for name, values in log.items()})
    _check(model, {name[4:]: log[name][-1] for name in log if name.startswith("val_")})
    _check(model, model.evaluate(HARD, labels, verbose=0, return_dict=True))
    model.save(tmp_path / "model.keras")
    loaded = ktg.load_model(tmp_path / "model.keras")
    data = tf.data.Dataset.from_tensor_slices((HARD, labels)).batch(5)
    _check(loaded, loaded.evaluate(data, verbose=0, return_dict=True))


def test_features_fitted_at_once_are_measured_so_too():
    model = FeatureTransfer(backbone(), 3, l2=1e-3, seed=0)
    model.compile(metrics=_metrics())
    log = model.fit(HARD, LABELS, verbose=0).history
    _check(model, {name: values[-1] for name, values in log.items()})


def test_several_labels_get_sigmoids():
    model = TransferModel(backbone(), 3, task="multi_label", seed=0)
    auc = M.AUC(multi_label=True, num_labels=3, num_thresholds=2000, name="auc")
    model.compile(metrics=[auc, M.Recall(name="recall"), M.BinaryAccuracy(threshold=0.0)])
    got = model.evaluate(HARD, ROWS, verbose=0, return_dict=True)
    p = model.predict_probabilities(HARD, verbose=0)
    assert got["auc"] == pytest.approx(sk.roc_auc_score(ROWS, p), abs=2e-3)
    assert got["recall"] == pytest.approx(sk.recall_score(ROWS, p > 0.5, average="micro"))
    assert got["binary_accuracy"] == pytest.approx(((p > 0.5) == ROWS).mean())
    assert float(auc.result()) == pytest.approx(got["auc"])


@pytest.mark.parametrize("name", ["accuracy", "acc"])
def test_accuracy_of_several_labels_is_of_each(name, tmp_path):
    several = np.stack([LABELS > 0, LABELS % 2 == 0, LABELS == 2], axis=1).astype("float32")
    model = TransferModel(backbone(), 3, task="multi_label", seed=0)
    model.compile(metrics=[name, M.Accuracy(name="equal")])
    got = model.evaluate(HARD, several, verbose=0, return_dict=True)
    right = ((model.predict_probabilities(HARD, verbose=0) > 0.5) == several).mean()
    assert got[name] == pytest.approx(right)
    assert got["equal"] == pytest.approx(right)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.evaluate(HARD, several, verbose=0, return_dict=True) == pytest.approx(got)


def test_weighted_metrics_weigh():
    weights = np.arange(24.0)
    model = TransferModel(backbone(), 3, seed=0)
    model.compile(weighted_metrics=[M.Recall(class_id=1, name="recall")], metrics=None)
    got = model.evaluate(HARD, LABELS, sample_weight=weights, verbose=0, return_dict=True)
    p = model.predict_probabilities(HARD, verbose=0)
    expected = sk.recall_score(LABELS == 1, p[:, 1] > 0.5, sample_weight=weights)
    assert got["recall"] == pytest.approx(expected)


@pytest.mark.parametrize("rows", [False, True])
def test_of_two_classes_they_are_of_the_second(rows):
    two = (LABELS > 0).astype("int64")
    model = TransferModel(backbone(), 2, seed=0)
    model.head.kernel.assign(20.0 * model.head.kernel)
    curves = [
        M.AUC(num_thresholds=5000, name="auc"),
        M.AUC(num_thresholds=5000, from_logits=True, name="auc_of_logits"),
    ]
    counts = [M.Precision(name="precision"), M.Recall(name="recall"), M.TrueNegatives(name="tn")]
    model.compile(metrics=[*curves, *counts])
    labels = np.eye(2)[two] if rows else two
    got = model.evaluate(HARD, labels, verbose=0, return_dict=True)
    p = model.predict_probabilities(HARD, verbose=0)[:, 1]
    assert got["auc"] == pytest.approx(sk.roc_auc_score(two, p), abs=5e-3)
    assert got["auc_of_logits"] == pytest.approx(sk.roc_auc_score(two, p), abs=5e-3)
    assert got["precision"] == pytest.approx(sk.precision_score(two, p > 0.5))
    assert got["recall"] == pytest.approx(sk.recall_score(two, p > 0.5))
    assert got["tn"] == ((p <= 0.5) & (two == 0)).sum()
