"""The output of a command is not what it reads."""

import pytest
from typer.testing import CliRunner

from keras_transgen.cli.application import app
from keras_transgen.cli.kept_inputs import refuse_output_among_data

LINES = {
    "classify": "classify model.keras words.txt --output words.txt",
    "by another way": "classify model.keras words.txt --output ./folder/../words.txt",
    "by a link": "classify model.keras words.txt --output link.txt",
    "translate": "text translate model.keras words.txt --output words.txt",
    "evaluate": "evaluate folder other --output folder",
    "sample": "generate sample model.keras model.keras",
    "apply": "translate apply model.keras folder --output folder",
    "several": "transfer words.txt other --output other",
}


@pytest.mark.parametrize("line", LINES.values(), ids=list(LINES))
def test_what_is_read_is_not_written_over(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("folder", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text("here")
    for file in ("model.keras", "words.txt"):
        (tmp_path / file).write_text("here")
    (tmp_path / "link.txt").symlink_to("words.txt")
    result = CliRunner().invoke(app, line.split())
    assert result.exit_code == 1
    assert "What is read would be written over. Give another --output" in str(result.exception)
    assert all(path.read_text() == "here" for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "line",
    [
        "generate train folder --model flow --output folder/run",
        "generate train link --output ./folder/deep/run",
        "transfer digits folder --output folder/run",
        "translate train folder --output folder/run",
    ],
)
def test_nothing_is_written_among_what_is_read(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "folder" / "a.txt").write_text("here")
    result = CliRunner().invoke(app, line.split())
    assert result.exit_code == 1
    assert "would lie among the data that are read" in str(result.exception)
    assert [path.name for path in (tmp_path / "folder").rglob("*")] == ["a.txt"]


def test_names_that_are_no_folders_of_data_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("digits", "flow", "folder"):
        (tmp_path / folder).mkdir()
    refuse_output_among_data({"images": "digits", "output": "digits/run"})
    refuse_output_among_data({"images": "folder", "model": "flow", "output": "flow/run"})
    refuse_output_among_data({"images": "folder", "output": "folder2/run"})


def test_help_of_a_guarded_command_shows_its_options():
    said = CliRunner().invoke(app, ["classify", "--help"], env={"COLUMNS": "200"}).output
    assert "--output" in said
    assert "--skip-broken" in said
