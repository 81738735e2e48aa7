"""What is no data is refused in words, and not printed."""

import numpy as np
import pytest

import keras_transgen as ktg

UNIT = np.random.default_rng(0).uniform(size=(8, 8, 8, 1)).astype("float32")
MODELS = {
    "transfer": lambda: ktg.TransferModel("digits", 3),
    "vae": lambda: ktg.VAE((8, 8, 1), 2),
    "gan": lambda: ktg.GAN((8, 8, 1), 2, filters=2, value_range=(0.0, 1.0)),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (None, "There are no data"),
        ([*UNIT.tolist(), "a word"], "an array in row 0, words in row 8"),
        ([], "data are empty"),
        ("folder", "of type str"),
        ({"image": 3}, "1 values of type int"),
    ],
)
def test_no_data(name, x, message):
    model = MODELS[name]()
    for method in ("fit", "evaluate", "predict"):
        with pytest.raises(ValueError, match=message) as refused:
            getattr(model, method)(x, verbose=0)
        assert len(str(refused.value)) < 300


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, True, "8"])
def test_a_batch_of_none(batch_size):
    model = MODELS["vae"]()
    for method in ("fit", "evaluate", "predict"):
        with pytest.raises(ValueError, match="batch_size must be a whole number"):
            getattr(model, method)(UNIT, batch_size=batch_size, verbose=0)


def test_a_list_of_examples_is_an_array():
    gan = MODELS["gan"]()
    gan.fit(list(UNIT), verbose=0)
    np.testing.assert_allclose(gan.discriminate(list(UNIT)), gan.discriminate(UNIT), rtol=1e-5)


@pytest.mark.parametrize("seed", ["a", 1.5, True])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(ValueError, match="whole number or None"):
        MODELS["gan"]().sample(2, seed=seed)


@pytest.mark.parametrize("epochs", [1.5, "2", True, -1])
def test_epochs_are_a_whole_number(epochs):
    with pytest.raises(ValueError, match="epochs must be a whole number"):
        MODELS["vae"]().fit(UNIT, epochs=epochs, verbose=0)


def test_an_example_has_one_weight():
    with pytest.raises(ValueError, match="Each example has one weight"):
        MODELS["transfer"]().fit(UNIT, np.arange(8) % 3, sample_weight=np.ones((8, 3)), verbose=0)
