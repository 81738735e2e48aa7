"""What notebooks keep of a run, and that pages show it: small, of this code, of no machine."""

import base64
import io
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from tutorials.execute import cleaned, pictures_of_pages
from tutorials.stored_outputs import (
    MACHINE_PATHS,
    NOTEBOOK_BYTES,
    PICTURE_BYTES,
    TEXT_CHARACTERS,
    StoredOutputsError,
    digest,
    pictures,
    small_picture,
    store,
    stored_digest,
)

ROOT = Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / "tutorials").glob("*.ipynb"))
IMAGES = ROOT / "docs" / "images"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")


def with_id(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=with_id)
def test_keeps_small_outputs_of_its_code(tutorial):
    notebook = nbformat.read(tutorial, as_version=4)
    assert stored_digest(notebook) == digest(notebook), (
        f"the code has changed: python tutorials/execute.py --store tutorials/{tutorial.name}"
    )
    assert tutorial.read_text() == cleaned(tutorial)
    assert tutorial.stat().st_size <= NOTEBOOK_BYTES
    found = list(pictures(notebook))
    assert found, "no picture"
    for each in found:
        image = Image.open(io.BytesIO(each.data))
        assert len(each.data) <= PICTURE_BYTES
        assert f"image/{image.format.lower()}" == each.kind
        assert np.ptp(np.asarray(image.convert("L"))) > 50, "an empty picture"
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            text = output.get("text", "") + output.get("data", {}).get("text/plain", "")
            assert not MACHINE_PATHS.search(text), text
            assert not re.search(r"\x1b|\r|\w+Warning: |Traceback| at 0x", text), text
            assert len(text) <= TEXT_CHARACTERS


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=with_id)
def test_pages_show_the_pictures_that_are_stored(tutorial):
    stored = {each.name(tutorial.stem): each.data for each in pictures(nbformat.read(tutorial, 4))}
    for name in pictures_of_pages(tutorial.stem):
        assert (IMAGES / "tutorials" / name).read_bytes() == stored[name], name


def test_every_guide_shows_what_it_speaks_of():
    for page in PAGES:
        shown = PICTURE.findall(page.read_text())
        for words, path in shown:
            assert (page.parent / path).is_file(), (page.name, path)
            assert len(words.split()) >= 5, f"{page.name}: say what {path} shows"
        assert shown or page.parent.name != "guides", f"{page.name} has no picture"


def test_images_are_few_and_all_are_shown():
    kept = {path for path in IMAGES.rglob("*") if path.is_file()}
    texts = "\n".join(page.read_text() for page in [*PAGES, ROOT / "README.md"])
    unused = {path.name for path in kept if path.name not in texts}
    assert not unused
    assert sum(path.stat().st_size for path in kept) < 2 * 2**20


def made_of(*outputs):
    cells = [nbformat.v4.new_markdown_cell("# A"), nbformat.v4.new_code_cell("one = 1")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    executed = nbformat.from_dict(notebook)
    executed.cells[1].outputs = [nbformat.from_dict(each) for each in outputs]
    executed.cells[1].execution_count = 1
    return notebook, executed


def stream(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


def kept_text(text, folder="/somewhere/run"):
    notebook, executed = made_of(stream(text))
    store(notebook, executed, Path(folder))
    return "".join(each.text for each in notebook.cells[1].outputs)


def test_text_is_kept_without_colours_progress_warnings_and_folders():
    assert kept_text("\x1b[?25l\x1b[1mbold\x1b[0m\n") == "bold"
    bar = "3/9 ━━━━━━━━ 4s 2s/batch\r9/9 ━━━━━━━━ 0s\nclassifying ━━━━━━ 30/30 0:00:02\ndone\n"
    assert kept_text(bar) == "done"
    assert kept_text("┏━━━━━┓\n┃ 1/2 ┃\n") == "┏━━━━━┓\n┃ 1/2 ┃"
    warning = "/x/rich/live.py:260: UserWarning: install this for\nJupyter\n  warnings.warn(\n"
    assert kept_text(f"{warning}one\n  two\nWarning: three\n") == "one\n  two\nWarning: three"
    assert kept_text("in /somewhere/run/photos/a.jpg, /somewhere/run\n") == "in photos/a.jpg, ."
    assert kept_text("<object at 0x7f01a2>") == "<object>"
    assert kept_text("https://tfhub.dev/google/home/1 and 1/2") == (
        "https://tfhub.dev/google/home/1 and 1/2"
    )


@pytest.mark.parametrize(
    ("output", "what"),
    [
        (stream("see /home/me/data"), "path of this machine: /home/me"),
        (stream("see C:\\Users\\me"), "path of this machine"),
        (stream("x" * (TEXT_CHARACTERS + 1)), "4,001 characters"),
        (
            {"output_type": "error", "ename": "E", "evalue": "why", "traceback": []},
            "cell 1: it failed: E: why",
        ),
    ],
)
def test_what_git_should_not_hold_is_refused(output, what):
    notebook, executed = made_of(output)
    with pytest.raises(StoredOutputsError, match=re.escape(what)):
        store(notebook, executed, Path("/somewhere"))


def test_logs_stay_out():
    notebook, executed = made_of(stream("W0000 warning", "stderr"), stream("\n"))
    store(notebook, executed, Path("/somewhere"))
    assert notebook.cells[1].outputs == []


def as_png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_drawings_keep_their_colours_and_photographs_become_jpeg():
    drawing = np.full((200, 300, 3), 255, np.uint8)
    drawing[50:90, 20:200] = (0, 114, 178)
    kind, data = small_picture(as_png(drawing))
    assert kind == "image/png"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), drawing)

    x, y = np.meshgrid(np.arange(500), np.arange(300))
    waves = [127 + 120 * np.sin(x / (9 + 5 * k) + y / 31) * np.cos(y / 17) for k in range(3)]
    noise = np.random.default_rng(0).normal(0, 3, (300, 500, 3))
    photograph = np.clip(np.stack(waves, -1) + noise, 0, 255).astype(np.uint8)
    kind, data = small_picture(as_png(photograph))
    assert kind == "image/jpeg"
    assert len(data) <= PICTURE_BYTES
    read = np.asarray(Image.open(io.BytesIO(data)), np.float64)
    assert np.abs(read - photograph).mean() < 8

    with pytest.raises(StoredOutputsError, match="Draw a smaller one"):
        small_picture(as_png(np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)))


def test_outputs_are_kept_with_their_code_and_go_with_it(tmp_path):
    png = base64.b64encode(as_png(np.zeros((4, 4, 3), np.uint8))).decode()
    picture = {"output_type": "display_data", "metadata": {}, "data": {"image/png": png}}
    notebook, executed = made_of(stream("1\n"), picture)
    store(notebook, executed, tmp_path)
    nbformat.write(notebook, tmp_path / "a.ipynb")
    (tmp_path / "a.ipynb").write_text(cleaned(tmp_path / "a.ipynb"))
    again = nbformat.read(tmp_path / "a.ipynb", as_version=4)
    assert [each.name("a") for each in pictures(again)] == ["a-01-0.png"]

    again.cells[0].source = "# Another text"
    nbformat.write(again, tmp_path / "a.ipynb")
    assert '"1' in cleaned(tmp_path / "a.ipynb")
    again.cells[1].source = "one = 2"
    nbformat.write(again, tmp_path / "a.ipynb")
    assert '"outputs": []' in cleaned(tmp_path / "a.ipynb")
    assert "outputs_of" not in cleaned(tmp_path / "a.ipynb")
