"""What a network does last must fit what its outputs are for, whoever computes it."""

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.training.loading import files_load

L = keras.layers


def ended(units, shape, end, inputs=4):
    """A dense network that ends in an activation, one of four ways to write it."""
    written, activation = end
    image = keras.Input((inputs,) if isinstance(inputs, int) else inputs)
    x = L.Flatten()(image) if len(image.shape) > 2 else image
    if written == "argument":
        x = L.Dense(units, activation=activation)(x)
    elif written == "layer":
        x = L.Activation(activation)(L.Dense(units)(x))
    elif written == "ops":
        x = getattr(keras.ops, activation)(L.Dense(units)(x))
    else:
        x = keras.Sequential([keras.Input(x.shape[1:]), L.Dense(units, activation=activation)])(x)
    return keras.Model(image, L.Reshape(shape)(x))


WAYS = ["argument", "layer", "ops", "nested"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("activation", ["sigmoid", "softmax", "tanh", "relu"])
@pytest.mark.parametrize("likelihood", ["bernoulli"])
def test_a_decoder_of_logits(way, activation, likelihood):
    decoder = ended(16, (4, 4, 1), (way, activation))
    with pytest.raises(ValueError, match=f"a decoder that ends in {activation}"):
        ktg.VAE((4, 4, 1), 4, likelihood, decoder=decoder, encoder=L.Flatten())


def test_a_decoder_of_means_may_end_as_it_likes():
    decoder = ended(16, (4, 4, 1), ("argument", "sigmoid"))
    vae = ktg.VAE((4, 4, 1), 4, "gaussian", decoder=decoder, encoder=L.Flatten())
    assert np.asarray(vae.sample(3, seed=0)).min() > 0.0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("activation", "value_range"),
    [("sigmoid", (-1.0, 1.0)), ("tanh", (0.0, 1.0)), ("relu", (-1.0, 1.0)), ("tanh", (0.0, 255.0))],
)
def test_a_generator_of_another_range(way, activation, value_range):
    generator = ended(16, (4, 4, 1), (way, activation))
    discriminator = ended(1, (1,), ("argument", None), (4, 4, 1))
    with pytest.raises(ValueError, match=f"a generator that ends in {activation}"):
        ktg.GAN(generator=generator, discriminator=discriminator, value_range=value_range)


@pytest.mark.parametrize(
    ("activation", "value_range"),
    [
        ("sigmoid", (0.0, 1.0)), ("tanh", (-1.0, 1.0)), ("relu", (0.0, 1.0)), ("tanh", None),
        ("softmax", (0.0, 1.0)), (None, (-1.0, 1.0)),
    ],
)  # fmt: skip
def test_generators_that_fit(activation, value_range):
    generator = ended(16, (4, 4, 1), ("argument", activation))
    discriminator = ended(1, (1,), ("argument", None), (4, 4, 1))
    ktg.GAN(generator=generator, discriminator=discriminator, value_range=value_range)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("model", ["gan", "pix2pix"])
def test_a_discriminator_of_probabilities(way, activation, model):
    discriminator = ended(1, (1,), (way, activation), (8, 8, 1))
    given = {"filters": 2, "discriminator": discriminator}
    with pytest.raises(ValueError, match=f"a discriminator that ends in {activation}"):
        (ktg.GAN if model == "gan" else ktg.Pix2Pix)((8, 8, 1), **given)


def test_a_file_of_an_earlier_version_loads_and_is_told_of(tmp_path):
    generator = keras.Sequential([keras.Input((4,)), keras.layers.Dense(6, "tanh")])
    discriminator = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1, "sigmoid")])
    parts = {"generator": generator, "discriminator": discriminator}
    with pytest.raises(ValueError, match="discriminator must give logits"):
        ktg.GAN((6,), 4, **parts)
    with files_load(), pytest.warns(UserWarning, match="discriminator must give logits"):
        old = ktg.GAN((6,), 4, seed=0, **parts)
    old.save(tmp_path / "old.keras")
    with pytest.warns(UserWarning, match="discriminator must give logits"):
        loaded = ktg.load_model(tmp_path / "old.keras")
    np.testing.assert_allclose(loaded.sample(3, seed=1), old.sample(3, seed=1), atol=1e-6)


def test_networks_of_other_sizes_are_named_with_the_reason():
    encoder = keras.Sequential([keras.Input((8, 8, 1)), L.Flatten(), L.Dense(4)])
    decoder = keras.Sequential([keras.Input((3,)), L.Dense(16), L.Reshape((4, 4, 1))])
    with pytest.raises(
        ValueError, match=r"The encoder must take inputs of shape \[\(None, 4, 4, 1"
    ):
        ktg.VAE((4, 4, 1), 2, encoder=encoder)
    with pytest.raises(ValueError, match=r"The decoder must take.*\(None, 2\)") as refused:
        ktg.VAE((4, 4, 1), 2, decoder=decoder)
    assert "\x1b" not in str(refused.value)
    assert "Exception encountered" not in str(refused.value)
