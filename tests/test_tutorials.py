"""Every tutorial runs from top to bottom, cell by cell, and is stored without outputs."""

import json
from pathlib import Path

import pytest

TUTORIALS = sorted((Path(__file__).parents[1] / "tutorials").glob("*.ipynb"))


def code_cells(tutorial: Path) -> list[dict]:
    cells = json.loads(tutorial.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_there_are_tutorials():
    assert TUTORIALS


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_stored_without_outputs(tutorial):
    assert all(not cell["outputs"] for cell in code_cells(tutorial))


@pytest.mark.slow
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_runs(tutorial, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "__main__"}
    for number, cell in enumerate(code_cells(tutorial)):
        code = "".join(cell["source"])
        exec(compile(code, f"{tutorial.name}, code cell {number}", "exec"), names)
    if "scratch_accuracy" in names:
        assert names["accuracy"] > names["scratch_accuracy"]
