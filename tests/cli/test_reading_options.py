"""`--check` and `--skip-broken`, and images as viewers show them, in the commands."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from keras_transgen.cli.application import app
from keras_transgen.cli.example_images import example_images
from keras_transgen.cli.image_input import side_of_data
from keras_transgen.cli.stylize import read_image
from keras_transgen.cli.translate_apply import _pixels
from keras_transgen.cli.tune_data import search_for_transfer


@pytest.fixture
def broken_folder(digit_folder, tmp_path):
    """The digits, with one file that is none, the first of all."""
    folder = shutil.copytree(digit_folder, tmp_path / "digits")
    (folder / "four" / "000.png").write_bytes(b"no image")
    return folder


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.mark.filterwarnings("ignore:.*leaves out 1 unreadable of 73")
def test_extract_leaves_out_what_is_broken(broken_folder, tmp_path):
    output = tmp_path / "features.npz"
    result = run("extract", "digits", broken_folder, output)
    assert "1 unreadable of 73" in str(result.exception)
    result = run("extract", "digits", broken_folder, output, "--skip-broken")
    assert result.exit_code == 0, result.output
    assert "72 images" in result.output
    with np.load(output) as arrays:
        assert len(arrays["features"]) == len(arrays["files"]) == 72
        assert np.bincount(arrays["labels"]).tolist() == [24, 24, 24]
        assert not any(file.endswith("000.png") for file in arrays["files"])
    result = run("extract", "digits", broken_folder, tmp_path / "out", "--ray", "--skip-broken")
    assert "leave out --check and --skip-broken" in str(result.exception)


@pytest.mark.filterwarnings("ignore:.*leaves out 1 unreadable of")
def test_evaluate_leaves_out_what_is_broken(broken_folder, digit_folder, tmp_path):
    arguments = ("evaluate", broken_folder, digit_folder / "four", "--output", tmp_path / "m.json")
    assert "1 unreadable of 73" in str(run(*arguments).exception)
    result = run(*arguments, "--skip-broken", "--check", "thorough")
    assert result.exit_code == 0, result.output
    assert 72 in json.loads((tmp_path / "m.json").read_text()).values()


@pytest.mark.filterwarnings("ignore:.*leaves out 1 unreadable of 73")
def test_searches_and_generation_leave_out_what_is_broken(broken_folder):
    _, data, names = search_for_transfer(
        str(broken_folder), ["digits"], {}, 16, 8, 0, skip_broken=True
    )
    assert names == ["four", "one", "zero"]
    count = sum(len(y) for part in (data["x"], data["validation_data"]) for _, y in part)
    assert count == 72
    images = (str(broken_folder), 16, "grayscale", True, (0.0, 1.0), 0)
    every, _ = example_images(*images, skip_broken=True)
    assert len(list(every)) == 72
    with pytest.raises(ValueError, match="1 unreadable of 73"):
        example_images(*images)


def test_the_size_is_that_of_the_first_readable_image_as_it_is_shown(tmp_path):
    (tmp_path / "0.png").write_bytes(b"no image")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (60, 40)).save(tmp_path / "1.jpg", exif=turned)
    assert side_of_data(tmp_path) == 40
    (tmp_path / "1.jpg").write_bytes(b"nor this")
    assert side_of_data(tmp_path) == 224


def test_applying_and_stylizing_read_as_training_does(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 8
    pixels = np.full((6, 4, 4), (200, 0, 0, 0), "uint8")
    pixels[:2, :, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=turned)
    expected = np.where(pixels[..., 3:] == 255, pixels[..., :3], 255)
    expected = np.rot90(expected)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", None), expected)
    colours, missing = _pixels(tmp_path / "a.png", 3)
    np.testing.assert_array_equal(colours, expected)
    np.testing.assert_array_equal(missing[..., 0], np.rot90(pixels[..., 3] == 0))
    grey, _ = _pixels(tmp_path / "a.png", 1)
    # 0.299 * 200
    assert sorted(set(grey.ravel().tolist())) == [60, 255]
    assert read_image(tmp_path / "a.png", 3).shape == (2, 3, 3)


def test_other_pairs_are_refused_and_stretched_on_demand(tmp_path):
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    for number in range(3):
        Image.new("RGB", (24, 16)).save(pairs / f"{number}.png")
    arguments = ("translate", "train", pairs, "--size", 8, "--output", tmp_path / "out")
    assert "two images side by side" in str(run(*arguments).exception)
    result = run(*arguments, "--any-shape", "--check", "all")
    assert "Invalid value for '--check'" in result.output
