"""Networks in HDF5 files, as Keras 2 wrote them: tf_keras writes them here."""

import json
import os
import shutil

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.backbones import KerasBackbone, load_backbone
from keras_transgen.backbones.hdf5_network import load_hdf5_network

ROWS = np.random.default_rng(0).normal(size=(4, 9, 3)).astype("float32")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A convolution of any length by Keras 2, and what it computes there."""
    import tf_keras

    layers = tf_keras.layers
    x = image = tf_keras.Input((None, 3))
    x = layers.Conv1D(4, 3, padding="same", name="conv_1")(x)
    x = layers.BatchNormalization(name="norm_1")(x)
    x = layers.Add(name="sum_1")([x, layers.Conv1D(4, 1, name="conv_2")(x)])
    x = layers.Conv1D(2, 1, activation="softmax", name="top")(x)
    model = tf_keras.Model([image], x)
    model.compile("adam", "mse")
    model.fit(ROWS, np.zeros((4, 9, 2)), verbose=0)
    path = tmp_path_factory.mktemp("keras_2") / "network.h5"
    model.save(path)
    inner = tf_keras.Model(image, model.get_layer("sum_1").output)
    return path, model.predict(ROWS, verbose=0), inner.predict(ROWS, verbose=0)


def changed(saved, tmp_path, change):
    """The file with another configuration, or otherwise altered."""
    path = tmp_path / "changed.h5"
    shutil.copy(saved[0], path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(file, config)
        if "model_config" in file.attrs:
            file.attrs["model_config"] = json.dumps(config)
    return path


@pytest.mark.parametrize("suffix", [".h5", ".hdf5"])
def test_it_computes_what_keras_2_computed(saved, suffix, tmp_path):
    path = shutil.copy(saved[0], tmp_path / f"network{suffix}")
    backbone = load_backbone(path, trainable=True, name="of_keras_2")
    assert isinstance(backbone, KerasBackbone)
    assert (backbone.name, backbone.trainable) == ("of_keras_2", True)
    assert backbone.input_contract.shape == (None, None, 3)
    np.testing.assert_allclose(backbone(ROWS), saved[1], rtol=1e-4, atol=1e-5)


def test_it_is_cut_at_a_layer_and_takes_any_length(saved, tmp_path, fresh_process):
    backbone = load_backbone(str(saved[0]), output_layers="sum_1")
    np.testing.assert_allclose(backbone(ROWS), saved[2], rtol=1e-4, atol=1e-5)
    assert backbone(ROWS[:, :5]).shape == (4, 5, 4)
    model = ktg.FeatureTransfer(backbone, 2)
    model.fit(ROWS, np.array([0, 1, 0, 1]), verbose=0)
    expected = model.head(saved[2].mean(axis=1))
    logits = model.predict(ROWS, verbose=0)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-3)
    model.save(tmp_path / "model.keras")
    again = fresh_process.call(tmp_path / "model.keras", "predict", ROWS, verbose=0)
    np.testing.assert_allclose(again, logits, rtol=1e-4, atol=1e-4)
    shorter = fresh_process.call(tmp_path / "model.keras", "predict", ROWS[:, :5], verbose=0)
    np.testing.assert_allclose(shorter, model.predict(ROWS[:, :5], verbose=0), atol=1e-4)


def test_a_file_of_keras_3(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "relu")])
    model.save(tmp_path / "model.h5")
    again = load_hdf5_network(tmp_path / "model.h5")
    np.testing.assert_allclose(again(ROWS[0]), model(ROWS[0]), rtol=1e-6)


# What is refused


def layer_of(config, name="top"):
    return next(each for each in config["config"]["layers"] if each["config"]["name"] == name)


def with_lambda(file, config):
    import base64
    import marshal

    code = compile("__import__('os').mkdir('made')", "x", "eval")
    text = base64.b64encode(marshal.dumps((lambda x: x).__code__.replace(co_code=code.co_code)))
    layer = layer_of(config)
    layer["class_name"] = "Lambda"
    layer["config"] = {"name": "top", "function": [text.decode(), None, None]}


def with_class(name):
    def change(file, config):
        layer_of(config)["class_name"] = name

    return change


def without_network(file, config):
    del file.attrs["model_config"]


def with_link(file, config):
    file["elsewhere"] = h5py.ExternalLink("/etc/passwd", "/")


def with_large_layer(file, config):
    layer_of(config)["config"]["filters"] = 40_000_000


def with_many_values(file, config):
    layer_of(config)["config"]["many"] = [0] * 4_000_001


def with_vocabulary_of_a_file(file, config):
    layer = layer_of(config)
    layer["class_name"] = "StringLookup"
    layer["config"] = {"name": "top", "vocabulary": os.path.abspath(__file__)}


def with_module(file, config):
    layer = layer_of(config)
    layer["module"], layer["class_name"] = "keras.utils", "get_file"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_lambda, "runs code out of the file.*class Lambda.*safe_mode=False"),
        (with_class("TFSMLayer"), "runs code out of the file"),
        (with_class("deserialize"), "a layer that is not known here.*custom_objects="),
        (with_class("NobodysLayer"), "not known here.*Received: class_name='NobodysLayer'"),
        (with_class(["Dense"]), "not known here"),
        (without_network, "holds weights alone, and no network.*load_weights"),
        (with_link, "leads to no other place.*ExternalLink"),
        (with_large_layer, "more than its weights can stand for.*'filters'=40000000"),
        (with_many_values, "may have 4,000,000 values"),
        (with_vocabulary_of_a_file, "vocabulary"),
        (with_module, "nothing that reads, writes or fetches"),
    ],
)
def test_what_does_more_than_a_network_is_refused(change, message, saved, tmp_path, monkeypatch):
    path = changed(saved, tmp_path, change)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        load_backbone(path)
    assert not (tmp_path / "made").exists()


def test_texts_that_take_more_than_the_file_are_refused(saved, monkeypatch):
    taken = 4 * saved[0].stat().st_size
    monkeypatch.setattr("keras_transgen.backbones.hdf5_network.bytes_of_texts", lambda _: taken)
    load_backbone(saved[0])
    monkeypatch.setattr("keras_transgen.backbones.hdf5_network.bytes_of_texts", lambda _: taken + 1)
    with pytest.raises(ValueError, match="texts of an HDF5 file take no more memory than the file"):
        load_backbone(saved[0])


def test_a_lambda_that_its_user_trusts(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: 2.0 * x)])
    model.save(tmp_path / "model.h5")
    with pytest.raises(ValueError, match="runs code out of the file"):
        load_backbone(tmp_path / "model.h5")
    trusted = load_backbone(tmp_path / "model.h5", safe_mode=False)
    np.testing.assert_array_equal(trusted(ROWS[0]), 2 * ROWS[0])
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="Lambda"):
        load_backbone(tmp_path / "model.keras")
    trusted = load_backbone(tmp_path / "model.keras", safe_mode=False)
    np.testing.assert_array_equal(trusted(ROWS[0]), 2 * ROWS[0])


class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2.0 * x


@pytest.mark.parametrize("name", ["model.h5", "model.keras"])
def test_layers_of_ones_own(name, tmp_path):
    keras.Sequential([keras.Input((3,)), Doubled()]).save(tmp_path / name)
    with pytest.raises(ValueError, match="custom_objects="):
        load_backbone(tmp_path / name)
    backbone = load_backbone(tmp_path / name, custom_objects={"Doubled": Doubled})
    np.testing.assert_array_equal(backbone(ROWS[0]), 2 * ROWS[0])


def test_files_that_are_none(saved, tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        load_backbone(tmp_path / "absent.h5")
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(ValueError, match="a folder with a SavedModel goes to"):
        load_backbone(tmp_path / "folder.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(ValueError, match="no whole HDF5 file"):
        load_backbone(tmp_path / "text.h5")
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(ValueError, match=r"A file whose name ends in \.h5 is expected"):
        load_backbone(tmp_path / "pipe.h5")
    with pytest.raises(ValueError, match="raise max_bytes"):
        load_hdf5_network(saved[0], max_bytes=-(2**26) + 100)
    content = saved[0].read_bytes()
    (tmp_path / "half.h5").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="no whole HDF5 file"):
        load_backbone(tmp_path / "half.h5")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("net.onnx", "convert it to a SavedModel"),
        ("net.pt", "build the network in Keras"),
        ("net.pth", "build the network in Keras"),
        ("net.safetensors", "build it in Keras and set its weights"),
        ("net.tflite", "get the SavedModel"),
        ("net.npz", "weights without a network"),
        ("net.pkl", "can run any code and is not read"),
        ("net.json", "make a keras.Model of it"),
        ("net.ckpt", "a checkpoint"),
    ],
)
def test_files_of_others_are_told_by_name(name, advice, tmp_path):
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(ValueError, match=f"{advice}.*A backbone is made from.*Received: source="):
        load_backbone(tmp_path / name)


def test_inspect_shows_it(saved):
    from typer.testing import CliRunner

    from keras_transgen.cli.application import app

    result = CliRunner().invoke(app, ["inspect", str(saved[0])])
    assert result.exit_code == 0, result.output
    assert load_backbone(saved[0]).digest() in result.output.replace("\n", "")


@pytest.mark.shared_data
@pytest.mark.slow
def test_spliceai_cut_before_its_cropping(shared_folder, tmp_path):
    path = shared_folder / "networks" / "spliceai1.h5"
    backbone = load_backbone(path, output_layers="add_20")
    assert backbone.input_contract.shape == (None, None, 4)
    bases = np.eye(4, dtype="float32")[np.random.default_rng(1).integers(0, 4, (2, 61))]
    loaded = keras.saving.load_model(path, compile=False)
    inner = keras.Model(loaded.inputs[0], loaded.get_layer("add_20").output)
    np.testing.assert_allclose(backbone(bases), inner(bases), rtol=1e-4, atol=1e-4)
    model = ktg.TransferModel(backbone, 2, pooling="centre")
    expected = model.head(np.asarray(inner(bases))[:, 30])
    np.testing.assert_allclose(model(bases), expected, rtol=1e-3, atol=1e-3)
    model.save(tmp_path / "model.keras")
    again = ktg.load_model(tmp_path / "model.keras")
    longer = tf.tile(bases, [1, 2, 1])
    np.testing.assert_allclose(again(longer), model(longer), rtol=1e-4, atol=1e-4)
