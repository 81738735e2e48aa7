"""(IA)^3 against the definition."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.transfer.deltas import IA3
from keras_transgen.transfer.structure import StructureTransfer
from tests.transfer.deltas.networks import BACKBONES, IMAGES, LABELS, values
from tests.transfer.deltas.test_lora import explicit_logits


@pytest.mark.parametrize("kind", BACKBONES)
def test_one_step_of_gradient_descent_is_that_of_the_definition(kind):
    model = StructureTransfer(BACKBONES[kind](), 3, method="ia3", head_initialization="random")
    delta = model.deltas["ia3"]
    head = [variable.numpy() for variable in model.head.weights]
    scales = {target.path: tf.Variable(tf.ones(target.shape[-1])) for target in delta.touched}
    assert set(scales) == {"stem_conv/kernel", "block_1_project/kernel", "block_2_dense/kernel"}
    with tf.GradientTape() as tape:
        logits = explicit_logits(
            IMAGES, {path: values()[path] * scale for path, scale in scales.items()}, head
        )
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS.astype("int32"), logits)
        )
    expected = dict(zip(scales, tape.gradient(loss, list(scales.values()))))

    model.compile(keras.optimizers.SGD(1.0), jit_compile=False)
    model.fit(IMAGES, LABELS, batch_size=24, shuffle=False, verbose=0)
    for target, (scale,) in zip(delta.touched, delta.own):
        np.testing.assert_allclose(1 - scale.numpy(), expected[target.path], atol=1e-6)
        np.testing.assert_allclose(
            target.variable.numpy(), values()[target.path] * scale.numpy(), atol=1e-6
        )


def test_depthwise_kernels_are_scaled_by_channel_when_asked_for():
    delta = IA3(BACKBONES["keras"](), targets="depthwise")
    assert [tuple(variable.shape) for variable in delta.variables] == [(4, 1)]
    base = np.ones((3, 3, 4, 1), "float32")
    gradient = np.arange(36, dtype="float32").reshape(base.shape)
    (pulled,) = delta.pull_back(gradient, base, delta.own[0][0].value)
    np.testing.assert_allclose(pulled, gradient.sum((0, 1)))
