"""Old names of modules still lead somewhere, and removed ones say where to."""

import importlib
import subprocess
import sys
import warnings

import pytest

import keras_transgen
from keras_transgen import changed_names
from keras_transgen.changed_names import MOVED, REMOVED


@pytest.fixture
def forgotten():
    """Forgets a name at once, so that it is imported anew, and again when the test ends."""
    names = []

    def forget(name):
        names.append(name)
        sys.modules.pop(name, None)

    yield forget
    for name in names:
        sys.modules.pop(name, None)


def test_a_moved_module_is_the_same_module_and_its_import_warns(monkeypatch, forgotten):
    monkeypatch.setitem(MOVED, "evaluation.old_place", "evaluation.distances")
    name = "keras_transgen.evaluation.old_place"
    forgotten(name)
    with pytest.warns(FutureWarning, match=r"keras_transgen\.evaluation\.distances now"):
        module = importlib.import_module(name)
    assert module is importlib.import_module("keras_transgen.evaluation.distances")
    assert module.__spec__.name == "keras_transgen.evaluation.distances"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from keras_transgen.evaluation import old_place
    assert old_place is module


def test_files_below_a_folder_that_moved_are_no_second_modules(monkeypatch, forgotten):
    monkeypatch.setitem(MOVED, "measures", "evaluation")
    monkeypatch.setitem(MOVED, "measures.distances", "evaluation.distances")
    for name in ("keras_transgen.measures", "keras_transgen.measures.distances"):
        forgotten(name)
    with pytest.warns(FutureWarning, match="goes with version"):
        module = importlib.import_module("keras_transgen.measures.distances")
    assert module is importlib.import_module("keras_transgen.evaluation.distances")
    monkeypatch.setitem(MOVED, "fusion.measures", "evaluation.distances")
    forgotten("keras_transgen.fusion.measures")
    with pytest.warns(FutureWarning, match="goes with version"):
        assert keras_transgen.fusion.measures is module


def test_what_was_removed_says_what_to_use(monkeypatch):
    monkeypatch.setitem(REMOVED, "evaluation.gone", "use keras_transgen.evaluation.distances")
    with pytest.raises(ImportError, match=r"gone was removed: use .*distances"):
        importlib.import_module("keras_transgen.evaluation.gone")
    with pytest.raises(ImportError, match=r"gone was removed: use .*distances"):
        from keras_transgen.evaluation import gone  # noqa: F401
    monkeypatch.setitem(REMOVED, "fusion.Gone", "use GAN")
    with pytest.raises(AttributeError, match=r"keras_transgen\.fusion\.Gone was removed: use GAN"):
        _ = keras_transgen.fusion.Gone


@pytest.mark.parametrize("old", sorted(MOVED))
def test_every_moved_module_is_found_under_its_old_name(old, forgotten):
    name = f"keras_transgen.{old}"
    forgotten(name)
    with pytest.warns(FutureWarning, match="goes with version"):
        module = importlib.import_module(name)
    assert module.__name__ == f"keras_transgen.{MOVED[old]}"


def test_a_name_that_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("keras_transgen.evaluation.never")
    with pytest.raises(AttributeError, match="has no attribute 'never'"):
        _ = keras_transgen.fusion.never


def test_the_finder_is_installed_once():
    changed_names.find_moved_modules()
    finders = [each for each in sys.meta_path if type(each).__name__ == "_MovedModules"]
    assert len(finders) == 1


@pytest.mark.parametrize(
    "line",
    [
        "from keras_transgen.generative.gan import GAN",
        "from keras_transgen.generative import gan",
        "import keras_transgen; keras_transgen.generative.gan",
        "import keras_transgen.generative.gan",
    ],
)
def test_the_warning_names_the_line_that_imports(line, forgotten):
    forgotten("keras_transgen.generative.gan")
    vars(importlib.import_module("keras_transgen.generative")).pop("gan", None)
    with pytest.warns(FutureWarning) as told:
        exec(compile("\n\n" + line, "/home/user/script.py", "exec"), {})
    assert [(each.filename, each.lineno) for each in told] == [("/home/user/script.py", 3)]


@pytest.mark.slow
def test_the_package_itself_uses_no_old_name():
    code = (
        "import importlib, pkgutil, warnings, keras_transgen\n"
        "warnings.filterwarnings('error', '.*the old name goes', FutureWarning)\n"
        "for each in pkgutil.walk_packages(keras_transgen.__path__, 'keras_transgen.'):\n"
        "    if not each.name.endswith('__main__'): importlib.import_module(each.name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
