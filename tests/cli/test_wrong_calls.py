"""What a stranger gets wrong on the command line is told in words, before any work is done."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_transgen.cli import application
from keras_transgen.cli.application import main
from keras_transgen.cli.options import refuse_output


@pytest.fixture
def place(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for folder in ("ok/a", "ok/b", "few"):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(3 if folder == "few" else 12):
            pixels = rng.integers(0, 255, (16, 16), dtype="uint8")
            Image.fromarray(pixels).save(tmp_path / folder / f"{number}.png")
    for name in "ab":
        (tmp_path / "text" / name).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "text" / name / f"{number}.png").write_text("no picture")
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    return tmp_path


def told(arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["keras-transgen", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    errors = capsys.readouterr().err
    assert ended.value.code in (1, 2)
    assert "Traceback" not in errors
    return errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("extract digits text out.npz", "can be read as images"),
        ("transfer digits text", "can be read as images"),
        ("extract digits ok file/out.npz", "output cannot lie below a file"),
        ("transfer digits ok --output file", "--output must be a folder"),
        ("transfer digits ok --output file/deeper", "--output cannot lie below a file"),
        ("generate train ok --output file", "--output must be a folder"),
        ("translate train ok --model enhance --output file", "--output must be a folder"),
        ("tune ok --output file", "--output must be a folder"),
        ("demo --output file/x", "--output cannot lie below a file"),
        ("evaluate ok ok --output folder", "--output must be a file"),
        ("stylize ok/a/0.png ok/a/1.png --backbone digits --output file/x.png", "below a file"),
        ("evaluate ok few", "must hold 6 at least. Received: 3 in few"),
        ("transfer digits ok --seed -1", "--seed"),
        ("translate train ok", "two images side by side.*16 x 16 pixels"),
        ("tune ok --task vae --size 8", "--batch-size 32, 21 of 24 images"),
    ],
)
def test_a_wrong_call(place, arguments, message, monkeypatch, capsys):
    before = sorted(place.rglob("*"))
    errors = told(arguments, monkeypatch, capsys)
    assert tf.strings.regex_full_match(errors.replace("\n", " "), f".*{message}.*"), errors
    assert sorted(place.rglob("*")) == before, "nothing was written"


def test_a_file_of_another_kind_of_model(place, monkeypatch, capsys):
    import keras_transgen as ktg

    ktg.TransferModel("digits", 3).save(place / "classifier.keras")
    for arguments in ("evaluate ok classifier.keras", "generate sample classifier.keras s.png"):
        assert "holds no generative model" in told(arguments, monkeypatch, capsys)
    assert "from images to images" in told(
        "translate apply classifier.keras ok", monkeypatch, capsys
    )


def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(ValueError, match="may not be changed by you"):
        refuse_output(tmp_path / "new" / "deeper")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "not enough memory"),
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"), "not enough memory"),
        (PermissionError(13, "Permission denied", "/root/x"), "Permission denied: /root/x"),
        (ValueError("as it is"), "as it is"),
    ],
)
def test_the_systems_errors_in_words(error, words):
    assert words in application._in_words(error)
