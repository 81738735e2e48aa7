"""Raw input by name of a convention, and networks whose range of values nobody knows."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.backbones import InputContract, KerasBackbone
from keras_transgen.transfer import TransferModel

RNG = np.random.default_rng(3)
IMAGES = RNG.integers(0, 256, (12, 8, 8, 3)).astype("uint8")
LABELS = np.arange(12) % 2
IMAGES[LABELS == 1] //= 2
UNKNOWN = "Nobody knows which range of values.*value_range=\\(0, 255\\).*preprocessing="


def network(*first):
    layers = [keras.layers.Conv2D(4, 3, name="conv"), keras.layers.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((8, 8, 3)), *first, *layers])


def told(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(each.message) for each in caught if "Nobody knows" in str(each.message)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ktg.FeatureTransfer, ktg.ParameterTransfer])
@pytest.mark.parametrize("mode", ["caffe", "torch", "tf"])
def test_a_convention_by_name(mode, kind, tmp_path, fresh_process):
    base = network()
    model = kind(KerasBackbone(base), 2, preprocessing=mode, seed=0)
    assert model.input_contract == InputContract((None, 8, 8, 3), "float32", (0.0, 255.0))
    assert not told(lambda: model.fit(IMAGES, LABELS, verbose=0))
    prepared = keras.applications.imagenet_utils.preprocess_input(
        IMAGES.astype("float32"), mode=mode
    )
    logits = model.predict(IMAGES, verbose=0)
    expected = model.head(base.predict(prepared, verbose=0))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    model.save(tmp_path / "model.keras")
    again = fresh_process.call(tmp_path / "model.keras", "predict", IMAGES, verbose=0)
    np.testing.assert_allclose(again, logits, rtol=1e-5, atol=1e-5)


def test_raw_images_in_0_to_1_are_warned_of():
    darker = IMAGES / np.float32(255)
    for kind in (ktg.FeatureTransfer, TransferModel):
        model = kind(KerasBackbone(network()), 2, preprocessing="caffe")
        with pytest.warns(UserWarning, match=r"in \[0, 255\], x was measured in \[0, 1\]"):
            model.fit(darker, LABELS, verbose=0)
        with pytest.warns(UserWarning, match=r"in \[0, 255\], x was measured in \[0, 1\]"):
            model.predict(darker[:4], verbose=0)


def test_the_shape_of_exported_raw_input_is_known(tmp_path):
    model = TransferModel(KerasBackbone(network()), 2, preprocessing="caffe")
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    found = served.signatures["serving_default"](tf.constant(IMAGES, tf.float32))
    logits = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(found["logits"], logits, rtol=1e-4, atol=1e-4)


def test_names_stand_in_lists():
    model = TransferModel(
        KerasBackbone(network()), 2, preprocessing=[keras.layers.Resizing(8, 8), "tf"]
    )
    large = np.repeat(np.repeat(IMAGES, 2, axis=1), 2, axis=2)
    np.testing.assert_allclose(
        model.preprocessing(large), IMAGES / 127.5 - 1.0, rtol=1e-4, atol=1e-4
    )
    assert model.input_contract is None


@pytest.mark.parametrize("wrong", ["imagenet", ["caffee"], "https://example.org"])
def test_an_unknown_name_is_refused(wrong):
    with pytest.raises(ValueError, match=r"one of \['caffe', 'tf', 'torch'\], a Keras layer"):
        TransferModel(KerasBackbone(network()), 2, preprocessing=wrong)


def test_a_network_that_rescales_itself_is_not_rescaled_twice():
    rescaled = network(keras.layers.Rescaling(1 / 127.5, offset=-1))
    with pytest.raises(ValueError, match=r"begins with its own rescaling.* from 0 to 255.*'tf'"):
        TransferModel(rescaled, 2, preprocessing="tf")


@pytest.mark.parametrize("kind", [ktg.FeatureTransfer, TransferModel])
def test_a_network_of_unknown_range_is_told_of_once(kind):
    model = kind(network(), 2)
    with pytest.warns(UserWarning, match=UNKNOWN):
        model.fit(IMAGES, LABELS, verbose=0)
    assert not told(lambda: model.fit(IMAGES, LABELS, verbose=0))
    assert not told(lambda: model.predict(IMAGES, verbose=0))


def test_predict_tells_too():
    with pytest.warns(UserWarning, match=UNKNOWN):
        TransferModel(network(), 2).predict(IMAGES, verbose=0)
    data = tf.data.Dataset.from_tensor_slices(IMAGES).batch(4)
    with pytest.warns(UserWarning, match=UNKNOWN):
        TransferModel(network(), 2).predict(data, verbose=0)


@pytest.mark.slow
def test_where_nothing_is_said():
    rescaling = keras.layers.Rescaling(1 / 255)
    quiet = {
        "known": (KerasBackbone(network(), value_range=(0, 255)), {}, IMAGES),
        "read": (network(rescaling), {}, IMAGES),
        "prepared": (network(), {"preprocessing": rescaling}, IMAGES),
        "negative": (network(), {}, IMAGES / 127.5 - 1.0),
        "no images": (keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]), {}, None),
    }
    for name, (backbone, options, x) in quiet.items():
        data = np.ones((12, 4), "float32") if x is None else x.astype("float32")
        model = TransferModel(backbone, 2, **options)
        assert not told(lambda m=model, d=data: m.fit(d, LABELS, verbose=0)), name


@pytest.mark.parametrize("kind", [ktg.FeatureTransfer, TransferModel])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_empty_texts_are_told_once_where_they_are_trained_on(kind, as_tensor):
    words = keras.layers.TextVectorization(9, output_sequence_length=3)
    texts = ["a b", "", "c", " \t\n", "b"] + [""] * 5
    words.adapt(texts)
    layers = [keras.layers.Embedding(9, 4), keras.layers.GlobalAveragePooling1D()]
    backbone = keras.Sequential([keras.Input((3,), dtype="int64"), *layers])
    model = kind(backbone, 2, preprocessing=words, seed=0)
    labels = np.arange(10) % 2
    given = tf.constant(texts) if as_tensor else texts

    def said(call):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        return [str(each.message) for each in caught if "empty" in str(each.message)]

    assert not said(lambda: model.predict(given, verbose=0))
    (message,) = said(lambda: model.fit(given, labels, verbose=0))
    assert "Received: 7 of 10 texts without a word, in rows 1, 3, 5, 6, 7, ..." in message
    assert not said(lambda: model.fit(given, labels, verbose=0))
    other = kind(backbone, 2, preprocessing=words, seed=0)
    assert not said(
        lambda: other.fit([each or "a" for each in texts if each != " \t\n"], labels[1:])
    )
