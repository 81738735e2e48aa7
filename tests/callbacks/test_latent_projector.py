"""The projector's files hold the model's latent vectors, labels and pictures."""

import keras
import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins import projector

from keras_transgen.callbacks.latent_projector import LatentProjector
from tests.callbacks.samplers import REAL, Sampler, images


class Encoded:
    def __init__(self, values):
        self.values = values

    def mean(self):
        return self.values


class Encoding(Sampler):
    """Its latent vectors are the first three pixels."""

    def encode(self, x):
        return Encoded(keras.ops.convert_to_tensor(x.reshape(len(x), -1)[:, :3]))


class Featuring(Sampler):
    def features(self, x, training=True):
        assert not training
        return x[:, 0, 0:2, 0]


def configuration(folder):
    text = (folder / "projector_config.pbtxt").read_text()
    return text_format.Parse(text, projector.ProjectorConfig())


def test_vectors_labels_and_pictures(tmp_path):
    labels = np.arange(40) % 10
    callback = LatentProjector(tmp_path, REAL, labels, every=2, batch_size=7)
    Encoding(images).run([callback], epochs=3)
    entries = configuration(tmp_path).embeddings
    assert [entry.tensor_name for entry in entries] == ["epoch_0001", "epoch_0003"]
    vectors = np.loadtxt(tmp_path / entries[1].tensor_path, delimiter="\t")
    np.testing.assert_allclose(vectors, REAL.reshape(40, -1)[:, :3], rtol=1e-5)
    lines = (tmp_path / entries[0].metadata_path).read_text().splitlines()
    assert lines == [str(label) for label in labels]
    sprite = np.asarray(Image.open(tmp_path / entries[0].sprite.image_path).convert("L"))
    assert list(entries[0].sprite.single_image_dim) == [8, 8]
    # Forty pictures in rows of seven; the ninth begins the second place of the second row.
    assert sprite.shape == (48, 56)
    np.testing.assert_allclose(sprite[8:16, 8:16] / 255, REAL[8, :, :, 0], atol=1 / 255)


def test_features_and_columns_of_labels(tmp_path):
    labels = [[0, "a"], [1, "b"]]
    callback = LatentProjector(tmp_path, REAL[:2], labels, ["number", "letter"])
    Featuring(images).run([callback])
    (entry,) = configuration(tmp_path).embeddings
    vectors = np.loadtxt(tmp_path / entry.tensor_path, delimiter="\t")
    np.testing.assert_allclose(vectors, REAL[:2, 0, :2, 0], rtol=1e-5)
    assert (tmp_path / entry.metadata_path).read_text() == "number\tletter\n0\ta\n1\tb\n"


def test_wrong_use(tmp_path):
    with pytest.raises(ValueError, match="40 examples, 3 labels"):
        LatentProjector(tmp_path, REAL, [0, 1, 2])
    with pytest.raises(ValueError, match="label_names"):
        LatentProjector(tmp_path, REAL[:2], [[0, 1], [1, 2]])
    with pytest.raises(ValueError, match="every=0"):
        LatentProjector(tmp_path, REAL, every=0)
    with pytest.raises(ValueError, match="Sampler"):
        Sampler(images).run([LatentProjector(tmp_path, REAL)])


def test_no_link_in_the_folder_of_logs_is_followed(tmp_path):
    elsewhere, logs = tmp_path / "elsewhere", tmp_path / "logs"
    elsewhere.mkdir()
    logs.mkdir()
    (elsewhere / "file").write_text("precious")
    (logs / "projector_config.pbtxt").symlink_to(elsewhere / "file")
    Encoding(images).run([LatentProjector(logs, REAL)])
    assert configuration(logs).embeddings[0].tensor_name == "epoch_0001"
    assert (elsewhere / "file").read_text() == "precious"
    (logs / "projector").rename(tmp_path / "aside")
    (logs / "projector").symlink_to(elsewhere)
    with pytest.raises(ValueError, match="leads away"):
        Encoding(images).run([LatentProjector(logs, REAL)])
    assert [path.name for path in elsewhere.iterdir()] == ["file"]
