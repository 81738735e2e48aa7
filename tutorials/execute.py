"""Run tutorials as a reader would, a fresh kernel each: what failed, how long, what they found.

    python tutorials/execute.py tutorials/5_vae.ipynb
    python tutorials/execute.py --store tutorials/5_vae.ipynb
    python tutorials/execute.py --clean tutorials/*.ipynb

A tutorial ends with a dictionary `results` of the numbers that its text speaks of. The second form
stores in the notebook what the run has shown, and in docs/images/tutorials those of its pictures
that a page of docs/ shows. The third runs nothing and rewrites the files as they belong into git:
in one format, with the outputs of the code that they hold, and without those of older code.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # As a script, this file sees its own folder only.

from tutorials import stored_outputs  # noqa: E402

CELL_TIMEOUT = 600
PICTURES = ROOT / "docs" / "images" / "tutorials"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

# The first code cell of every tutorial. A running kernel sees a plain installation; an editable one
# it would see after a restart. No index is asked as long as the name there may be anybody's.
INSTALL = """\
%matplotlib inline
import importlib.util
from pathlib import Path

if importlib.util.find_spec("keras_transgen") is None:
    # From the clone that this notebook lies in; elsewhere, as in Colab, from the wheel that
    # `make dist` writes to dist/: upload it. The package is in no index yet.
    source = ".." if Path("../keras_transgen").is_dir() else "keras_transgen-*.whl"
    %pip install -q {source}"""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class TutorialError(RuntimeError):
    """A cell of a tutorial failed."""


@dataclasses.dataclass(frozen=True)
class Execution:
    """What came of a run from top to bottom.

    Attributes:
        results: The tutorial's dictionary `results`.
        pictures: Number of pictures shown.
        seconds: From the start of the kernel to the end of the last cell.
        cell_seconds: Seconds of each code cell.
    """

    results: dict[str, Any]
    pictures: int
    seconds: float
    cell_seconds: list[float]


def execute(tutorial: Path, folder: Path) -> Execution:
    """Run every cell of a tutorial in a new kernel.

    Args:
        tutorial: The notebook.
        folder: Where it runs and leaves its files, among them the notebook with its outputs, as far
            as it came: `NAME.executed.ipynb`.

    Returns:
        What came of it.

    Raises:
        TutorialError: A cell failed; the message shows it.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.read(tutorial, as_version=4)
    notebook.cells.append(
        nbformat.v4.new_code_cell("import json as _json\n\nprint(_json.dumps(results))")
    )
    # The kernel chooses its own backend and XLA its own way, as they do for a reader.
    given = {"MPLBACKEND", "XLA_FLAGS"}
    environment = {key: value for key, value in os.environ.items() if key not in given}
    # What it unpacks goes with its folder.
    environment["KERAS_TRANSGEN_HOME"] = str(folder / "keras_transgen_home")
    environment["TFHUB_CACHE_DIR"] = str(folder / "tfhub_cache")
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    started = time.monotonic()
    try:
        client.execute(env=environment)
    except CellExecutionError as error:
        raise TutorialError(f"{tutorial.name}: {_COLOURS.sub('', str(error))}") from None
    finally:
        nbformat.write(notebook, folder / f"{tutorial.stem}.executed.ipynb")
    seconds = time.monotonic() - started
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [output for cell in code for output in cell.outputs]
    return Execution(
        results=json.loads(code[-1].outputs[-1].text),
        pictures=sum("image/png" in output.get("data", {}) for output in shown),
        seconds=seconds,
        cell_seconds=[_seconds(cell) for cell in code[:-1]],
    )


def store(tutorial: Path, folder: Path) -> None:
    """Keep in a notebook what its run has shown, and for docs/ the pictures that a page shows.

    Args:
        tutorial: The notebook, which is rewritten.
        folder: Where it was executed.

    Raises:
        tutorials.stored_outputs.StoredOutputsError: What was shown is too large for git, or tells
            of this machine.
        TutorialError: A page shows a picture that the notebook does not have.
    """
    notebook = nbformat.read(tutorial, as_version=4)
    executed = nbformat.read(folder / f"{tutorial.stem}.executed.ipynb", as_version=4)
    stored_outputs.store(notebook, executed, folder)
    wanted = pictures_of_pages(tutorial.stem)
    found = {each.name(tutorial.stem): each.data for each in stored_outputs.pictures(notebook)}
    for name in wanted & set(found):
        (PICTURES / name).write_bytes(found[name])
    tutorial.write_text(as_text(notebook))
    if missing := sorted(wanted - set(found)):
        raise TutorialError(
            f"pages of docs/ show {', '.join(missing)}; {tutorial.name} has {sorted(found)}"
        )


def pictures_of_pages(stem: str) -> set[str]:
    """The names of a tutorial's pictures that pages of docs/ show.

    Args:
        stem: What the notebook is called.
    """
    pages = (page.read_text() for page in (ROOT / "docs").rglob("*.md"))
    shown = re.findall(r"images/tutorials/([\w.-]+)\)", "\n".join(pages))
    return {name for name in shown if name.startswith(f"{stem}-")}


def _seconds(cell: nbformat.NotebookNode) -> float:
    from datetime import datetime

    times = cell.metadata.get("execution", {})
    ends = [times.get(name) for name in ("iopub.status.busy", "iopub.status.idle")]
    if None in ends:
        return float("nan")
    start, end = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in ends)
    return (end - start).total_seconds()


def cleaned(tutorial: Path) -> str:
    """The text of a notebook as it belongs into git.

    Args:
        tutorial: The notebook.

    Returns:
        JSON with the outputs that were stored for this code and no others, keys sorted, indented by
        one, with the one cell that installs the package.
    """
    return as_text(nbformat.read(tutorial, as_version=4))


def as_text(notebook: nbformat.NotebookNode) -> str:
    """A notebook as a file in git holds it; see `cleaned`.

    Args:
        notebook: The notebook, which is changed.
    """
    of = stored_outputs.stored_digest(notebook)
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code" and "%pip install" in cell.source:
            cell.source = INSTALL
    if of == stored_outputs.digest(notebook):
        notebook.metadata["keras_transgen"] = {"outputs_of": of}
    else:
        stored_outputs.forget(notebook)
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def main() -> None:
    """Run or clean the notebooks named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tutorials", nargs="+", type=Path)
    parser.add_argument("--store", action="store_true", help="store what is shown in the notebook")
    parser.add_argument("--clean", action="store_true", help="rewrite in one format; run nothing")
    parser.add_argument("--cells", action="store_true", help="show the seconds of each cell")
    parser.add_argument("--folder", type=Path, help="keep the outputs in this folder")
    arguments = parser.parse_args()
    for tutorial in arguments.tutorials:
        if arguments.clean:
            tutorial.write_text(cleaned(tutorial))
            continue
        with contextlib.ExitStack() as stack:
            folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            folder.mkdir(parents=True, exist_ok=True)
            done = execute(tutorial, folder.absolute())
            if arguments.store:
                store(tutorial, folder.absolute())
        print(f"{tutorial.stem}: {done.seconds:.0f} s, {done.pictures} pictures")
        if arguments.cells:
            print("  seconds by cell:", [round(seconds, 1) for seconds in done.cell_seconds])
        for name, value in done.results.items():
            print(f"  {name} = {value}")


if __name__ == "__main__":
    main()
