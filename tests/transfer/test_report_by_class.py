"""The report of classes against scikit-learn's functions on the same predictions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

import keras_transgen as ktg
from keras_transgen.transfer import TransferModel, class_report
from tests.transfer.test_sequence_labelling import PADDED, ROWS, SIGNALS, labelling
from tests.transfer.tiny import IMAGES, LABELS, backbone

NAMES = ("ant", "bee", "crow")


@pytest.mark.parametrize(
    "labels", [LABELS, np.array(NAMES)[LABELS], np.eye(3)[LABELS], LABELS[:, None]]
)
def test_each_class_is_reported_by_name(labels):
    keras.utils.set_random_seed(0)
    model = TransferModel(backbone(), class_names=NAMES)
    told = model.classify(IMAGES, verbose=0)
    found = class_report(model, list(IMAGES), labels)
    np.testing.assert_array_equal(found.confusion, confusion_matrix(LABELS, told, labels=range(3)))
    assert found.accuracy == pytest.approx(accuracy_score(LABELS, told))
    assert found.macro_f1 == pytest.approx(f1_score(LABELS, told, average="macro", labels=range(3)))
    recalls = recall_score(LABELS, told, average=None, labels=range(3))
    assert [row["recall"] for row in found.by_class.values()] == pytest.approx(recalls.tolist())
    assert list(found.by_class) == list(NAMES)
    assert "crow" in str(found)
    axes = found.plot().axes[0]
    assert [each.get_text() for each in axes.get_xticklabels()] == list(NAMES)


def test_positions_that_do_not_count_are_left_out():
    model = labelling()
    told = model.classify(SIGNALS, verbose=0)
    labels = np.where(PADDED == 2, -1, PADDED)
    found = class_report(model, SIGNALS, [np.where(row == 2, -1, row) for row in ROWS])
    counts = labels >= 0
    np.testing.assert_array_equal(
        found.confusion, confusion_matrix(labels[counts], told[counts], labels=range(3))
    )
    assert found.class_names == ("0", "1", "2")
    assert found.by_class["2"]["support"] == 0


def test_what_has_no_classes_is_refused():
    model = TransferModel(backbone(), task="regression")
    with pytest.raises(ValueError, match="task='regression'"):
        class_report(model, IMAGES, LABELS)
    with pytest.raises(ValueError, match="num_classes=3"):
        class_report(TransferModel(backbone(), 3), IMAGES, LABELS + 1)


def test_a_data_set_is_refused_with_how_to_read_it():
    images, labels = ktg.datasets.load_digits()
    model = ktg.FeatureTransfer("digits", 10)
    model.fit(images[:100], labels[:100], verbose=0)
    data = tf.data.Dataset.from_tensor_slices((images[:20], labels[:20])).batch(8)
    with pytest.raises(ValueError, match=r"np.concatenate, zip\(\*data\)"):
        class_report(model, data)
    x, y = map(np.concatenate, zip(*data))
    assert class_report(model, x, y).confusion.sum() == 20
