"""A backbone's module inside a `.keras` file, which holds its parameters once.

A module brings values for its variables, and Keras saves a layer's variables, too. Where the values
are still the module's own, the module is packed whole, and the file of weights holds its digest in
their place. Where they were trained, the weights hold them, and the module is packed with zeros.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from keras_transgen.backbones.folder_removal import remove_folder
from keras_transgen.backbones.module_files import PrivateModule, copy_module
from keras_transgen.backbones.module_store import check_stored, pack_module, stored_folder
from keras_transgen.backbones.saved_model_folder import HandleError

#: Name of a packed module inside a `.keras` file: the digest that the configuration names, and
#: that of the content where its variables are zeros.
PACKED_NAME = "module-{digest}.tar"
PACKED_WITH_ZEROS_NAME = "module-{digest}-{content}.tar.gz"
#: What the file of weights holds in the place of a module's weights.
MARK = "module_digest"

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VARIABLE = "VARIABLE_VALUE"
_PREFIX = ("variables", "variables")


class PackedWeights:
    """How the parameters of a module go into a `.keras` file, now.

    Attributes:
        are_the_modules: Whether they still have the values that the module brought.
    """

    def __init__(self, variables: Sequence[tf.Variable], digest: str) -> None:
        stored = stored_folder(digest)
        if stored is None:
            raise HandleError(
                "expected the module of this backbone in the local module store, from where it is "
                "packed: load the backbone again, which puts it there. "
                f"Received: digest={digest!r}"
            )
        check_stored(stored)
        self._stored, self._digest = stored, digest
        self._keys = _checkpoint_keys(stored, variables)
        self.are_the_modules = None not in self._keys and _are_equal(stored, variables, self._keys)

    def pack(self, folder: Path) -> None:
        """Write the packed module into a folder of the `.keras` file, if it is not there yet."""
        top = next((each for each in folder.parents if each.name == "assets"), folder)
        whole = PACKED_NAME.format(digest=self._digest)
        if any(top.rglob(whole)):
            return
        if self.are_the_modules or None in self._keys or not self._keys:
            pack_module(self._digest, folder / whole)
        elif not any(top.rglob(PACKED_WITH_ZEROS_NAME.format(digest=self._digest, content="*"))):
            self._pack_with_zeros(folder)

    def _pack_with_zeros(self, folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="keras-transgen-module-") as name:
            work = Path(name)
            files = PrivateModule(self._stored, self._digest)
            zeros = {key for key in self._keys if key is not None}
            _write_checkpoint(files.folder / "variables", zeros)
            content = copy_module(files.folder, work / "module", move=True)
            pack_module(work / "module", work / "module.tar")
            packed = PACKED_WITH_ZEROS_NAME.format(digest=self._digest, content=content)
            with (
                (work / "module.tar").open("rb") as plain,
                (folder / packed).open("wb") as file,
                # Without a time or a name in it, equal modules give equal bytes.
                gzip.GzipFile("", "wb", 6, file, mtime=0) as compressed,
            ):
                shutil.copyfileobj(plain, compressed)


def goes_into_model_file(store: Any) -> bool:
    """Whether Keras writes a whole `.keras` file, and not a file of weights alone.

    Keras tells a layer nothing of it. Its store has an archive, or a temporary file of any name,
    where files of weights must end in `weights.h5`. `test_saved_model_packing.py` tells when that
    changes.
    """
    if getattr(store, "archive", None) is not None:
        return True
    path = getattr(store, "path_or_io", None)
    return isinstance(path, Path) and not path.name.endswith((".h5", ".json"))


def restore_from_store(variables: Sequence[tf.Variable], digest: str) -> bool:
    """Give variables the values that a module brought."""
    stored = stored_folder(digest)
    if stored is None:
        return False
    files = PrivateModule(stored, digest)
    keys = _checkpoint_keys(files.folder, variables)
    if None in keys:
        return False
    reader = tf.train.load_checkpoint(str(files.folder.joinpath(*_PREFIX)))
    for variable, key in zip(variables, keys, strict=True):
        variable.assign(reader.get_tensor(key))
    return True


def other_state_digest(folder: Path) -> str:
    """Digest of what a module's checkpoint holds besides variables, such as tables."""
    total = hashlib.sha256()
    if (folder / "variables").is_dir():
        reader = tf.train.load_checkpoint(str(folder.joinpath(*_PREFIX)))
        for key in sorted(reader.get_variable_to_shape_map()):
            if key != _OBJECT_GRAPH and ".ATTRIBUTES/" in key and not key.endswith(_VARIABLE):
                values = np.asarray(reader.get_tensor(key))
                total.update(f"{key} {values.shape} {values.tolist()}".encode())
    return total.hexdigest()


def _checkpoint_keys(folder: Path, variables: Sequence[tf.Variable]) -> list[str | None]:
    """The key of each variable in a module's checkpoint; None where names do not tell."""
    if not (folder / "variables").is_dir():
        return [None] * len(variables)
    reader = tf.train.load_checkpoint(str(folder.joinpath(*_PREFIX)))
    shapes = reader.get_variable_to_shape_map()
    by_name = dict(_keys_by_name(reader, shapes))
    names = [variable.name.split(":")[0] for variable in variables]
    counts = Counter(names)
    keys: list[str | None] = []
    for name, variable in zip(names, variables, strict=True):
        key = by_name.get(name) if counts[name] == 1 else None
        fits = key is not None and tuple(shapes[key]) == tuple(variable.shape)
        keys.append(key if fits else None)
    return keys


def _keys_by_name(reader: Any, shapes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys by the variables' names, those that two variables bear left out."""
    if _OBJECT_GRAPH not in shapes:
        # Checkpoints of TensorFlow 1 go by names.
        yield from ((key, key) for key in shapes)
        return
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        reader.get_tensor(_OBJECT_GRAPH)
    )
    found = [
        (attribute.full_name, attribute.checkpoint_key)
        for node in graph.nodes
        for attribute in node.attributes
        if attribute.name == _VARIABLE and attribute.checkpoint_key in shapes
    ]
    counts = Counter(name for name, _ in found)
    yield from (pair for pair in found if counts[pair[0]] == 1)


def _are_equal(folder: Path, variables: Sequence[tf.Variable], keys: Sequence[str | None]) -> bool:
    reader = tf.train.load_checkpoint(str(folder.joinpath(*_PREFIX)))
    # Numbers that are none compare unequal with themselves; their bytes do not.
    return all(
        np.asarray(variable.numpy()).tobytes() == np.asarray(reader.get_tensor(key)).tobytes()
        for variable, key in zip(variables, keys, strict=True)
    )


def _write_checkpoint(folder: Path, zeros: set[str]) -> None:
    """Write a checkpoint anew, with zeros for some of its tensors."""
    before = folder.with_name("before")
    folder.rename(before)
    folder.mkdir()
    reader = tf.train.load_checkpoint(str(before / _PREFIX[1]))
    types, tensors = reader.get_variable_to_dtype_map(), {}
    with tf.device("CPU"):
        for key, shape in sorted(reader.get_variable_to_shape_map().items()):
            tensors[key] = (
                tf.zeros(shape, types[key])
                if key in zeros
                else tf.constant(reader.get_tensor(key), types[key])
            )
        tf.raw_ops.SaveV2(
            prefix=str(folder / _PREFIX[1]),
            tensor_names=list(tensors),
            shape_and_slices=[""] * len(tensors),
            tensors=list(tensors.values()),
        )
    remove_folder(before)
