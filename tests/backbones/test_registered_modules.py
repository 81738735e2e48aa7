"""The table of registered classes is what the source says, and nothing else is imported."""

import ast
import sys
from pathlib import Path

import keras_transgen
from keras_transgen.backbones.registered_modules import REGISTERED, import_classes

ROOT = Path(keras_transgen.__file__).parent


def sources():
    for path in sorted(ROOT.rglob("*.py")):
        yield path, ast.parse(path.read_text())


def registrars(tree: ast.Module) -> set[str]:
    """Names by which a module registers classes: Keras' own, and functions that call it."""
    own = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and "register_keras_serializable" in ast.unparse(node)
    }
    return {"register_keras_serializable", *own}


def registers(decorator: ast.expr, names: set[str]) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).rsplit(".", 1)[-1] in names


def test_the_table_is_what_the_source_registers():
    found = {}
    for path, tree in sources():
        names = registrars(tree)
        module = ".".join(("keras_transgen", *path.relative_to(ROOT).with_suffix("").parts))
        for node in ast.walk(tree):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and any(
                registers(each, names) for each in node.decorator_list
            ):
                found[node.name] = module
    assert found == REGISTERED
    # Nor is anything registered in another way than by a decorator.
    for path, _ in sources():
        if "register_keras_serializable" in path.read_text():
            module = ".".join(("keras_transgen", *path.relative_to(ROOT).with_suffix("").parts))
            assert module in set(REGISTERED.values()), path


def test_only_what_stands_in_the_table_is_imported(monkeypatch):
    for name in ("keras_transgen.cli.__main__", "keras_transgen.generative.beta_schedules"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import_classes(["keras_transgen>cli.__main__", "keras_transgen>__main__", "os>system", "GAN"])
    assert "keras_transgen.cli.__main__" not in sys.modules


def test_commands_run_when_they_are_asked_for_only():
    for path, tree in sources():
        if path.name == "__main__.py":
            calls = [node for node in tree.body if isinstance(node, ast.Expr)]
            assert [ast.get_docstring(tree)] == [each.value.value for each in calls], path
