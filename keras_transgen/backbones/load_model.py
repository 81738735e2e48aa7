"""Loads a `.keras` file that carries the SavedModels of its backbones."""

import os
import re
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras

from keras_transgen.backbones.audit import audit_module
from keras_transgen.backbones.keras_archive import (
    MAX_MEMBERS,
    check_archive,
    read_config,
    registered_names,
)
from keras_transgen.backbones.module_store import standing_in, unpack_module
from keras_transgen.backbones.registered_modules import import_classes
from keras_transgen.backbones.saved_model import let_in
from keras_transgen.training.variable_limit import limit_variables
from keras_transgen.training.weight_file import WEIGHTS
from keras_transgen.training.zip_limits import MAX_BYTES

_PACKED = re.compile(r"assets/(?:.*/)?module-([0-9a-f]{64})(?:\.tar|-([0-9a-f]{64})\.tar\.gz)")
# Variables that a configuration may ask for: as many as the file has weights, times this, those of
# modules, which are counted by nobody else, and those of metrics, counters and networks that are
# built and thrown away.
_PER_WEIGHT, _PER_MODULE = 4, 10_000
_FREE_BYTES, _FREE_COUNT = 256 * 2**20, 4000


def load_model(
    path: str | os.PathLike[str],
    *,
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    allow_unsafe_ops: bool = False,
    max_bytes: int = MAX_BYTES,
    max_members: int = MAX_MEMBERS,
) -> keras.Model:
    """Load a model from a `.keras` file, with the SavedModels packed in it.

    The packed modules are taken out first, audited, and put into the local module store, where
    the layers find them when Keras builds the model. After that, plain
    `keras.saving.load_model` loads the same file too, unless the module was trained: such a file
    holds its parameters among the weights, and the module without them.

    A stranger's file contacts nobody and writes nothing but its modules, into the store. What it
    costs is bounded before it is read, and its variables before they take memory.

    Args:
        path: The `.keras` file.
        custom_objects: As in `keras.saving.load_model`.
        compile: Whether to compile the model as it was. Defaults to True.
        safe_mode: Whether to refuse lambdas, as in `keras.saving.load_model`. Defaults to True.
        allow_unsafe_ops: Accept modules that can read or write files or call Python. Only for a
            file whose origin you trust. Defaults to False.
        max_bytes: How many bytes the file may unpack to. Defaults to 16 GiB.
        max_members: How many members the file may have. Defaults to 10,000.

    Returns:
        The model.

    Raises:
        ValueError: The file is absent, no `.keras` archive, incomplete or beyond a limit; holds a
            module that the audit refuses; or says what is for its user to say: an address, a path,
            a permission, a function that does more than compute.

    Example:
        ```python
        import keras
        import keras_transgen as ktg

        backbone = ktg.load_backbone("digits")
        model = keras.Sequential([keras.Input((8, 8, 1)), backbone, keras.layers.Dense(10)])
        model.save("digits_classifier.keras")
        again = ktg.load_model("digits_classifier.keras")
        ```
    """
    file = Path(path)
    weights = check_archive(file, max_members, max_bytes)
    with zipfile.ZipFile(file) as archive, tempfile.TemporaryDirectory() as folder:
        import_classes(registered_names(read_config(archive)))
        most_bytes = _PER_WEIGHT * _bytes_of_weights(archive) + _FREE_BYTES
        modules = _packed_modules(archive)
        most_variables = _PER_WEIGHT * weights + _PER_MODULE * len(modules) + _FREE_COUNT
        contents = {}
        for member in modules:
            named, content = _names(member)
            contents[named] = content
            _take_in(archive, member, Path(folder, "module.tar"), file, allow_unsafe_ops)
    try:
        # Optimizers, averages and base values are in the file themselves; some networks are made
        # once more while they are taken apart.
        with limit_variables(most_bytes, most_variables), standing_in(contents):
            return keras.saving.load_model(
                file, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode
            )
    except RecursionError:
        raise ValueError(
            "The model in the .keras file is nested too deeply. Get the file again from where it "
            f"was made. Received: path={str(file)!r}"
        ) from None


def _bytes_of_weights(archive: zipfile.ZipFile) -> int:
    return sum(
        member.file_size
        for member in archive.infolist()
        if member.filename == WEIGHTS or _PACKED.fullmatch(member.filename)
    )


def _packed_modules(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """One member a module; the same module may lie under several layers."""
    found: dict[tuple[str, str], zipfile.ZipInfo] = {}
    for member in archive.infolist():
        if _PACKED.fullmatch(member.filename):
            found.setdefault(_names(member), member)
    return list(found.values())


def _names(member: zipfile.ZipInfo) -> tuple[str, str]:
    """The digest that a configuration names, and that of the member's content."""
    match = _PACKED.fullmatch(member.filename)
    assert match is not None
    return match.group(1), match.group(2) or match.group(1)


def _take_in(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    target: Path,
    file: Path,
    allow_unsafe_ops: bool,
) -> None:
    # The member's own path is never used: it could point anywhere.
    with archive.open(member) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    content = _names(member)[1]
    unpack_module(
        target,
        expected=content,
        # Of a trained module the weights hold what the module has zeros for.
        max_bytes=2 * _bytes_of_weights(archive) + _FREE_BYTES,
        check=lambda folder: audit_module(
            folder, allow_unsafe_ops=allow_unsafe_ops, name=f"{file}, {member.filename}"
        ),
    )
    if allow_unsafe_ops:
        let_in(content)
