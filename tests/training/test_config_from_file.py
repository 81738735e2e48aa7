"""What a file's configuration may say."""

import functools

import keras
import numpy as np
import pytest

from keras_transgen.training.config_from_file import (
    FileConfigError,
    Nested,
    arguments_from_file,
    check_objects,
    check_plain,
    refuse_arguments,
    shown,
)

LAYER = keras.saving.serialize_keras_object(keras.layers.Dense(2, name="two"))


class Some:
    pass


read = functools.partial(arguments_from_file, Some)


def function(module: str, name: str) -> dict:
    return {"class_name": "function", "module": module, "config": name, "registered_name": name}


@keras.saving.register_keras_serializable(package="tests")
def own_function(x):
    return x


def test_plain_values_and_objects():
    config = {"size": 3, "shape": [1, None], "names": ["a/b"], "inner": LAYER, "dtype": "float32"}
    found = read(config, inner=Nested(keras.layers.Layer))
    assert found.pop("inner").name == "two"
    assert found == {key: value for key, value in config.items() if key != "inner"}
    assert LAYER["config"]["units"] == 2


@pytest.mark.parametrize(
    "value",
    [
        "http://a/b",
        " https://a/b",
        "file:///etc/passwd",
        "gs://bucket",
        "hf://user/model",
        "file:/etc/passwd",
        ["a", ["http://a"]],
        {"a": {"b": "ftp://a"}},
        {"http://a": 1},
        LAYER,
        [LAYER],
        function("keras.activations", "relu"),
    ],
)
def test_a_plain_value_is_no_address_and_no_object(value):
    with pytest.raises(FileConfigError, match=r"Some\.size|a file must not describe"):
        read({"size": value})


def test_policies_are_plain():
    policy = keras.saving.serialize_keras_object(keras.DTypePolicy("mixed_float16"))
    assert read({"dtype": policy}) == {"dtype": policy}
    with pytest.raises(FileConfigError):
        read({"dtype": LAYER})


@pytest.mark.parametrize(
    "value", [None, "digits", "http://a", 3, True, [], ["digits"], {}, {"a": 1}]
)
def test_an_object_is_described_whole(value):
    with pytest.raises(FileConfigError, match=r"Some\.inner must be described whole.*as Layer"):
        read({"inner": value}, inner=Nested(keras.layers.Layer))


def test_what_may_stand_for_an_object():
    everything = Nested(keras.layers.Layer, optional=True, names=True, numbers=True)
    for value in (None, "digits", 3, 0.5):
        assert read({"inner": value}, inner=everything) == {"inner": value}
    assert read({}, inner=everything) == {}
    for value in ("http://a", "/etc/passwd", "a/b", "a\\b", True):
        with pytest.raises(FileConfigError):
            read({"inner": value}, inner=everything)


def test_another_kind_of_object():
    loss = keras.saving.serialize_keras_object(keras.losses.MeanSquaredError())
    with pytest.raises(FileConfigError, match="as Layer"):
        read({"inner": loss}, inner=Nested(keras.layers.Layer))


def test_live_objects_are_the_users():
    layer = keras.layers.Dense(1)
    found = read({"inner": layer, "size": np.int64(3)}, inner=Nested(keras.layers.Layer))
    assert found["inner"] is layer


def test_functions_are_the_users_or_compute():
    rule = Nested(keras.layers.Layer, functions=True)
    own = keras.saving.serialize_keras_object(own_function)
    assert read({"f": own}, f=rule)["f"] is own_function
    relu = keras.saving.serialize_keras_object(keras.activations.relu)
    assert read({"f": relu}, f=rule)["f"] is keras.activations.relu
    with pytest.raises(FileConfigError):
        read({"f": own}, f=Nested(keras.layers.Layer))
    with pytest.raises((TypeError, ValueError)):
        read({"f": function("os", "system")}, f=rule)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keras.utils", "get_file"),
        ("keras.datasets.mnist", "load_data"),
        ("keras.applications", "VGG16"),
        ("keras.applications.vgg16", "VGG16"),
        ("keras.models", "load_model"),
        ("keras.saving", "load_model"),
        ("keras.utils", "set_random_seed"),
        ("keras.config", "set_backend"),
        ("keras", "no_such_thing"),
    ],
)
def test_functions_that_do_more_than_compute(module, name):
    entries = [function(module, name)]
    if name != "no_such_thing":
        # Keras gives a function where a class is asked for, too.
        entries.append({"class_name": name, "module": module, "config": {}})
    for entry in entries:
        with pytest.raises(FileConfigError, match="nothing that reads, writes or fetches"):
            check_objects({"layers": [{"config": {"activation": entry}}]})


def test_what_keras_writes_of_its_own_passes():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(2, 3, activation="gelu", kernel_regularizer="l2")(inputs)
    x = keras.ops.relu(x) + keras.layers.Lambda(lambda y: y)(x)
    x = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])(x)
    model = keras.Model(inputs, x)
    model.compile(
        "adam", keras.losses.mean_squared_error, metrics=["mae", keras.metrics.MeanSquaredError()]
    )
    config = keras.saving.serialize_keras_object(model)
    config["compile_config"] = model.get_compile_config()
    check_objects(config)


@pytest.mark.parametrize("dtype", ["U1000000000", "O", "V8", None, ["f4"], "float32, float32"])
def test_arrays_are_of_numbers(dtype):
    with pytest.raises(FileConfigError, match="must be of numbers"):
        check_objects({"class_name": "__numpy__", "config": {"value": [1], "dtype": dtype}})
    check_objects({"class_name": "__numpy__", "config": {"value": [1], "dtype": "float32"}})


def test_permissions():
    refuse_arguments(Some, {"allow": False, "other": 1}, "allow")
    with pytest.raises(FileConfigError, match="for the user of Some to say"):
        refuse_arguments(Some, {"allow": True}, "allow")


def test_messages_move_no_terminal():
    said = shown("\x1b[2J\u202e" + "x" * 1000)
    assert len(said) < 300
    assert said.isascii()
    assert said.isprintable()
    with pytest.raises(FileConfigError) as raised:
        check_plain("http://\x1b[2J", "here")
    assert "\x1b" not in str(raised.value)


def test_deep_values_need_no_stack():
    value = "x"
    for _ in range(100_000):
        value = [value]
    check_plain(value, "here")
    check_objects(value)
