"""(IA)^3 against the definition."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones import KerasBackbone, SavedModelBackbone
from keras_transgen.transfer.deltas import IA3
from keras_transgen.transfer.deltas.ia3 import biases_of
from keras_transgen.transfer.deltas.targets import is_kernel, parameters_of
from keras_transgen.transfer.structure_transfer import StructureTransfer
from tests.transfer.deltas.networks import BACKBONES, IMAGES, LABELS, values
from tests.transfer.deltas.test_lora import explicit_logits


@pytest.mark.parametrize("kind", BACKBONES)
def test_one_step_of_gradient_descent_is_that_of_the_definition(kind):
    model = StructureTransfer(BACKBONES[kind](), 3, method="ia3", head_initialization="random")
    delta = model.deltas["ia3"]
    head = [variable.numpy() for variable in model.head.weights]
    layers = {"stem_conv": 4, "block_1_project": 6, "block_2_dense": 5}
    biases = {"block_1_project/bias", "block_2_dense/bias"}
    assert {target.path for target in delta.touched} == {f"{x}/kernel" for x in layers} | biases
    assert [variable.shape for variable in delta.variables] == [(4,), (6,), (5,)]
    scales = {layer: tf.Variable(tf.ones(size)) for layer, size in layers.items()}
    with tf.GradientTape() as tape:
        logits = explicit_logits(
            IMAGES,
            {
                target.path: values()[target.path] * scales[target.path.split("/")[0]]
                for target in delta.touched
            },
            head,
        )
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS.astype("int32"), logits)
        )
    expected = dict(zip(scales, tape.gradient(loss, list(scales.values()))))

    model.compile(keras.optimizers.SGD(1.0), jit_compile=False)
    model.fit(IMAGES, LABELS, batch_size=24, shuffle=False, verbose=0)
    for target, (scale,) in zip(delta.touched, delta.own):
        layer = target.path.split("/")[0]
        np.testing.assert_allclose(1 - scale.numpy(), expected[layer], atol=1e-6)
        np.testing.assert_allclose(
            target.variable.numpy(), values()[target.path] * scale.numpy(), atol=1e-6
        )


def test_depthwise_kernels_are_scaled_by_channel_when_asked_for():
    delta = IA3(BACKBONES["keras"](), targets="depthwise")
    assert [tuple(variable.shape) for variable in delta.variables] == [(4, 1)]
    base = np.ones((3, 3, 4, 1), "float32")
    gradient = np.arange(36, dtype="float32").reshape(base.shape)
    delta.activate({delta.touched[0].index: tf.Variable(base)})
    (pulled,) = delta.own_gradients([tf.constant(gradient)]).values()
    np.testing.assert_allclose(pulled, gradient.sum((0, 1)))


def dense_backbone(kind, tmp_path):
    """y = W x + b, with b not zero, as both kinds of backbone."""
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")])
    kernel, bias = np.arange(6, dtype="float32").reshape(3, 2), np.array([5.0, -7.0], "float32")
    network.set_weights([kernel, bias])
    if kind == "keras":
        return KerasBackbone(network), kernel, bias
    KerasBackbone(network).export(tmp_path / "dense")
    return SavedModelBackbone(str(tmp_path / "dense")), kernel, bias


@pytest.mark.parametrize("kind", ["keras", "saved"])
def test_the_output_is_scaled_with_its_bias(kind, tmp_path):
    backbone, kernel, bias = dense_backbone(kind, tmp_path)
    x = np.array([[1.0, -2.0, 0.5], [0.0, 1.0, 3.0]], "float32")
    base = x @ kernel + bias
    model = StructureTransfer(backbone, 2, method="ia3", head_initialization="random")
    np.testing.assert_allclose(model.backbone(x), base, rtol=1e-6)
    (scale,) = model.deltas["ia3"].variables
    scale.assign([2.0, -3.0])
    model.deltas["ia3"].write()
    expected = np.array([2.0, -3.0]) * base
    np.testing.assert_allclose(model.backbone(x), expected, rtol=1e-6)
    model.merge()
    np.testing.assert_allclose(model.backbone(x), expected, rtol=1e-6)
    model.unmerge()
    np.testing.assert_allclose(model.backbone(x), expected, rtol=1e-6)
    model.set_delta(None)
    np.testing.assert_array_equal(model.backbone(x), base.astype("float32"))


def pairs(*layers, inputs):
    backbone = KerasBackbone(keras.Sequential([keras.Input(inputs), *layers]))
    kernels = [target for target in parameters_of(backbone) if is_kernel(target)]
    paths = {target.index: target.path for target in kernels}
    return {paths[index]: bias.path for index, bias in biases_of(backbone, kernels).items()}


def test_which_bias_belongs_to_which_kernel():
    layers = keras.layers
    found = pairs(
        layers.SeparableConv2D(4, 3, name="separable"),
        layers.DepthwiseConv2D(3, name="depthwise"),
        layers.Conv2D(3, 1, use_bias=False, name="bare"),
        layers.EinsumDense("bhwc,cde->bhwde", (None, None, 2, 5), bias_axes="de", name="heads"),
        layers.Reshape((-1, 5)),
        layers.LSTM(3, name="lstm"),
        layers.Dense(3, name="dense"),
        inputs=(8, 8, 1),
    )
    named = {tuple(kernel.split("/")[-2:]): bias.split("/")[-2] for kernel, bias in found.items()}
    assert named == {
        ("separable", "pointwise_kernel"): "separable",
        ("depthwise", "kernel"): "depthwise",
        ("heads", "kernel"): "heads",
        ("lstm_cell", "kernel"): "lstm_cell",
        ("dense", "kernel"): "dense",
    }


def test_a_depthwise_layers_bias_is_scaled_too():
    layer = keras.layers.DepthwiseConv2D(3, name="depthwise")
    network = keras.Sequential([keras.Input((5, 5, 2)), layer])
    layer.bias.assign([1.0, 2.0])
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 2)).astype("float32")
    base = network(x).numpy()
    model = StructureTransfer(
        KerasBackbone(network), 2, method="ia3", targets="depthwise", head_initialization="random"
    )
    (scale,) = model.deltas["ia3"].variables
    scale.assign([[2.0], [3.0]])
    model.deltas["ia3"].write()
    np.testing.assert_allclose(model.backbone(x), base * [2.0, 3.0], rtol=1e-5, atol=1e-5)


def attention_network():
    """One block of a transformer, by Keras' own layers."""
    inputs = keras.Input((5, 6))
    attended = keras.layers.MultiHeadAttention(2, 4, name="attention")(inputs, inputs)
    x = keras.layers.Add()([inputs, attended])
    hidden = keras.layers.Dense(12, activation="gelu", name="widen")(x)
    hidden = keras.layers.Dense(6, name="narrow")(hidden)
    return keras.Model(inputs, keras.layers.Add()([x, hidden]), name="block")


def by_definition(network, inputs, of_keys, of_values, of_hidden):
    """Keys, values and the activations between the two dense layers, scaled where the paper does"""
    weight = {each.path: each.numpy() for each in network.weights}

    def heads(name):
        made = np.einsum("btd,dhk->bthk", inputs, weight[f"attention/{name}/kernel"])
        return made + weight[f"attention/{name}/bias"]

    query, key, value = heads("query"), of_keys * heads("key"), of_values * heads("value")
    scores = np.einsum("bqhk,bthk->bhqt", query, key) / 2.0
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    mixed = np.einsum("bhqt,bthk->bqhk", shares, value)
    attended = np.einsum("bqhk,hkd->bqd", mixed, weight["attention/attention_output/kernel"])
    x = inputs + attended + weight["attention/attention_output/bias"]
    hidden = keras.activations.gelu(x @ weight["widen/kernel"] + weight["widen/bias"]).numpy()
    return x + (of_hidden * hidden) @ weight["narrow/kernel"] + weight["narrow/bias"]


def test_in_a_transformer_keys_values_and_inner_activations_are_scaled_as_in_the_paper():
    rng = np.random.default_rng(0)
    network = attention_network()
    for weight in network.weights:
        weight.assign(rng.normal(0.0, 0.5, weight.shape))
    inputs = rng.normal(size=(3, 5, 6)).astype("float32")
    keys, values_, hidden = (rng.uniform(0.5, 2.0, n) for n in ((2, 4), (2, 4), (12,)))
    expected = by_definition(network, inputs, keys, values_, hidden)
    plain = by_definition(network, inputs, 1.0, 1.0, 1.0)

    backbone = KerasBackbone(network)
    delta = IA3(backbone)
    # Eight numbers for the keys, eight for the values, twelve between the dense layers.
    assert delta.count_params() == 28
    delta.activate({each.index: tf.Variable(each.variable.value) for each in delta.touched})
    np.testing.assert_allclose(backbone(inputs), plain, atol=1e-5)
    by_shape = {tuple(each.shape): [] for each in delta.variables}
    for each in delta.variables:
        by_shape[tuple(each.shape)].append(each)
    key, value = by_shape[2, 4]
    key.assign(keys)
    value.assign(values_)
    by_shape[12, 1][0].assign(hidden[:, None])
    delta.write()
    np.testing.assert_allclose(backbone(inputs), expected, atol=1e-5)
    assert np.abs(expected - plain).max() > 0.1
    # What the convolutional networks have, and files of earlier versions mean.
    assert IA3(KerasBackbone(attention_network()), selection="outputs").count_params() > 28
    with pytest.raises(ValueError, match="selection must be one of"):
        IA3(KerasBackbone(attention_network()), selection="all")
