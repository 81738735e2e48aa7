"""What `extract --ray` refuses; what it writes is tested in tests/distributed."""

import sys

import pytest
from typer.testing import CliRunner

from keras_transgen.cli.application import app


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["out.npz", "--workers", "2"], "--workers is an option of --ray"),
        (["out.npz", "--ray"], "the output is a folder of Parquet files. Received: out.npz"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(arguments, message, tmp_path):
    result = CliRunner().invoke(app, ["extract", "digits", str(tmp_path), *arguments])
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)


def test_without_ray_the_command_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    result = CliRunner().invoke(app, ["extract", "digits", str(tmp_path), "out", "--ray"])
    assert isinstance(result.exception, ImportError)
    assert "pip install 'keras-transgen[ray]'" in str(result.exception)
