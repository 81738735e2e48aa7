"""Which names may be bound to what: the audit's map of a module must be TensorFlow's.

TensorFlow looks a node's op up among the module's functions first and among its own ops then. A
function may take lists and leave attributes open, so that the same node means one thing here and
another there. Modules that TensorFlow writes do none of this, so it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from keras_transgen.backbones.audit.module_graph import ModuleGraph
from keras_transgen.backbones.audit.registered_ops import is_registered

_NODE_NAME = re.compile(r"[A-Za-z0-9_.>][A-Za-z0-9_>./\\-]*")
_LONGEST_NAME = 4096


def refuse_keys(graph: ModuleGraph) -> Iterator[str]:
    """Names that TensorFlow would print to a terminal or a log as they are."""
    meta_graph = graph.meta_graph
    named = {
        "a function": graph.functions,
        "a collection": meta_graph.collection_def,
        "an alias": meta_graph.meta_info_def.function_aliases.values(),
        "a signature": meta_graph.signature_def,
    }
    for what, names in named.items():
        for name in names:
            if not name.isprintable() or len(name) > _LONGEST_NAME:
                yield f"{what} has a name that cannot be shown: {name[:40]!r}"


def refuse_names(graph: ModuleGraph) -> Iterator[tuple[str, Any, str]]:
    """What makes a name mean two things.

    Yields:
        The function (empty for the main graph), the node or None, and the reason.
    """
    for name, function in graph.functions.items():
        for reason in _refuse_function(graph, name, function):
            yield name, None, reason
    for scope, node in graph.sites():
        if not _NODE_NAME.fullmatch(node.name) or len(node.name) > _LONGEST_NAME:
            yield scope, node, "has a name that TensorFlow gives no node"
        if _control_before_data(node):
            yield scope, node, "lists what must run before it ahead of its inputs"


def _refuse_function(graph: ModuleGraph, name: str, function: Any) -> Iterator[str]:
    signature = function.signature
    if is_registered(name):
        yield "bears the name of an op"
    if len(signature.attr):
        yield "leaves attributes to whoever calls it"
    for argument in signature.input_arg:
        if argument.number_attr or argument.type_list_attr or argument.type_attr:
            yield "takes arguments that depend on who calls it"
    arguments = graph.arguments[name]
    if len(arguments) != len(signature.input_arg) or arguments.keys() & graph.function_nodes[name]:
        yield "has one name for two things"
    objects = graph.meta_graph.object_graph_def
    if name in objects.concrete_functions:
        bound = objects.concrete_functions[name].bound_inputs
        if len(bound) > len(signature.input_arg):
            yield "is bound to more than it takes"


def _control_before_data(node: Any) -> bool:
    seen = False
    for name in node.input:
        if name.startswith("^"):
            seen = True
        elif seen:
            return True
    return False
