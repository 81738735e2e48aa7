"""A file computes in the precision it was trained in, whatever Keras' policy is today."""

import keras
import numpy as np
import pytest

import keras_transgen as ktg

UNIT = np.random.default_rng(0).uniform(size=(8, 8, 8, 1)).astype("float32")
MODELS = {
    "gan": lambda: ktg.GAN((8, 8, 1), 4, filters=2, value_range=(0.0, 1.0), seed=0),
    "conditional": lambda: ktg.ConditionalGAN(
        3, (8, 8, 1), latent_dim=4, filters=2, value_range=(0.0, 1.0), seed=0
    ),
    "pix2pix": lambda: ktg.Pix2Pix((8, 8, 1), filters=2, value_range=(0.0, 1.0), seed=0),
    "vae": lambda: ktg.VAE((8, 8, 1), 2, seed=0),
    "transfer": lambda: ktg.TransferModel("digits", 3, seed=0),
}


def outputs(name, model):
    if name in ("gan", "conditional"):
        return np.asarray(model.sample(3 if name == "gan" else np.arange(3), seed=0))
    return np.asarray(model.predict(UNIT, verbose=0))


@pytest.mark.parametrize(
    "policies",
    [
        ("mixed_bfloat16", "float32"),
        pytest.param(("float32", "mixed_float16"), marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("name", MODELS)
def test_the_policy_goes_with_the_file(name, policies, tmp_path):
    keras.config.set_dtype_policy(policies[0])
    model = MODELS[name]()
    expected = outputs(name, model)
    model.save(tmp_path / "m.keras")
    keras.config.set_dtype_policy(policies[1])
    loaded = ktg.load_model(tmp_path / "m.keras")
    assert keras.config.dtype_policy().name == policies[1]
    assert loaded.dtype_policy.name == policies[0]
    np.testing.assert_array_equal(outputs(name, loaded), expected)
