"""What `make dist` builds can be installed, and the README's first lines run from it."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
SOURCES = ("keras_transgen", "pyproject.toml", "setup.cfg", "README.md", "LICENSE")
CHECK = """
import keras_transgen
from pathlib import Path
assert Path(keras_transgen.__file__).is_relative_to(Path.cwd()), keras_transgen.__file__
assert accuracy > 0.95
"""


def run(*command: str, cwd: Path, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{command[:3]}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the source distribution and, made from it, the wheel."""
    sources = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, sources / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        else:
            shutil.copy(source, sources)
    out = tmp_path_factory.mktemp("dist")
    # Without isolation: the build needs setuptools alone, and a test no network.
    run("-m", "build", "--no-isolation", "--outdir", str(out), str(sources), cwd=sources)
    return out


@pytest.mark.slow
def test_both_are_built_with_all_that_belongs_into_them(built):
    assert len(list(built.glob("*.tar.gz"))) == 1
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("keras_transgen/**/*.py")}
    assert modules <= names
    assert {"keras_transgen/backbones/digits.keras", "keras_transgen/py.typed"} <= names
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)
    # The limit that the network inside was promised to keep.
    assert zipfile.ZipFile(wheel).getinfo("keras_transgen/backbones/digits.keras").file_size < 2**20


@pytest.mark.slow
def test_the_quickstart_runs_from_the_wheel(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    installed = tmp_path / "installed"
    run(
        "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(installed),
        str(wheel), cwd=tmp_path,
    )  # fmt: skip
    quickstart = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S).group(1)
    home = str(tmp_path / "home")
    run("-c", quickstart + CHECK, cwd=tmp_path, PYTHONPATH=str(installed), KERAS_TRANSGEN_HOME=home)
    assert (tmp_path / "digits_classifier.keras").exists()
    run("-m", "keras_transgen.cli", "--help", cwd=tmp_path, PYTHONPATH=str(installed))
