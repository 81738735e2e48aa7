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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 2])
def test_an_encoder_moves_by_as_much_less_as_its_outputs_are_scaled_up(steps, monkeypatch):
    conditions, moves, sampled = LABELS[:, None], [], []
    for share in (None, 1.0):
        keras.utils.set_random_seed(0)
        gan = conditional_gan(embedding(), ema_decay=0.9)
        if share is not None:
            monkeypatch.setattr(ConditionScale, "share", lambda self: 1.0)
        gan.compile(keras.optimizers.SGD(1e-2), jit_compile=False, steps_per_execution=steps)
        before = gan.condition_encoder.get_weights()[0]
        gan.fit(IMAGES, conditions, batch_size=32, shuffle=False, verbose=0)
        moves.append(gan.condition_encoder.get_weights()[0] - before)
        averages = [np.asarray(each) for each in gan.average.averages]
        sampled.append(gan.sample(conditions[:3], seed=0))
        for old, average in zip(averages, gan.average.averages):
            np.testing.assert_array_equal(old, np.asarray(average))
    # Of a uniform table, and much less than one.
    expected = np.sqrt(np.mean(np.square(embedding().get_weights()[0].std(axis=0))))
    assert 0.0 < expected < 0.05
    np.testing.assert_allclose(moves[0], expected * moves[1], rtol=1e-3, atol=1e-9)
    assert np.abs(moves[1]).max() > 1e-5


@pytest.mark.slow
def test_the_map_of_many_features_moves_by_the_root_of_their_number_less(monkeypatch):
    """Unslowed, an embedding of many features grows until the noise is not heard."""
    moves = []
    for slowed in (True, False):
        keras.utils.set_random_seed(0)
        gan = conditional_gan(embedding())
        if not slowed:
            monkeypatch.setattr(ktg.ConditionalGAN, "_slowed", lambda self: [])
        gan.compile(keras.optimizers.SGD(1e-2), jit_compile=False)
        before = gan.generator_embedding.table.numpy()
        gan.fit(IMAGES, LABELS[:, None], batch_size=32, shuffle=False, verbose=0)
        moves.append(gan.generator_embedding.table.numpy() - before)
    assert np.abs(moves[1]).max() > 1e-5
    np.testing.assert_allclose(moves[0], moves[1] / 6**0.5, rtol=1e-3, atol=1e-8)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["embedding", "lstm", "frozen lstm"])
def test_samples_are_of_the_class_whose_condition_an_encoder_gave(kind):
    images, labels = ktg.datasets.load_digits()
    judge = ktg.FeatureTransfer("digits", 10)
    judge.fit(images, labels, verbose=0)
    keras.utils.set_random_seed(0)
    layers = keras.layers
    # A sentence of six words for each digit.
    words = np.random.default_rng(1).integers(1, 20, (10, 6))
    if kind == "embedding":
        words = np.arange(10)[:, None]
        made = [layers.Embedding(10, 64), layers.Flatten()]
    else:
        made = [layers.Embedding(20, 32), layers.LSTM(32)]
    encoder = keras.Sequential([keras.Input((words.shape[1],), dtype="int64"), *made])
    encoder.trainable = kind != "frozen lstm"
    gan = ktg.ConditionalGAN(
        image_shape=(8, 8, 1), value_range=(0.0, 1.0), condition_encoder=encoder,
        condition_shape=(words.shape[1],), filters=16, seed=0,
    )  # fmt: skip
    gan.fit(images, words[labels], epochs=30, batch_size=64, verbose=0)
    asked = np.repeat(np.arange(10), 20)
    found = judge.classify(gan.sample(words[asked], seed=0), verbose=0)
    # Labels reach 1.00 in as many steps.
    assert (found == asked).mean() >= 0.98
