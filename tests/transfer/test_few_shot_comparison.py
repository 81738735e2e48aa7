"""Few-shot evaluation: the numbers of runs made by hand, and intervals from a table."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score

from keras_transgen.datasets import sample_per_class
from keras_transgen.transfer import (
    FeatureTransfer,
    ParameterTransfer,
    StructureTransfer,
    TransferModel,
    few_shot_evaluation,
)
from keras_transgen.transfer.few_shot_comparison import FewShotEvaluation, FewShotRow
from tests.transfer.tiny import IMAGES, LABELS, CountedRows, backbone, counting_backbone

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


@pytest.mark.slow
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


METHODS = {
    "linear": MODELS["linear"],
    "centroid": lambda: FeatureTransfer(backbone(), 3, classifier="nearest_centroid"),
    "max": lambda: FeatureTransfer(backbone(), 3, pooling="max", l2=0.1),
    "scaled": lambda: FeatureTransfer(
        backbone(), 3, l2=0.1, preprocessing=keras.layers.Rescaling(0.5)
    ),
    "views": lambda: FeatureTransfer(
        backbone(), 3, l2=0.1, augmentation=keras.layers.RandomFlip(seed=1), views=2
    ),
    "head": lambda: TransferModel(backbone(trainable=False), 3, head_initialization="probe"),
    "tuned": lambda: ParameterTransfer(backbone(), 3, learning_rate=3e-3),
    "delta": lambda: StructureTransfer(backbone(), 3, learning_rate=1e-3),
}
# Noise enough that no method gets all right, and classes of 8, 8 and 16 examples.
NOISY = np.concatenate([IMAGES, IMAGES[LABELS == 2]])
NOISY = np.clip(NOISY + np.random.default_rng(1).normal(0, 0.4, NOISY.shape), 0, 1).astype("f4")
CLASSES = np.concatenate([LABELS, np.full(8, 2)])


def by_hand(name, train, test, seed, **arguments):
    """Classes of the test images, by one run with nothing shared."""
    keras.utils.set_random_seed(seed)
    model = METHODS[name]()
    model.passes_over_epochs = True
    model.fit(*train, epochs=2, batch_size=16, verbose=0, **arguments)
    return model.classify(test, verbose=0)


@pytest.mark.slow
@pytest.mark.long
def test_shared_features_change_no_result():
    """Every method's accuracies and F1 are those of runs by hand, by scikit-learn."""
    weighted = {name: METHODS[name] for name in ("linear", "tuned")}
    weights = {"class_weight": {0: 1.0, 1: 2.0, 2: 1.0}}
    for methods, arguments in ((METHODS, {}), (weighted, weights)):
        found = few_shot_evaluation(
            methods,
            NOISY,
            CLASSES[:, None],
            shots=[3],
            seeds=2,
            epochs=2,
            fit_arguments=arguments,
            progress=False,
        )
        assert {np.mean(row.accuracies) < 1 for row in found.rows} == {True}
        for row in found.rows:
            for seed in range(2):
                left = np.setdiff1d(np.arange(32), sample_per_class(CLASSES, 3, seed))
                drawn = sample_per_class(CLASSES, 3, seed)
                classes = by_hand(
                    row.method, (NOISY[drawn], CLASSES[drawn]), NOISY[left], seed, **arguments
                )
                assert row.accuracies[seed] == np.mean(classes == CLASSES[left]), row
                expected = f1_score(CLASSES[left], classes, average="macro")
                assert row.f1[seed] == pytest.approx(expected), row


@pytest.mark.slow
def test_each_image_goes_through_a_frozen_network_once():
    models = {
        "linear": lambda: FeatureTransfer(counting_backbone(), 3, l2=0.1),
        "centroid": lambda: FeatureTransfer(counting_backbone(), 3, classifier="nearest_centroid"),
    }
    options = {"shots": [1, 2], "seeds": 3, "progress": False}
    CountedRows.seen = 0
    few_shot_evaluation(models, IMAGES, LABELS, **options)
    assert CountedRows.seen == 24
    # Of what is drawn from, only what is ever drawn; and all test images.
    drawn = np.unique([sample_per_class(LABELS, 2, seed) for seed in range(3)])
    CountedRows.seen = 0
    few_shot_evaluation(models, IMAGES, LABELS, test=(IMAGES[:20], LABELS[:20]), **options)
    assert CountedRows.seen == len(drawn) + 20


def test_probes_of_tuned_networks_share_features():
    def tuned():
        model = ParameterTransfer(counting_backbone(), 3)
        model.compile(jit_compile=False)
        return model

    CountedRows.seen = 0
    few_shot_evaluation(
        {"linear": lambda: FeatureTransfer(counting_backbone(), 3, l2=0.1), "tuned": tuned},
        IMAGES,
        LABELS,
        shots=[2],
        seeds=2,
        epochs=0,
        progress=False,
    )
    # Without an epoch the tuned networks only see their test images: 24 less two of each class.
    assert CountedRows.seen == 24 + 2 * 18


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.arrays = x, y

    @property
    def num_batches(self):
        return -(-len(self.arrays[0]) // 5)

    def __getitem__(self, index):
        return tuple(array[index * 5 : index * 5 + 5] for array in self.arrays)


FORMS = {
    "batches": lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).batch(7),
    "single": lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)),
    "weighted": lambda x, y: tf.data.Dataset.from_tensor_slices((x, y, y)).batch(7),
    "column": lambda x, y: tf.data.Dataset.from_tensor_slices((x, y[:, None])),
    "python": Batches,
}


def scores(data, **test):
    methods = {name: METHODS[name] for name in ("tuned", "linear")}
    rows = few_shot_evaluation(
        methods, *data, **test, shots=[1, 4], seeds=1, epochs=2, progress=False
    ).rows
    return [(row.method, row.shots, row.accuracies, row.f1) for row in rows]


@pytest.fixture(scope="module")
def scores_of_arrays():
    test = NOISY[:17], CLASSES[:17]
    return scores((NOISY, CLASSES)), scores((NOISY, CLASSES), test=test)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.long
def test_data_sets_give_what_arrays_give(form, scores_of_arrays):
    data = FORMS[form](NOISY, CLASSES)
    test = FORMS[form](NOISY[:17], CLASSES[:17])
    assert scores((data,)) == scores_of_arrays[0]
    assert scores((data,), test=test) == scores_of_arrays[1]


def test_f1_is_shown_where_classes_are_unequal():
    row = FewShotRow("method", 1, (0.5, 0.6), 0, 0.0, (0.4, 0.45))
    assert row.mean_f1 == pytest.approx(0.425)
    assert np.isnan(FewShotRow("method", 1, (0.5,), 0, 0.0).mean_f1)
    assert "macro F1" not in str(FewShotEvaluation((row,), 2))
    text = str(FewShotEvaluation((row,), 2, unequal=True))
    assert "macro F1" in text
    assert "0.425" in text
    few = {"shots": [1], "seeds": 1, "progress": False}
    models = {"linear": MODELS["linear"]}
    # Of 8, 8 and 16 examples; of 8 each.
    assert few_shot_evaluation(models, NOISY, CLASSES, **few).unequal
    assert not few_shot_evaluation(models, IMAGES, LABELS, **few).unequal


@pytest.mark.slow
def test_test_data_may_be_read_in_any_order():
    data = tf.data.Dataset.from_tensor_slices((NOISY, CLASSES)).shuffle(32).batch(8)
    methods = {name: METHODS[name] for name in ("linear", "head")}
    found = []
    for test in ((NOISY, CLASSES), data):
        rows = few_shot_evaluation(
            methods, IMAGES, LABELS, test=test, shots=[2], seeds=2, epochs=1, progress=False
        ).rows
        found.append([row.accuracies for row in rows])
    assert found[0] == found[1]


@pytest.mark.parametrize("make", [MODELS["linear"], METHODS["tuned"]])
def test_refuses_data_to_draw_from_in_another_order_each_time(make):
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).shuffle(24, seed=1).batch(8)
    with pytest.raises(ValueError, match="another order"):
        few_shot_evaluation({"m": make}, data, shots=[1], seeds=1, progress=False)
