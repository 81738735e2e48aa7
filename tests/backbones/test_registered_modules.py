"""The table of registered classes is what the source says, and nothing else is imported."""

import ast
import sys
from pathlib import Path

import pytest

import keras_transgen
from keras_transgen.backbones.registered_modules import import_classes, registered_modules

ROOT = Path(keras_transgen.__file__).parent


def sources():
    for path in sorted(ROOT.rglob("*.py")):
        yield path, ast.parse(path.read_text())


def registers(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).rsplit(".", 1)[-1] == "register_keras_serializable"


@pytest.mark.slow
def test_what_is_found_in_the_text_is_what_the_source_registers():
    found = {}
    for path, tree in sources():
        module = ".".join(("keras_transgen", *path.relative_to(ROOT).with_suffix("").parts))
        for node in ast.walk(tree):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and any(
                registers(each) for each in node.decorator_list
            ):
                found[node.name] = module
    assert found == registered_modules()
    # Nor is anything registered in another way than by a decorator.
    for path, _ in sources():
        module = ".".join(("keras_transgen", *path.relative_to(ROOT).with_suffix("").parts))
        if (
            "register_keras_serializable(" in path.read_text()
            and "registered_modules" not in module
        ):
            assert module in set(registered_modules().values()), path


def test_nothing_else_is_imported(monkeypatch):
    for name in ("keras_transgen.cli.__main__", "keras_transgen.generative.beta_schedules"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import_classes(["keras_transgen>cli.__main__", "keras_transgen>__main__", "os>system", "GAN"])
    assert "keras_transgen.cli.__main__" not in sys.modules


def test_commands_run_when_they_are_asked_for_only():
    for path, tree in sources():
        if path.name == "__main__.py":
            calls = [node for node in tree.body if isinstance(node, ast.Expr)]
            assert [ast.get_docstring(tree)] == [each.value.value for each in calls], path
