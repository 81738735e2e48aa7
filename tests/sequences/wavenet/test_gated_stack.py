import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.sequences.wavenet.gated_stack import GatedStack

DILATIONS = (1, 2, 4, 1)


@pytest.fixture
def stack():
    return GatedStack(DILATIONS, residual_channels=3, skip_channels=2, condition_channels=2)


def inputs(samples=11):
    draws = np.random.default_rng(0)
    return (
        draws.normal(size=(2, samples, 3)).astype("float32"),
        draws.normal(size=(2, samples, 2)).astype("float32"),
    )


def test_layers_are_dilated_convolutions_of_keras(stack):
    """Each layer as a causal `Conv1D` of two taps and a dense layer of the conditions."""
    for weight in stack.weights:
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    x, conditions = inputs()
    found = stack(x, conditions)
    total = 0.0
    for layer, dilation in enumerate(DILATIONS):
        convolution = keras.layers.Conv1D(6, 2, dilation_rate=dilation, padding="causal")
        convolution.build(x.shape)
        taps = np.stack([stack.past.numpy()[layer], stack.now.numpy()[layer]])
        convolution.set_weights([taps, stack.bias.numpy()[layer]])
        gates = convolution(x).numpy() + conditions @ stack.condition.numpy()[layer]
        hidden = np.tanh(gates[..., :3]) / (1 + np.exp(-gates[..., 3:]))
        total = total + hidden @ stack.skip.numpy()[layer]
        if layer < len(DILATIONS) - 1:
            x = x + hidden @ stack.residual.numpy()[layer]
    np.testing.assert_allclose(found, total, rtol=1e-4, atol=1e-5)


def test_queues_say_what_the_whole_pass_says(stack):
    x, conditions = inputs(23)
    expected = stack(x, conditions).numpy()
    queues, weights = stack.empty_queues(2), stack.step_weights()
    for time in range(23):
        found, queues = stack.step(
            weights, tf.constant(x[:, time]), tf.constant(conditions[:, time]), time, queues
        )
        np.testing.assert_allclose(found, expected[:, time], rtol=1e-5, atol=1e-6)
