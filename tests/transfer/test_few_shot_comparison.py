"""Few-shot evaluation: the numbers of runs made by hand, and intervals from a table."""

import keras
import numpy as np
import pytest

from keras_transgen.datasets import sample_per_class
from keras_transgen.transfer import FeatureTransfer, TransferModel, few_shot_evaluation
from keras_transgen.transfer.few_shot_comparison import FewShotRow
from tests.transfer.tiny import IMAGES, LABELS, backbone

MODELS = {
    "linear": lambda: FeatureTransfer(backbone(), 3, l2=1e-3),
    "untrained": lambda: TransferModel(backbone(), 3),
}


@pytest.mark.slow
def test_rows_are_what_one_would_measure_by_hand():
    found = few_shot_evaluation(
        MODELS, IMAGES, LABELS, shots=[2, 1], seeds=2, epochs={"untrained": 1}, progress=False
    )
    assert [(row.method, row.shots) for row in found.rows] == [
        ("linear", 1),
        ("linear", 2),
        ("untrained", 1),
        ("untrained", 2),
    ]
    for row in found.rows[:2]:
        for seed in range(2):
            left = np.setdiff1d(np.arange(24), sample_per_class(LABELS, 2, seed))
            drawn = sample_per_class(LABELS, row.shots, seed)
            model = MODELS["linear"]()
            model.fit(IMAGES[drawn], LABELS[drawn], verbose=0)
            expected = (model.classify(IMAGES[left], verbose=0) == LABELS[left]).mean()
            assert row.accuracies[seed] == pytest.approx(expected)
        assert row.trainable_parameters == 21
    assert "linear" in str(found)
    assert len(found.plot().axes[0].get_legend().get_texts()) == 3


def test_test_data_may_be_given():
    found = few_shot_evaluation(
        {"linear": MODELS["linear"]},
        IMAGES,
        LABELS,
        test=(IMAGES, LABELS),
        shots=[8],
        seeds=1,
        progress=False,
    )
    model = MODELS["linear"]()
    model.fit(IMAGES, LABELS, verbose=0)
    expected = (model.classify(IMAGES, verbose=0) == LABELS).mean()
    assert found.rows[0].accuracies == (pytest.approx(expected),)
    assert np.isnan(found.rows[0].half_interval)
    assert "±" not in str(found)


def test_interval_is_students():
    row = FewShotRow("method", 1, (0.5, 0.6, 0.7), 0, 0.0)
    assert row.mean == pytest.approx(0.6)
    # 4.302653 is the table's value for two degrees of freedom and 95 %.
    assert row.half_interval == pytest.approx(4.302653 * 0.1 / 3**0.5, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": {}}, "at least one model"),
        ({"shots": []}, "at least one number of shots"),
        ({"seeds": 0}, "at least one number of shots and one seed"),
        ({"shots": [9]}, "at least k=9 examples of every class"),
        ({"shots": [8]}, "Nothing is left to test on"),
    ],
)
def test_refuses_what_cannot_be_measured(arguments, message):
    arguments = {"models": MODELS, "progress": False, "x": IMAGES, "y": LABELS, **arguments}
    with pytest.raises(ValueError, match=message):
        few_shot_evaluation(**arguments)


def test_runs_do_not_depend_on_each_other():
    def accuracies(shots):
        found = few_shot_evaluation(
            {"m": lambda: TransferModel(backbone(), 3)},
            IMAGES,
            LABELS,
            test=(IMAGES, LABELS),
            shots=shots,
            seeds=1,
            epochs=1,
            progress=False,
        )
        return {row.shots: row.accuracies for row in found.rows}

    keras.utils.set_random_seed(9)
    assert accuracies([1, 2])[2] == accuracies([2])[2]
