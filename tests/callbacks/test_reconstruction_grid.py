"""Images above, reconstructions below."""

import numpy as np
import pytest
from PIL import Image

from keras_transgen.callbacks.reconstruction_grid import ReconstructionGrid
from tests.callbacks.latent_model import Traversable
from tests.callbacks.samplers import Sampler, images


def test_images_above_and_reconstructions_below(tmp_path):
    """White images whose reconstructions are black."""
    white = np.full((4, 8, 8, 1), 255, "uint8")
    Traversable().run([ReconstructionGrid(white, tmp_path)])
    picture = np.asarray(Image.open(tmp_path / "epoch_0001.png").convert("L")).astype(float)
    above, below = np.array_split(picture, 2, axis=0)
    assert above.mean() - below.mean() > 60


def test_both_rows_are_the_models(tmp_path):
    model = Traversable()
    callback = ReconstructionGrid(np.full((2, 8, 8, 1), 0.25), tmp_path)
    callback.set_model(model)
    rows = callback.images()
    assert rows.shape == (2, 2, 8, 8, 1)
    np.testing.assert_allclose(rows[0], 0.25)
    np.testing.assert_allclose(rows[1], 0.75)


def test_what_is_no_batch_of_images(tmp_path):
    with pytest.raises(ValueError, match=r"shape \(8, 8, 1\)"):
        ReconstructionGrid(np.zeros((8, 8, 1)), tmp_path)


def test_a_model_that_cannot_reconstruct(tmp_path):
    with pytest.raises(ValueError, match="Sampler without reconstruct"):
        Sampler(images).run([ReconstructionGrid(np.zeros((2, 8, 8, 1)), tmp_path)])
