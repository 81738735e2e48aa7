"""Where a module may read and write checkpoints: in its own saver's two functions, nowhere else.

Every SavedModel holds these ops, in functions that TensorFlow calls with the path of the
module's variables. The same ops called from anywhere else write or read any file.
"""

from typing import Any

from keras_transgen.backbones import module_graph
from keras_transgen.backbones.allowed_ops import RESTORE_OPS, SAVE_OPS
from keras_transgen.backbones.module_graph import ModuleGraph


class SaverAudit:
    """Judges the ops that read and write checkpoints.

    Args:
        graph: The meta graph that holds them.
    """

    def __init__(self, graph: ModuleGraph) -> None:
        self._graph = graph
        saver = graph.meta_graph.saver_def
        path = frozenset({saver.filename_tensor_name.partition(":")[0]})
        self._saving = graph.callers(
            scope for scope, node in graph.sites() if scope and node.op in SAVE_OPS
        )
        self._restoring = graph.callers(
            scope for scope, node in graph.sites() if scope and node.op in RESTORE_OPS
        )
        self._reached = graph.signature_nodes | graph.initializer_nodes
        self._save_nodes = graph.ancestors([saver.save_tensor_name])
        self._restore_nodes = graph.ancestors([saver.restore_op_name], stop=path)

    def refuse_op(self, scope: str, node: Any) -> str | None:
        """Refuses a save or restore op in `scope` (empty: the main graph) that is out of place."""
        verb = "writes a checkpoint" if node.op in SAVE_OPS else "reads a checkpoint"
        misplaced = (
            self._refuse_main_node(node, node.op in SAVE_OPS)
            if not scope
            else self._refuse_function(scope)
        )
        if misplaced is not None:
            return f"{verb} {misplaced}"
        if node.op in RESTORE_OPS:
            others = self._graph.origins(scope, node.input[0]) - {module_graph.SAVER_PATH}
            if others:
                return f"{verb} whose path comes from {', '.join(sorted(others))}"
        return None

    def _refuse_main_node(self, node: Any, saves: bool) -> str | None:
        if node.name in self._reached:
            return "when a signature or the initializer runs"
        if saves and node.name in self._restore_nodes:
            return "when the module is loaded"
        if node.name not in self._save_nodes | self._restore_nodes:
            return "outside the functions that save and restore the module's variables"
        return None

    def _refuse_function(self, scope: str) -> str | None:
        outside = "outside the functions that save and restore the module's variables"
        for name in self._graph.callers([scope]):
            references = self._graph.references.get(name, ())
            if name in self._graph.exposed or not references:
                return outside
            if any(ref.node is None for ref in references):
                return outside
            for ref in references:
                # Swapping implementations would make any call of the pair a call of this one.
                if not ref.scope and self._refuse_main_node(ref.node, scope in self._saving):
                    return outside
            if any("implements" in key for key in self._graph.functions[name].attr):
                return outside
        return None
