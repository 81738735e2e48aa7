"""TransferModel: through the harness, every task and form of data, and its errors."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, softmax

import keras_transgen as ktg
from keras_transgen.transfer import TransferModel
from tests.harness import ModelCase, every_check
from tests.transfer.tiny import IMAGES, LABELS, backbone


def compile_model(model, **kwargs):
    model.compile(optimizer=keras.optimizers.Adam(0.01), **kwargs)


IMPORTS = ("keras_transgen.transfer.transfer_model",)
CASES = {
    "frozen": ModelCase(
        make=lambda: TransferModel(backbone(), 3, name="frozen"),
        data=(IMAGES, LABELS),
        compile=compile_model,
        imports=IMPORTS,
    ),
    "tuned, preprocessed, augmented, several labels": ModelCase(
        make=lambda: TransferModel(
            backbone(trainable=True),
            3,
            task="multi_label",
            preprocessing=keras.layers.Rescaling(1 / 255),
            augmentation=[keras.layers.RandomFlip(seed=3)],
            dropout=0.3,
            name="tuned",
        ),
        data=((IMAGES * 255).astype("uint8"), np.eye(3)[LABELS]),
        compile=compile_model,
        imports=IMPORTS,
        # Flips and dropout draw other numbers for each replica, dropout also under XLA.
        tolerance=None,
        same_under_xla=False,
    ),
}


@pytest.mark.parametrize(("name", "check"), every_check(CASES))
def test_model(name, check, tools):
    check(CASES[name], tools)


def test_logits_are_the_parts_one_after_the_other():
    model = TransferModel(backbone(), 3, preprocessing=keras.layers.Rescaling(0.5))
    maps = model.backbone(IMAGES * 0.5).numpy()
    features = maps.mean(axis=(1, 2))
    expected = features @ model.head.kernel.numpy() + model.head.bias.numpy()
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), expected, atol=1e-5)
    np.testing.assert_allclose(model.features(IMAGES), features, atol=1e-5)


def test_probabilities_and_classes():
    model = TransferModel(backbone(), 3)
    logits = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(
        model.predict_probabilities(IMAGES, verbose=0), softmax(logits, axis=1), atol=1e-6
    )
    np.testing.assert_array_equal(model.classify(IMAGES, verbose=0), logits.argmax(axis=1))
    labels = TransferModel(backbone(), 3, task="multi_label")
    logits = labels.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(
        labels.predict_probabilities(IMAGES, verbose=0), expit(logits), atol=1e-6
    )
    np.testing.assert_array_equal(labels.classify(IMAGES, verbose=0), logits > 0)
    with pytest.raises(ValueError, match="no probabilities in a regression"):
        TransferModel(backbone(), task="regression").predict_probabilities(IMAGES)


@pytest.mark.parametrize(
    ("task", "labels", "metric"),
    [
        ("classification", LABELS, "accuracy"),
        ("classification", np.eye(3, dtype="float32")[LABELS], "accuracy"),
        ("multi_label", np.eye(3)[LABELS], "accuracy"),
        ("regression", IMAGES.mean(axis=(1, 2)) * [1, 2, 3], "mean_absolute_error"),
    ],
)
def test_every_task_learns_without_compile(task, labels, metric):
    model = TransferModel(backbone(trainable=True), 3, task=task)
    model.default_optimizer = lambda *_: keras.optimizers.Adam(0.01)
    history = model.fit(IMAGES, labels, epochs=10, batch_size=8, verbose=0).history
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    logits = model.predict(IMAGES, verbose=0)
    expected = {
        "classification": lambda: (logits.argmax(1) == LABELS).mean(),
        "multi_label": lambda: ((logits > 0) == np.eye(3)[LABELS]).mean(),
        "regression": lambda: abs(logits - labels).mean(),
    }[task]()
    found = model.evaluate(IMAGES, labels, verbose=0, return_dict=True)
    assert found[metric] == pytest.approx(expected, abs=1e-5)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        part = slice(index * 8, index * 8 + 8)
        return IMAGES[part], LABELS[part]


@pytest.mark.slow
def test_every_form_of_data_trains_alike():
    def trained(*data, **kwargs):
        model = TransferModel(backbone(), 3, seed=1)
        model.head.kernel.assign(np.full((6, 3), 0.1))
        model.fit(*data, epochs=2, shuffle=False, verbose=0, **kwargs)
        return model.head.kernel.numpy()

    expected = trained(IMAGES, LABELS, batch_size=8)
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(8)
    for found in (
        trained(dataset),
        trained(Batches()),
        trained(IMAGES, LABELS.tolist(), batch_size=8),
        trained(tf.constant(IMAGES), tf.constant(LABELS), batch_size=8),
    ):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    weighted = trained(IMAGES, LABELS, batch_size=8, class_weight={0: 2.0})
    sample_weight = np.where(LABELS == 0, 2.0, 1.0)
    np.testing.assert_allclose(
        weighted, trained(IMAGES, LABELS, batch_size=8, sample_weight=sample_weight), atol=1e-6
    )
    assert abs(weighted - expected).max() > 1e-4


def test_frozen_statistics_stay_bit_for_bit_and_adapting_ones_move():
    for normalization, moves in (("frozen", False), ("adapt", True)):
        model = TransferModel(backbone(trainable=True, normalization=normalization), 3)
        statistics = [w for w in model.weights if "moving" in w.path]
        before = [w.numpy() for w in statistics]
        model.fit(IMAGES, LABELS, verbose=0)
        moved = [not np.array_equal(b, w.numpy()) for b, w in zip(before, statistics)]
        assert moved == [moves] * 2


def test_augmentation_acts_in_fit_only():
    double = keras.layers.Rescaling(2.0)
    plain, augmented = (
        TransferModel(backbone(), 3, augmentation=augmentation) for augmentation in (None, double)
    )
    augmented.set_weights(plain.get_weights())
    np.testing.assert_array_equal(
        plain.predict(IMAGES, verbose=0), augmented.predict(IMAGES, verbose=0)
    )
    for model in (plain, augmented):
        model.compile(keras.optimizers.SGD(0.1))
    assert augmented.evaluate(IMAGES, LABELS, verbose=0) == plain.evaluate(
        IMAGES, LABELS, verbose=0
    )
    plain.fit(IMAGES * 2, LABELS, shuffle=False, verbose=0)
    augmented.fit(IMAGES, LABELS, shuffle=False, verbose=0)
    np.testing.assert_allclose(plain.head.kernel, augmented.head.kernel, atol=1e-6)


def test_a_head_of_ones_own(tmp_path):
    layers = [
        keras.layers.Flatten(),
        keras.layers.Dense(5, activation="relu"),
        keras.layers.Dense(4),
    ]
    model = TransferModel(backbone(), head=layers)
    assert model.num_classes == 4
    model.fit(IMAGES, LABELS, verbose=0)
    model.save(tmp_path / "own.keras")
    again = ktg.load_model(tmp_path / "own.keras")
    np.testing.assert_array_equal(
        again.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0)
    )


def test_training_goes_on_after_loading_a_model_compiled_by_default(tmp_path):
    model = TransferModel(backbone(), 3, seed=5)
    model.fit(IMAGES, LABELS, verbose=0)
    model.save(tmp_path / "model.keras")
    again = ktg.load_model(tmp_path / "model.keras")
    for each in (model, again):
        each.fit(IMAGES, LABELS, verbose=0)
    np.testing.assert_allclose(again.head.kernel, model.head.kernel, atol=1e-7)


def test_several_inputs_and_several_scales():
    left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    network = keras.Model(
        {"left": left, "right": right},
        [keras.layers.Dense(2)(left), keras.layers.Dense(5)(right)],
    )
    model = TransferModel(network, 2)
    x = {"left": np.ones((6, 4), "float32"), "right": np.ones((6, 3), "float32")}
    assert model.head.kernel.shape == (7, 2)
    model.fit(x, np.arange(6) % 2, verbose=0)
    assert model.predict(x, verbose=0).shape == (6, 2)


def test_backbone_of_unknown_input_shape():
    class Unknown(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(4)

        def call(self, x):
            return self.dense(x)

    network = Unknown()
    network(np.zeros((1, 3), "float32"))
    model = TransferModel(network, 2)
    model.fit(np.ones((6, 3), "float32"), np.arange(6) % 2, verbose=0)
    assert model.predict(np.ones((2, 3), "float32"), verbose=0).shape == (2, 2)


def test_summary_tells_what_trains_in_each_group():
    model = TransferModel(backbone(trainable=True), 3)
    model.backbone.freeze_to("block_1")
    lines = []
    model.summary(print_fn=lines.append)
    rows = {}
    for line in "".join(lines).splitlines():
        cells = [cell.strip() for cell in line.strip("│┃ ").replace("┃", "│").split("│")]
        if len(cells) == 3:
            rows[cells[0]] = cells[1:]
    # 3x3 kernel with 4 filters and scale, offset; 2x2x4x5 + 5; 2x2x5x6 + 6; 6x3 + 3.
    assert rows["stem"] == ["0", "44"]
    assert rows["block_1"] == ["0", "85"]
    assert rows["block_2"] == ["126", "0"]
    assert rows["head"] == ["21", "0"]
    assert rows["statistics"] == ["0", "8"]
    assert rows["all"] == ["147", "137"]


def test_probe_initialization_is_the_probe(tmp_path):
    model = TransferModel(backbone(), 3, head_initialization="probe")
    model.compile(keras.optimizers.SGD(0.0))
    model.fit(IMAGES, LABELS, verbose=0)
    assert model.evaluate(IMAGES, LABELS, verbose=0)[1] == 1.0
    kernel = model.head.kernel.numpy()
    model.fit(IMAGES, (LABELS + 1) % 3, verbose=0)
    # What has been trained is not thrown away by a second fit.
    np.testing.assert_array_equal(model.head.kernel, kernel)


def test_probe_sees_no_row_that_is_held_out():
    poisoned = LABELS.copy()
    poisoned[-6:] = (poisoned[-6:] + 1) % 3
    kernels = []
    for labels in (LABELS, poisoned):
        model = TransferModel(backbone(), 3, head_initialization="probe")
        model.compile(keras.optimizers.SGD(0.0))
        model.fit(IMAGES, labels, validation_split=0.25, verbose=0)
        kernels.append(model.head.kernel.numpy())
    np.testing.assert_array_equal(*kernels)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (IMAGES, LABELS + 1, r"start at 1: subtract 1"),
        (IMAGES, LABELS.astype("float32"), r"y.astype\('int64'\)"),
        (IMAGES, np.zeros(24, "int64"), "all of class 0"),
        (IMAGES, None, "Training needs y"),
        (IMAGES, LABELS[:20], "same number of rows|one row for each"),
        (IMAGES[:0], LABELS[:0], "empty|at least one example"),
        (IMAGES[:, :6], LABELS, r"images of 8 x 8.*Resizing\(8, 8\)"),
        (np.repeat(IMAGES, 3, axis=3), LABELS, "1 channels"),
        (IMAGES[..., 0], LABELS, r"x\[..., None\]"),
        (np.where(IMAGES > 0.9, np.nan, IMAGES), LABELS, "finite"),
        (IMAGES.astype("str"), LABELS, "float32 values.*string"),
    ],
)
@pytest.mark.parametrize("initialization", ["random", "probe"])
def test_data_that_do_not_fit_are_refused_before_anything_trains(x, y, message, initialization):
    model = TransferModel(backbone(), 3, head_initialization=initialization)
    before = model.head.kernel.numpy()
    with pytest.raises(ValueError, match=message):
        model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(model.head.kernel, before)
    assert int(model.progress.step.numpy()) == 0


def test_first_batch_of_a_data_set_is_looked_at():
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS + 1)).batch(8)
    with pytest.raises(ValueError, match="subtract 1"):
        TransferModel(backbone(), 3).fit(dataset, verbose=0)
    sorted_set = tf.data.Dataset.from_tensor_slices((IMAGES, np.sort(LABELS))).batch(8)
    # A batch of one class is nothing strange.
    TransferModel(backbone(), 3).fit(sorted_set, verbose=0)


def test_values_of_another_range_are_warned_of_with_what_was_measured():
    bytes_ = (IMAGES * 255).astype("uint8")
    with pytest.warns(UserWarning, match=r"in \[0, 1\], x was measured in \[\d+, 255\].*Rescaling"):
        TransferModel(backbone(), 3).fit(bytes_, LABELS, verbose=0)


@pytest.mark.filterwarnings("error:.*measured")
def test_preprocessing_makes_the_range_right():
    bytes_ = (IMAGES * 255).astype("uint8")
    scale = keras.layers.Rescaling(1 / 255)
    TransferModel(backbone(), 3, preprocessing=scale).fit(bytes_, LABELS, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "num_classes must be given"),
        ({"num_classes": 1}, "two classes are num_classes=2"),
        ({"num_classes": 2.5}, "whole number"),
        ({"num_classes": 3, "task": "ranking"}, "task must be one of"),
        ({"num_classes": 3, "head": keras.layers.Dense(4)}, "num_classes=3"),
        ({"num_classes": 3, "head": lambda x: x}, "head must be a Keras layer"),
        ({"num_classes": 3, "augmentation": abs}, "augmentation must be a Keras layer"),
        ({"num_classes": 3, "head_initialization": "zero"}, "head_initialization must be one of"),
        ({"num_classes": 3, "pooling": "sum"}, "pooling must be one of"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    if isinstance(arguments.get("head"), keras.layers.Layer):
        arguments = {**arguments, "pooling": "average"}
    with pytest.raises(ValueError, match=message):
        TransferModel(backbone(), **arguments)


def test_regression_has_one_output_by_default():
    assert TransferModel(backbone(), task="regression").num_classes == 1


def test_a_probe_needs_a_linear_head():
    layers = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="tanh")]
    model = TransferModel(backbone(), head=layers, head_initialization="probe")
    with pytest.raises(ValueError, match="Only a dense head"):
        model.fit(IMAGES, LABELS, verbose=0)
