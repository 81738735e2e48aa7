"""The three conventions of `keras.applications`, against its own function."""

import keras
import numpy as np
import pytest

from keras_transgen.backbones import ImagePreprocessing, KerasBackbone
from keras_transgen.backbones.first_rescaling import read_value_range

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3)).astype("uint8")
MODES = ["caffe", "torch", "tf"]


def reference(mode, images=IMAGES):
    images = images.astype("float64")
    return keras.applications.imagenet_utils.preprocess_input(images, mode=mode)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int32"])
@pytest.mark.parametrize("mode", MODES)
def test_it_is_preprocess_input(mode, dtype):
    found = ImagePreprocessing(mode)(IMAGES.astype(dtype))
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    np.testing.assert_allclose(found, reference(mode), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_half_precision_does_not_coarsen_images(mode):
    keras.config.set_dtype_policy("mixed_float16")
    found = ImagePreprocessing(mode)(IMAGES)
    np.testing.assert_allclose(found, reference(mode), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_in_a_model_in_a_new_process(mode, tmp_path, fresh_process):
    layers = [ImagePreprocessing(mode), keras.layers.GlobalAveragePooling2D()]
    model = keras.Sequential([keras.Input((5, 6, 3)), *layers])
    expected = reference(mode).mean(axis=(1, 2))
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), expected, rtol=1e-4, atol=1e-4)
    model.save(tmp_path / "model.keras")
    again = fresh_process.call(tmp_path / "model.keras", "predict", IMAGES, verbose=0)
    np.testing.assert_allclose(again, expected, rtol=1e-4, atol=1e-4)
    assert ImagePreprocessing.from_config(ImagePreprocessing(mode).get_config()).convention == mode


def test_a_network_that_begins_with_it_takes_0_to_255():
    network = keras.Sequential(
        [keras.Input((5, 6, 3)), ImagePreprocessing("caffe"), keras.layers.Conv2D(2, 3)]
    )
    assert read_value_range(network) == (0.0, 255.0)
    assert KerasBackbone(network).input_contract.value_range == (0.0, 255.0)


def test_grey_images_are_for_tf_alone():
    grey = IMAGES[..., :1]
    np.testing.assert_allclose(ImagePreprocessing("tf")(grey), grey / 127.5 - 1, atol=1e-6)
    for mode in ("caffe", "torch"):
        with pytest.raises(ValueError, match=r"is for colour images .*Received: .*\(4, 5, 6, 1\)"):
            ImagePreprocessing(mode)(grey)


@pytest.mark.parametrize("wrong", ["pytorch", None, 1, ["tf"]])
def test_another_convention_is_refused(wrong):
    with pytest.raises(ValueError, match=r"one of \['caffe', 'tf', 'torch'\]. Received: "):
        ImagePreprocessing(wrong)


def test_raw_images_of_another_range_are_warned_of():
    with pytest.warns(UserWarning, match=r"in \[0, 255\], x was measured in \[0, 1\].*by 255"):
        ImagePreprocessing("caffe").check_inputs(np.linspace(0, 1, 12).reshape(1, 2, 2, 3))
    with pytest.raises(ValueError, match="must be finite"):
        ImagePreprocessing("caffe").check_inputs(np.full((1, 2, 2, 3), np.nan))
