"""Every tutorial runs from top to bottom in a kernel of its own, and finds what its text says."""

import json
from pathlib import Path

import nbformat
import pytest

from tutorials.execute import cleaned, execute

FOLDER = Path(__file__).parents[1] / "tutorials"
TUTORIALS = sorted(FOLDER.glob("*.ipynb"), key=lambda path: int(path.stem.split("_")[0]))

# What each tutorial teaches, in its own `results`; bounds leave room for other machines' rounding.
CLAIMS = {
    "1_quickstart": [
        "accuracy > 0.95",
        "accuracy > scratch_accuracy",
        "confidence_in_samples > confidence_in_noise + 0.2",
    ],
}


def with_id(path: Path) -> str:
    return path.stem


def test_ten_tutorials_each_with_a_claim():
    assert [int(path.stem.split("_")[0]) for path in TUTORIALS] == list(range(1, 11))
    assert {path.stem for path in TUTORIALS} == set(CLAIMS)


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=with_id)
def test_is_stored_without_outputs_in_one_format(tutorial):
    assert tutorial.read_text() == cleaned(tutorial), (
        f"run: python tutorials/execute.py --clean {tutorial.relative_to(FOLDER.parent)}"
    )


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=with_id)
def test_has_the_parts_of_a_tutorial(tutorial):
    cells = nbformat.read(tutorial, as_version=4).cells
    installing = [cell for cell in cells if "%pip install" in cell.source]
    assert len(installing) == 1
    assert installing[0] is next(cell for cell in cells if cell.cell_type == "code")
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith(f"# {tutorial.stem.split('_')[0]} · ")
    assert cells[-1].source.startswith("## What to try next")
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert "$$" in text, "the mathematics"
    assert "et al." in text or "20" in text, "its paper"


@pytest.mark.slow
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=with_id)
def test_runs_and_finds_what_it_says(tutorial, tmp_path):
    done = execute(tutorial, tmp_path)
    assert done.pictures, "no picture was shown"
    for claim in CLAIMS[tutorial.stem]:
        assert eval(claim, {}, done.results), (claim, done.results)


def test_an_error_cell_fails(tmp_path):
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("1 / 0"), nbformat.v4.new_code_cell("results = {}")]
    )
    nbformat.write(notebook, tmp_path / "broken.ipynb")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute(tmp_path / "broken.ipynb", tmp_path)


def test_results_and_pictures_come_back(tmp_path):
    plot = "%matplotlib inline\nfrom matplotlib.figure import Figure\nFigure()"
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(plot),
            nbformat.v4.new_code_cell('results = {"half": 0.5}'),
        ]
    )
    nbformat.write(notebook, tmp_path / "two_cells.ipynb")
    done = execute(tmp_path / "two_cells.ipynb", tmp_path)
    assert json.dumps(done.results) == '{"half": 0.5}'
    assert done.pictures == 1
