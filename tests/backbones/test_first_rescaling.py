"""The range of raw values, read from the rescaling that a network begins with."""

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.backbones import KerasBackbone
from keras_transgen.backbones.first_rescaling import read_value_range

L = keras.layers
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def network(*layers, shape=(32, 32, 3)):
    return keras.Sequential([keras.Input(shape), *layers, L.Conv2D(2, 3)])


def functional(*layers):
    x = image = keras.Input((32, 32, 3))
    for layer in layers:
        x = layer(x)
    return keras.Model(image, L.Conv2D(2, 3)(x))


def normalization(mean, deviation, **kwargs):
    return L.Normalization(mean=np.asarray(mean), variance=np.square(deviation), **kwargs)


def adapted():
    layer = L.Normalization()
    layer.adapt(np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3)).astype("float32"))
    return layer


def first_layers():
    """The layers that a network begins with, and the range of what it takes."""
    return {
        "to [0, 1]": ([L.Rescaling(1 / 255)], (0, 255)),
        "to [-1, 1]": ([L.Rescaling(1 / 127.5, offset=-1)], (0, 255)),
        "to [-1, 1), as EfficientNetV2": ([L.Rescaling(1 / 128.0, offset=-1)], (0, 255)),
        "from [0, 1] to [-1, 1]": ([L.Rescaling(2.0, offset=-1)], (0, 1)),
        "from [-1, 1] to [0, 1]": ([L.Rescaling(0.5, offset=0.5)], (-1, 1)),
        "in two steps": ([L.Rescaling(1 / 255), L.Rescaling(2.0, offset=-1)], (0, 255)),
        "torch's": (
            [L.Rescaling(list(1 / (255 * DEVIATION)), offset=list(-MEAN / DEVIATION))],
            (0, 255),
        ),
        "torch's, from [0, 1]": (
            [L.Rescaling(list(1 / DEVIATION), offset=list(-MEAN / DEVIATION))],
            (0, 1),
        ),
        "a normalisation": ([normalization(255 * MEAN, 255 * DEVIATION)], (0, 255)),
        "a normalisation, from [0, 1]": ([normalization(MEAN, DEVIATION)], (0, 1)),
        "a normalisation, from [-1, 1]": ([normalization([0.0] * 3, [0.5] * 3)], (-1, 1)),
        "an adapted normalisation": ([adapted()], (0, 255)),
        "both": ([L.Rescaling(1 / 255), normalization(MEAN, DEVIATION)], (0, 255)),
        "one that is not adapted": ([L.Rescaling(1 / 255), L.Normalization()], (0, 255)),
        "after resizing": ([L.Resizing(16, 16), L.Rescaling(1 / 255)], (0, 255)),
        "after augmentation": ([L.RandomFlip("horizontal"), L.Rescaling(1 / 255)], (0, 255)),
        "to 0 to 255": ([L.Rescaling(255.0)], (0, 1)),
        "nothing": ([], None),
        "nothing changed": ([L.Rescaling(1.0), L.Normalization()], None),
        "something between": ([L.Conv2D(3, 1), L.Rescaling(1 / 255)], None),
        "a scale of its own": ([L.Rescaling(1e-4)], None),
        "upside down": ([L.Rescaling(-1 / 255, offset=1.0)], None),
    }


@pytest.mark.parametrize("form", [network, functional])
@pytest.mark.parametrize("name", first_layers())
def test_what_it_takes(form, name):
    layers, expected = first_layers()[name]
    made = form(*layers)
    assert read_value_range(made) == expected
    assert ktg.load_backbone(made).input_contract.value_range == expected


@pytest.mark.parametrize("form", [network, functional])
def test_models_inside_models(form):
    preprocessing = keras.Sequential([keras.Input((32, 32, 3)), L.Rescaling(1 / 255)])
    assert read_value_range(form(preprocessing)) == (0, 255)
    assert read_value_range(form(preprocessing, L.Rescaling(2.0, offset=-1))) == (0, 255)
    whole = form(functional(L.Rescaling(1 / 127.5, offset=-1)))
    assert read_value_range(whole) == (0, 255)
    # 0 to 255 are made for the network inside.
    inside = functional(L.Rescaling(1 / 255))
    outer = keras.Sequential([keras.Input((32, 32, 3)), L.Rescaling(255.0), inside])
    assert read_value_range(outer) == (0, 1)
    assert read_value_range(functional(network(L.Conv2D(3, 1)), L.Rescaling(1 / 255))) is None


def test_a_fork_does_not_tell():
    image = keras.Input((8, 8, 3))
    forked = keras.Model(image, L.Add()([L.Rescaling(1 / 255)(image), image]))
    assert read_value_range(forked) is None
    other = keras.Input((8, 8, 3))
    joined = keras.Model([image, other], L.Rescaling(1 / 255)(image + other))
    assert read_value_range(joined) is None


def test_layers_that_another_model_uses_too():
    rescaling, image = L.Rescaling(1 / 255), keras.Input((8, 8, 3))
    first = keras.Model(image, L.Conv2D(2, 3)(rescaling(image)))
    keras.Model(image, L.Conv2D(2, 3)(rescaling(L.Conv2D(3, 1)(image))))
    assert read_value_range(first) == (0, 255)


def test_a_table_is_rescaled_and_not_guessed():
    table = keras.Sequential([keras.Input((4,)), L.Rescaling(1 / 255), L.Dense(2)])
    assert read_value_range(table) == (0, 255)
    column = L.Normalization(mean=[0.5] * 4, variance=[0.09] * 4)
    assert read_value_range(keras.Sequential([keras.Input((4,)), column, L.Dense(2)])) is None


class Subclassed(keras.Model):
    def call(self, x):
        return x / 255.0


def test_a_model_of_ones_own_does_not_tell():
    model = Subclassed()
    model(np.zeros((1, 8, 8, 3), "float32"))
    assert ktg.load_backbone(model).input_contract.value_range is None


def test_what_is_said_counts_and_is_kept(tmp_path):
    backbone = KerasBackbone(network(L.Rescaling(1 / 255)), value_range=(0, 1))
    assert backbone.input_contract.value_range == (0, 1)
    read = KerasBackbone(network(adapted()))
    assert KerasBackbone.from_config(read.get_config()).input_contract.value_range == (0, 255)
    model = keras.Sequential([keras.Input((32, 32, 3)), read])
    model.save(tmp_path / "model.keras")
    again = ktg.load_model(tmp_path / "model.keras").layers[-1]
    assert again.input_contract.value_range == (0, 255)
    assert read.tap([read.layer_names()[-1]]).input_contract.value_range == (0, 255)


def test_bytes_are_0_to_255():
    image = keras.Input((8, 8, 3), dtype="uint8")
    model = keras.Model(image, L.Conv2D(2, 3)(keras.ops.cast(image, "float32")))
    assert ktg.load_backbone(model).input_contract.value_range == (0, 255)


@pytest.mark.parametrize("wrong", [(1, 0), (0, 0), (0,), "0,255", (0, float("inf")), ("0", "1"), 5])
def test_what_is_no_range_is_refused(wrong):
    with pytest.raises(ValueError, match=r"value_range must be \(low, high\)"):
        KerasBackbone(network(), value_range=wrong)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EfficientNetB0", (0, 255)),
        ("EfficientNetV2B0", (0, 255)),
        ("EfficientNetV2S", (0, 255)),
        ("MobileNetV3Small", (0, 255)),
        ("ConvNeXtTiny", (0, 255)),
        ("MobileNetV2", None),
        ("ResNet50", None),
    ],
)
def test_networks_of_keras_applications(name, expected):
    made = getattr(keras.applications, name)(
        weights=None, include_top=False, input_shape=(64, 64, 3), pooling="avg"
    )
    assert read_value_range(made) == expected
    assert read_value_range(keras.Sequential([keras.Input((64, 64, 3)), made])) == expected
