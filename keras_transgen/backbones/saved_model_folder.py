"""Whether a folder is a whole SavedModel, said before TensorFlow loads anything of it."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_transgen.datasets.printable import printable

_SHARD = re.compile(r"variables\.data-(\d{5})-of-(\d{5})")
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
# A name and a place for each variable: hundreds of thousands of them fit.
# Objects may share a variable, which is then restored once for each.
_TIMES_RESTORED = 4
_MAX_INDEX_BYTES = 256 * 2**20


class HandleError(ValueError):
    """A handle that leads to no module: nothing is there, or what is there is none.

    A `ValueError`, so that callers need not know the two apart.
    """


class BrokenModuleError(HandleError):
    """A folder or archive that should be a SavedModel and is damaged or not one."""


def check_saved_model_folder(
    path: str | os.PathLike[str], *, name: str | os.PathLike[str] | None = None
) -> None:
    """Raises unless a folder holds a whole SavedModel.

    The graph must parse, and its variables must be there in full: the index, every shard, and
    at least as many bytes as the index promises. Nothing is loaded and no op is run.
    """
    folder, shown = Path(path), Path(path if name is None else name)
    if not (folder / "saved_model.pb").is_file():
        raise BrokenModuleError(
            f"expected the folder of a SavedModel, with a saved_model.pb in it.{_advice(folder)} "
            f"Received: {shown}"
        )
    graph = _parse(folder, shown)
    has_variables = any(part.HasField("saver_def") for part in graph.meta_graphs)
    if has_variables or (folder / "variables").exists():
        _check_variables(folder / "variables", shown / "variables")


def _parse(folder: Path, shown: Path) -> Any:
    from keras_transgen.backbones.audit.wire import (
        UnreadableModuleError,
        parse_saved_model,
        read_graph_file,
    )

    try:
        return parse_saved_model(read_graph_file(folder))
    except (OSError, UnreadableModuleError) as error:
        raise _broken(shown / "saved_model.pb", str(error)) from error


def _check_variables(folder: Path, shown: Path) -> None:
    import tensorflow as tf

    index = folder / "variables.index"
    if not index.is_file():
        raise _broken(shown / index.name, "it is missing")
    shards = _check_shards(folder, shown)
    if index.stat().st_size > _MAX_INDEX_BYTES:
        raise _broken(shown / index.name, f"it has more than {_MAX_INDEX_BYTES:,} bytes")
    try:
        reader = tf.train.load_checkpoint(str(folder / "variables"))
        shapes = reader.get_variable_to_shape_map()
        types = reader.get_variable_to_dtype_map()
        has_graph = shapes.get(_OBJECT_GRAPH) == []
        graph = reader.get_tensor(_OBJECT_GRAPH) if has_graph else b""
    except (tf.errors.OpError, RuntimeError, ValueError, IndexError, KeyError) as error:
        reason = (str(error).splitlines() or ["no reason"])[0].replace(str(folder), str(shown))
        raise _broken(shown / index.name, f"it cannot be read ({printable(reason)})") from error
    # A text takes one byte at least, so this is a lower bound: a cut shard falls below it as a
    # rule, and so does an index that names a few bytes a thousand times.
    sizes = {
        name: math.prod(shape) * (1 if types[name] == tf.string else types[name].size)
        for name, shape in shapes.items()
    }
    promised = sum(sizes.values())
    if shards < promised:
        raise _broken(shown, f"its shards hold {shards:,} bytes of at least {promised:,}")
    if has_graph:
        _check_object_graph(graph, sizes, shown)


def _check_object_graph(serialized: bytes, sizes: Mapping[str, int], shown: Path) -> None:
    """The checkpoint holds a graph of objects, too, which TensorFlow parses while it loads."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    from keras_transgen.backbones.audit.wire import UnreadableModuleError, check_cost

    kind = trackable_object_graph_pb2.TrackableObjectGraph
    try:
        check_cost(serialized, kind.DESCRIPTOR)
        objects = kind.FromString(serialized)
    except (UnreadableModuleError, DecodeError) as error:
        raise _broken(shown, f"its graph of objects cannot be read ({error})") from error
    keys = [each.checkpoint_key for node in objects.nodes for each in node.attributes]
    taken = sum(sizes.get(key, 0) for key in keys)
    if taken > _TIMES_RESTORED * sum(sizes.values()) + 2**20:
        raise _broken(shown, "its objects are given the same values too often")
    if any(each.registered_saver.name for each in objects.nodes):
        raise _broken(shown, "it asks for code that somebody registered to restore it")


def _check_shards(folder: Path, shown: Path) -> int:
    names = [found for file in folder.iterdir() if (found := _SHARD.fullmatch(file.name))]
    if not names:
        raise _broken(shown, "it has no variables.data-00000-of-0000n")
    counts = {name.group(2) for name in names}
    if len(counts) > 1:
        raise _broken(shown, f"its shards belong to several saves: {', '.join(sorted(counts))}")
    count = int(counts.pop())
    if count < len(names):
        raise _broken(shown, f"it has {len(names)} shards of {count}")
    missing = set(range(count)) - {int(name.group(1)) for name in names}
    if missing:
        lost = ", ".join(f"variables.data-{i:05d}-of-{count:05d}" for i in sorted(missing)[:5])
        raise _broken(shown, f"it lacks {lost}")
    return sum((folder / name.group()).stat().st_size for name in names)


def _broken(path: Path, reason: str) -> BrokenModuleError:
    return BrokenModuleError(
        "expected a whole SavedModel; this one is damaged or cut short: fetch or export it again. "
        f"Received: {path}, and {reason}"
    )


def _advice(folder: Path) -> str:
    if not folder.is_dir():
        return ""
    inside = sorted(file.parent for file in folder.glob("*/saved_model.pb"))
    if inside:
        return f" Did you mean {' or '.join(repr(str(path)) for path in inside[:5])}?"
    if (folder / "saved_model.pbtxt").exists():
        return " A SavedModel in text form (saved_model.pbtxt) must be exported in binary form."
    if any((folder / name).exists() for name in ("config.json", "model.weights.h5")):
        return " This looks like an unpacked Keras model: load it with keras and pass the model."
    names = sorted(entry.name for entry in folder.iterdir())
    held = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f" The folder holds {held or 'nothing'}."
