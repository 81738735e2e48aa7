"""Extracted features are what the backbone gives, in order, once."""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import namedtuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones import extraction, feature_cache
from keras_transgen.backbones.extraction import extract_features

X = np.random.default_rng(0).normal(size=(23, 4)).astype("float32")
Y = np.arange(23)
WEIGHT = np.linspace(0.5, 1.5, 23).astype("float32")


@pytest.fixture
def backbone():
    """Has layers that compute otherwise while training."""
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, activation="tanh", kernel_initializer=_fixed()),
            keras.layers.BatchNormalization(moving_mean_initializer="ones"),
            keras.layers.Dropout(0.5),
        ]
    )


def _fixed():
    return keras.initializers.Constant([[0.1 * (i + j) for j in range(3)] for i in range(4)])


def expected(backbone, x=X):
    """Computed by hand from the weights."""
    kernel, bias, gamma, beta, mean, variance = backbone.get_weights()
    hidden = np.tanh(x @ kernel + bias)
    return gamma * (hidden - mean) / np.sqrt(variance + 1e-3) + beta


def extract(backbone, data, **arguments):
    return extract_features(backbone, data, progress=False, **arguments)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        part = slice(index * 6, index * 6 + 6)
        return X[part], Y[part], WEIGHT[part]


FORMS = {
    "x": lambda: X,
    "pair": lambda: (X, Y),
    "triple": lambda: (X, Y, WEIGHT),
    "tensors": lambda: (tf.constant(X), tf.constant(Y)),
    "float64": lambda: (X.astype("float64"), Y),
    "dataset_x": lambda: tf.data.Dataset.from_tensor_slices(X).batch(5),
    "dataset_pair": lambda: tf.data.Dataset.from_tensor_slices((X, Y)).batch(5),
    "dataset_triple": lambda: tf.data.Dataset.from_tensor_slices((X, Y, WEIGHT)).batch(23),
    "pydataset": Batches,
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_data(backbone, form):
    before = backbone.get_weights()
    found = extract(backbone, FORMS[form](), batch_size=7)
    np.testing.assert_allclose(found.features, expected(backbone), rtol=1e-5, atol=1e-6)
    assert isinstance(found.features, np.memmap)
    assert found.rows == 23
    has_labels = form not in ("x", "dataset_x")
    assert (found.labels is not None) == has_labels
    if has_labels:
        np.testing.assert_array_equal(found.labels, Y)
    assert (found.sample_weight is not None) == (form in ("triple", "dataset_triple", "pydataset"))
    if found.sample_weight is not None:
        np.testing.assert_array_equal(found.sample_weight, WEIGHT)
    for old, new in zip(before, backbone.get_weights()):
        np.testing.assert_array_equal(old, new)


def test_several_outputs_and_inputs():
    inputs = {"a": keras.Input((4,), name="a"), "b": keras.Input((2,), name="b")}
    joined = keras.layers.Concatenate()([inputs["a"], inputs["b"]])
    backbone = keras.Model(inputs, {"sum": inputs["a"] * 2.0, "both": joined})
    data = {"a": X, "b": X[:, :2]}
    found = extract(backbone, (data, {"kind": Y, "size": WEIGHT}))
    np.testing.assert_allclose(found.features["sum"], X * 2.0)
    np.testing.assert_allclose(found.features["both"], np.concatenate([X, X[:, :2]], 1))
    np.testing.assert_array_equal(found.labels["kind"], Y)
    np.testing.assert_array_equal(found.labels["size"], WEIGHT)


def test_list_of_outputs():
    inputs = keras.Input((4,))
    backbone = keras.Model(inputs, [inputs * 2.0, inputs * 3.0])
    found = extract(backbone, X)
    np.testing.assert_allclose(found.features[1], X * 3.0, rtol=1e-6)


def test_text():
    table = keras.layers.StringLookup(vocabulary=["ant", "bee"])
    backbone = keras.Sequential([keras.Input((1,), dtype="string"), table])
    found = extract(backbone, np.array([["bee"], ["ant"], ["fly"]]))
    np.testing.assert_array_equal(found.features, [[2], [1], [0]])


def test_preprocessing(backbone):
    whole = np.arange(92, dtype="uint8").reshape(23, 4)
    found = extract(backbone, whole, preprocessing=keras.layers.Rescaling(1 / 255.0))
    np.testing.assert_allclose(
        found.features, expected(backbone, whole / 255.0), rtol=1e-5, atol=1e-6
    )


def test_float16_storage(backbone):
    found = extract(backbone, X, dtype="float16")
    assert found.features.dtype == "float16"
    np.testing.assert_allclose(found.features, expected(backbone), atol=2e-3)


def test_float16_overflow():
    backbone = keras.Sequential([keras.Input((4,)), keras.layers.Rescaling(1e6)])
    with pytest.raises(ValueError, match="float16 ends at 65504"):
        extract(backbone, X + 1.0, dtype="float16")


def test_progress_bar(backbone, capsys):
    extract_features(backbone, X)
    assert "23/23" in capsys.readouterr().out


def test_within_a_strategy(two_replicas):
    with two_replicas.scope():
        backbone = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
        found = extract(backbone, X)
    np.testing.assert_allclose(found.features, X / np.sqrt(1.001), rtol=1e-5)


class TestViews:
    def noise(self):
        return keras.Sequential([keras.Input((4,)), keras.layers.GaussianNoise(0.5)])

    def plain(self):
        return keras.Sequential([keras.Input((4,)), keras.layers.Activation("linear")])

    def test_plain_one_first_then_augmented_ones(self):
        found = extract(
            self.plain(), (X, Y), views=3, augmentation=self.noise(), seed=1, batch_size=5
        )
        assert (found.rows, found.views) == (23, 3)
        np.testing.assert_array_equal(found.labels, np.repeat(Y, 3))
        views = found.features.reshape(23, 3, 4)
        np.testing.assert_array_equal(views[:, 0], X)
        first, second = views[:, 1] - X, views[:, 2] - X
        assert 0.35 < first.std() < 0.65
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.5
        # Batches do not share their noise either.
        assert not np.allclose(first[:5], first[5:10])

    def test_seed(self):
        def run(seed):
            return extract(self.plain(), X, views=2, augmentation=self.noise(), seed=seed).features[
                :
            ]

        np.testing.assert_array_equal(run(1), run(1))
        assert not np.array_equal(run(1), run(2))

    def test_function_with_seed(self):
        def augmentation(x, seed):
            return x + tf.random.stateless_normal(tf.shape(x), seed)

        found = extract(self.plain(), X, views=2, augmentation=augmentation, batch_size=5)
        noise = found.features.reshape(23, 2, 4)[:, 1] - X
        assert len(np.unique(noise.round(4))) > 85

    @pytest.mark.parametrize("arguments", [{"views": 2}, {"augmentation": abs}, {"views": 0}])
    def test_wrong_arguments(self, backbone, arguments):
        with pytest.raises(ValueError, match="Expected views=1 without augmentation"):
            extract(backbone, X, **arguments)


class Counting(keras.layers.Layer):
    """A backbone with a digest, that counts the rows it has seen."""

    def __init__(self, digest="one", **kwargs):
        super().__init__(**kwargs)
        self.seen = 0
        # Two batches are on their way at once.
        self._one_at_a_time = threading.Lock()
        self._digest = digest

    def digest(self):
        return self._digest

    def call(self, x):
        tf.py_function(self._count, [x], [])
        return x * 2.0

    def _count(self, x):
        with self._one_at_a_time:
            self.seen += len(x)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


class TestCache:
    def test_found_again(self, tmp_path):
        backbone = Counting()
        first = extract(backbone, (X, Y), cache_dir=tmp_path)
        again = extract(backbone, (X.copy(), Y), cache_dir=tmp_path, batch_size=3)
        assert backbone.seen == 23
        assert first.path == again.path
        np.testing.assert_array_equal(again.features, X * 2.0)
        np.testing.assert_array_equal(again.labels, Y)
        assert [entry.name for entry in tmp_path.iterdir()] == [first.path.name]

    @pytest.mark.parametrize(
        "change",
        [
            {"backbone": Counting("two")},
            {"backbone": Counting(dtype="mixed_bfloat16")},
            {"data": (X + 1.0, Y)},
            {"data": (X, Y + 1)},
            {"data": X},
            {"data": (X.astype("float64"), Y)},
            {"preprocessing": keras.layers.Rescaling(2.0)},
            {"dtype": "float16"},
            {"data_key": "other"},
            {"views": 2, "augmentation": keras.layers.GaussianNoise(0.1)},
        ],
        ids=[
            "digest",
            "precision",
            "x",
            "y",
            "no labels",
            "dtype of x",
            "preprocessing",
            "storage",
            "key",
            "views",
        ],
    )
    def test_anything_else_is_another_cache(self, tmp_path, change):
        usual = {"backbone": Counting(), "data": (X, Y), "cache_dir": tmp_path}
        first = extract(**usual)
        assert extract(**{**usual, **change}).path != first.path

    def test_preprocessing_tells_its_values_but_not_its_name(self, tmp_path):
        backbone = Counting()
        paths = [
            extract(
                backbone, X, cache_dir=tmp_path, preprocessing=keras.layers.Rescaling(scale)
            ).path
            for scale in (2.0, 2.0, 3.0)
        ]
        assert paths[0] == paths[1] != paths[2]

    def test_weights_change_a_model_without_digest(self, tmp_path, backbone):
        first = extract(backbone, X, cache_dir=tmp_path)
        assert extract(backbone, X, cache_dir=tmp_path).path == first.path
        backbone.layers[0].bias.assign([1.0, 0.0, 0.0])
        changed = extract(backbone, X, cache_dir=tmp_path)
        assert changed.path != first.path
        np.testing.assert_allclose(changed.features, expected(backbone), rtol=1e-5, atol=1e-6)

    def test_data_set_needs_a_key(self, tmp_path):
        backbone = Counting()
        data = tf.data.Dataset.from_tensor_slices(X).batch(5)
        for _ in range(2):
            found = extract(backbone, data, cache_dir=tmp_path)
        assert backbone.seen == 46
        path = found.path
        assert path.exists()
        del found
        gc.collect()
        assert not path.exists()
        assert list(tmp_path.iterdir()) == []
        for _ in range(2):
            extract(backbone, data, cache_dir=tmp_path, data_key="numbers 1")
        assert backbone.seen == 69

    def test_function_needs_a_key(self, tmp_path):
        backbone = Counting()
        for key in (None, None, "tripled", "tripled"):
            found = extract(
                backbone, X, cache_dir=tmp_path, preprocessing=lambda x: x * 3.0, data_key=key
            )
        assert backbone.seen == 69
        np.testing.assert_allclose(found.features, X * 6.0, rtol=1e-6)

    def test_damaged_cache_is_made_again(self, tmp_path):
        backbone = Counting()
        first = extract(backbone, X, cache_dir=tmp_path)
        file = first.path / "0.npy"
        file.write_bytes(file.read_bytes()[:-4])
        np.testing.assert_array_equal(extract(backbone, X, cache_dir=tmp_path).features, X * 2.0)
        assert backbone.seen == 46

    @pytest.mark.parametrize("form", ["pair", "dataset_pair", "pydataset"])
    def test_interrupted_extraction_goes_on(self, tmp_path, monkeypatch, form):
        monkeypatch.setattr(feature_cache, "BLOCK_BYTES", 1)

        class Interrupted(Counting):
            def _count(self, x):
                super()._count(x)
                # At a row, since batches that are on their way together come in any order.
                if (x.numpy() == X[10]).all(axis=1).any():
                    raise KeyboardInterrupt

        arguments = {"cache_dir": tmp_path, "batch_size": 5, "data_key": "data"}
        with pytest.raises((KeyboardInterrupt, tf.errors.OpError)):
            extract(Interrupted(), FORMS[form](), **arguments)
        backbone = Counting()
        found = extract(backbone, FORMS[form](), **arguments)
        assert backbone.seen == 23 - {"pair": 10, "dataset_pair": 10, "pydataset": 6}[form]
        np.testing.assert_array_equal(found.features, X * 2.0)
        np.testing.assert_array_equal(found.labels, Y)

    def test_augmented_views_are_the_same_after_an_interruption(self, tmp_path, monkeypatch):
        monkeypatch.setattr(feature_cache, "BLOCK_BYTES", 1)
        arguments = {
            "views": 2,
            "augmentation": keras.layers.GaussianNoise(0.5),
            "batch_size": 5,
        }

        class Interrupted(Counting):
            def _count(self, x):
                super()._count(x)
                if self.seen > 20:
                    raise KeyboardInterrupt

        whole = extract(Counting(), X, **arguments)
        with pytest.raises((KeyboardInterrupt, tf.errors.OpError)):
            extract(Interrupted(), X, cache_dir=tmp_path, **arguments)
        resumed = extract(Counting(), X, cache_dir=tmp_path, **arguments)
        np.testing.assert_array_equal(resumed.features, whole.features)


SLOW_EXTRACTION = """
import sys, time
import keras, numpy as np, tensorflow as tf
from keras_transgen.backbones import feature_cache
from keras_transgen.backbones.extraction import extract_features
feature_cache.BLOCK_BYTES = 1

class Slow(keras.layers.Layer):
    def digest(self):
        return "slow"
    def call(self, x):
        tf.py_function(self.tell, [x], [])
        return x * 2.0
    def tell(self, x):
        # In one piece, since two batches are on their way at once.
        print(f"{int(x[0, 0])}\\n", end="", flush=True)
        time.sleep(0.02)
    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)

x = np.arange(1000, dtype="float32").reshape(500, 2)
extract_features(Slow(), x, cache_dir=sys.argv[1], batch_size=2, progress=False)
"""


@pytest.mark.slow
@pytest.mark.long
def test_killed_extraction(tmp_path):
    """A real SIGKILL; the next process goes on, and the result is whole."""
    command = [sys.executable, "-c", SLOW_EXTRACTION, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if int(line) >= 200:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    left = [entry.name for entry in tmp_path.iterdir()]
    assert all(name.endswith((".partial", ".lock")) for name in left)

    again = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    # All but the two batches that were on their way.
    assert int(again.stdout.splitlines()[0]) >= 200 - 2 * 4
    folder = next(path for path in tmp_path.iterdir() if path.is_dir())
    features = np.load(folder / "0.npy")
    np.testing.assert_array_equal(features, 2.0 * np.arange(1000, dtype="float32").reshape(500, 2))


MEMORY = """
import resource, sys
import keras, tensorflow as tf
from keras_transgen.backbones.extraction import extract_features

def batch(i):
    return tf.random.stateless_uniform([64, 32, 32, 3], [i, 0])

batches = int(sys.argv[1])
data = tf.data.Dataset.range(batches).map(batch)
backbone = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.AveragePooling2D(2)])
found = extract_features(backbone, data, progress=False)
assert found.rows == 64 * batches
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.long
def test_memory_is_flat(tmp_path):
    """300 MB of features against 30 MB: at most 1.1 times the peak resident memory."""

    def peak(batches):
        result = subprocess.run(
            [sys.executable, "-c", MEMORY, str(batches)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        return int(result.stdout)

    assert peak(1600) / peak(160) <= 1.1
    # Nothing is left behind when the process ends.
    assert list(tmp_path.iterdir()) == []


class TestErrors:
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_nan_in_data(self, backbone, tmp_path, value):
        x = X.copy()
        x[17, 2] = value
        with pytest.raises(ValueError, match=r"in the data.*Received: row 17 "):
            extract(backbone, (x, Y), batch_size=5, cache_dir=tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_nan_in_labels(self, backbone):
        y = WEIGHT.copy()
        y[11] = np.nan
        with pytest.raises(ValueError, match=r"in the labels.*Received: row 11 "):
            extract(backbone, (X, y), batch_size=5)

    def test_nan_from_the_backbone(self):
        backbone = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(tf.math.log)])
        with pytest.raises(ValueError, match="features, from data that are finite"):
            extract(backbone, -np.abs(X))

    @pytest.mark.parametrize(
        "data",
        [
            X[:0],
            (X[:0], Y[:0]),
            tf.data.Dataset.from_tensor_slices(X).take(0).batch(2),
            tf.data.Dataset.from_tensor_slices(X).filter(lambda x: False).batch(2),
        ],
        ids=["x", "pair", "dataset", "filtered"],
    )
    def test_empty_data(self, backbone, data, tmp_path):
        with pytest.raises(ValueError, match="at least one row"):
            extract(backbone, data, cache_dir=tmp_path, data_key="empty")
        assert list(tmp_path.iterdir()) == []

    def test_endless_data(self, backbone):
        with pytest.raises(ValueError, match="data that end"):
            extract(backbone, tf.data.Dataset.from_tensor_slices(X).batch(2).repeat())

    def test_lengths(self, backbone):
        with pytest.raises(ValueError, match=r"\(23, 4\), \(22,\)"):
            extract(backbone, (X, Y[:-1]))

    def test_data_set_without_batches(self, backbone):
        with pytest.raises(ValueError, match=r"\.batch\(32\)"):
            extract(backbone, tf.data.Dataset.range(3))

    def test_images_of_several_sizes(self):
        backbone = keras.Sequential([keras.Input((None, 1)), keras.layers.Activation("relu")])

        def generate():
            for size in (4, 5):
                yield np.zeros((2, size, 1), "float32")

        data = tf.data.Dataset.from_generator(
            generate, output_signature=tf.TensorSpec([None, None, 1])
        )
        with pytest.raises(ValueError, match="one shape and dtype"):
            extract(backbone, data)

    def test_no_data(self, backbone):
        with pytest.raises(ValueError, match="Received: str"):
            extract(backbone, "images/")

    def test_text_labels(self, backbone):
        with pytest.raises(ValueError, match="Give classes as integers"):
            extract(backbone, (X, np.array(["ant"] * 23, object)))

    def test_disk_too_small_is_said_at_once(self, backbone, tmp_path, monkeypatch):
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1000, 900, 100))
        with pytest.raises(OSError, match=r"The features take 216 bytes.*with 100 bytes free"):
            extract(backbone, X, batch_size=5, cache_dir=tmp_path)

    def test_contract_is_checked(self, tmp_path):
        class Strict(Counting):
            def check_inputs(self, x, name="x"):
                raise ValueError("wrong range")

        with pytest.raises(ValueError, match="wrong range"):
            extract(Strict(), X, cache_dir=tmp_path)


def test_manifest_names_the_key(tmp_path):
    found = extract(Counting(), X, cache_dir=tmp_path)
    manifest = json.loads((found.path / "manifest.json").read_text())
    assert found.path.name == f"features-{manifest['key'][:32]}"
    assert extraction.open_arrays(found.path, manifest["key"]) is not None


class TestSequencesOfSeveralLengths:
    LENGTHS = (3, 7, 1, 5, 7, 2)
    SEQUENCES = tuple(
        np.random.default_rng(4).normal(size=(length, 3)).astype("float32") for length in LENGTHS
    )
    LABELS = np.arange(6)

    @staticmethod
    def network(*last):
        """Padding would reach the last positions, and the mean over them."""
        keras.utils.set_random_seed(3)
        return keras.Sequential(
            [keras.Input((None, 3)), keras.layers.Conv1D(4, 3, padding="same"), *last]
        )

    def ragged(self):
        return tf.RaggedTensor.from_row_lengths(np.concatenate(self.SEQUENCES), self.LENGTHS)

    def forms(self):
        ragged = self.ragged()
        return {
            "list": (list(self.SEQUENCES), self.LABELS),
            "ragged": (ragged, self.LABELS),
            "set": tf.data.Dataset.from_tensor_slices((ragged, self.LABELS)).batch(4),
        }

    @pytest.mark.parametrize("form", ["list", "ragged", "set"])
    def test_one_vector_each(self, form, tmp_path):
        network = self.network(keras.layers.GlobalAveragePooling1D())
        alone = np.concatenate([np.asarray(network(each[None])) for each in self.SEQUENCES])
        for _ in range(2):
            found = extract(network, self.forms()[form], cache_dir=tmp_path)
            np.testing.assert_allclose(found.features, alone, atol=1e-5)
            np.testing.assert_array_equal(found.labels, self.LABELS)
            assert found.rows == 6

    @pytest.mark.parametrize("form", ["list", "ragged", "set"])
    def test_one_vector_a_position(self, form):
        network = self.network()
        found = extract(network, self.forms()[form])
        assert found.rows == 6
        for row, each in enumerate(self.SEQUENCES):
            np.testing.assert_allclose(found.features[row], network(each[None])[0], atol=1e-5)

    def test_inputs_alone_and_several_outputs(self):
        inputs = keras.Input((None, 3))
        network = keras.Model(inputs, {"all": inputs * 2, "sum": keras.ops.sum(inputs, axis=1)})
        data = tf.data.Dataset.from_tensor_slices(self.ragged()).batch(4)
        for given in (list(self.SEQUENCES), data):
            found = extract(network, given)
            assert found.labels is None
            sums = np.stack([each.sum(axis=0) for each in self.SEQUENCES])
            np.testing.assert_allclose(found.features["sum"], sums, atol=1e-5)
            np.testing.assert_allclose(
                found.features["all"].flat_values, 2 * np.concatenate(self.SEQUENCES), atol=1e-5
            )

    def test_views_follow_one_another(self):
        found = extract(
            self.network(keras.layers.GlobalAveragePooling1D()),
            (list(self.SEQUENCES), self.LABELS),
            views=2,
            augmentation=lambda x: 3.0 * x,
        )
        # The bias of a new layer is zero, so the network is linear.
        np.testing.assert_allclose(found.features[1::2], 3 * found.features[::2], atol=1e-5)
        np.testing.assert_array_equal(found.labels, np.repeat(self.LABELS, 2))

    @pytest.mark.parametrize("as_set", [False, True])
    def test_empty_ones(self, as_set):
        ragged = tf.RaggedTensor.from_row_lengths(np.ones((4, 3), "float32"), [3, 0, 1])
        data = tf.data.Dataset.from_tensor_slices(ragged).batch(3) if as_set else ragged
        with pytest.raises(ValueError, match=r"1 empty ones in .*x, the first in .*row 1"):
            extract(self.network(), data)

    def test_too_short_ones_and_wrong_labels(self):
        network = keras.Sequential([keras.Input((None, 3)), keras.layers.Conv1D(4, 3)])
        with pytest.raises(ValueError, match=r"Sequences of 1 elements.*too short.*in row 2"):
            extract(network, list(self.SEQUENCES))
        with pytest.raises(ValueError, match=r"one row for each example.*\[6, 5\]"):
            extract(network, (self.ragged(), self.LABELS[:5]))
