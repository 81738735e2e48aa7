import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones.input_contract import InputContract, check_structure

PHOTO = InputContract((None, 8, 8, 3), "float32", (0.0, 1.0))


def photos(high: float = 1.0, dtype: str = "float32", shape: tuple = (4, 8, 8, 3)) -> np.ndarray:
    return (np.linspace(0, high, int(np.prod(shape))).reshape(shape)).astype(dtype)


@pytest.mark.parametrize(
    "values",
    [
        photos(),
        tf.constant(photos()),
        photos(dtype="float16"),
        tf.cast(photos(), tf.bfloat16),
        photos().tolist(),
        keras.KerasTensor((None, 8, 8, 3)),
        tf.TensorSpec([None, None, 8, 3]),
    ],
)
def test_fitting_data_pass_in_silence(values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PHOTO.check(values)


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        (photos(shape=(8, 8, 3)), r"x\[None, \.\.\.\].*shape \[8, 8, 3\]"),
        (photos(shape=(4, 9, 8, 3)), r"Resizing\(8, 8\).*shape \[4, 9, 8, 3\]"),
        (photos(shape=(4, 8, 8, 1)), r"takes 3 channels.*repeat"),
        (photos(shape=(1, 4, 8, 8, 3)), r"takes 4 axes"),
        (np.array([["a"]]), r"takes float32 values.*dtype string"),
        (np.zeros((4, 8, 8, 3), "complex64"), r"dtype complex64"),
        (np.zeros((4, 8, 8, 3), bool), r"dtype bool"),
        (np.zeros((0, 8, 8, 3), "float32"), r"at least one example"),
    ],
)
def test_wrong_form_is_refused_with_advice(values, advice):
    with pytest.raises(ValueError, match=f"(?s){advice}") as raised:
        PHOTO.check(values, "images")
    assert "Received: images" in str(raised.value)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(wrong):
    values = photos()
    values[2, 3, 4, 1] = wrong
    with pytest.raises(ValueError, match="1 NaN or infinite values among 768"):
        PHOTO.check(values)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_bytes_into_a_unit_range_warn_with_what_was_measured(dtype):
    with pytest.warns(
        UserWarning, match=r"\[0, 1\], x was measured in \[0, 255\].*Rescaling\(0\.0039215686\)"
    ):
        PHOTO.check(photos(255, dtype))


def test_advised_rescaling_is_right():
    contract = InputContract(PHOTO.shape, "float32", (-1.0, 1.0))
    with pytest.warns(UserWarning, match="Rescaling") as caught:
        contract.check(photos(255))
    advice = str(caught[0].message).split("keras.layers.")[1].rstrip(".")
    scaled = eval(f"keras.layers.{advice}", {"keras": keras})(photos(255))
    np.testing.assert_allclose([np.min(scaled), np.max(scaled)], [-1, 1], atol=1e-6)


def test_unit_images_into_a_byte_range_warn():
    contract = InputContract(PHOTO.shape, "float32", (0.0, 255.0))
    with pytest.warns(UserWarning, match="Multiply by 255"):
        contract.check(photos())


def test_small_overshoot_of_resampling_is_no_reason_to_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PHOTO.check(photos(1.02))


def test_of_many_examples_some_are_measured_all_over_the_set():
    values = np.zeros((5000, 8, 8, 3), "float32")
    values[2500:] = 200
    with pytest.warns(UserWarning, match=r"measured in \[0, 200\]"):
        PHOTO.check(values)


def test_strings():
    contract = InputContract((None,), "string")
    contract.check(np.array(["a", "b"]))
    contract.check(["a", "b"])
    contract.check(tf.constant(["a"]))
    with pytest.raises(ValueError, match="takes string values"):
        contract.check(np.zeros(3))


def test_whole_numbers_only():
    contract = InputContract((None, 2), "int32")
    contract.check(np.zeros((1, 2), "int64"))
    with pytest.raises(ValueError, match="dtype float64"):
        contract.check(np.zeros((1, 2)))


def test_structures():
    contract = {"ids": InputContract((None, 2), "int32"), "photo": PHOTO}
    check_structure(contract, {"ids": np.zeros((4, 2), int), "photo": photos()})
    with pytest.raises(ValueError, match=r"x\['photo'\]"):
        check_structure(
            contract, {"ids": np.zeros((4, 2), int), "photo": photos(shape=(4, 9, 9, 3))}
        )
    with pytest.raises(ValueError, match=r"keys \['ids', 'photo'\]"):
        check_structure(contract, {"ids": np.zeros((4, 2), int)})
    with pytest.raises(ValueError, match="takes one tensor"):
        check_structure(PHOTO, {"photo": photos()})
    check_structure([PHOTO, PHOTO], [photos(), photos()])
    with pytest.raises(ValueError, match="list of 2 inputs"):
        check_structure([PHOTO, PHOTO], [photos()])
