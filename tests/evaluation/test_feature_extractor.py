import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones import load_backbone
from keras_transgen.evaluation import FeatureExtractor

IMAGES = np.random.default_rng(0).uniform(size=(10, 4, 4, 1)).astype("float32")


def extracted(extractor, images, **options):
    return np.concatenate(list(extractor.batches(images, **options)))


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, i):
        return IMAGES[4 * i : 4 * i + 4], np.zeros(4)[: len(IMAGES) - 4 * i]


@pytest.mark.parametrize(
    "images",
    [
        IMAGES,
        tf.constant(IMAGES),
        tf.data.Dataset.from_tensor_slices(IMAGES).batch(4),
        tf.data.Dataset.from_tensor_slices((IMAGES, np.arange(10))).batch(3),
        Batches(),
        [IMAGES[:5], IMAGES[5:]],
    ],
    ids=["array", "tensor", "dataset", "labelled dataset", "PyDataset", "list"],
)
@pytest.mark.parametrize("batch_size", [2, 64])
def test_every_kind_of_data_gives_the_features_in_order(images, batch_size):
    extractor = FeatureExtractor(keras.layers.Flatten(name="pixels"), batch_size=batch_size)
    assert extractor.name == "pixels"
    batches = list(extractor.batches(images))
    assert max(len(batch) for batch in batches) <= batch_size
    np.testing.assert_allclose(np.concatenate(batches), IMAGES.reshape(10, 16), atol=1e-6)


def test_value_ranges_are_mapped_and_bytes_are_0_to_255():
    extractor = FeatureExtractor(keras.layers.Flatten(), backbone_range=(-1.0, 3.0))
    expected = IMAGES.reshape(10, 16) * 4 - 1
    shifted = IMAGES * 2 - 1
    np.testing.assert_allclose(
        extracted(extractor, shifted, value_range=(-1.0, 1.0)), expected, atol=1e-5
    )
    levels = np.round(IMAGES * 255).astype("uint8")
    np.testing.assert_allclose(extracted(extractor, levels), expected, atol=4 * 0.5 / 255 + 1e-5)


@pytest.mark.parametrize(
    ("dtype", "largest"), [("uint8", 255), ("int64", 255), ("uint16", 65535), ("bool", 1)]
)
@pytest.mark.parametrize("kind", ["array", "data set"])
def test_integers_have_the_range_of_their_type(dtype, largest, kind):
    extractor = FeatureExtractor(keras.layers.Flatten(), batch_size=4)
    levels = np.round(IMAGES * largest).astype(dtype)
    data = levels if kind == "array" else tf.data.Dataset.from_tensor_slices(levels).batch(4)
    expected = levels.reshape(10, 16).astype("float64") / largest
    np.testing.assert_allclose(extracted(extractor, data), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("uint8", 0, 1), ("int32", 0, 1), ("uint16", 0, 255), ("int16", -5, 200), ("int64", 0, 4095)],
)
def test_integers_that_do_not_say_their_range(dtype, low, high):
    images = np.linspace(low, high, 160).reshape(10, 4, 4, 1).astype(dtype)
    with pytest.raises(ValueError, match=f"Received: {dtype} images with values from {low} to"):
        extracted(FeatureExtractor(keras.layers.Flatten()), images)


def test_a_black_batch_is_no_mask():
    black = np.zeros((3, 4, 4, 1), "uint8")
    np.testing.assert_array_equal(extracted(FeatureExtractor(keras.layers.Flatten()), black), 0.0)


def test_images_are_resized_and_grey_is_repeated_to_what_a_model_takes():
    model = keras.Sequential([keras.layers.Input((8, 8, 3)), keras.layers.Flatten()])
    flat = np.full((2, 4, 4, 1), 0.25, "float32")
    features = extracted(FeatureExtractor(model), flat)
    assert features.shape == (2, 192)
    np.testing.assert_allclose(features, 0.25, atol=1e-6)


def test_the_contract_of_a_backbone_is_kept():
    class Contract:
        shape = (None, 2, 2, 1)
        dtype = "float32"
        value_range = (0.0, 255.0)

    class Pixels(keras.layers.Layer):
        input_contract = Contract()

        def call(self, inputs):
            return keras.ops.reshape(inputs, (-1, 4))

    features = extracted(FeatureExtractor(Pixels()), np.full((1, 6, 6, 1), 0.5, "float32"))
    np.testing.assert_allclose(features, np.full((1, 4), 127.5), rtol=1e-6)


def test_a_layer_runs_in_inference_mode():
    extractor = FeatureExtractor(
        keras.Sequential([keras.layers.Flatten(), keras.layers.Dropout(0.9)])
    )
    np.testing.assert_allclose(extracted(extractor, IMAGES), IMAGES.reshape(10, 16), atol=1e-6)


def test_a_plain_function_on_vectors_is_an_extractor():
    def doubled(rows):
        return 2 * np.asarray(rows)

    vectors = np.random.default_rng(0).normal(size=(7, 3))
    extractor = FeatureExtractor(doubled)
    assert extractor.name == "doubled"
    np.testing.assert_array_equal(extracted(extractor, vectors), 2 * vectors)


def test_values_outside_their_range_are_told_once():
    extractor = FeatureExtractor(keras.layers.Flatten())
    with pytest.warns(UserWarning, match=r"value_range=\(0.0, 1.0\).*from -1 to"):
        extracted(extractor, np.linspace(-1, 1, 32, dtype="float32").reshape(2, 4, 4, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        extracted(extractor, -np.ones((2, 4, 4, 1), "float32"))
        extracted(FeatureExtractor(keras.layers.Flatten()), IMAGES * 1.04)


def test_wrong_use_is_refused():
    with pytest.raises(ValueError, match="can be called"):
        FeatureExtractor(3)
    with pytest.raises(ValueError, match="Expected a name"):
        FeatureExtractor(type("Nameless", (), {"__call__": lambda self, x: x})())
    with pytest.raises(ValueError, match="batch_size"):
        FeatureExtractor(keras.layers.Flatten(), batch_size=0)
    with pytest.raises(ValueError, match="image_size"):
        FeatureExtractor(keras.layers.Flatten(), image_size=(4, 4, 4))
    flatten = FeatureExtractor(keras.layers.Flatten())
    endless = tf.data.Dataset.from_tensor_slices(IMAGES).batch(2).repeat()
    for images, message in [
        (endless, r"\.take\(n\)"),
        ({"images": IMAGES}, "Received: dict"),
        ("folder", "Received: str"),
        (3, "Received: int"),
        (np.zeros(4), r"shape \(4,\)"),
        ([{"images": IMAGES}], "Received: dict"),
    ]:
        with pytest.raises(ValueError, match=message):
            list(flatten.batches(images))
    with pytest.raises(ValueError, match="low below high"):
        list(flatten.batches(IMAGES, value_range=(1.0, 0.0)))
    maps = FeatureExtractor(keras.layers.Conv2D(2, 3, name="maps"))
    with pytest.raises(ValueError, match=r"GlobalAveragePooling2D.*\(10, 2, 2, 2\) from 'maps'"):
        list(maps.batches(IMAGES))
    three = FeatureExtractor(
        keras.Sequential([keras.layers.Input((4, 4, 3)), keras.layers.Flatten()])
    )
    with pytest.raises(ValueError, match=r"\(1, 4, 4, 2\)"):
        list(three.batches(np.zeros((1, 4, 4, 2), "float32")))


def test_grey_and_colour_images_in_turn():
    """Of the three colours, grey is the weighted sum of ITU-R BT.601 that TensorFlow takes."""
    extractor = FeatureExtractor(keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()]))
    colour = np.random.default_rng(1).uniform(size=(10, 4, 4, 3)).astype("float32")
    np.testing.assert_allclose(extracted(extractor, IMAGES), IMAGES.reshape(10, 16), atol=1e-6)
    grey = (colour @ [0.2989, 0.587, 0.114]).reshape(10, 16)
    np.testing.assert_allclose(extracted(extractor, colour), grey, atol=1e-3)


@pytest.mark.slow
def test_a_backbone_by_its_name():
    images = np.random.default_rng(0).uniform(size=(2, 8, 8, 1)).astype("float32")
    (named,) = FeatureExtractor("digits").batches(images)
    (loaded,) = FeatureExtractor(load_backbone("digits")).batches(images)
    np.testing.assert_array_equal(named, loaded)
    with pytest.raises(ValueError, match="no_such_network"):
        FeatureExtractor("no_such_network")
