"""`keras-transgen translate`: real files in, a model, figures and PNG files out."""

import json

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from keras_transgen.cli.application import app

RNG = np.random.default_rng(0)


def images(folder, width, count=5):
    folder.mkdir()
    for number in range(count):
        pixels = RNG.integers(0, 255, (16, width, 3))
        keras.utils.array_to_img(pixels, scale=False).save(folder / f"{number}.png")
    return folder


def run(*arguments):
    return CliRunner().invoke(app, ["translate", *map(str, arguments)], catch_exceptions=False)


def read(path):
    return keras.utils.img_to_array(keras.utils.load_img(path))


@pytest.mark.slow
def test_enhances_a_folder(tmp_path):
    folder = images(tmp_path / "clean", 16)
    output = tmp_path / "out"
    options = ("--size", 16, "--epochs", 1, "--filters", 4, "--batch-size", 2)
    result = run("train", folder, "--model", "enhance", *options, "--output", output)
    assert result.exit_code == 0, result.output
    report = json.loads((output / "report.json").read_text())
    assert report["images"] == 4
    assert report["after"]["psnr"] > 5.0
    assert {path.name for path in output.iterdir()} == {
        "model.keras",
        "report.json",
        "translations.png",
        "learning_curves.png",
    }
    result = run("apply", output / "model.keras", folder, "--output", tmp_path / "large")
    assert result.exit_code == 0, result.output
    assert read(tmp_path / "large" / "0.png").shape == (32, 32, 3)


@pytest.mark.slow
def test_pairs_in_one_file_each(tmp_path):
    folder = images(tmp_path / "pairs", 32)
    output = tmp_path / "out"
    options = ("--size", 16, "--epochs", 1, "--filters", 2, "--batch-size", 2)
    result = run("train", folder, *options, "--output", output)
    assert result.exit_code == 0, result.output
    assert (output / "translations.png").exists()
    singles = images(tmp_path / "singles", 16, 2)
    applied = (output / "model.keras", singles, "--output", tmp_path / "made", "--seed", 0)
    assert run("apply", *applied).exit_code == 0
    assert read(tmp_path / "made" / "1.png").shape == (16, 16, 3)


def test_what_does_not_fit_together_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Only cyclegan takes two folders"):
        run("train", tmp_path, tmp_path)
    with pytest.raises(ValueError, match="no measure of a CycleGAN"):
        run("train", tmp_path, "--model", "cyclegan", "--validation", tmp_path)
