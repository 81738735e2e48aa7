"""Folders of real handwriting by class, as a user would have them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_transgen.datasets import load_digits


@pytest.fixture(scope="session")
def digit_folder(tmp_path_factory) -> Path:
    """24 images each of the digits 0, 1 and 4, one folder a digit."""
    folder = tmp_path_factory.mktemp("digits")
    images, labels = load_digits()
    for digit, name in ((0, "zero"), (1, "one"), (4, "four")):
        (folder / name).mkdir()
        for number, image in enumerate(images[labels == digit][:24]):
            pixels = np.round(image[..., 0] * 255).astype("uint8")
            Image.fromarray(pixels).save(folder / name / f"{number:02}.png")
    return folder
