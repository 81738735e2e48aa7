"""Loads a `.keras` file that carries the SavedModels of its backbones."""

import contextlib
import importlib
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import keras

from keras_transgen.backbones.audit import audit_module
from keras_transgen.backbones.module_store import find_module, unpack_module
from keras_transgen.backbones.saved_model import let_in

_PACKED = re.compile(r"assets/(?:.*/)?module-([0-9a-f]{64})\.tar")
_OWN_MODULE = re.compile(rb'"module": "(keras_transgen(?:\.\w+)+)"')
_PARTS = ("config.json", "metadata.json")


def load_model(
    path: str | os.PathLike[str],
    *,
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    allow_unsafe_ops: bool = False,
) -> keras.Model:
    """Load a model from a `.keras` file, with the SavedModels packed in it.

    The packed modules are taken out first, audited, and put into the local module store, where
    the layers find them when Keras builds the model. After that, plain
    `keras.saving.load_model` loads the same file too.

    Args:
        path: The `.keras` file.
        custom_objects: As in `keras.saving.load_model`.
        compile: Whether to compile the model as it was. Defaults to True.
        safe_mode: Whether to refuse lambdas, as in `keras.saving.load_model`. Defaults to True.
        allow_unsafe_ops: Accept modules that can read or write files or call Python. Only for a
            file whose origin you trust. Defaults to False.

    Returns:
        The model.

    Raises:
        ValueError: The file is absent, no `.keras` archive, or incomplete, or holds a module that
            the audit refuses.

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
    _check_archive(file)
    with zipfile.ZipFile(file) as archive, tempfile.TemporaryDirectory() as folder:
        _import_own_classes(archive.read("config.json"))
        for member in _packed_modules(archive):
            _take_in(archive, member, Path(folder, "module.tar"), file, allow_unsafe_ops)
    return keras.saving.load_model(
        file, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode
    )


def _import_own_classes(config: bytes) -> None:
    """Import the package's modules that a file names; their classes register themselves.

    Rooms are imported when they are first used, so in a new process Keras would not know them.
    """
    for name in sorted(set(_OWN_MODULE.findall(config))):
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name.decode())


def _check_archive(file: Path) -> None:
    if not file.exists():
        raise ValueError(f"There is no such file. Check the path. Received: path={str(file)!r}")
    if file.is_dir():
        raise ValueError(
            "A .keras file is expected; a folder with a SavedModel goes to "
            f"keras_transgen.load_backbone. Received: path={str(file)!r}"
        )
    size = file.stat().st_size
    said = f"Received: path={str(file)!r} of {size:,} bytes"
    if not zipfile.is_zipfile(file):
        with file.open("rb") as stream:
            was_archive = stream.read(4) == b"PK\x03\x04"
        if was_archive:
            raise ValueError(
                "The .keras file is truncated: its end is missing. Copy or download it again, or "
                f"save the model again. {said}"
            )
        raise ValueError(
            "This is no .keras archive. Save models with model.save('name.keras'); weights alone "
            f"are loaded with model.load_weights. {said}"
        )
    with zipfile.ZipFile(file) as archive:
        names = set(archive.namelist())
        missing = [part for part in _PARTS if part not in names]
        if missing or not any(name.startswith("model.weights") for name in names):
            raise ValueError(
                f"This archive is no .keras file: it lacks {missing or 'the weights'}. Save the "
                f"model with model.save('name.keras'). {said}"
            )
        damaged = _first_damaged(archive)
    if damaged:
        raise ValueError(
            f"The .keras file is damaged: {damaged} in it does not read back. Copy or download "
            f"it again, or save the model again. {said}"
        )


def _first_damaged(archive: zipfile.ZipFile) -> str | None:
    try:
        return archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
        return str(error)


def _packed_modules(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """One member a module; the same module may lie under several layers."""
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        match = _PACKED.fullmatch(member.filename)
        if match:
            found.setdefault(match.group(1), member)
    return list(found.values())


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
    digest = unpack_module(target)
    named = _PACKED.fullmatch(member.filename)
    if named is None or digest != named.group(1):
        raise ValueError(
            "The module in the file is not the one its name says, so somebody or something "
            f"changed it. Get the file again from where it was made. Received: path={str(file)!r}, "
            f"module {member.filename!r} with digest {digest}"
        )
    folder = find_module(digest)
    if folder is None:
        raise ValueError(
            "The module was taken out of the file and is gone from the local store: somebody "
            f"removed it at the same moment. Load again. Received: path={str(file)!r}"
        )
    audit_module(folder, allow_unsafe_ops=allow_unsafe_ops)
    if allow_unsafe_ops:
        let_in(digest)
