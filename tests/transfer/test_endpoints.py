"""Exported transfer models answer by name what the model answers in Python."""

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

import keras_transgen as ktg
from tests.backbones import tiny_modules
from tests.served import on_device, served, served_alone, signature_names
from tests.transfer.tiny import IMAGES, LABELS, backbone


def fitted() -> ktg.FeatureTransfer:
    model = ktg.FeatureTransfer(backbone(), 3, l2=0.01)
    model.fit(IMAGES, LABELS, verbose=0)
    return model


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = fitted()
    folder = tmp_path_factory.mktemp("models") / "1"
    model.export(folder)
    return model, folder


def test_logits_and_probabilities(exported):
    model, folder = exported
    names = (["inputs"], ["logits", "probabilities"])
    assert signature_names(folder) == {"serve": names, "serving_default": names}
    answers = served(folder, inputs=IMAGES[:5])
    logits = model.predict(IMAGES[:5], verbose=0)
    np.testing.assert_allclose(answers["logits"], logits, rtol=1e-4, atol=1e-5)
    softmax = scipy.special.softmax(logits, axis=1)
    np.testing.assert_allclose(answers["probabilities"], softmax, atol=1e-5)


@pytest.mark.slow
@pytest.mark.long
def test_it_does_not_need_this_package(exported):
    model, folder = exported
    alone = served_alone(folder, "serving_default", inputs=IMAGES)
    np.testing.assert_array_equal(alone["logits"].argmax(1), model.classify(IMAGES, verbose=0))


def test_its_backbone_can_be_published_and_transferred_again(exported, tmp_path):
    model, _ = exported
    model.backbone.export(tmp_path / "backbone")
    again = ktg.FeatureTransfer(ktg.load_backbone(tmp_path / "backbone"), 3, l2=0.01)
    again.fit(IMAGES, LABELS, verbose=0)
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(again.predict(IMAGES, verbose=0), expected, rtol=1e-2, atol=1e-2)


def test_a_delta_in_force_is_exported(tmp_path):
    model = ktg.StructureTransfer(backbone(), 3, method="lora", rank=2, targets="block_1")
    for variable in next(iter(model.deltas.values())).variables:
        variable.assign(keras.random.normal(variable.shape))
    model.set_delta(None)
    base = model.predict(IMAGES, verbose=0)
    model.set_delta("lora")
    model.export(tmp_path / "model")
    answers = served(tmp_path / "model", inputs=IMAGES)["logits"]
    assert np.abs(answers - base).max() > 1e-3
    np.testing.assert_allclose(answers, model.predict(IMAGES, verbose=0), rtol=1e-4, atol=1e-5)
    model.backbone.export(tmp_path / "backbone")
    features = ktg.load_backbone(tmp_path / "backbone")(IMAGES)
    np.testing.assert_allclose(features, model.backbone(IMAGES), rtol=1e-4, atol=1e-5)


def test_through_a_saved_model(tmp_path):
    module = tiny_modules.convolution_module(tmp_path / "module")
    model = ktg.TransferModel(module, 3)
    model.export(tmp_path / "model")
    expected = model.predict(IMAGES, verbose=0)
    answers = served(tmp_path / "model", inputs=IMAGES)
    np.testing.assert_allclose(answers["logits"], expected, rtol=1e-5, atol=1e-6)
    again = ktg.load_backbone(tmp_path / "model", output_key="logits")
    np.testing.assert_allclose(again(IMAGES), expected, rtol=1e-5, atol=1e-6)


def test_inputs_by_name(tmp_path):
    model = ktg.TransferModel(tiny_modules.dictionary_module(tmp_path / "module"), 2)
    inputs = {key: np.array([[1, 2], [3, 0]], "int32") for key in ("ids", "mask")}
    model.export(tmp_path / "model")
    names = (["ids", "mask"], ["logits", "probabilities"])
    assert signature_names(tmp_path / "model")["serving_default"] == names
    expected = model.predict(inputs, verbose=0)
    answers = served(tmp_path / "model", **inputs)
    np.testing.assert_allclose(answers["logits"], expected, rtol=1e-5)


def test_other_tasks(tmp_path):
    labels = ktg.TransferModel(backbone(), 3, task="multi_label")
    labels.export(tmp_path / "labels")
    answers = served(tmp_path / "labels", inputs=IMAGES)
    sigmoid = scipy.special.expit(answers["logits"])
    np.testing.assert_allclose(answers["probabilities"], sigmoid, rtol=1e-5)
    numbers = ktg.TransferModel(backbone(), 2, task="regression")
    numbers.export(tmp_path / "numbers")
    assert set(served(tmp_path / "numbers", inputs=IMAGES)) == {"predictions"}


def test_preprocessing_is_part_of_it(tmp_path):
    pixels = (255 * IMAGES).astype("uint8")
    model = ktg.TransferModel(backbone(), 3, preprocessing=keras.layers.Rescaling(1 / 255))
    with pytest.raises(ValueError, match="input_signature"):
        model.export(tmp_path)
    model.export(tmp_path, input_signature=tf.TensorSpec([None, 8, 8, 1], tf.uint8))
    answers = served(tmp_path, inputs=pixels)
    expected = model.predict(pixels, verbose=0)
    np.testing.assert_allclose(answers["logits"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["linear", "adapter", "neighbours"])
def test_tflite(kind, tmp_path):
    if kind == "linear":
        model = fitted()
    elif kind == "adapter":
        model = ktg.StructureTransfer(backbone(), 3, method="adapter", rank=2)
    else:
        model = ktg.FeatureTransfer(backbone(), 3, classifier="k_nearest_neighbours", k=3)
        model.fit(IMAGES, LABELS, verbose=0)
    path = tmp_path / "model.tflite"
    model.export(path, format="litert")
    answers = on_device(path, "serve", inputs=IMAGES[:5])
    logits = model.predict(IMAGES[:5], verbose=0)
    np.testing.assert_allclose(answers["logits"], logits, rtol=1e-3, atol=1e-4)
    softmax = scipy.special.softmax(logits, axis=1)
    np.testing.assert_allclose(answers["probabilities"], softmax, atol=1e-4)


@pytest.mark.slow
def test_quantised_weights_make_a_smaller_file_that_agrees(tmp_path):
    model = ktg.TransferModel("digits", 10)
    images, _ = ktg.datasets.load_digits()
    sizes = []
    for name, options in (("whole", {}), ("small", {"optimizations": [tf.lite.Optimize.DEFAULT]})):
        path = tmp_path / f"{name}.tflite"
        spec = tf.TensorSpec([None, 8, 8, 1])
        model.export(path, format="litert", input_signature=spec, **options)
        sizes.append(path.stat().st_size)
    assert sizes[1] < 0.5 * sizes[0]
    answers = on_device(path, "serve", inputs=images[:50])["logits"]
    expected = model.predict(images[:50], verbose=0)
    assert np.corrcoef(answers.ravel(), expected.ravel())[0, 1] > 0.99


def test_wrong_use(tmp_path):
    model = ktg.TransferModel(backbone(), 3)
    with pytest.raises(ValueError, match=r"must end in '\.tflite'"):
        model.export(tmp_path / "model", format="litert")
    with pytest.raises(ValueError, match="nonsense"):
        model.export(tmp_path / "model.tflite", format="litert", nonsense=True)
    with pytest.raises(ValueError, match="Unrecognized format"):
        model.export(tmp_path / "model", format="nonsense")


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.long
def test_a_real_module(shared_folder, tmp_path):
    """MobileNet from TF-Hub: served, on TFLite, and published anew with what it has learnt."""
    module = shared_folder / "hub" / "mobilenet_v1_025_224_feature_vector"
    model = ktg.TransferModel(ktg.load_backbone(module, trainable=True), 5)
    kernel = model.backbone.parameter_groups()[0].variables[0]
    kernel.assign(1.1 * kernel.value)
    photos = np.random.default_rng(0).uniform(size=(2, 224, 224, 3)).astype("float32")
    logits = model.predict(photos, verbose=0)
    model.export(tmp_path / "saved")
    answers = served(tmp_path / "saved", inputs=photos)["logits"]
    np.testing.assert_allclose(answers, logits, rtol=1e-4, atol=1e-4)
    model.export(tmp_path / "model.tflite", format="litert")
    answers = on_device(tmp_path / "model.tflite", "serve", inputs=photos)["logits"]
    np.testing.assert_allclose(answers, logits, rtol=1e-3, atol=1e-3)
    model.backbone.export(tmp_path / "module")
    again = ktg.load_backbone(tmp_path / "module", trainable=True, normalization="adapt")
    np.testing.assert_allclose(again(photos), model.backbone(photos), rtol=1e-4, atol=1e-5)
    names = [[group.name for group in each.parameter_groups()] for each in (again, model.backbone)]
    assert names[0] == names[1]
    assert again.count_params() == model.backbone.count_params()
