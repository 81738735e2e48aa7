"""Traversals start where they are told and show the units asked for."""

import numpy as np
import pytest
from PIL import Image

from keras_transgen.callbacks.latent_traversal import LatentTraversal
from tests.callbacks.latent_model import Traversable
from tests.callbacks.samplers import Sampler, images


def test_from_an_image(tmp_path):
    model = Traversable()
    image = np.full((8, 8, 1), 0.5)
    model.run([LatentTraversal(image, tmp_path, dims=[2, 0], values=[0.0, 1.0])], epochs=2)
    (x, dims, values, z), _ = model.calls
    assert x.shape == (1, 8, 8, 1)
    assert (dims, values, z) == ([2, 0], [0.0, 1.0], None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch_0001.png", "epoch_0002.png"]


def test_from_zero_and_at_most_ten_units(tmp_path):
    model = Traversable(latent_dim=12)
    model.run([LatentTraversal(folder=tmp_path)])
    ((x, dims, values, z),) = model.calls
    assert x is None
    np.testing.assert_array_equal(z, np.zeros((1, 12)))
    assert dims == list(range(10))
    assert values == [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]


def test_the_picture_goes_from_dark_to_light(tmp_path):
    Traversable().run([LatentTraversal(folder=tmp_path, values=[0.0, 1.0])])
    picture = np.asarray(Image.open(tmp_path / "epoch_0001.png").convert("L")).astype(float)
    left, right = np.array_split(picture, 2, axis=1)
    assert right.mean() - left.mean() > 50


def test_a_model_without_latent_units(tmp_path):
    with pytest.raises(ValueError, match="Sampler without traverse"):
        Sampler(images).run([LatentTraversal(folder=tmp_path)])
