"""The command against files: what it writes, and what it refuses."""

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from keras_transgen.cli.stylize import read_image, run_stylize
from keras_transgen.datasets import load_digits

app = typer.Typer()
app.command()(run_stylize)


@pytest.fixture
def files(tmp_path):
    """A digit in colour and stripes."""
    digit = np.round(load_digits()[0][0] * 255).astype("uint8").repeat(3, axis=-1)
    stripes = np.zeros((16, 24, 3), "uint8")
    stripes[::2] = 255
    paths = tmp_path / "digit.png", tmp_path / "stripes.png"
    for path, image in zip(paths, (digit, stripes)):
        Image.fromarray(image).save(path)
    return paths


def test_writes_a_picture_that_is_painted(files, tmp_path):
    output = tmp_path / "new" / "painted.png"
    arguments = [*map(str, files), "--output", str(output), "--steps", "8", "--size", "16"]
    layers = ["--content-layer", "block2_pool", "--style-layer", "block1_a_relu"]
    result = CliRunner().invoke(app, [*arguments, *layers, "--style-weight", "100"])
    assert result.exit_code == 0, result.output
    assert "16x16 pixels" in result.output
    made = np.asarray(Image.open(output))
    assert made.shape == (16, 16, 3)
    # More of the rows' changes from dark to bright than the content has.
    content = read_image(files[0], 16)
    changes = [
        np.abs(np.diff(image.mean(axis=(1, 2)).astype(float))).mean() for image in (content, made)
    ]
    assert changes[1] > changes[0]


def test_an_image_keeps_its_proportions(files):
    assert read_image(files[1], 12).shape == (8, 12, 3)
    assert read_image(files[1], None).shape == (16, 24, 3)


def test_what_is_no_picture_is_refused(files, tmp_path):
    text = tmp_path / "text.png"
    text.write_text("no image")
    with pytest.raises(ValueError, match=r"text\.png \(it is no BMP"):
        run_stylize(text, files[1], tmp_path / "out.png")
    with pytest.raises(FileNotFoundError, match=r"absent\.png"):
        run_stylize(tmp_path / "absent.png", files[1], tmp_path / "out.png")
    with pytest.raises(ValueError, match=r"name\.png.*out\.jpg"):
        run_stylize(*files, tmp_path / "out.jpg")
