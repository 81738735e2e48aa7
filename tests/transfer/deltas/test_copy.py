"""Parameters copied between networks of other sizes, number for number."""

import keras
import numpy as np
import pytest
from rich.console import Console

from keras_transgen.transfer.deltas import CopyReport, copy_parameters
from keras_transgen.transfer.structure_transfer import StructureTransfer
from tests.transfer.deltas.networks import IMAGES, LABELS, keras_backbone, saved_backbone, values


def dense(*widths, names=None):
    layers = [
        keras.layers.Dense(width, name=names and names[place]) for place, width in enumerate(widths)
    ]
    return keras.Sequential([keras.Input((3,)), *layers], name="network")


def test_into_a_larger_network():
    source, target = dense(2, 2, names="ab"), dense(4, 2, names="ab")
    before = [weight.numpy() for weight in target.weights]
    report = copy_parameters(source, target)
    assert [each.action for each in report.parameters] == ["padded", "padded", "padded", "copied"]
    assert report.unused == ()
    kernel, _, second, _ = (weight.numpy() for weight in target.weights)
    np.testing.assert_array_equal(kernel[:, :2], source.weights[0])
    np.testing.assert_array_equal(kernel[:, 2:], before[0][:, 2:])
    np.testing.assert_array_equal(second[:2], source.weights[2])
    np.testing.assert_array_equal(second[2:], before[2][2:])


def test_into_a_smaller_network_without_one_layer():
    source, target = dense(4, 3, 2, names="abc"), dense(2, 5, 2, names="abd")
    report = copy_parameters(source, target)
    assert [(each.path.split("/")[-2], each.action) for each in report.parameters] == [
        ("a", "cropped"),
        ("a", "cropped"),
        ("b", "cropped and padded"),
        ("b", "padded"),
        ("d", "left"),
        ("d", "left"),
    ]
    assert [path.split("/")[-2:] for path in report.unused] == [["c", "kernel"], ["c", "bias"]]
    np.testing.assert_array_equal(target.weights[0].numpy(), source.weights[0].numpy()[:, :2])
    np.testing.assert_array_equal(
        target.weights[2].numpy()[:, :3], source.weights[2].numpy()[:2, :3]
    )


def test_layers_that_keras_numbered():
    dense(1)  # Moves the running number on.
    source, target = dense(2, 3), dense(2, 3)
    assert source.weights[0].path != target.weights[0].path
    assert copy_parameters(source, target).count("copied") == 4
    for one, other in zip(source.weights, target.weights):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_other_numbers_of_axes_are_left():
    source = keras.Sequential(
        [keras.Input((5, 3)), keras.layers.Conv1D(4, 2, name="a"), keras.layers.Dense(2, name="b")]
    )
    target = keras.Sequential([keras.Input((3,)), *(keras.layers.Dense(4, name=n) for n in "ab")])
    by_path = {each.path: each.action for each in copy_parameters(source, target).parameters}
    assert list(by_path.values()) == ["left", "copied", "padded", "padded"]


def test_nothing_in_common():
    with pytest.raises(ValueError, match="Nothing can be copied"):
        copy_parameters(dense(2, names="a"), dense(2, names="b"))


def test_report_as_table_and_json():
    report = copy_parameters(dense(2, 2, names="ab"), dense(4, 2, names="ab"))
    assert CopyReport.from_json(report.to_json()) == report
    assert "3 padded" in str(report)
    console = Console(record=True, width=100)
    console.print(report.table())
    assert "(3, 2)" in console.export_text()


@pytest.mark.slow
def test_as_a_method_from_a_saved_model_into_a_wider_keras_network(tmp_path):
    wide = keras_backbone(width=7)
    model = StructureTransfer(
        wide, 3, method="copy", source=saved_backbone(), head_initialization="random"
    )
    actions = {each.path: each.action for each in model.deltas["copy"].report.parameters}
    assert actions["stem_bn/moving_variance"] == "copied"
    assert actions["block_2_dense/kernel"] == "padded"
    weights = {weight.path: weight.numpy() for weight in wide.weights}
    np.testing.assert_array_equal(weights["stem_conv/kernel"], values()["stem_conv/kernel"])
    np.testing.assert_array_equal(
        weights["block_2_dense/kernel"][:, :5], values()["block_2_dense/kernel"]
    )
    assert {id(v) for v in model.trainable_variables} >= {
        id(v) for group in wide.parameter_groups() for v in group.variables
    }
    model.fit(IMAGES, LABELS, verbose=0)
    model.save(tmp_path / "copy.keras")
    again = keras.saving.load_model(tmp_path / "copy.keras")
    assert again.deltas["copy"].report == model.deltas["copy"].report
    np.testing.assert_array_equal(
        again.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0)
    )


def test_the_method_needs_a_source():
    with pytest.raises(ValueError, match="needs source="):
        StructureTransfer(keras_backbone(), 3, method="copy")
