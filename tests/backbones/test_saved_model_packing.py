"""A `.keras` file holds a module's parameters once, frozen or trained."""

import zipfile

import h5py
import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.backbones import SavedModelBackbone
from keras_transgen.backbones.module_store import find_module
from keras_transgen.backbones.saved_model_packing import MARK
from tests.backbones import tiny_modules as tiny

IMAGES = np.random.default_rng(0).uniform(0, 1, (8, 8, 8, 1)).astype("float32")


@pytest.fixture
def home(tmp_path, monkeypatch):
    def move(name):
        monkeypatch.setenv("KERAS_TRANSGEN_HOME", str(tmp_path / name))

    move("home")
    return move


@pytest.fixture
def folder(tmp_path, home):
    return tiny.convolution_module(tmp_path / "module")


def network(*backbones):
    inputs = keras.Input((8, 8, 1))
    features = [backbone(inputs) for backbone in backbones]
    joined = keras.layers.Add()(features) if len(features) > 1 else features[0]
    return keras.Model(inputs, keras.layers.Dense(2)(joined))


def changed(model):
    for weight in model.layers[1].weights:
        weight.assign(weight + 0.5)
    return model


def members(file):
    with zipfile.ZipFile(file) as archive:
        return [name.rsplit("/", 1)[-1] for name in archive.namelist() if "/module-" in name]


def weights_in(file, tmp_path):
    """Sizes of the arrays that the file of weights holds, marks left out."""
    with zipfile.ZipFile(file) as archive:
        archive.extract("model.weights.h5", tmp_path / "weights")
    sizes = []
    with h5py.File(tmp_path / "weights" / "model.weights.h5") as found:
        found.visititems(
            lambda name, item: (
                sizes.append(item.size)
                if isinstance(item, h5py.Dataset) and not name.endswith(MARK)
                else None
            )
        )
    return sizes


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("loader", [ktg.load_model, keras.saving.load_model])
def test_the_values_come_back(folder, tmp_path, trained, loader):
    model = network(SavedModelBackbone(folder, trainable=True))
    if trained:
        changed(model)
    model.save(tmp_path / "model.keras")
    again = loader(tmp_path / "model.keras")
    for one, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("trained", [False, True])
def test_on_another_machine(folder, home, tmp_path, trained):
    model = network(SavedModelBackbone(folder, trainable=True))
    expected = (changed(model) if trained else model).predict(IMAGES, verbose=0)
    model.save(tmp_path / "model.keras")
    home("elsewhere")
    again = ktg.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(IMAGES, verbose=0), expected)
    assert again.layers[1].digest() == model.layers[1].digest()
    again.save(tmp_path / "again.keras")
    home("a third")
    third = ktg.load_model(tmp_path / "again.keras")
    np.testing.assert_array_equal(third.predict(IMAGES, verbose=0), expected)


def test_what_lies_where(folder, tmp_path):
    model = network(SavedModelBackbone(folder))
    digest = model.layers[1].module_digest
    model.save(tmp_path / "own.keras")
    assert members(tmp_path / "own.keras") == [f"module-{digest}.tar"]
    # The head alone: kernel and bias.
    assert sorted(weights_in(tmp_path / "own.keras", tmp_path)) == [2, 6]
    changed(model).save(tmp_path / "changed.keras")
    (name,) = members(tmp_path / "changed.keras")
    assert name.startswith(f"module-{digest}-")
    assert name.endswith(".tar.gz")
    parameters = sum(weight.numpy().size for weight in model.weights)
    assert sum(weights_in(tmp_path / "changed.keras", tmp_path)) == parameters


def test_files_of_weights_hold_the_weights(folder, tmp_path):
    model = network(SavedModelBackbone(folder))
    model.save_weights(tmp_path / "model.weights.h5")
    with h5py.File(tmp_path / "model.weights.h5") as file:
        names = []
        file.visit(names.append)
    assert not any(name.endswith(MARK) for name in names)
    other = changed(network(SavedModelBackbone(folder)))
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(
        other.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0)
    )


def test_weights_of_a_model_file_put_trained_ones_back(folder, tmp_path):
    model = network(SavedModelBackbone(folder))
    model.save(tmp_path / "model.keras")
    expected = model.predict(IMAGES, verbose=0)
    changed(model)
    model.load_weights(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), expected)


def test_weights_of_a_module_that_is_nowhere(folder, home, tmp_path):
    network(SavedModelBackbone(folder)).save(tmp_path / "model.keras")
    home("elsewhere")
    other = network(SavedModelBackbone(tiny.convolution_module(tmp_path / "other", seed=1)))
    with pytest.raises(ValueError, match="the local module store does not have"):
        other.load_weights(tmp_path / "model.keras")


def test_one_module_trained_and_not(folder, home, tmp_path):
    frozen, trained = SavedModelBackbone(folder), SavedModelBackbone(folder, trainable=True)
    model = network(frozen, trained)
    trained.weights[0].assign(trained.weights[0] + 1.0)
    model.save(tmp_path / "model.keras")
    home("elsewhere")
    again = ktg.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        again.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0)
    )


@pytest.mark.parametrize("make", [tiny.signature_module, tiny.graph_module, tiny.constant_module])
def test_modules_of_other_kinds(make, home, tmp_path):
    backbone = SavedModelBackbone(make(tmp_path / "module"))
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1)(backbone(inputs)))
    for trained in (False, True):
        if trained:
            for weight in backbone.weights:
                weight.assign(weight + 1.0)
        expected = model.predict(np.ones((1, 2)), verbose=0)
        model.save(tmp_path / "model.keras")
        home(f"elsewhere {trained}")
        again = ktg.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(again.predict(np.ones((1, 2)), verbose=0), expected)
        home("home")


def test_a_changed_store_is_not_packed(folder, tmp_path):
    backbone = SavedModelBackbone(folder)
    data = find_module(backbone.module_digest) / "variables" / "variables.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[0] ^= 1
    data.write_bytes(content)
    with pytest.raises(ValueError, match="have changed since"):
        network(backbone).save(tmp_path / "model.keras")


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.long
def test_the_size_of_a_real_file(shared_folder, home, tmp_path, trained):
    module = shared_folder / "hub" / "mobilenet_v2_100_224_feature_vector"
    backbone = SavedModelBackbone(module, trainable=True)
    if trained:
        for weight in backbone.weights:
            weight.assign(weight * 1.001)
    inputs = keras.Input((224, 224, 3))
    keras.Model(inputs, keras.layers.Dense(2)(backbone(inputs))).save(tmp_path / "model.keras")
    files = [module / "saved_model.pb", *(module / "variables").iterdir()]
    size = sum(file.stat().st_size for file in files)
    assert (tmp_path / "model.keras").stat().st_size <= 1.1 * size
