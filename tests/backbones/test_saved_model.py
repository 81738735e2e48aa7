import functools
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones import InputContract, SavedModelBackbone, load_model
from keras_transgen.backbones.audit import UnsafeModuleError
from tests.backbones import tiny_modules as tiny
from tests.harness import LAYER_CHECKS, LayerCase, every_check

IMAGES = np.random.default_rng(0).random((16, 8, 8, 1)).astype("float32")
POINTS = np.array([[1.0, 2.0], [3.0, -4.0]], "float32")


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    """A module store of this file's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_TRANSGEN_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny.convolution_module(tmp_path_factory.mktemp("convolution"))


def reference(folder: Path, images: np.ndarray, training: bool = False) -> np.ndarray:
    return tf.saved_model.load(str(folder))(tf.constant(images), training=training).numpy()


def classifier(backbone: keras.layers.Layer, outputs: int = 3) -> keras.Model:
    model = keras.Sequential([keras.Input((8, 8, 1)), backbone, keras.layers.Dense(outputs)])
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return model


def by_path(backbone: keras.layers.Layer) -> dict:
    return {weight.path: weight.numpy() for weight in backbone.weights}


@pytest.fixture(scope="module")
def layers(folder, tmp_path_factory) -> dict[str, LayerCase]:
    """Layers of several structures, by name."""
    plain, dictionary = (
        make(tmp_path_factory.mktemp("other"))
        for make in (tiny.plain_module, tiny.dictionary_module)
    )
    ids = {"ids": np.array([[1, 2], [3, 1]], "int32"), "mask": np.ones((2, 2), "int32")}
    arguments = {
        "frozen": (folder, IMAGES, {}),
        "trainable": (folder, IMAGES, {"trainable": True}),
        "plain": (plain, POINTS, {"trainable": True}),
        "dictionary": (dictionary, ids, {"trainable": True, "output_key": "pooled"}),
    }
    return {
        name: LayerCase(make=functools.partial(SavedModelBackbone, place, **options), inputs=inputs)
        for name, (place, inputs, options) in arguments.items()
    }


@pytest.mark.parametrize(
    ("name", "check"), every_check(["frozen", "trainable", "plain", "dictionary"], LAYER_CHECKS)
)
def test_layer(name, check, layers, tools):
    check(layers[name], tools)


# What it computes


def test_output_is_the_modules(folder):
    backbone = SavedModelBackbone(folder)
    np.testing.assert_array_equal(backbone(IMAGES), reference(folder, IMAGES))


def test_parameters_are_counted_before_a_first_call(folder):
    module = tf.saved_model.load(str(folder))
    total = sum(int(np.prod(variable.shape)) for variable in module.variables)
    assert SavedModelBackbone(folder).count_params() == total


def test_training_statistics_follow_the_formula(folder):
    backbone = SavedModelBackbone(folder, trainable=True, normalization="adapt")
    kernel = backbone.weights[0].numpy()
    x = np.lib.stride_tricks.sliding_window_view(IMAGES[..., 0], (3, 3), (1, 2))
    x = np.einsum("bhwij,ijc->bhwc", x, kernel[:, :, 0])
    backbone(IMAGES, training=True)
    weights = by_path(backbone)
    np.testing.assert_allclose(
        weights["tiny/block_1_BN/moving_mean"], 0.1 * x.mean((0, 1, 2)), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        weights["tiny/block_1_BN/moving_variance"], 0.9 + 0.1 * x.var((0, 1, 2)), rtol=1e-4
    )


def test_regularization_losses_count_when_trainable(folder):
    backbone = SavedModelBackbone(folder, trainable=True)
    expected = 0.01 * np.sum(backbone.weights[0].numpy() ** 2)
    backbone(IMAGES)
    np.testing.assert_allclose(backbone.losses, [expected], rtol=1e-6)
    frozen = SavedModelBackbone(folder)
    frozen(IMAGES)
    assert frozen.losses == []


def test_weight_decay_of_a_module_reaches_the_gradient(folder):
    # The loss does not depend on the input here, so only the penalty 0.01 * k^2 moves the kernel.
    backbone = SavedModelBackbone(folder, trainable=True)
    model = keras.Sequential([keras.Input((8, 8, 1)), backbone])
    model.compile(
        keras.optimizers.SGD(1.0), lambda y, prediction: 0.0 * prediction, jit_compile=False
    )
    before = backbone.weights[0].numpy()
    model.fit(IMAGES, np.zeros((16, 3)), batch_size=16, verbose=0)
    np.testing.assert_allclose(backbone.weights[0].numpy(), before * (1 - 0.02), rtol=1e-5)


def test_input_gradient_flows_through_a_frozen_backbone(folder):
    x = tf.Variable(IMAGES)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(SavedModelBackbone(folder)(x) ** 2)
    assert float(tf.norm(tape.gradient(y, x))) > 0


# Normalisation policy (a functional model around it asks for training=True)


@pytest.mark.parametrize("trainable", [False, True])
def test_frozen_statistics_stay_bit_for_bit_in_fit(folder, trainable):
    backbone = SavedModelBackbone(folder, trainable=trainable)
    images = keras.Input((8, 8, 1))
    model = keras.Model(images, keras.layers.Dense(3)(backbone(images, training=True)))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = by_path(backbone)
    model.fit(IMAGES, np.arange(16) % 3, verbose=0)
    for path, value in by_path(backbone).items():
        moved = not np.array_equal(before[path], value)
        assert moved == (trainable and "moving" not in path), path
    # And what they are used for: the output does not depend on the rest of the batch, but for the
    # rounding of products that threads share out.
    np.testing.assert_allclose(backbone(IMAGES, training=True)[:2], backbone(IMAGES[:2]), rtol=1e-5)


def test_adapted_statistics_move_in_fit(folder):
    backbone = SavedModelBackbone(folder, trainable=True, normalization="adapt")
    before = by_path(backbone)
    classifier(backbone).fit(IMAGES, np.arange(16) % 3, verbose=0)
    after = by_path(backbone)
    assert all(not np.array_equal(before[path], after[path]) for path in before)


def test_adapting_stops_when_every_group_is_frozen(folder):
    backbone = SavedModelBackbone(folder, trainable=True, normalization="adapt")
    backbone.freeze_to(-1)
    before = by_path(backbone)
    backbone(IMAGES, training=True)
    assert all(np.array_equal(before[path], value) for path, value in by_path(backbone).items())


# Groups and freezing


def test_groups_hold_all_parameters_in_order(folder):
    backbone = SavedModelBackbone(folder, trainable=True)
    groups = backbone.parameter_groups()
    assert [group.name for group in groups] == ["block_1", "block_2"]
    assert [group.parameter_count for group in groups] == [9 * 4 + 4 + 4, 4 * 3]
    assert [len(group.statistics) for group in groups] == [2, 0]


def test_freeze_to_survives_switching_and_saving(folder, tmp_path):
    backbone = SavedModelBackbone(folder, trainable=True)
    backbone.freeze_to("block_1")
    only_last = ["tiny/block_2_dense/kernel"]
    assert [weight.path for weight in backbone.trainable_weights] == only_last
    backbone.trainable = False
    assert backbone.trainable_weights == []
    model = classifier(backbone)
    model.trainable = False
    model.trainable = True
    assert [weight.path for weight in backbone.trainable_weights] == only_last
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras").layers[0]
    assert [weight.path for weight in loaded.trainable_weights] == only_last
    backbone.freeze_to(None)
    assert len(backbone.trainable_weights) == 4


def test_plain_modules_variables_are_told_apart_by_where_they_hang(tmp_path):
    backbone = SavedModelBackbone(tiny.plain_module(tmp_path / "module"), trainable=True)
    assert {weight.path for weight in backbone.weights} == {"layers/0", "layers/1", "scale"}
    assert {weight.path for weight in backbone.trainable_weights} == {"layers/0", "layers/1"}


# Kinds of modules


def test_plain_module(tmp_path):
    backbone = SavedModelBackbone(tiny.plain_module(tmp_path / "module"))
    # ([1, 2] @ [[1, 2], [3, 4]] + [1, -1]) * 2 and so on
    np.testing.assert_allclose(backbone(POINTS), [[16.0, 18.0], [-16.0, -22.0]])


def test_dictionaries_in_and_out(tmp_path):
    folder = tiny.dictionary_module(tmp_path / "module")
    inputs = {"ids": np.array([[1, 3]], "int32"), "mask": np.array([[1, 1]], "int32")}
    outputs = SavedModelBackbone(folder)(inputs)
    # Rows 1 and 3 of a table that counts up by threes.
    np.testing.assert_allclose(outputs["sequence"], [[[3.0, 4.0, 5.0], [9.0, 10.0, 11.0]]])
    pooled = SavedModelBackbone(folder, output_key="pooled")(inputs)
    np.testing.assert_allclose(pooled, [[12.0, 14.0, 16.0]])


def test_list_of_inputs(tmp_path):
    backbone = SavedModelBackbone(tiny.list_module(tmp_path / "module"))
    np.testing.assert_allclose(backbone([POINTS, POINTS]), 4 * POINTS)


def test_text(tmp_path):
    folder = tiny.text_module(tmp_path / "module")
    backbone = SavedModelBackbone(folder, trainable=True)
    assert not backbone.supports_jit
    assert backbone.input_contract == InputContract((None,), "string", None)
    sentences = np.array(["a cat", "a dog", "a cat"])
    outputs = backbone(sentences).numpy()
    np.testing.assert_array_equal(outputs[0], outputs[2])
    model = keras.Sequential([keras.Input((), dtype="string"), backbone, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    before = backbone.weights[0].numpy()
    model.fit(tf.constant(sentences), np.ones((3, 1)), verbose=0)
    assert not np.array_equal(before, backbone.weights[0].numpy())


def test_arguments(tmp_path):
    folder = tiny.option_module(tmp_path / "module")
    np.testing.assert_allclose(SavedModelBackbone(folder)(POINTS), POINTS * [2, 3])
    squared = SavedModelBackbone(folder, arguments={"square": True})
    np.testing.assert_allclose(squared(POINTS), (POINTS * [2, 3]) ** 2)
    again = SavedModelBackbone.from_config(squared.get_config())
    np.testing.assert_allclose(again(POINTS), squared(POINTS))


def test_exported_keras_model_trains_through_serve(tmp_path):
    folder, model = tiny.exported_module(tmp_path / "module")
    backbone = SavedModelBackbone(folder, trainable=True)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(backbone(x), model(x), atol=1e-6)
    assert len(backbone.trainable_weights) == 6
    assert [group.name for group in backbone.parameter_groups()] == ["dense_1", "dense_2"]
    before = by_path(backbone)
    wrapped = keras.Sequential([keras.Input((4,)), backbone])
    wrapped.compile("sgd", "mse")
    wrapped.fit(x, np.ones((5, 2)), verbose=0)
    for path, value in by_path(backbone).items():
        assert np.array_equal(before[path], value) == ("moving" in path), path


@pytest.mark.parametrize("module", [tiny.signature_module, tiny.graph_module])
def test_signature_only_modules_are_for_inference(module, tmp_path):
    folder = module(tmp_path / "module")
    backbone = SavedModelBackbone(folder)
    np.testing.assert_allclose(backbone(POINTS), POINTS @ [[1.0], [2.0]])
    assert backbone.trainable_weights == []
    with pytest.raises(ValueError, match="for inference"):
        SavedModelBackbone(folder, trainable=True)


def test_module_without_variables(tmp_path):
    folder = tiny.constant_module(tmp_path / "module")
    backbone = SavedModelBackbone(folder)
    np.testing.assert_allclose(backbone(POINTS), 2 * POINTS)
    assert (backbone.weights, backbone.parameter_groups()) == ([], [])
    with pytest.raises(ValueError, match="nothing that can be trained"):
        SavedModelBackbone(folder, trainable=True)


def test_unknown_sizes(tmp_path):
    backbone = SavedModelBackbone(tiny.convolution_module(tmp_path / "module", size=None))
    assert backbone.input_contract.shape == (None, None, None, 1)
    assert backbone.compute_output_shape((None, 20, 30, 1)) == (None, 3)
    assert backbone(np.zeros((2, 20, 30, 1), "float32")).shape == (2, 3)


# Precision


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64", "float16"])
def test_other_number_types_are_cast_to_the_modules(folder, dtype):
    images = np.round(IMAGES).astype(dtype)
    expected = reference(folder, images.astype("float32"))
    np.testing.assert_array_equal(SavedModelBackbone(folder)(images), expected)


def test_mixed_precision_casts_the_output_and_never_the_input(folder):
    backbone = SavedModelBackbone(folder, dtype="mixed_float16")
    output = backbone(IMAGES)
    assert output.dtype == "float16"
    np.testing.assert_array_equal(output, reference(folder, IMAGES).astype("float16"))
    assert backbone.compute_output_spec(keras.KerasTensor((4, 8, 8, 1))).dtype == "float16"


# Errors


def test_errors_say_what_to_do(folder, tmp_path):
    with pytest.raises(ValueError, match="normalization must be one of"):
        SavedModelBackbone(folder, normalization="on")
    with pytest.raises(ValueError, match="leave output_key away"):
        SavedModelBackbone(folder, output_key="features")
    with pytest.raises(ValueError, match="takes these further arguments"):
        SavedModelBackbone(folder, arguments={"squared": True})
    dictionary = tiny.dictionary_module(tmp_path / "dictionary")
    with pytest.raises(ValueError, match=r"one of \['pooled', 'sequence'\]"):
        SavedModelBackbone(dictionary, output_key="pool")
    with pytest.raises(ValueError, match=r"keys \['ids', 'mask'\]"):
        SavedModelBackbone(dictionary)({"ids": np.zeros((1, 2), "int32")})
    option = tiny.option_module(tmp_path / "option")
    with pytest.raises(ValueError, match="was saved for"):
        SavedModelBackbone(option, arguments={"square": 3})
    with pytest.raises(ValueError, match="without a training mode"):
        SavedModelBackbone(option, trainable=True, normalization="adapt")
    backbone = SavedModelBackbone(folder)
    with pytest.raises(ValueError, match="group must be one of"):
        backbone.freeze_to("block_7")
    with pytest.raises(ValueError, match="index from 0 to 1"):
        backbone.freeze_to(2)


def test_wrong_images_are_refused_before_tensorflow_sees_them(folder):
    backbone = SavedModelBackbone(folder)
    with pytest.raises(ValueError, match="images of 8 x 8"):
        backbone(np.zeros((2, 9, 9, 1), "float32"))
    with pytest.raises(ValueError, match="takes 1 channels"):
        keras.Sequential([keras.Input((8, 8, 3)), backbone])
    with pytest.raises(ValueError, match="batch"):
        backbone(np.zeros((8, 8, 1), "float32"))


def test_unsafe_module_is_refused_unless_allowed(tmp_path):
    module = tf.Module()

    def call(x):
        tf.io.write_file(str(tmp_path / "written"), "x")
        return x

    module.__call__ = tf.function(call, input_signature=[tf.TensorSpec([None, 2])])
    folder = tiny.save(module, tmp_path / "module")
    with pytest.raises(UnsafeModuleError, match="WriteFile"):
        SavedModelBackbone(folder)
    backbone = SavedModelBackbone(folder, allow_unsafe_ops=True)
    assert "allow_unsafe_ops" not in backbone.get_config()


def test_backbone_from_outside_the_strategy_is_refused(folder, two_replicas):
    backbone = SavedModelBackbone(folder)

    @tf.function
    def step():
        return two_replicas.run(lambda: backbone(tf.constant(IMAGES)))

    with pytest.raises(ValueError, match=r"inside `with strategy\.scope"):
        step()


# Digest


def test_digest_is_of_structure_and_weights(folder, tmp_path):
    backbone = SavedModelBackbone(folder)
    digest = backbone.digest()
    assert len(digest) == 64
    other = SavedModelBackbone(folder, trainable=True, normalization="adapt", name="other")
    assert other.digest() == digest
    other.weights[0].assign_add(np.full((3, 3, 1, 4), 1e-6, "float32"))
    assert other.digest() != digest
    seeded = tiny.convolution_module(tmp_path / "module", seed=1)
    assert SavedModelBackbone(seeded).digest() != digest
    option = tiny.option_module(tmp_path / "option")
    squared = SavedModelBackbone(option, arguments={"square": True})
    assert squared.digest() != SavedModelBackbone(option).digest()


# The real module


@pytest.fixture
def mobilenet(shared_folder) -> Path:
    return shared_folder / "hub" / "mobilenet_v2_100_224_feature_vector"


def photos(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, 224, 224, 3)).astype("float32")


def classifier_on(backbone: keras.layers.Layer) -> keras.Model:
    model = keras.Sequential([keras.Input((224, 224, 3)), backbone, keras.layers.Dense(2)])
    model.compile(
        keras.optimizers.SGD(0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return model


def fit_once(backbone: keras.layers.Layer, model: keras.Model) -> set[str]:
    """The paths of what moved."""
    before = by_path(backbone)
    model.fit(photos(2), np.array([0, 1]), verbose=0)
    return {path for path, value in by_path(backbone).items() if (before[path] != value).any()}


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.long
def test_all_156_parameters_of_mobilenet_train_on_two_replicas(mobilenet, two_replicas):
    with two_replicas.scope():
        backbone = SavedModelBackbone(mobilenet, trainable=True)
        model = classifier_on(backbone)
    assert len(backbone.trainable_weights) == 156
    assert fit_once(backbone, model) == {weight.path for weight in backbone.trainable_weights}


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.long
def test_frozen_mobilenet_does_not_move(mobilenet):
    backbone = SavedModelBackbone(mobilenet)
    assert fit_once(backbone, classifier_on(backbone)) == set()
    groups = backbone.parameter_groups()
    blocks = [f"block_{number}" for number in range(1, 17)]
    assert [group.name for group in groups] == ["Conv1", "expanded_conv", *blocks, "Conv_1"]
    # keras.applications.MobileNetV2(include_top=False) has 2,223,872 trainable parameters.
    assert sum(group.parameter_count for group in groups) == 2_223_872


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.long
def test_all_156_parameters_of_mobilenet_train_and_load_where_its_folder_is_unknown(
    mobilenet, tmp_path, fresh_process
):
    local = tmp_path / "copy_of_module"
    shutil.copytree(mobilenet, local)
    backbone = SavedModelBackbone(local, trainable=True)
    assert len(backbone.trainable_weights) == 156
    assert backbone.compute_output_shape((None, 224, 224, 3)) == (None, 1280)
    model = classifier_on(backbone)
    assert fit_once(backbone, model) == {weight.path for weight in backbone.trainable_weights}
    expected = model.predict(photos(2), verbose=0)
    model.save(tmp_path / "model.keras")
    shutil.rmtree(local)
    # That process has a module store of its own, which does not know the module.
    found = fresh_process.call(tmp_path / "model.keras", "predict", photos(2), verbose=0)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("is_odd", [False, True])
def test_what_is_no_network_leaves_nothing_in_the_store(tmp_path, monkeypatch, is_odd):
    monkeypatch.setenv("KERAS_TRANSGEN_HOME", str(tmp_path / "store"))
    module = tf.train.Checkpoint()
    module.weight = tf.Variable(1.0)
    if is_odd:
        module.__call__ = tf.function(lambda x: x * module.weight, [tf.TensorSpec([None])])
        module.trainable_variables = tf.train.Checkpoint()
    tf.saved_model.save(module, str(tmp_path / "module"))
    with pytest.raises(ValueError, match=r"could not be loaded|call"):
        SavedModelBackbone(tmp_path / "module", trainable=True)
    assert not [file for file in (tmp_path / "store").rglob("*") if file.is_file()]


def test_paths_of_variables_are_unique():
    from keras_transgen.backbones.saved_model import _variable_paths

    class Named:
        def __init__(self, name):
            self.name = name

    variables = [Named("a/k:0"), Named("a/k:0"), Named("a/k_1:0")]
    attributes = {id(each): each.name[:-2] for each in variables}
    assert _variable_paths(variables, attributes) == ["a/k", "a/k_2", "a/k_1"]
