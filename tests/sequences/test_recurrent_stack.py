import keras
import numpy as np
import tensorflow as tf

from keras_transgen.sequences.recurrent_stack import RecurrentStack


def stack(num_layers=2):
    embedding = keras.layers.ReversibleEmbedding(9, 4, reverse_dtype="float32")
    network = RecurrentStack(9, num_layers, 4, 0.0, embedding)
    network.build()
    draws = np.random.default_rng(0)
    for weight in network.weights:
        weight.assign(draws.normal(size=weight.shape))
    return network


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normalised(x, norm):
    scale, shift = (each.numpy().astype(float) for each in norm.weights)
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * scale + shift


def gru(x, state, cell):
    """The paper's unit, with the reset gate behind the product, as cuDNN has it."""
    kernel, recurrent, (bias, recurrent_bias) = (w.numpy().astype(float) for w in cell.weights)
    update, reset, new = np.split(x @ kernel + bias, 3)
    from_update, from_reset, from_new = np.split(state @ recurrent + recurrent_bias, 3)
    update, reset = sigmoid(update + from_update), sigmoid(reset + from_reset)
    return update * state + (1 - update) * np.tanh(new + reset * from_new)


def test_features_by_hand():
    network, tokens, added = stack(), [1, 5, 7, 4], np.array([0.3, -0.2, 0.1, 0.5])
    states = [np.zeros(4), np.zeros(4)]
    expected = []
    for token in tokens:
        x = network.embedding.embeddings.numpy()[token].astype(float) * 2 + added
        for place in range(2):
            given = normalised(x, network.norms[place])
            states[place] = gru(given, states[place], network.recurrences[place].cell)
            x = x + states[place]
        expected.append(normalised(x, network.final_norm))
    given = tf.constant(added[None, None], tf.float32)
    found, after = network(tf.constant([tokens]), added=given)
    np.testing.assert_allclose(found[0], expected, atol=1e-5)
    np.testing.assert_allclose([each[0] for each in after], states, atol=1e-5)


def test_token_by_token_is_the_whole():
    network = stack()
    tokens = tf.constant([[1, 5, 7, 4], [1, 8, 8, 2]])
    whole, after = network(tokens)
    states = network.empty_cache(2, 4)
    for place in range(4):
        found, states = network(tokens[:, place : place + 1], cache=states)
        np.testing.assert_allclose(found[:, 0], whole[:, place], atol=1e-6)
    for one, other in zip(states, after):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_padding_changes_nothing():
    network = stack()
    alone, after = network(tf.constant([[1, 5, 7]]))
    padded, behind = network(tf.constant([[0, 0, 1, 5, 7, 0]]))
    np.testing.assert_allclose(padded[:, 2:5], alone, atol=1e-6)
    for one, other in zip(behind, after):
        np.testing.assert_allclose(one, other, atol=1e-6)
    # One token at a time too.
    states = network.empty_cache(1, 1)
    for token in (0, 1, 5, 7, 0):
        _, states = network(tf.constant([[token]]), cache=states)
    np.testing.assert_allclose(states[1], after[1], atol=1e-6)
