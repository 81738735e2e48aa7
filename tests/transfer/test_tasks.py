"""The tasks' losses, against closed forms and scikit-learn."""

import keras
import numpy as np
import pytest
from scipy.special import expit, log_softmax
from sklearn.metrics import log_loss

from keras_transgen.transfer.tasks import TASKS, ClassificationLoss

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(size=(6, 4)).astype("float32") * 3
CLASSES = np.array([0, 1, 2, 3, 0, 1])


@pytest.mark.parametrize(
    "labels", [CLASSES, CLASSES[:, None], np.eye(4)[CLASSES], CLASSES.astype("uint8")]
)
def test_cross_entropy_for_every_form_of_labels(labels):
    expected = log_loss(CLASSES, np.exp(log_softmax(LOGITS.astype("float64"), axis=1)))
    assert float(ClassificationLoss()(labels, LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_label_smoothing_is_kerass():
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    smoothed = ClassificationLoss(label_smoothing=0.2)
    assert float(smoothed(CLASSES, LOGITS)) == pytest.approx(
        float(expected(np.eye(4)[CLASSES], LOGITS)), rel=1e-5
    )
    assert ClassificationLoss.from_config(smoothed.get_config()).label_smoothing == 0.2


def test_sample_weights_weigh():
    weights = np.array([0, 0, 0, 0, 0, 3.0])
    expected = -log_softmax(LOGITS[5])[1] * 3 / 6
    assert float(ClassificationLoss()(CLASSES, LOGITS, weights)) == pytest.approx(expected, 1e-5)


def test_probabilities():
    found = TASKS.find("multi_label").probabilities(LOGITS)
    np.testing.assert_allclose(found, expit(LOGITS), rtol=1e-5)
    assert TASKS.find("regression").probabilities is None


def test_refuses_other_names():
    with pytest.raises(ValueError, match=r"task must be one of.*'ranking'"):
        TASKS.find("ranking")
    with pytest.raises(ValueError, match="label_smoothing must be in"):
        ClassificationLoss(label_smoothing=1.0)
