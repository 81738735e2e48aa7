"""Features that were kept are not taken for those of other data, labels or weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones import extract_features
from keras_transgen.backbones.feature_cache import ArrayWriter, open_arrays
from keras_transgen.transfer import StructureTransfer
from tests.transfer.tiny import IMAGES, LABELS, backbone


class Batches(keras.utils.PyDataset):
    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    @property
    def num_batches(self):
        return -(-len(self.arrays[0]) // 8)

    def __getitem__(self, index):
        return tuple(array[index * 8 : index * 8 + 8] for array in self.arrays)


def _dataset(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays).batch(8)


def _of_unknown_length(*arrays):
    return _dataset(*arrays).filter(lambda *_: True)


def _extract(data, folder, **kwargs):
    network = backbone()
    found = extract_features(
        network, data, cache_dir=folder, data_key="mine", progress=False, **kwargs
    )
    return np.array(found.features), found


@pytest.mark.parametrize("make", [_dataset, _of_unknown_length, Batches])
def test_labels_and_weights_are_read_anew_and_added_rows_seen(make, tmp_path):
    first, found = _extract(make(IMAGES[:16], LABELS[:16]), tmp_path)
    mended = (LABELS + 1) % 3
    weights = np.arange(24.0)
    again, found = _extract(make(IMAGES[:16], mended[:16], weights[:16]), tmp_path)
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(found.labels, mended[:16])
    np.testing.assert_array_equal(found.sample_weight, weights[:16])
    more, found = _extract(make(IMAGES, mended), tmp_path)
    np.testing.assert_allclose(more, np.asarray(backbone()(IMAGES)), atol=1e-5)
    np.testing.assert_array_equal(found.labels, mended)


def test_other_images_first_are_other_data(tmp_path):
    _extract(_dataset(IMAGES[:16], LABELS[:16]), tmp_path)
    features, _ = _extract(_dataset(IMAGES[8:], LABELS[8:]), tmp_path)
    np.testing.assert_allclose(features, np.asarray(backbone()(IMAGES[8:])), atol=1e-5)


def test_labels_of_views_are_repeated(tmp_path):
    flip = keras.layers.RandomFlip(seed=3)
    for labels in (LABELS[:16], (LABELS[:16] + 1) % 3):
        data = _dataset(IMAGES[:16], labels)
        _, found = _extract(data, tmp_path, views=2, augmentation=flip)
        np.testing.assert_array_equal(found.labels, np.repeat(labels, 2))


def test_a_damaged_array_of_the_same_length_is_no_cache(tmp_path):
    writer = ArrayWriter(tmp_path / "kept", "key")
    writer.append([np.ones((4, 3), "float32")], 0)
    folder = writer.finish()
    assert open_arrays(folder, "key") is not None
    damaged = bytearray((folder / "0.npy").read_bytes())
    damaged[-2] ^= 0xFF
    (folder / "0.npy").write_bytes(damaged)
    assert open_arrays(folder, "key") is None


def test_an_adapter_that_has_learned_gives_other_features(tmp_path):
    model = StructureTransfer(backbone(), 3, method="adapter", rank=2)
    model.initialize_head(IMAGES, LABELS, cache_dir=tmp_path)
    random = np.random.default_rng(1)
    for variable in model.delta_set.in_force().variables:
        variable.assign(random.normal(size=variable.shape))
    model.initialize_head(IMAGES, LABELS, cache_dir=tmp_path)
    kept = model.predict(IMAGES, verbose=0)
    model.initialize_head(IMAGES, LABELS)
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), kept, atol=1e-3)
