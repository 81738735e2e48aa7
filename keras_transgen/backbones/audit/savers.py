"""Where a module may read and write checkpoints: in its own saver's two functions, nowhere else.

Every SavedModel holds these ops, in functions that TensorFlow calls with the path of the
module's variables. The same ops called from anywhere else write or read any file.
"""

from __future__ import annotations

from typing import Any

from keras_transgen.backbones.audit import module_graph
from keras_transgen.backbones.audit.allowed_ops import RESTORE_OPS, SAVE_OPS
from keras_transgen.backbones.audit.constants import elements
from keras_transgen.backbones.audit.module_graph import ModuleGraph


class SaverAudit:
    """Judges the ops that read and write checkpoints."""

    def __init__(self, graph: ModuleGraph) -> None:
        self._graph = graph
        saver = graph.meta_graph.saver_def
        path = frozenset({saver.filename_tensor_name.partition(":")[0]})
        self._saving = graph.callers(
            {scope for scope, node in graph.sites() if scope and node.op in SAVE_OPS}
        )
        restoring = graph.callers(
            {scope for scope, node in graph.sites() if scope and node.op in RESTORE_OPS}
        )
        self._reached = graph.signature_nodes | graph.initializer_nodes
        self._save_nodes = graph.ancestors([saver.save_tensor_name])
        self._restore_nodes = graph.ancestors([saver.restore_op_name], stop=path)
        # Whoever calls a function that reaches a checkpoint op must be in place itself.
        concerned = self._saving | restoring
        self._left: dict[tuple[str, bytes], float] = {}
        self._misplaced = graph.called_from(filter(self._is_open, concerned))

    def refuse_op(self, scope: str, node: Any) -> str | None:
        """Refuses a save or restore op in `scope` (empty: the main graph) that is out of place."""
        verb = "writes a checkpoint" if node.op in SAVE_OPS else "reads a checkpoint"
        misplaced = (
            self._refuse_main_node(node, node.op in SAVE_OPS)
            if not scope
            else _OUTSIDE
            if scope in self._misplaced
            else None
        )
        if misplaced is not None:
            return f"{verb} {misplaced}"
        if node.op in RESTORE_OPS:
            inputs = module_graph.data_inputs(node)
            if not inputs:
                return f"{verb} that it does not name"
            others = self._graph.origins(scope, inputs[0]) - {module_graph.SAVER_PATH}
            if others:
                return f"{verb} whose path comes from {', '.join(sorted(others))}"
            return self._refuse_names(scope, node, inputs)
        return None

    def _refuse_names(self, scope: str, node: Any, inputs: list[str]) -> str | None:
        """Refuses to restore what no literal names, and anything more than once."""
        names = self._literals(scope, inputs[1]) if len(inputs) > 1 else None
        slices: list[bytes] | None = [b""] * len(names or ())
        if len(inputs) > 2 and node.op != "Restore":
            slices = self._literals(scope, inputs[2])
        if names is None or slices is None or len(names) != len(slices):
            return "restores what it does not name as a literal"
        for name, text in zip(names, slices, strict=True):
            part = _part(text)
            left = self._left.get((scope, name), 1.0) - part
            if part <= 0 or left < -1e-6:
                return f"restores {name.decode('utf-8', 'replace')!r} more than once"
            self._left[scope, name] = left
        return None

    def _literals(self, scope: str, tensor: str) -> list[bytes] | None:
        node = self._graph.nodes_of(scope).get(tensor.partition(":")[0])
        if node is None or node.op != "Const":
            return None
        value = node.attr["value"].tensor
        texts = list(value.string_val)
        return texts if len(texts) == max(elements(value.tensor_shape), 1) else None

    def _refuse_main_node(self, node: Any, saves: bool) -> str | None:
        if node.name in self._reached:
            return "when a signature or the initializer runs"
        if saves and node.name in self._restore_nodes:
            return "when the module is loaded"
        if node.name not in self._save_nodes | self._restore_nodes:
            return _OUTSIDE
        return None

    def _is_open(self, name: str) -> bool:
        """Whether a function can be reached by another way than the saver's nodes."""
        references = self._graph.references.get(name, ())
        if name in self._graph.exposed or not references:
            return True
        # Swapping implementations would make any call of the pair a call of this one.
        if any("implements" in key for key in self._graph.functions[name].attr):
            return True
        return any(
            ref.node is None
            or (not ref.scope and self._refuse_main_node(ref.node, name in self._saving))
            for ref in references
        )


def _part(text: bytes) -> float:
    """How much of a variable a slice is: of `b"10 4 0,5:-"`, a half; 0 if it cannot be told."""
    if not text:
        return 1.0
    *shape, ranges = text.decode("ascii", "replace").split()
    parts = ranges.split(":")
    if len(shape) != len(parts) or not all(size.isdecimal() for size in shape):
        return 0.0
    part = 1.0
    for size, each in zip(shape, parts, strict=True):
        if each == "-":
            continue
        length = each.partition(",")[2]
        if not length.isdecimal() or not 0 < int(length) <= int(size):
            return 0.0
        part *= int(length) / int(size)
    return part


_OUTSIDE = "outside the functions that save and restore the module's variables"
