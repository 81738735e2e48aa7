"""Files of models that are written whole."""

import os

import numpy as np

import keras_transgen as ktg


def test_weights_in_parts_are_all_there(tmp_path):
    model = ktg.VAE((4,), latent_dim=2)
    file = tmp_path / "new" / "vae.weights.json"
    for _ in range(2):
        model.save_weights(file, max_shard_size=1e-3)
    names = os.listdir(file.parent)
    assert file.name in names
    assert len(names) > 2
    assert all(name.startswith("vae") for name in names)
    other = ktg.VAE((4,), latent_dim=2)
    other.load_weights(file)
    for weight, expected in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(weight, expected)
