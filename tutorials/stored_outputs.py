"""What a notebook keeps of a run: the text and the pictures, small, and of which code they are.

Jupyter and GitHub show them, and so do the pages of the documentation. `execute.py --store` writes
them; warnings, logs and the paths of a machine stay out.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat

PICTURE_BYTES = 40_000
NOTEBOOK_BYTES = 150_000
TEXT_CHARACTERS = 4_000
# A picture of more has a photograph in it.
DRAWING_COLOURS = 10_000
# The folders that paths of a machine begin with, and where a package of Python lies.
MACHINE_PATHS = re.compile(
    r"(?<![\w.:/])/(?:root|home|tmp|work|usr|opt|var|private|Users|mnt)/|\b[A-Z]:\\|site-packages"
)
SUFFIXES = {"image/png": "png", "image/jpeg": "jpg"}

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PROGRESS = re.compile(r"\b\d+/\d+ ?[━╸╺]|[━╸╺] +\d+/\d+\b")
# As Python prints a warning, and Rich breaks it: place and text, and the line of code below.
_WARNING = re.compile(r"^\S+\.py:\d+: \w*Warning: (?:.*\n){1,4}?  .*(?:\n|\Z)", re.M)
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class StoredOutputsError(ValueError):
    """What a run has shown is nothing to keep in git."""


class Picture(NamedTuple):
    """A picture that a notebook keeps.

    Attributes:
        cell: Number of its cell, from 0.
        place: Which of the cell's pictures, from 0.
        kind: `"image/png"` or `"image/jpeg"`.
        data: The file's bytes.
    """

    cell: int
    place: int
    kind: str
    data: bytes

    def name(self, stem: str) -> str:
        """The file's name on the site, `5_vae-16-0.png`."""
        return f"{stem}-{self.cell:02d}-{self.place}.{SUFFIXES[self.kind]}"


def digest(notebook: nbformat.NotebookNode) -> str:
    """What tells the code of a notebook from any other: 16 hexadecimal digits.

    Args:
        notebook: The notebook; its text and its outputs do not count.
    """
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


def stored_digest(notebook: nbformat.NotebookNode) -> str | None:
    """The digest of the code that the stored outputs are of; `None` without outputs."""
    return notebook.metadata.get("keras_transgen", {}).get("outputs_of")


def store(notebook: nbformat.NotebookNode, executed: nbformat.NotebookNode, folder: Path) -> None:
    """Take over the outputs of a run.

    Args:
        notebook: The notebook; it is changed.
        executed: The same after the run. Cells behind the notebook's own are left out.
        folder: Where it ran; its name is cut from what is kept.

    Raises:
        StoredOutputsError: A cell failed, or its text is too long, or its picture too large.
    """
    for number, (cell, done) in enumerate(zip(notebook.cells, executed.cells)):
        if cell.cell_type != "code":
            continue
        try:
            cell.outputs = [kept for each in done.outputs if (kept := _kept(each, folder))]
        except StoredOutputsError as error:
            raise StoredOutputsError(f"cell {number}: {error}") from None
        cell.execution_count = done.execution_count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = done.execution_count
    notebook.metadata["keras_transgen"] = {"outputs_of": digest(notebook)}


def forget(notebook: nbformat.NotebookNode) -> None:
    """Remove all outputs; the notebook is changed."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata.pop("keras_transgen", None)


def pictures(notebook: nbformat.NotebookNode) -> Iterator[Picture]:
    """The pictures that a notebook keeps, in their order."""
    for number, cell in enumerate(notebook.cells):
        shown = (output.get("data", {}) for output in cell.get("outputs", []))
        kinds = [(kind, data[kind]) for data in shown for kind in SUFFIXES if kind in data]
        for place, (kind, data) in enumerate(kinds):
            yield Picture(number, place, kind, base64.b64decode(data))


def small_picture(data: bytes) -> tuple[str, bytes]:
    """A picture with few enough bytes for git: a palette for drawings, JPEG for photographs.

    Args:
        data: A PNG file.

    Returns:
        `"image/png"` or `"image/jpeg"`, and the file.

    Raises:
        StoredOutputsError: No way makes it small enough.
    """
    from PIL import Image

    image = Image.open(io.BytesIO(data)).convert("RGBA")
    opaque = Image.new("RGB", image.size, "white")
    opaque.paste(image, mask=image)
    if opaque.getcolors(DRAWING_COLOURS):
        drawn = opaque.quantize(64, dither=Image.Dither.NONE)
        if len(found := _file(drawn, "PNG", optimize=True)) <= PICTURE_BYTES:
            return "image/png", found
    for quality in (85, 70):
        if len(found := _file(opaque, "JPEG", quality=quality, optimize=True)) <= PICTURE_BYTES:
            return "image/jpeg", found
    raise StoredOutputsError(
        f"a picture of {image.width} x {image.height} pixels does not fit into {PICTURE_BYTES:,} "
        "bytes. Draw a smaller one."
    )


def _file(image, format, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def _kept(output: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode | None:
    if output.output_type == "error":
        raise StoredOutputsError(f"it failed: {output.ename}: {output.evalue}")
    if output.output_type == "stream":
        # What goes to stderr are logs and warnings, of other libraries for the most part.
        text = _quiet(output.text, folder) if output.name == "stdout" else ""
        return nbformat.v4.new_output("stream", name="stdout", text=text) if text.strip() else None
    if "image/png" in output.data:
        kind, picture = small_picture(base64.b64decode(output.data["image/png"]))
        data = {kind: base64.b64encode(picture).decode()}
        return nbformat.v4.new_output("display_data", data=data)
    text = _quiet(output.data.get("text/plain", ""), folder)
    return nbformat.v4.new_output(output.output_type, data={"text/plain": text}) if text else None


def _quiet(text: str, folder: Path) -> str:
    """Text without colours, warnings, progress bars, addresses and the folder of the run."""
    text = _WARNING.sub("", _COLOURS.sub("", text))
    lines = [line.rstrip().rsplit("\r", 1)[-1] for line in text.split("\n")]
    text = _ADDRESS.sub("", "\n".join(line for line in lines if not _PROGRESS.search(line)))
    text = re.sub(r"\n{3,}", "\n\n", text).rstrip("\n")
    for name in sorted({str(folder), str(folder.resolve())}, key=len, reverse=True):
        text = text.replace(f"{name}/", "").replace(name, ".")
    if len(text) > TEXT_CHARACTERS:
        raise StoredOutputsError(
            f"it prints {len(text):,} characters; {TEXT_CHARACTERS:,} are kept at most"
        )
    if found := MACHINE_PATHS.search(text):
        raise StoredOutputsError(f"it prints a path of this machine: {text[found.start() :][:80]}")
    return text
