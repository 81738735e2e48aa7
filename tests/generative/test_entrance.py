"""Lists, series and names at the methods of generative models, against arrays and numbers."""

import keras
import numpy as np
import pandas as pd
import pytest

import keras_transgen as ktg

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(size=(12, 8, 8, 1)).astype("float32")
LABELS = np.arange(12) % 3
NAMES = ("ant", "bee", "crow")
WORDS = np.array(NAMES)[LABELS]


def conditional(**options):
    keras.utils.set_random_seed(0)
    return ktg.ConditionalGAN(
        image_shape=(8, 8, 1), filters=4, latent_dim=4, value_range=(0.0, 1.0), seed=0, **options
    )


@pytest.mark.slow
def test_a_vae_takes_lists_at_every_method():
    vae = ktg.VAE((8, 8, 1), 2, seed=0)
    vae.fit(list(IMAGES), validation_data=IMAGES.tolist(), verbose=0)
    rows = IMAGES[:4].tolist()
    np.testing.assert_allclose(vae.encode(rows).mean(), vae.encode(IMAGES[:4]).mean(), rtol=1e-5)
    np.testing.assert_allclose(vae.reconstruct(rows), vae.reconstruct(IMAGES[:4]), rtol=1e-5)
    np.testing.assert_allclose(
        vae.log_likelihood(rows, num_samples=5), vae.log_likelihood(IMAGES[:4], num_samples=5),
        rtol=1e-5,
    )  # fmt: skip
    np.testing.assert_allclose(
        vae.evaluate(list(IMAGES), verbose=0), vae.evaluate(IMAGES, verbose=0), rtol=1e-5
    )


def test_a_gan_judges_lists():
    gan = ktg.GAN((8, 8, 1), filters=4, latent_dim=4, value_range=(0.0, 1.0), seed=0)
    np.testing.assert_allclose(gan.discriminate(list(IMAGES)), gan.discriminate(IMAGES), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "labels",
    [WORDS, WORDS.tolist(), pd.Series(WORDS), pd.Series(WORDS).astype("category")],
    ids=["array", "list", "series", "categories"],
)
def test_names_are_the_numbers_of_their_classes(labels, tmp_path):
    cgan = conditional(num_classes=3)
    cgan.fit(IMAGES, labels, verbose=0)
    assert cgan.class_names == NAMES
    by_number = conditional(num_classes=3)
    by_number.fit(IMAGES, LABELS, verbose=0)
    np.testing.assert_allclose(
        cgan.sample(["bee", "crow"], seed=1), by_number.sample([1, 2], seed=1), rtol=1e-4, atol=1e-5
    )
    judged = cgan.discriminate(list(IMAGES), list(labels))
    np.testing.assert_allclose(judged, cgan.discriminate(IMAGES, LABELS), rtol=1e-5)
    cgan.save(tmp_path / "c.keras")
    loaded = ktg.load_model(tmp_path / "c.keras")
    np.testing.assert_array_equal(loaded.sample(["ant"], seed=1), cgan.sample([0], seed=1))


@pytest.mark.slow
def test_one_hot_conditions_are_classes():
    rows = conditional(num_classes=3)
    rows.fit(IMAGES, np.eye(3)[LABELS], verbose=0)
    numbers = conditional(num_classes=3)
    numbers.fit(IMAGES, LABELS, verbose=0)
    np.testing.assert_allclose(
        rows.sample(np.eye(3), seed=1), numbers.sample([0, 1, 2], seed=1), rtol=1e-4, atol=1e-5
    )


def test_unknown_names_are_refused():
    cgan = conditional(class_names=NAMES)
    assert cgan.num_classes == 3
    with pytest.raises(ValueError, match="1 other name: 'dog'"):
        cgan.sample(["ant", "dog"])
    with pytest.raises(ValueError, match="does not know the names"):
        conditional(num_classes=3).sample(["ant"])


@pytest.mark.slow
def test_one_name_and_data_sets_say_what_to_do():
    import tensorflow as tf

    with pytest.raises(ValueError, match=r"a list, one for each sample: \['ant'\]"):
        conditional(class_names=NAMES).sample("ant")
    with pytest.raises(ValueError, match="data sets and generators go to fit and evaluate"):
        ktg.VAE((8, 8, 1), 2).encode(tf.data.Dataset.from_tensor_slices(IMAGES).batch(4))
