"""Features from inside a SavedModel: a copy of its graph that gives the outputs of its layers."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2, struct_pb2

from keras_transgen.backbones.flat_function import FlatFunction, shape_proto
from keras_transgen.backbones.saved_model_function import ModuleFunction
from keras_transgen.backbones.saved_model_pruning import link_folder

_NEW_NAME = "__inference_tapped_layers"


class ModuleTaps:
    """The layers inside a module's entry point, and how to have their outputs.

    TensorFlow gives no public way to a tensor inside a loaded module. The SavedModel itself is one:
    its graph, variables and their ties are protocol buffers. A copy whose entry point computes the
    wanted tensors, and no more than they need, is loaded as any other module, with its gradients,
    under a distribution strategy, and by XLA.

    Args:
        folder: Folder of the SavedModel.
        entry: The entry point, as `ModuleFunction.entry` says it.
        trace: Which of the entry point's traces, by its place.
    """

    def __init__(self, folder: Path, entry: str, trace: int) -> None:
        self._folder = folder
        self._proto = saved_model_pb2.SavedModel.FromString(
            Path(folder, "saved_model.pb").read_bytes()
        )
        self._objects = self._proto.meta_graphs[0].object_graph_def
        if not self._objects.nodes:
            raise ValueError(
                "Layers can be tapped in modules that TensorFlow 2 saved; this one is a graph of "
                f"TensorFlow 1. Save it again with tf.saved_model.save. Received: {folder}"
            )
        self._entry = self._entry_node(entry)
        names = self._trace_names()
        self._name = names[trace if len(names) > 1 else 0]
        library = self._proto.meta_graphs[0].graph_def.library
        functions = {function.signature.name: function for function in library.function}
        self.function = FlatFunction(self._name, functions)

    def _entry_node(self, entry: str) -> Any:
        if not entry.startswith("signatures"):
            return self._child(0, entry)
        return self._child(self._child_id(0, "signatures"), entry.split("'")[1])

    def _child(self, parent: int, name: str) -> Any:
        return self._objects.nodes[self._child_id(parent, name)]

    def _child_id(self, parent: int, name: str) -> int:
        children = self._objects.nodes[parent].children
        return next(child.node_id for child in children if child.local_name == name)

    def _trace_names(self) -> list[str]:
        if self._entry.HasField("bare_concrete_function"):
            return [self._entry.bare_concrete_function.concrete_function_name]
        return list(self._entry.function.concrete_functions)

    @contextlib.contextmanager
    def tapped_folder(
        self,
        layers: Sequence[str] | None,
        image_size: tuple[int, int] | None = None,
    ) -> Iterator[Path]:
        """A folder with a SavedModel that gives these layers' outputs, as long as the context.

        Args:
            layers: Names of layers. `None` leaves the module's own outputs.
            image_size: Height and width of the images that it shall take instead of its own.
        """
        self._tap(layers, image_size)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            Path(folder, "saved_model.pb").write_bytes(self._proto.SerializeToString())
            for part in ("variables", "assets"):
                if (self._folder / part).is_dir():
                    link_folder(self._folder / part, folder / part)
            yield folder

    def _tap(self, layers: Sequence[str] | None, image_size: tuple[int, int] | None) -> None:
        flat = self.function
        tensors = flat.returns if layers is None else [flat.find(layer) for layer in layers]
        saved = self._objects.concrete_functions[self._name]
        specs = list(_tensor_specs(saved.canonicalized_input_signature))
        sizes = {} if image_size is None else {0: _resized(specs, image_size)}
        for size in sizes.values():
            specs[0].shape.CopyFrom(shape_proto(size))
        function, kept = flat.cut(tensors, _NEW_NAME, sizes)
        self._proto.meta_graphs[0].graph_def.library.function.add().CopyFrom(function)
        tapped = self._objects.concrete_functions[_NEW_NAME]
        tapped.CopyFrom(saved)
        first_bound = len(flat.argument_names) - len(saved.bound_inputs)
        del tapped.bound_inputs[:]
        tapped.bound_inputs.extend(
            saved.bound_inputs[place - first_bound] for place in kept if place >= first_bound
        )
        if layers is not None:
            tapped.output_signature.CopyFrom(_list_of_tensors(function.signature.output_arg))
        self._enter(_NEW_NAME)

    def _enter(self, name: str) -> None:
        if self._entry.HasField("bare_concrete_function"):
            self._entry.bare_concrete_function.concrete_function_name = name
            return
        del self._entry.function.concrete_functions[:]
        self._entry.function.concrete_functions.append(name)
        # The specification of the Python function would hold the new input against the old size.
        self._entry.function.function_spec.input_signature.Clear()
        self._entry.function.function_spec.input_signature.none_value.SetInParent()


def load_tapped(
    folder: Path,
    function: ModuleFunction,
    layers: Sequence[str] | None,
    image_size: tuple[int, int] | None = None,
) -> tuple[Any, ModuleFunction]:
    """Load a module again, with the outputs of layers for its own.

    Args:
        folder: Folder of the SavedModel.
        function: Its entry point, as it was loaded before.
        layers: Names of layers. `None` leaves the module's own outputs.
        image_size: Height and width of the images that it shall take instead of its own.

    Returns:
        The module, and its entry point, which gives a list of the layers' outputs.
    """
    taps = ModuleTaps(folder, function.entry, function.trace_place())
    with taps.tapped_folder(layers, image_size) as tapped:
        try:
            module = tf.saved_model.load(str(tapped))
        except (ValueError, tf.errors.InvalidArgumentError) as error:
            raise ValueError(
                "The module cannot compute at this image size: its graph holds sizes that do not "
                f"fit. Leave image_size away. Received: image_size={image_size} "
                f"({str(error).splitlines()[0]})"
            ) from error
    output_key = function.output_key if layers is None else None
    tapped_function = ModuleFunction(
        module, function.arguments, output_key, from_graph=True, batch_axis=function.batch_axis
    )
    return module, tapped_function


def _tensor_specs(structure: Any) -> Iterator[Any]:
    """All tensor specifications in a structured value, in order."""
    kind = structure.WhichOneof("kind")
    if kind == "tensor_spec_value":
        yield structure.tensor_spec_value
    elif kind in ("tuple_value", "list_value"):
        for value in getattr(structure, kind).values:
            yield from _tensor_specs(value)
    elif kind == "dict_value":
        for key in sorted(structure.dict_value.fields):
            yield from _tensor_specs(structure.dict_value.fields[key])


def _resized(specs: Sequence[Any], image_size: tuple[int, int]) -> list[int | None]:
    sizes = [None if dim.size < 0 else dim.size for dim in specs[0].shape.dim] if specs else []
    if len(specs) != 1 or len(sizes) != 4:
        raise ValueError(
            "image_size is for modules that take one batch of images [batch, height, width, "
            f"channels]. Received: image_size={image_size} for a module of {len(specs)} input(s)"
            + (f", the first of shape {sizes}" if sizes else "")
        )
    return [sizes[0], *image_size, sizes[3]]


def _list_of_tensors(outputs: Sequence[Any]) -> Any:
    structure = struct_pb2.StructuredValue()
    structure.list_value.SetInParent()
    for output in outputs:
        spec = structure.list_value.values.add().tensor_spec_value
        spec.name, spec.dtype = output.name, output.type
        spec.shape.unknown_rank = True
    return structure
