import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg

WORDS = ["one", "two", "three", "eins", "zwei", "drei", "一", "二", "三"]
CHARACTERS = ktg.Vocabulary.characters(WORDS)


def encoder(vocabulary=CHARACTERS, **kwargs):
    keras.utils.set_random_seed(0)
    sizes = {"features": 5, "max_length": 8, "embedding_dim": 3, "filters": 4, "widths": (1, 3)}
    return ktg.TextEncoder(vocabulary, **{**sizes, **kwargs})


def by_hand(layer, text):
    """Kim's network in NumPy: windows around each token, their maxima, a dense layer."""
    tokens = [*layer.vocabulary.encode(text), 2]
    vectors = layer.embedding.get_weights()[0][tokens]
    found = []
    for convolution in layer.convolutions:
        kernel, bias = convolution.get_weights()
        around = np.pad(vectors, ((len(kernel) // 2,) * 2, (0, 0)))
        windows = np.stack([around[i : i + len(kernel)] for i in range(len(tokens))])
        found.append(np.maximum(np.einsum("twi,wio->to", windows, kernel) + bias, 0).max(axis=0))
    kernel, bias = layer.projection.get_weights()
    return np.concatenate(found) @ kernel + bias


def test_vectors_are_those_computed_by_hand_whatever_the_padding():
    layer = encoder()
    # Biases above zero would show in the padding.
    for convolution in layer.convolutions:
        convolution.bias.assign([0.3, -0.2, 0.5, 0.1])
    expected = np.stack([by_hand(layer, word) for word in WORDS])
    np.testing.assert_allclose(layer(layer.tokens(WORDS)), expected, atol=1e-6)
    np.testing.assert_allclose(layer(tf.constant(WORDS)), expected, atol=1e-6)
    np.testing.assert_allclose(layer(tf.constant(["二"]))[0], expected[7], atol=1e-6)
    longer = encoder(max_length=20)
    longer.set_weights(layer.get_weights())
    np.testing.assert_allclose(longer(longer.tokens(WORDS)), expected, atol=1e-6)


def test_tokens_are_cut_padded_and_taken_as_they_are():
    layer = encoder()
    one = [[*CHARACTERS.encode("one"), 2, 0, 0, 0, 0]]
    np.testing.assert_array_equal(layer.tokens(["one"]), one)
    np.testing.assert_array_equal(layer.tokens(["two" * 9])[0, 6:], [CHARACTERS.encode("t")[0], 2])
    np.testing.assert_array_equal(layer.tokens(layer.tokens(WORDS)), layer.tokens(WORDS))


def test_pieces_in_a_file_and_in_a_graph(tmp_path):
    pieces = ktg.Vocabulary.train([f"{word} is a number" for word in WORDS] * 4, size=27)
    layer = encoder(pieces)
    expected = layer(layer.tokens(WORDS)).numpy()
    np.testing.assert_allclose(tf.function(layer)(tf.constant(WORDS)), expected, atol=1e-6)
    text = keras.Input((), dtype="string")
    keras.Model(text, layer(text)).save(tmp_path / "encoder.keras")
    loaded = ktg.load_model(tmp_path / "encoder.keras")
    np.testing.assert_allclose(loaded.predict(tf.constant(WORDS), verbose=0), expected, atol=1e-6)
    copy = layer.copied()
    copy.set_weights(layer.get_weights())
    np.testing.assert_allclose(copy(copy.tokens(WORDS)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["one", ""], "at least one character"),
        (["one", "ΩΨ", "ß"], "knows nothing of some conditions.*2 such texts: ΩΨ, ß"),
        ([1.5], "must be strings"),
        ("one", "list of texts"),
        (np.zeros((2, 3), int), r"tokens \[batch, 8\].*\[2, 3\]"),
        (np.full((2, 8), 99), "whole numbers from 0 to"),
    ],
)
def test_what_is_no_text_is_refused(texts, message):
    with pytest.raises(ValueError, match=message):
        encoder().tokens(texts)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocabulary": WORDS}, "must be a Vocabulary"),
        ({"features": 0}, "features must be"),
        ({"widths": ()}, "at least one width"),
        ({"widths": (2, 0)}, r"widths\[1\] must be"),
    ],
)
def test_sizes_that_make_no_network_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        encoder(**settings)
