"""No module of the package imports one that imports it, for types neither."""

import ast
import graphlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "keras_transgen"


def modules(package: Path) -> dict[str, Path]:
    """Files of the package by the names they are imported by."""
    found = {}
    for file in package.rglob("*.py"):
        parts = file.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(file: Path, known: dict[str, Path]) -> set[str]:
    """Modules of the package that a file imports, anywhere in it and for types too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{each.name}" for each in node.names}
            # What is no module in a package is a name in it.
            found |= {each if each in known else node.module for each in inner}
    return found & known.keys()


def circle(package: Path) -> list[str]:
    """A circle of imports, each module after the one that it imports; [] if none."""
    known = modules(package)
    graph = {name: imports(file, known) - {name} for name, file in known.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_no_circle():
    assert circle(PACKAGE) == []


@pytest.mark.parametrize(
    "back",
    [
        "from keras_transgen.training.second import other",
        "import keras_transgen.training.second",
        "from keras_transgen.training import second",
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from keras_transgen.training.second import other",
        "def later():\n    from keras_transgen.training.second import other",
    ],
)
def test_a_circle_is_found(tmp_path, back):
    room = tmp_path / "keras_transgen" / "training"
    room.mkdir(parents=True)
    (room / "first.py").write_text(back)
    (room / "second.py").write_text("from keras_transgen.training.first import one")
    found = circle(tmp_path / "keras_transgen")
    assert {each.rsplit(".", 1)[-1] for each in found} == {"first", "second"}
