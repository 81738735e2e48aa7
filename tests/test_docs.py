"""Every block of Python in the documentation runs, page by page, as a reader would run it."""

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from keras_transgen.generative.adversarial.gradient_penalties import GRADIENT_PENALTIES
from keras_transgen.generative.adversarial.losses import ADVERSARIAL_LOSSES
from keras_transgen.generative.likelihoods import LIKELIHOODS
from keras_transgen.generative.priors import PRIORS
from keras_transgen.transfer.deltas import DELTAS

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
WITH_CODE = [page for page in PAGES if "```python" in page.read_text()]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT / "docs").as_posix()


def test_every_guide_has_code():
    guides = {page for page in PAGES if page.parent.name == "guides"}
    assert len(guides) >= 10
    assert guides <= set(WITH_CODE)


@pytest.fixture
def registries():
    """Pages show how names of one's own are registered; other tests do not know them."""
    kept = [
        (each, dict(each))
        for each in (DELTAS, ADVERSARIAL_LOSSES, GRADIENT_PENALTIES, LIKELIHOODS, PRIORS)
    ]
    yield
    for registry, entries in kept:
        registry.clear()
        registry.update(entries)


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
@pytest.mark.long
def test_code_runs(page, tmp_path, monkeypatch, registries):
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    names: dict = {"__name__": "__page__"}
    for block in re.finditer(r"^```python\n(.*?)^```", text, re.S | re.M):
        # Line numbers of errors are those of the page.
        code = "\n" * text[: block.start(1)].count("\n") + block.group(1)
        exec(compile(code, str(page), "exec"), names)


def test_the_map_of_the_site_is_complete():
    listed = set(re.findall(r": ([\w/]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M))
    tutorials = {f"tutorials/{path.stem}.md" for path in (ROOT / "tutorials").glob("*.ipynb")}
    assert len(tutorials) == 19
    assert listed == {name_of(page) for page in PAGES} | tutorials | {"measured.md"}


def named(path: str):
    """The module, or the class or function in one, that a page of the reference names."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, name = path.rsplit(".", 1)
        return getattr(importlib.import_module(module), name)


def test_the_reference_names_what_there_is_and_begins_with_what_users_call():
    """MkDocs leaves out in silence what a list of members names and a class does not have."""
    pages = {page.stem: page.read_text() for page in (ROOT / "docs" / "reference").glob("*.md")}
    listed = {}
    for text in pages.values():
        for path, options in re.findall(r"^::: (\S+)\n((?: .*\n?)*)", text, re.M):
            found = named(path)
            members = yaml.safe_load(options)["options"]["members"] if options else []
            assert all(hasattr(found, name) for name in members), path
            listed[path] = members
    models = {path: members for path, members in listed.items() if "fit" in members}
    assert len(models) >= 12
    for path, members in models.items():
        assert members.index("fit") <= 1, path
        assert members[-1] in ("save", "export", "parameter_groups"), path
    first = "keras_transgen.generative.vae.VAE"
    assert pages["generative"].index(first) < pages["generative"].index("likelihoods")


@pytest.mark.slow
@pytest.mark.long
def test_the_site_builds_without_a_warning(tmp_path):
    if shutil.which("mkdocs", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("needs MkDocs: pip install 'keras-transgen[docs]'")
    # Not with --quiet, under which MkDocs neither tells warnings nor is strict.
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path)]
    environment = {"NO_MKDOCS_2_WARNING": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    reference = (tmp_path / "reference" / "transfer" / "index.html").read_text()
    assert "Number of classes, labels or regression outputs." in reference
    tutorial = (tmp_path / "tutorials" / "5_vae" / "index.html").read_text()
    assert 'class="arithmatex"' in tutorial
    assert "mathematics.js" in tutorial
    assert "%matplotlib" not in tutorial
    shown = re.findall(r'<img alt="([^"]+)" src="([^"]+)"', tutorial)
    assert len(shown) >= 8
    for words, path in shown:
        assert words.endswith(": what the cell draws")
        assert (tmp_path / "tutorials" / "5_vae" / path).resolve().is_file()
    assert "KL by hand" in re.sub(r"<[^>]+>", "", tutorial.split("</code></pre>", 3)[-1])
    assert "<table>" in (tmp_path / "measured" / "index.html").read_text()
    assert not list(tmp_path.rglob("*.py"))
    for page in ("guides/vae", "guides/deltas", "larger_clusters"):
        assert 'class="arithmatex"' in (tmp_path / page / "index.html").read_text(), page
