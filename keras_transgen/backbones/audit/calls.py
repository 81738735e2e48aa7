"""How functions call each other: never in a circle, and not too often or too deep.

Thirty functions of which each calls the next one twice are a billion calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from keras_transgen.backbones.audit.module_graph import ModuleGraph

#: Most ops of a function with every call in it put in its place, and how deep calls may lie.
MAX_UNFOLDED_OPS = 200_000
MAX_CALL_DEPTH = 200


def unfolded_sizes(graph: ModuleGraph) -> dict[str, int]:
    """How many ops each function runs, calls included; those on a circle are left out."""
    sizes: dict[str, int] = {}
    for name in in_order({name: graph.callees.get(name, ()) for name in graph.functions}):
        own = len(graph.functions[name].node_def)
        called = sum(sizes[callee] for callee in graph.callees.get(name, ()))
        sizes[name] = min(1 + own + called, 2**62)
    return sizes


def refuse_calls(graph: ModuleGraph, sizes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Functions that call each other in a circle, too deep, or too often.

    Yields:
        The function's name, and the reason.
    """
    depths: dict[str, int] = {}
    for name in graph.functions:
        if name not in sizes:
            yield name, "calls itself, or functions that call it"
    for name, size in sizes.items():
        depths[name] = 1 + max((depths[each] for each in graph.callees.get(name, ())), default=0)
        if size > MAX_UNFOLDED_OPS:
            yield name, f"runs more than {MAX_UNFOLDED_OPS:,} ops, each call counted"
        if depths[name] > MAX_CALL_DEPTH:
            yield name, f"calls functions more than {MAX_CALL_DEPTH} levels deep"


def in_order(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Sort names so that each comes after those that it needs; linear, and without recursion."""
    waiting = {name: set(sources) & needs.keys() for name, sources in needs.items()}
    consumers: dict[str, list[str]] = {}
    for name, sources in waiting.items():
        for source in sources:
            consumers.setdefault(source, []).append(name)
    ready = [name for name, sources in waiting.items() if not sources]
    for name in ready:
        for consumer in consumers.get(name, ()):
            waiting[consumer].discard(name)
            if not waiting[consumer]:
                ready.append(consumer)
    return ready
