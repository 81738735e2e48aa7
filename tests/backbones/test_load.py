import json
import warnings
from importlib import resources

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from keras_transgen.backbones import KerasBackbone, SavedModelBackbone, load_backbone
from tests.backbones import tiny_modules as tiny


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_TRANSGEN_HOME", str(tmp_path / "home"))


def test_a_folder_becomes_a_saved_model_backbone(tmp_path):
    folder = tiny.convolution_module(tmp_path / "module")
    for source in (folder, str(folder)):
        backbone = load_backbone(source, trainable=True)
        assert isinstance(backbone, SavedModelBackbone)
        assert backbone.trainable


def test_a_model_and_its_file_become_keras_backbones(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense_1")])
    model.save(tmp_path / "model.keras")
    for source in (model, tmp_path / "model.keras"):
        backbone = load_backbone(source, trainable=True)
        assert isinstance(backbone, KerasBackbone)
        np.testing.assert_array_equal(backbone(np.ones((1, 3))), model(np.ones((1, 3))))


def test_a_backbone_is_returned_as_it_is():
    backbone = load_backbone("digits")
    assert load_backbone(backbone) is backbone
    with pytest.raises(ValueError, match="set its properties"):
        load_backbone(backbone, trainable=True)


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("digit", "Did you mean 'digits'"),
        ("Digits", "Did you mean 'digits'"),
        ("resnet", "No backbone of this name"),
        ("no/such/folder", "no/such/folder"),
        (3, "Received: source=3"),
    ],
)
def test_unknown_sources(source, advice):
    with pytest.raises(ValueError, match=advice):
        load_backbone(source)


def test_a_folder_that_is_nearly_meant(tmp_path, monkeypatch):
    (tmp_path / "mobilenet_v2").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="Did you mean 'mobilenet_v2'"):
        load_backbone("mobilnet_v2")


# The shipped network


@pytest.mark.parametrize("size", [8, 9, 16, 28, 32, 64])
def test_digits_take_any_size(size):
    backbone = load_backbone("digits")
    assert backbone.compute_output_shape((None, size, size, 1)) == (None, 128)
    assert backbone(np.zeros((2, size, size, 1), "float32")).shape == (2, 128)


def test_digits_are_fresh_each_time():
    one, other = load_backbone("digits"), load_backbone("digits")
    assert one.digest() == other.digest()
    one.weights[0].assign(0 * one.weights[0])
    assert one.digest() != other.digest()


def test_digits_know_their_contract_and_groups():
    backbone = load_backbone("digits", trainable=True, output_layers=["block1_pool", "features"])
    assert backbone.input_contract.value_range == (0.0, 1.0)
    assert [group.name for group in backbone.parameter_groups()] == ["block1", "block2", "block3"]
    with pytest.warns(UserWarning, match="measured in"):
        backbone.check_inputs(load_digits().images[..., None])


def test_digits_are_small_and_their_training_is_on_record():
    folder = resources.files("keras_transgen.backbones")
    assert len((folder / "digits.keras").read_bytes()) < 1_000_000
    record = json.loads((folder / "digits.json").read_text())
    assert record["mnist_test_accuracy"] > 0.99
    assert record["seconds"] <= 300
    assert record["script"] == "benchmarks/train_digits_backbone.py"


@pytest.mark.slow
def test_a_linear_probe_on_ten_labels_a_class():
    """scikit-learn's digits were scanned by others with another device than the training data."""
    data = load_digits()
    images = (data.images[..., None] / 16).astype("float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backbone = load_backbone("digits")
        backbone.check_inputs(images)
    features = np.asarray(backbone(images))
    raw = images.reshape(len(images), -1)
    accuracies = {"features": [], "pixels": []}
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(images))
        train = np.concatenate([order[data.target[order] == digit][:10] for digit in range(10)])
        rest = np.setdiff1d(order, train)
        for name, values in (("features", features), ("pixels", raw)):
            probe = LogisticRegression(max_iter=2000).fit(values[train], data.target[train])
            accuracies[name].append(probe.score(values[rest], data.target[rest]))
    assert np.mean(accuracies["features"]) > 0.97
    assert np.mean(accuracies["features"]) > np.mean(accuracies["pixels"]) + 0.05
