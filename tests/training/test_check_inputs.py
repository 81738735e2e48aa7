"""What `predict` and its like are given is looked at as what `fit` is given."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg

RNG = np.random.default_rng(0)
UNIT = RNG.uniform(size=(8, 8, 8, 1)).astype("float32")
BYTES = 255.0 * UNIT
NAN = np.where(UNIT > 0.9, np.nan, UNIT)


class Rows(keras.utils.PyDataset):
    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return (self.x[4 * index : 4 * index + 4],)


def given(kind, x):
    if kind == "data set":
        return tf.data.Dataset.from_tensor_slices(x).batch(4)
    if kind == "rows":
        return Rows(x)
    return ((x[i : i + 4],) for i in (0, 4)) if kind == "generator" else x


MODELS = {
    "vae": lambda: ktg.VAE((8, 8, 1), 2, seed=0),
    "pix2pix": lambda: ktg.Pix2Pix((8, 8, 1), filters=2, value_range=(0.0, 1.0), seed=0),
    "cyclegan": lambda: ktg.CycleGAN(
        (8, 8, 1), filters=2, blocks=1, value_range=(0.0, 1.0), seed=0
    ),
}


@pytest.mark.parametrize("kind", ["array", "data set", "rows", "generator"])
@pytest.mark.parametrize("name", MODELS)
def test_another_range_is_refused_by_predict(name, kind):
    model = MODELS[name]()
    expected = model.predict(UNIT, verbose=0)
    np.testing.assert_allclose(
        model.predict(given(kind, UNIT), verbose=0, batch_size=None), expected, atol=1e-5
    )
    for bad in (BYTES, NAN):
        with pytest.raises(ValueError, match="Received"):
            model.predict(given(kind, bad), verbose=0)


@pytest.mark.parametrize("kind", ["array", "data set", "rows", "generator"])
@pytest.mark.parametrize("method", ["predict", "classify", "predict_probabilities"])
def test_another_range_is_told_by_a_transfer_model(method, kind):
    model = ktg.TransferModel("digits", 3, seed=0)
    run = getattr(model, method)
    with pytest.warns(UserWarning, match="trained on values in"):
        run(given(kind, BYTES), verbose=0)
    with pytest.raises(ValueError, match="NaN"):
        run(given(kind, NAN), verbose=0)
    with pytest.raises(ValueError, match="Received"):
        run(given(kind, np.concatenate([UNIT, UNIT], -1)), verbose=0)


def test_predict_alone_goes_on_without_xla():
    layers = keras.layers
    resize = layers.UpSampling2D(2, interpolation="bicubic")
    decoder = keras.Sequential(
        [keras.Input((2,)), layers.Dense(16), layers.Reshape((4, 4, 1)), resize]
    )
    encoder = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(8)])
    model = ktg.VAE((8, 8, 1), 2, encoder=encoder, decoder=decoder, seed=1)
    expected = model.predict(UNIT, verbose=0)
    model.compile()
    assert model.jit_compile
    with pytest.warns(UserWarning, match="XLA cannot compile"):
        found = model.predict(UNIT, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    model.compile(jit_compile=True)
    with pytest.raises(ValueError, match="jit_compile=True"):
        model.predict(UNIT, verbose=0)


def test_a_generator_that_yields_no_tuples():
    model = ktg.VAE((8, 8, 1), 2, seed=0)
    for run in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match=r"must yield tuples.*Received: a batch of type ndarr"):
            run((UNIT for _ in range(2)), verbose=0)


def test_a_data_set_that_gives_its_batches_once_loses_none():
    model = MODELS["vae"]()
    batches = iter([UNIT[:4], UNIT[4:]])
    data = tf.data.Dataset.from_generator(
        lambda: batches, output_signature=tf.TensorSpec([None, 8, 8, 1])
    )
    np.testing.assert_allclose(
        model.predict(data, verbose=0), model.predict(UNIT, verbose=0), atol=1e-6
    )
    ragged = tf.data.Dataset.from_tensors({"a": UNIT}).map(lambda each: each["a"])
    assert model.predict(ragged, verbose=0).shape == UNIT.shape
