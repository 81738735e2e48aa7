"""What the command shows is its own: nothing of TensorFlow's, unless the user asks for it."""

import os
import subprocess
import sys

import pytest

from keras_transgen.cli import application
from keras_transgen.cli.quiet import _without_startup_lines

NOISE = (
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    b"I0000 00:00:1795821969.678820   12903 port.cc:153] oneDNN custom operations are on.\n"
    b"E0000 00:00:1795821974.200860   12903 cuda_platform.cc:52] failed call to cuInit\n"
    b"2024-01-01 10:00:00.123456: I tensorflow/core/util/port.cc:113] oneDNN\n"
)


def test_lines_of_start_up_are_left_out_and_others_are_not(capfd):
    with _without_startup_lines():
        os.write(2, NOISE + b"E0000 00:00:17 1 x.cc:1] the disk is full\n")
    said = capfd.readouterr().err
    assert said == "E0000 00:00:17 1 x.cc:1] the disk is full\n"


def test_lines_come_when_importing_fails(capfd):
    def fails():
        with _without_startup_lines():
            os.write(2, b"a reason\n")
            raise ImportError

    with pytest.raises(ImportError):
        fails()
    assert capfd.readouterr().err == "a reason\n"


@pytest.mark.long
def test_a_command_says_nothing_of_tensorflow(digit_folder, tmp_path):
    def run(level):
        environment = {key: value for key, value in os.environ.items() if "TF_CPP" not in key}
        return subprocess.run(
            [sys.executable, "-m", "keras_transgen.cli", "transfer", "digits", str(digit_folder),
             "--method", "bias", "--epochs", "1", "--learning-rate", "0.001", "--image-size", "8",
             "--output", str(tmp_path)],
            env={**environment, **level},
            capture_output=True,
            text=True,
            check=True,
        )  # fmt: skip

    quiet = run({})
    assert quiet.stderr == ""
    for word in ("Unknown", "retracing", "shuffle=True"):
        assert word not in quiet.stdout
    assert "port.cc" in run({"TF_CPP_MIN_LOG_LEVEL": "0"}).stderr


def test_a_warning_is_a_sentence(monkeypatch, capsys):
    import warnings

    def warns():
        warnings.warn("Too dark. Give learning_rate a number. \x1b[2J", stacklevel=2)

    monkeypatch.setattr(application, "app", warns)
    monkeypatch.setenv("COLUMNS", "200")
    before = warnings.showwarning
    application.main()
    assert warnings.showwarning is before
    assert capsys.readouterr().err == (
        "Warning Too dark. Give --learning-rate a number. \\x1b[2J\n"
    )
