"""The objects of a module: which names they may have, and what making them may cost.

TensorFlow sets every child as an attribute of a Python object. A child that bears the name of one
of that object's own methods takes its place, and is then called while the module is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from keras_transgen.backbones.audit.at_load import RUN_CHILDREN
from keras_transgen.backbones.audit.constants import (
    MAX_CONSTANTS_BYTES,
    ConstantBudget,
    bytes_taken,
    elements,
)
from keras_transgen.backbones.audit.module_graph import ModuleGraph

#: What TensorFlow's own classes register; anything else would be built by code that others wrote.
REGISTERED = frozenset({"", "tf.StaticHashTable", "tf.TrackableConstant"})
#: Bytes of an optimizer's state beyond eight times those that the checkpoint holds.
MAX_STATE_BYTES = 64 * 2**20
_LISTS = frozenset({"trackable_list_wrapper", "trackable_tuple_wrapper"})
# Objects of these are instances of one class of TensorFlow's: what is set on the class, as
# TensorFlow does with `__call__`, is set for the whole process.
_SHARED_CLASSES = _LISTS | {
    "experimentalOptimizer",
    "optimizer",
    "signature_map",
    "tf_deprecated_optimizer",
    "trackable_dict_wrapper",
}
_TRACED = re.compile(r"(trace|capture)_[0-9]{1,6}", re.ASCII)
_MAX_DEPTH = 200
_MAX_NUMBER = 1000
_PLACE = re.compile(r"[0-9]{1,9}", re.ASCII)
_GAPS = 10_000

_OWN_NAMES = frozenset(
    name
    for kind in (
        tf.train.Checkpoint,
        tf.saved_model.experimental.TrackableResource,
    )
    for name in dir(kind)
    if name.startswith("_")
) - (RUN_CHILDREN | {"__call__"})


def refuse_objects(graph: ModuleGraph, checkpoint_bytes: int) -> Iterator[str]:
    """What speaks against a module's objects, in words."""
    objects = graph.meta_graph.object_graph_def
    gaps = _GAPS + len(objects.nodes)
    for saved in objects.nodes:
        if saved.registered_name not in REGISTERED:
            yield f"is made by a class that somebody registered ({saved.registered_name!r})"
        if saved.registered_saver:
            yield f"is restored by code that somebody registered ({saved.registered_saver!r})"
        kind = saved.WhichOneof("kind")
        for child in saved.children:
            name = child.local_name
            if name in _OWN_NAMES or (name.startswith("__") and name != "__call__"):
                yield f"has a child in the place of TensorFlow's own {name!r}"
            elif not _may_have(kind, saved, name):
                yield f"has a child {name!r}, as no {kind or 'object'} has"
            if not 0 <= child.node_id < len(objects.nodes):
                yield f"has a child that is missing ({name!r})"
        if saved.user_object.identifier in _LISTS:
            last, reason = _last_place(saved)
            gaps -= max(0, last - len(saved.children))
            if reason is not None or gaps < 0:
                yield reason or "is a list with more gaps than objects"
    if _depth(objects) > _MAX_DEPTH:
        yield f"lies more than {_MAX_DEPTH} levels deep"
    yield from _refuse_sizes(graph, checkpoint_bytes)


def _may_have(kind: str | None, saved: Any, name: str) -> bool:
    """Whether an object of a kind may have a child of a name."""
    if kind in ("function", "bare_concrete_function"):
        return bool(_TRACED.fullmatch(name))
    if kind == "user_object":
        return name != "__call__" or saved.user_object.identifier not in _SHARED_CLASSES
    return kind == "resource" and name != "__call__"


def _depth(objects: Any) -> int:
    """How far from the root the objects lie."""
    seen, level, depth = {0}, [0] if objects.nodes else [], 0
    while level:
        found = [
            child.node_id
            for place in level
            for child in objects.nodes[place].children
            if 0 <= child.node_id < len(objects.nodes)
        ]
        level = [place for place in dict.fromkeys(found) if place not in seen]
        seen.update(level)
        depth += bool(level)
    return depth


def _last_place(saved: Any) -> tuple[int, str | None]:
    """The last place that a list's children are put at."""
    last = 0
    for child in saved.children:
        if _PLACE.fullmatch(child.local_name):
            last = max(last, int(child.local_name))
        elif _is_number(child.local_name):
            return last, f"is a list with an item at {child.local_name!r}"
    return last, None


def _is_number(name: str) -> bool:
    """Whether Python reads a name as a place, as in `+1`, `1_000` and digits of any alphabet."""
    try:
        int(name)
    except ValueError:
        return False
    return True


def _refuse_sizes(graph: ModuleGraph, checkpoint_bytes: int) -> Iterator[str]:
    objects = graph.meta_graph.object_graph_def
    constants = MAX_CONSTANTS_BYTES + 8 * graph.meta_graph.ByteSize()
    variables = MAX_STATE_BYTES + 8 * checkpoint_bytes
    for saved in objects.nodes:
        kind = saved.WhichOneof("kind")
        if kind == "constant" and saved.constant.operation in graph.nodes:
            constants -= bytes_taken(graph.nodes[saved.constant.operation].attr["value"].tensor)
        for slot in saved.slot_variables:
            if 0 <= slot.original_variable_node_id < len(objects.nodes):
                variables -= _variable_bytes(objects.nodes[slot.original_variable_node_id])
    if constants < 0:
        yield "is a constant that the module's objects name too often"
    if variables < 0:
        yield "is an optimizer's state that takes more memory than there may be"
    budget = ConstantBudget()
    for tensor in _in_signatures(objects):
        if isinstance(tensor, int):
            if abs(tensor) > _MAX_NUMBER:
                yield f"has an argument of a kind that says the number {tensor:,}"
            continue
        reason = budget.refuse(tensor)
        if reason is not None:
            yield reason


def _variable_bytes(saved: Any) -> int:
    return 8 * elements(saved.variable.shape)


def _in_signatures(objects: Any) -> Iterator[Any]:
    """What specifications of arguments hold: tensors, and numbers such as how ragged they are."""
    waiting: list[tuple[Any, bool]] = []
    for function in objects.concrete_functions.values():
        waiting += [(function.canonicalized_input_signature, False)]
        waiting += [(function.output_signature, False)]
    for saved in objects.nodes:
        for each in (saved.function, saved.bare_concrete_function):
            specification = each.function_spec
            waiting += [(specification.fullargspec, False), (specification.input_signature, False)]
    while waiting:
        value, is_type = waiting.pop()
        kind = value.WhichOneof("kind")
        if kind in ("tensor_value", "numpy_value"):
            yield getattr(value, kind)
        elif kind == "bounded_tensor_spec_value":
            yield value.bounded_tensor_spec_value.minimum
            yield value.bounded_tensor_spec_value.maximum
        elif kind in ("list_value", "tuple_value"):
            waiting.extend((each, is_type) for each in getattr(value, kind).values)
        elif kind == "dict_value":
            waiting.extend((each, is_type) for each in value.dict_value.fields.values())
        elif kind == "named_tuple_value":
            waiting.extend((pair.value, is_type) for pair in value.named_tuple_value.values)
        elif kind == "type_spec_value":
            waiting.append((value.type_spec_value.type_state, True))
        elif kind == "int64_value" and is_type:
            yield value.int64_value
