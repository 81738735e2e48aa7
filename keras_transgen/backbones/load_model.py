"""Loads a `.keras` file that carries the SavedModels of its backbones."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import uuid
import zipfile
from pathlib import Path
from typing import Any

import keras

from keras_transgen.backbones.audit import audit_module
from keras_transgen.backbones.folder_removal import remove_folder
from keras_transgen.backbones.keras_archive import (
    MAX_MEMBERS,
    check_archive,
    check_file,
    read_config,
    registered_names,
)
from keras_transgen.backbones.module_store import standing_in, stored_folder, unpack_module
from keras_transgen.backbones.private_archive import private_copy
from keras_transgen.backbones.registered_modules import import_classes
from keras_transgen.backbones.saved_model import let_in
from keras_transgen.training.compilation import flat_layers
from keras_transgen.training.config_numbers import check_numbers
from keras_transgen.training.refusal import refusals
from keras_transgen.training.variable_limit import FREE_BYTES, limit_variables, variables_for
from keras_transgen.training.weight_file import WEIGHTS
from keras_transgen.training.zip_limits import MAX_BYTES

_PACKED = re.compile(r"assets/(?:.*/)?module-([0-9a-f]{64})(?:\.tar|-([0-9a-f]{64})\.tar\.gz)")


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

    A stranger's file contacts nobody and writes nothing but its modules, into the store, from
    where they go again if it is refused. What it costs is bounded before it is read, and its
    variables before they take memory. A private copy of it is loaded, which nobody changes.

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
            module that the audit refuses; says what is for its user to say: an address, a path,
            a permission, a function that does more than compute; or cannot be loaded for whatever
            other reason, which is the error's cause.

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
    kept = _KeptModules()
    with refusals(f"The .keras file {str(file)!r}"):
        check_file(file)
        with private_copy(file, max_bytes) as copy:
            weights = check_archive(copy, max_members, max_bytes, str(file))
            try:
                with zipfile.ZipFile(copy) as archive:
                    limits, contents = _prepared(archive, weights, file, kept, allow_unsafe_ops)
                with limit_variables(*limits), standing_in(contents):
                    model = keras.saving.load_model(
                        copy, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode
                    )
                _check_whole(model)
                return model
            except RecursionError:
                kept.take_out()
                raise ValueError(
                    "The model in the .keras file is nested too deeply. Get the file again from "
                    f"where it was made. Received: path={str(file)!r}"
                ) from None
            except BaseException as error:
                if isinstance(error, Exception) and kept.lost():
                    raise ValueError(
                        "A module of the .keras file left the store while the file was loaded: "
                        "another process was refused one that holds it too. Load the file again. "
                        f"Received: path={str(file)!r}, module {kept.lost()[0]}"
                    ) from error
                kept.take_out()
                raise


def _prepared(
    archive: zipfile.ZipFile, weights: int, file: Path, kept: _KeptModules, allow_unsafe_ops: bool
) -> tuple[tuple[int, int], dict[str, str]]:
    """What the variables may take, and the modules, now in the store, by the names they go by."""
    config = read_config(archive)
    check_numbers(config, _bytes_of_weights(archive), weights)
    import_classes(registered_names(config))
    modules = _packed_modules(archive)
    contents = {}
    for (named, content), member in modules.items():
        contents[named] = content
        _take_in(archive, member, content, file, kept, allow_unsafe_ops)
    return variables_for(_bytes_of_weights(archive), weights, len(modules)), contents


def _check_whole(model: Any) -> None:
    """Refuse a layer that lacks what it has beside weights: Keras passes over absent assets."""
    if not isinstance(model, keras.Model):
        return
    for layer in flat_layers(model):
        check_whole = getattr(layer, "check_whole", None)
        if check_whole is not None:
            check_whole()


def _bytes_of_weights(archive: zipfile.ZipFile) -> int:
    return sum(
        member.file_size
        for member in archive.infolist()
        if member.filename == WEIGHTS or _PACKED.fullmatch(member.filename)
    )


def _packed_modules(archive: zipfile.ZipFile) -> dict[tuple[str, str], zipfile.ZipInfo]:
    """By the digest that a configuration names and that of the content, one member each.

    The same module may lie under several layers.
    """
    found: dict[tuple[str, str], zipfile.ZipInfo] = {}
    for member in archive.infolist():
        if match := _PACKED.fullmatch(member.filename):
            named, content = match.groups()
            found.setdefault((named, content or named), member)
    return found


def _take_in(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    content: str,
    file: Path,
    kept: _KeptModules,
    allow_unsafe_ops: bool,
) -> None:
    def check(folder: Path) -> None:
        audit_module(folder, allow_unsafe_ops=allow_unsafe_ops, name=f"{file}, {member.filename}")
        kept.made(content, folder)

    # The member's own path is never used: it could point anywhere.
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "module.tar")
        with archive.open(member) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
        unpack_module(
            target,
            expected=content,
            # Of a trained module the weights hold what the module has zeros for.
            max_bytes=2 * _bytes_of_weights(archive) + FREE_BYTES,
            check=check,
        )
    kept.kept(content)
    if allow_unsafe_ops:
        let_in(content)


class _KeptModules:
    """What one file has put into the store, told from what was there and from what others use.

    A folder that is moved into the store keeps its identity there, and whoever finds it again
    there touches it.
    """

    def __init__(self) -> None:
        self._made: dict[str, tuple[int, int]] = {}
        self._put: dict[str, tuple[tuple[int, int], int]] = {}
        self._digests: list[str] = []

    def made(self, digest: str, folder: Path) -> None:
        """Remember a folder that is about to be moved into the store."""
        self._made[digest] = _identity(folder)[0]

    def kept(self, digest: str) -> None:
        """Look whether it was this folder that the store now has; if not, say that it is used."""
        self._digests.append(digest)
        stored = stored_folder(digest)
        if stored is None:
            return
        with contextlib.suppress(OSError):
            if _identity(stored)[0] == self._made.get(digest):
                self._put[digest] = _identity(stored)
            else:
                # The store may be another's, which nobody takes anything out of.
                os.utime(stored)

    def lost(self) -> list[str]:
        """The digests of those that the store has no longer, because another took them out."""
        return [digest for digest in self._digests if stored_folder(digest) is None]

    def take_out(self) -> None:
        """Remove from the store what was put there, unless another has found it there since."""
        for digest, put in self._put.items():
            stored = stored_folder(digest)
            with contextlib.suppress(OSError):
                if stored is not None and _identity(stored) == put:
                    # In one step: nobody finds half a module. What a kill leaves is swept later.
                    aside = stored.with_name(f".{uuid.uuid4().hex}.partial")
                    os.replace(stored, aside)
                    remove_folder(aside)


def _identity(folder: Path) -> tuple[tuple[int, int], int]:
    status = folder.stat()
    return (status.st_dev, status.st_ino), status.st_mtime_ns
