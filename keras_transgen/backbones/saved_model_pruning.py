"""A Keras SavedModel without the functions of its layers, which takes half the time to load."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2

_KERAS = "_tf_keras_"
_FUNCTIONS = ("function", "bare_concrete_function")


@contextlib.contextmanager
def pruned_folder(folder: Path) -> Iterator[Path]:
    """A folder with the same module, as long as the context, without what nobody calls.

    Keras 2 saved each layer with functions of its own, besides those of the whole model. Objects,
    variables and signatures stay as they are. Other modules, and those that read files of their own
    folder, stay whole.

    Args:
        folder: Folder of the SavedModel.
    """
    saved = saved_model_pb2.SavedModel.FromString(Path(folder, "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0]
    nodes = graph.object_graph_def.nodes
    is_keras = bool(nodes) and nodes[0].user_object.identifier.startswith(_KERAS)
    if len(saved.meta_graphs) != 1 or not is_keras or graph.asset_file_def:
        yield folder
        return
    _prune(graph)
    with tempfile.TemporaryDirectory() as name:
        pruned = Path(name)
        Path(pruned, "saved_model.pb").write_bytes(saved.SerializeToString())
        if (folder / "variables").is_dir():
            link_folder(folder / "variables", pruned / "variables")
        yield pruned


def link_folder(source: Path, target: Path) -> None:
    """A link where the file system has them, else a copy: the module is only read."""
    try:
        target.symlink_to(source.resolve(), target_is_directory=True)
    except OSError:
        shutil.copytree(source, target)


def _prune(graph: Any) -> None:
    objects = graph.object_graph_def
    unused = _functions_of_layers(objects.nodes)
    for number in unused:
        # Numbers of objects are what others, and the checkpoint, know them by.
        node = objects.nodes[number]
        node.Clear()
        node.user_object.identifier = "_generic_user_object"
        node.user_object.version.producer = node.user_object.version.min_consumer = 1
    called = set()
    for node in objects.nodes:
        called.update(node.function.concrete_functions)
        called.add(node.bare_concrete_function.concrete_function_name)
    library = graph.graph_def.library
    # No object holds gradients of one's own; TensorFlow finds them by the ops that have them.
    for gradient in library.gradient:
        called.update((gradient.function_name, gradient.gradient_func))
    called.update(gradient.gradient_func for gradient in library.registered_gradients)
    for name in [name for name in objects.concrete_functions if name not in called]:
        del objects.concrete_functions[name]
    functions = {function.signature.name: function for function in library.function}
    roots = [*called, *_named(graph.graph_def.node)]
    reached = _reached(roots, functions)
    kept = saved_model_pb2.SavedModel().meta_graphs.add().graph_def.library
    kept.function.extend(functions[name] for name in functions if name in reached)
    del library.function[:]
    library.function.extend(kept.function)


def _functions_of_layers(nodes: Any) -> set[int]:
    """The functions that hang on layers inside the model and nowhere else, and their traces."""
    parents = defaultdict(set)
    layers = set()
    for number, node in enumerate(nodes):
        is_keras = node.user_object.identifier.startswith(_KERAS)
        if is_keras and number:
            layers.add(number)
        for child in node.children:
            parents[child.node_id].add(number)
            # Where Keras keeps the same functions under other names.
            if is_keras and child.local_name == "keras_api":
                layers.add(child.node_id)
    unused: set[int] = set()
    # First the functions, then the traces that hang on them.
    for owners in (layers, unused):
        unused |= {
            number
            for number, node in enumerate(nodes)
            if node.WhichOneof("kind") in _FUNCTIONS
            and parents[number]
            and parents[number] <= owners
        }
    for node in nodes:
        for saver in node.saveable_objects.values():
            unused -= {saver.save_function, saver.restore_function}
    return unused


def _reached(roots: Iterable[str], functions: Mapping[str, Any]) -> set[str]:
    reached: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in functions and name not in reached:
            reached.add(name)
            waiting += _named(functions[name].node_def)
            waiting += _named_by(functions[name].attr.values())
    return reached


def _named(nodes: Iterable[Any]) -> Iterator[str]:
    """All names in nodes that may be a function's: ops, functions and texts in attributes."""
    for node in nodes:
        yield node.op
        yield from _named_by(node.attr.values())


def _named_by(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        yield value.func.name
        yield from (function.name for function in value.list.func)
        yield value.s.decode("utf-8", "replace")
