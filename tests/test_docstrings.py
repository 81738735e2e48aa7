"""Every example in a docstring runs."""

import importlib
import inspect
import pkgutil
import re
import textwrap

import pytest

import keras_transgen

# Searches and clusters.
LONG = ("keras_transgen.tuning", "keras_transgen.distributed")
FENCE = re.compile(r"```python([^\n]*)\n(.*?)```", re.S)


def examples() -> list:
    found = []
    for module in pkgutil.walk_packages(keras_transgen.__path__, "keras_transgen."):
        if module.name.endswith("__main__"):
            continue
        loaded = importlib.import_module(module.name)
        for name, member in inspect.getmembers(loaded):
            if getattr(member, "__module__", None) != module.name:
                continue
            documented = [(name, member)]
            if inspect.isclass(member):
                documented += [
                    (f"{name}.{key}", value)
                    for key, value in vars(member).items()
                    if inspect.isfunction(value)
                ]
            for path, value in documented:
                # A class without a docstring of its own would give its base's.
                text = textwrap.dedent(inspect.cleandoc(value.__doc__ or ""))
                for number, (flags, code) in enumerate(FENCE.findall(text)):
                    if "no-run" not in flags:
                        found.append(
                            pytest.param(
                                textwrap.dedent(code),
                                id=f"{module.name}.{path}-{number}",
                                marks=[pytest.mark.long] * module.name.startswith(LONG),
                            )
                        )
    return found


EXAMPLES = examples()


def test_there_are_examples():
    assert len(EXAMPLES) > 20


@pytest.mark.slow
@pytest.mark.parametrize("code", EXAMPLES)
def test_example_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "<example>", "exec"), {"__name__": "__example__"})
