"""The other library that reads these modules: what one exports or fetches, the other uses."""

import functools
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_transgen.backbones import KerasBackbone, SavedModelBackbone, load_backbone
from keras_transgen.backbones.handles import resolve
from tests.backbones import tiny_modules as tiny
from tests.backbones.hub_server import HubServer, save_tiny_module

pytestmark = pytest.mark.long
IMAGES = np.random.default_rng(0).uniform(size=(6, 8, 8, 1)).astype("float32")


@functools.cache
def reason_against() -> str:
    """Why tensorflow_hub cannot be imported, which is never known in this process."""
    done = subprocess.run(
        [sys.executable, "-c", "import tensorflow_hub"],
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1"},
        capture_output=True,
        text=True,
    )
    return done.stderr.strip().rpartition("\n")[2] if done.returncode else ""


@pytest.fixture(autouse=True)
def _needs_tensorflow_hub():
    if reason_against():
        pytest.skip(f"tensorflow_hub does not import: {reason_against()}")


def with_hub(code, *arguments):
    """Runs code in a process of Keras 2, as tensorflow_hub wants it."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, numpy as np, tensorflow_hub as hub\n{code}"]
        + [str(argument) for argument in arguments],
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


USE = """
import tf_keras
images = np.load(sys.argv[2])
loaded = hub.load(sys.argv[1])(images, **eval(sys.argv[4]))
layer = hub.KerasLayer(sys.argv[1], trainable=True)
model = tf_keras.Sequential([tf_keras.Input(images.shape[1:]), layer])
called = model(images, training=False)
weights = [weight.shape for weight in layer.trainable_weights]
losses = len(layer.losses)
model.compile(tf_keras.optimizers.SGD(0.1), "mse")
model.fit(images, np.zeros(called.shape), epochs=1, verbose=0)
moved = np.abs(model(images, training=False) - called).max()
np.savez(sys.argv[3], loaded=loaded, called=called, moved=moved, losses=losses,
         count=sum(int(np.prod(shape)) for shape in weights))
"""


def keras_network(folder):
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(3, 3, kernel_regularizer=keras.regularizers.L2(0.1)),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Flatten(),
            keras.layers.Dense(4),
        ]
    )
    return KerasBackbone(network)


def saved_module(folder):
    return SavedModelBackbone(tiny.convolution_module(folder / "module"))


@pytest.mark.parametrize("make", [keras_network, saved_module, lambda _: load_backbone("digits")])
def test_what_is_exported_loads_in_both_of_its_ways(tmp_path, make):
    backbone = make(tmp_path)
    backbone.export(tmp_path / "exported")
    np.save(tmp_path / "images.npy", IMAGES)
    training = {"training": False} if backbone.has_training_mode() else {}
    paths = (tmp_path / "exported", tmp_path / "images.npy", tmp_path / "found.npz")
    with_hub(USE, *paths, training)
    with np.load(tmp_path / "found.npz") as found:
        expected = np.asarray(backbone(IMAGES, training=False))
        np.testing.assert_allclose(found["loaded"], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found["called"], expected, rtol=1e-5, atol=1e-6)
        trained = [v for group in backbone.parameter_groups() for v in group.variables]
        assert found["count"] == sum(np.prod(variable.shape) for variable in trained)
        assert found["losses"] == len(backbone.regularization_functions())
        assert found["moved"] > 0


def test_a_module_is_fetched_once_for_both(tmp_path, monkeypatch):
    module = save_tiny_module(tmp_path / "tiny")
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    with HubServer() as server:
        theirs = server.add_module("/google/theirs/1", module)
        ours = server.add_module("/google/ours/1", module)
        first = with_hub("print(hub.resolve(sys.argv[1]))", theirs)
        assert str(resolve(theirs, progress=False)) == first
        second = str(resolve(ours, progress=False))
        assert with_hub("print(hub.resolve(sys.argv[1]))", ours) == second
        assert [request.path for request in server.requests] == [
            "/google/theirs/1",
            "/google/ours/1",
        ]
        # Its numbers are a batch, not the samples of one wave.
        backbone = SavedModelBackbone(theirs, batch_axis=True)
        np.testing.assert_array_equal(backbone(np.array([1.0, 3.0], "float32")), [2.0, 6.0])
        assert len(server.requests) == 2
