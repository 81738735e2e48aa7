"""Outputs from inside a SavedModel."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones import SavedModelBackbone
from tests.backbones import tiny_modules
from tests.harness import (
    LayerCase,
    check_file_in_new_process,
    check_layer_config_round_trip,
    check_symbolic_equals_eager_shape,
    check_two_replicas,
    check_xla_equals_plain,
)

IMAGES = np.random.default_rng(1).normal(size=(6, 8, 8, 1)).astype("float32")


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    """A module store of this file's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_TRANSGEN_HOME", str(tmp_path_factory.mktemp("home")))
        yield


class Nested(tf.Module):
    """A network of functions in functions, one of them called twice, as Keras saves layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = tf.Variable([[1.0, -2.0], [0.5, 3.0]], name="net/dense_1/kernel")
        self.shared = tf.Variable(2.0, name="net/gain/factor")
        self.last = tf.Variable([[1.0], [1.0]], name="net/dense_2/kernel")

    @tf.function
    def double(self, x):
        return x * self.shared

    @tf.function
    def block(self, x):
        with tf.name_scope("dense_1"):
            x = tf.nn.relu(x @ self.first)
        with tf.name_scope("gain"):
            x = self.double(x)
        with tf.name_scope("again"):
            return self.double(x)

    @tf.function(input_signature=[tf.TensorSpec([None, 2])])
    def __call__(self, x):
        with tf.name_scope("net"):
            x = self.block(x)
        with tf.name_scope("dense_2"):
            return x @ self.last


@pytest.fixture(scope="module")
def convolution(tmp_path_factory):
    return tiny_modules.convolution_module(tmp_path_factory.mktemp("modules") / "convolution")


@pytest.fixture(scope="module")
def nested(tmp_path_factory):
    return tiny_modules.save(Nested(), tmp_path_factory.mktemp("modules") / "nested")


def rectified(images, kernel):
    """The module's feature map: convolution, normalisation by its start values, rectifier."""
    windows = np.lib.stride_tricks.sliding_window_view(images[..., 0], (3, 3), axis=(1, 2))
    convolved = np.einsum("bijhw,hwc->bijc", windows, kernel[:, :, 0])
    return np.maximum(convolved / np.sqrt(1.001), 0.0)


def kernel_of(backbone):
    return next(w.numpy() for w in backbone.weights if w.shape == (3, 3, 1, 4))


def test_inner_tensors_are_the_known_ones(convolution):
    tapped = SavedModelBackbone(convolution, layers=["Relu", "matmul"])
    whole = SavedModelBackbone(convolution)
    maps, last = tapped(IMAGES)
    np.testing.assert_allclose(maps, rectified(IMAGES, kernel_of(whole)), atol=1e-5)
    np.testing.assert_allclose(last, whole(IMAGES), rtol=1e-4, atol=1e-5)
    assert maps.shape == (6, 6, 6, 4)
    assert tapped.compute_output_shape((None, 8, 8, 1)) == [(None, 6, 6, 4), (None, 3)]


def test_inference_mode_whatever_the_model_around_says(convolution):
    tapped = SavedModelBackbone(convolution, layers=["Relu"], trainable=True)
    expected = rectified(IMAGES, kernel_of(tapped))
    np.testing.assert_allclose(tapped(IMAGES, training=True)[0], expected, atol=1e-5)


def test_what_is_not_needed_is_no_weight(convolution):
    tapped = SavedModelBackbone(convolution, layers=["Conv2D"], trainable=True)
    assert [weight.shape for weight in tapped.weights] == [(3, 3, 1, 4)]
    assert len(SavedModelBackbone(convolution, layers=["Relu"]).weights) == 5


def test_layers_in_functions_in_functions(nested):
    backbone = SavedModelBackbone(nested)
    assert {"net", "net/dense_1", "net/gain", "net/again", "dense_2"} <= {*backbone.layer_names()}
    x = np.array([[1.0, 2.0], [-3.0, 1.0]], "float32")
    first = np.maximum(x @ [[1.0, -2.0], [0.5, 3.0]], 0.0)
    outputs = backbone.tap(["dense_1", "gain", "again", "net", "dense_2"])(x)
    expected = [first, 2 * first, 4 * first, 4 * first, 4 * first.sum(1, keepdims=True)]
    for output, known in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, known, rtol=1e-6)


def test_gradients_reach_input_and_parameters(nested):
    tapped = SavedModelBackbone(nested, layers=["gain"], trainable=True)
    x = tf.constant([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(tapped(x)[0])
    by_input, *by_weights = tape.gradient(
        loss, [x, *(weight.value for weight in tapped.trainable_weights)]
    )
    # 2 relu(x W): both units are positive at this x.
    np.testing.assert_allclose(by_input, [[2 * (1.0 - 2.0), 2 * (0.5 + 3.0)]], rtol=1e-6)
    by_shape = {gradient.shape.rank: gradient for gradient in by_weights}
    np.testing.assert_allclose(by_shape[2], [[2.0, 2.0], [4.0, 4.0]], rtol=1e-6)
    np.testing.assert_allclose(by_shape[0], 1.0 * 2.0 + 4.0, rtol=1e-6)


def test_another_image_size(convolution):
    images = np.random.default_rng(2).normal(size=(3, 11, 12, 1)).astype("float32")
    smaller = SavedModelBackbone(convolution, layers=["Relu"], image_size=(11, 12))
    assert smaller.input_contract.shape == (None, 11, 12, 1)
    np.testing.assert_allclose(smaller(images)[0], rectified(images, kernel_of(smaller)), atol=1e-5)
    whole = SavedModelBackbone(convolution, image_size=(11, 12))
    pooled = rectified(images, kernel_of(smaller)).mean(axis=(1, 2))
    dense = next(w.numpy() for w in whole.weights if w.shape == (4, 3))
    np.testing.assert_allclose(whole(images), pooled @ dense, atol=1e-5)


def test_a_size_that_the_graph_refuses(tmp_path):
    module = tf.Module()
    module.kernel = tf.Variable(tf.ones([64, 2]))
    module.__call__ = tf.function(
        lambda x: tf.reshape(x, [-1, 64]) @ module.kernel,
        input_signature=[tf.TensorSpec([None, 8, 8, 1])],
    )
    folder = tiny_modules.save(module, tmp_path / "dense")
    backbone = SavedModelBackbone(folder, image_size=(8, 16))
    # The graph itself does not know: 8 x 16 pixels are two rows of 64.
    assert backbone(np.zeros([1, 8, 16, 1], "float32")).shape == (2, 2)


def test_a_tap_takes_the_present_weights(convolution):
    backbone = SavedModelBackbone(convolution, trainable=True)
    for weight in backbone.weights:
        weight.assign(weight + 0.5)
    np.testing.assert_allclose(backbone.tap(["matmul"])(IMAGES)[0], backbone(IMAGES), rtol=1e-6)
    assert not backbone.tap(["matmul"]).trainable_weights


@pytest.mark.slow
def test_signatures_and_exports(tmp_path):
    folder, model = tiny_modules.exported_module(tmp_path / "exported")
    backbone = SavedModelBackbone(folder)
    name = next(name for name in backbone.layer_names() if "dense_1" in name)
    x = np.random.default_rng(3).normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(backbone.tap([name])(x)[0], model.layers[0](x), rtol=1e-5)
    signature = SavedModelBackbone(tiny_modules.signature_module(tmp_path / "signature"))
    (score,) = signature.tap(["matmul"])(np.array([[1.0, 1.0]], "float32"))
    np.testing.assert_allclose(score, [[3.0]])


def test_config_and_digest(convolution):
    tapped = SavedModelBackbone(convolution, layers=["Relu"], image_size=(9, 9))
    config = tapped.get_config()
    again = SavedModelBackbone.from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config
    assert again.digest() == tapped.digest()
    others = [SavedModelBackbone(convolution, layers=["Relu"]), SavedModelBackbone(convolution)]
    assert len({tapped.digest(), *(other.digest() for other in others)}) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"layers": ["Rleu"]}, "Did you mean.*Relu.*Received: 'Rleu'"),
        ({"layers": []}, "list of names"),
        ({"layers": "Relu"}, "list of names"),
        ({"layers": ["Relu"], "output_key": "x"}, "leave output_key away"),
        ({"layers": ["Relu"], "normalization": "adapt"}, "normalization='frozen'"),
    ],
)
def test_wrong_arguments(convolution, arguments, said):
    with pytest.raises(ValueError, match=said):
        SavedModelBackbone(convolution, **arguments)


def test_ambiguous_names_and_other_inputs(nested):
    with pytest.raises(ValueError, match="Give more of the name"):
        SavedModelBackbone(nested, layers=["mul"])
    with pytest.raises(ValueError, match="one batch of images"):
        SavedModelBackbone(nested, image_size=(4, 4))


def test_graphs_of_tensorflow_1_hold_no_layers(tmp_path):
    folder = tiny_modules.graph_module(tmp_path / "graph")
    with pytest.raises(ValueError, match="TensorFlow 1"):
        SavedModelBackbone(folder, layers=["matmul"])


@pytest.mark.parametrize(
    "check", [check_layer_config_round_trip, check_symbolic_equals_eager_shape]
)
def test_layer(check, tools, layer):
    check(layer, tools)


@pytest.mark.slow
@pytest.mark.parametrize(
    "check",
    [
        check_file_in_new_process,
        check_two_replicas,
        check_xla_equals_plain,
    ],
)
@pytest.mark.long
def test_in_a_model(check, tools, layer):
    check(layer.as_model, tools)


@pytest.fixture(scope="module")
def layer(convolution):
    return LayerCase(
        make=lambda: SavedModelBackbone(convolution, layers=["Relu"], trainable=True),
        inputs=IMAGES,
        moves=lambda path: not path.endswith(("moving_mean", "moving_variance")),
    )


@pytest.mark.shared_data
@pytest.mark.slow
@pytest.mark.long
def test_a_real_module(shared_folder):
    backbone = SavedModelBackbone(shared_folder / "hub" / "mobilenet_v1_025_224_feature_vector")
    images = np.random.default_rng(4).uniform(size=(1, 224, 224, 3)).astype("float32")
    tapped = backbone.tap(["conv_pw_3_relu", "global_average_pooling2d_1"])
    maps, pooled = tapped(images)
    assert maps.shape == (1, 56, 56, 32)
    np.testing.assert_allclose(np.reshape(pooled, (1, -1)), backbone(images), rtol=1e-4, atol=1e-5)
    assert keras.ops.max(maps) <= 6.0


def test_a_layer_called_six_times_has_six_names(tmp_path):
    class Shared(tf.Module):
        def __init__(self):
            super().__init__()
            self.factor = tf.Variable([[2.0]], name="shared/kernel")
            self.layer = tf.function(lambda x: x @ self.factor)

        @tf.function(input_signature=[tf.TensorSpec([None, 1])])
        def __call__(self, x):
            for place in range(6):
                with tf.name_scope("shared" if place == 0 else "shared/"):
                    x = self.layer(x)
            return x + 1.0

    tf.saved_model.save(Shared(), str(tmp_path / "shared"))
    backbone = SavedModelBackbone(str(tmp_path / "shared"))
    names = ["shared", *(f"shared_{count}" for count in range(1, 6))]
    assert {*names} <= {*backbone.layer_names()}
    outputs = backbone.tap(names)(np.ones((1, 1), "float32"))
    assert [float(output[0, 0]) for output in outputs] == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
