"""Networks whose layers hand masks on although they mix positions, and those that do not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.backbones import KerasBackbone


def network(body, size=4):
    inputs = keras.Input((None, size))
    return keras.Model(inputs, body(keras.layers.Dense(8)(inputs)))


def reading(body):
    inputs = keras.Input((None,), dtype="int32")
    embedded = keras.layers.Embedding(20, 8, mask_zero=True)(inputs)
    return keras.Model(inputs, body(embedded))


layers = keras.layers
MIXING = {
    "normalisation over time": lambda h: layers.GroupNormalization(2)(h),
    "a reversal": lambda h: h[:, ::-1],
    "less the mean": lambda h: h - keras.ops.mean(h, axis=1, keepdims=True),
    "sums so far": lambda h: keras.ops.cumsum(h, 1),
    "backwards alone": lambda h: layers.LSTM(8, go_backwards=True, return_sequences=True)(
        layers.Bidirectional(layers.LSTM(4, return_sequences=True))(h)
    ),
    "softmax over time": lambda h: layers.Softmax(axis=1)(h),
    "a convolution": lambda h: layers.Conv1D(8, 3, padding="same")(h),
}
EXACT = {
    "dense": lambda h: layers.Dense(8)(h),
    "both ways": lambda h: layers.Bidirectional(layers.LSTM(4, return_sequences=True))(h),
    "attention": lambda h: layers.MultiHeadAttention(2, 4)(h, h),
    "normalisation": lambda h: layers.LayerNormalization()(h),
    "the last state": lambda h: layers.GRU(8)(h),
    "the mean": lambda h: layers.GlobalAveragePooling1D()(h),
}


@pytest.mark.parametrize("make", [network, reading], ids=["vectors", "tokens"])
@pytest.mark.parametrize("name", MIXING)
def test_networks_that_mix_positions_are_not_told_of_padding(name, make):
    assert not KerasBackbone(make(MIXING[name])).carries_masks()


@pytest.mark.parametrize("make", [network, reading], ids=["vectors", "tokens"])
@pytest.mark.parametrize("name", EXACT)
def test_networks_that_heed_masks_are(name, make):
    assert KerasBackbone(make(EXACT[name])).carries_masks()


@pytest.mark.parametrize("pooling", ["average", "max", "centre"])
@pytest.mark.parametrize("name", MIXING)
def test_predictions_are_those_of_each_sequence_alone(name, pooling):
    keras.utils.set_random_seed(0)
    draws = np.random.default_rng(0)
    sequences = [draws.normal(size=(n, 4)).astype("float32") for n in (5, 9, 2, 7, 9, 30)]
    model = ktg.TransferModel(KerasBackbone(network(MIXING[name])), 3, pooling=pooling, seed=0)
    found = model.predict(sequences, verbose=0)
    alone = [model.predict(each[None], verbose=0)[0] for each in sequences]
    np.testing.assert_allclose(found, alone, atol=1e-5)


def test_training_on_padded_batches_is_refused():
    sequences = [np.zeros((n, 4), "float32") for n in (3, 5)]
    model = ktg.TransferModel(KerasBackbone(network(MIXING["a reversal"]), trainable=True), 2)
    with pytest.raises(ValueError, match="cannot be told what is padding"):
        model.fit(sequences, [0, 1], verbose=0)


def test_half_precision_is_no_reason():
    keras.config.set_dtype_policy("mixed_bfloat16")
    backbone = KerasBackbone(network(EXACT["both ways"]))
    assert backbone.carries_masks()
    assert tf.as_dtype(backbone.compute_dtype) == tf.bfloat16
