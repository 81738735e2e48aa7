"""Conditions enter with unit variance, whatever the encoder gives."""

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.generative.networks.condition_scale import ConditionScale, some_rows

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (32, 8, 8, 1)).astype("float32")
LABELS = np.arange(32) % 4


def conditional_gan(encoder, **arguments):
    return ktg.ConditionalGAN(
        image_shape=(8, 8, 1), latent_dim=4, filters=2, embedding_dim=8, seed=0,
        condition_encoder=encoder, **{"condition_shape": (1,), **arguments},
    )  # fmt: skip


def embedding(scale=0.05):
    initializer = keras.initializers.RandomUniform(-scale, scale, seed=1)
    table = keras.layers.Embedding(4, 6, embeddings_initializer=initializer)
    return keras.Sequential([keras.Input((1,), dtype="int64"), table, keras.layers.Flatten()])


def recurrent():
    return keras.Sequential(
        [keras.Input((3, 2)), keras.layers.LSTM(6, kernel_initializer="he_normal")]
    )


@pytest.mark.parametrize("kind", ["embedding", "large", "recurrent", "data set"])
def test_what_enters_has_zero_mean_and_unit_deviation(kind):
    conditions = LABELS[:, None]
    encoder = embedding(200.0 if kind == "large" else 0.05)
    shape = (1,)
    if kind == "recurrent":
        conditions, encoder = RNG.normal(size=(32, 3, 2)).astype("float32"), recurrent()
        shape = (3, 2)
    gan = conditional_gan(encoder, condition_shape=shape)
    raw = np.asarray(encoder(conditions), "float64")
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0), jit_compile=False)
    if kind == "data set":
        import tensorflow as tf

        data = tf.data.Dataset.from_tensor_slices((IMAGES, conditions)).batch(32)
        gan.fit(data, verbose=0)
    else:
        gan.fit(IMAGES, conditions, verbose=0)
    expected = (raw - raw.mean(0)) / raw.std(0)
    np.testing.assert_allclose(gan._encoded(conditions, False), expected, atol=1e-3)
    # As long as those of classes: one a vector for the generator, one a feature for the other.
    made = np.asarray(gan.generator_embedding(expected))
    judged = np.asarray(gan.discriminator_embedding(expected))
    assert 0.4 < np.sqrt(np.square(made).sum(-1).mean()) < 1.6
    assert 0.4 < np.sqrt(np.square(judged).mean()) < 1.6


def test_it_is_measured_once_and_kept(tmp_path):
    gan = conditional_gan(embedding())
    gan.fit(IMAGES, LABELS[:, None], verbose=0)
    scale = [weight.numpy() for weight in gan.condition_scale.weights]
    gan.fit(IMAGES, 0 * LABELS[:, None], verbose=0)
    gan.save(tmp_path / "gan.keras")
    loaded = ktg.load_model(tmp_path / "gan.keras")
    for old, weight in zip(scale, loaded.condition_scale.weights):
        np.testing.assert_array_equal(old, weight.numpy())
    asked = LABELS[:5, None]
    np.testing.assert_allclose(loaded.sample(asked, seed=1), gan.sample(asked, seed=1), atol=1e-5)


def test_files_from_before_go_on_without():
    config = conditional_gan(embedding()).get_config()
    del config["standardize_conditions"]
    assert ktg.ConditionalGAN.from_config(config).condition_scale is None


@pytest.mark.parametrize(
    ("rows", "mean", "deviation"),
    [
        (np.array([[1.0, 5.0], [3.0, 5.0]]), [2.0, 5.0], [1.0, 1e-3]),
        (np.array([[0.6, 0.8], [0.6, 0.8]]), [0.0, 0.0], [0.5**0.5, 0.5**0.5]),
        (np.zeros((2, 2)), [0.0, 0.0], [1.0, 1.0]),
    ],
    ids=["a constant feature", "one condition", "nothing"],
)
def test_scales_by_hand(rows, mean, deviation):
    scale = ConditionScale(2)
    scale.adapt(rows)
    np.testing.assert_allclose(scale.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(scale.deviation, deviation, rtol=1e-6)


def test_rows_of_a_sorted_set_are_drawn_from_all_of_it():
    chosen = some_rows(np.repeat(np.arange(10), 1000))
    assert len(chosen) == 1024
    assert np.bincount(chosen).min() > 60
