"""The callable of a loaded SavedModel: what it takes, what it gives, what it holds."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.backbones.example_by_example import (
    run_by_example,
    takes_one_example,
    with_batch_axis,
)
from keras_transgen.backbones.module_outputs import plain, select_output


class ModuleFunction:
    """Finds a loaded module's entry point and reads its signature, without running it.

    Looked for in this order: `__call__` (TF-Hub's reusable form), `serve` (written by
    `keras.Model.export`), the `serving_default` signature, the only signature.

    Args:
        module: What `tf.saved_model.load` returned.
        arguments: Further keyword arguments for every call.
        output_key: Which of several outputs to return: a name in a dict, a position in a tuple or
            list. `None`: all of them, or the one there is.
        from_graph: Take the outputs' shapes from the graph, for a module that was given a new
            input size or other outputs after it was saved.
        batch_axis: Whether the inputs have one; see `takes_one_example`. Where they have none,
            `input_spec` and `output_spec` have one all the same, and a call runs the module on one
            example after the other.
    """

    def __init__(
        self,
        module: Any,
        arguments: dict[str, Any] | None = None,
        output_key: str | int | None = None,
        from_graph: bool = False,
        batch_axis: bool | None = None,
    ) -> None:
        self.module = module
        self.arguments = dict(arguments or {})
        self.output_key = output_key
        self.function: Any
        self.function, self.entry = _find_entry(module)
        self.is_signature = self.entry.startswith("signatures")
        self._parameters = list(inspect.signature(self.function).parameters.values())
        self.takes_training = self._knows("training")
        self._refuse_unknown_arguments()
        self._traces = self._matching_traces(training=False)
        self._is_single_named_input = False
        self._from_graph = from_graph
        self.input_spec = self._read_input_spec()
        outputs = self._traces[0].structured_outputs
        if from_graph:
            specs = [tf.TensorSpec(each.shape, each.dtype) for each in self._traces[0].outputs]
            outputs = tf.nest.pack_sequence_as(outputs, specs)
        self.output_spec = self._select(outputs)
        self.batch_axis = batch_axis
        self.by_example = takes_one_example(self.input_spec, batch_axis)
        if self.by_example:
            self._example_spec = self.output_spec
            self.input_spec = with_batch_axis(self.input_spec)
            self.output_spec = with_batch_axis(self.output_spec)

    def __call__(self, inputs: Any, training: bool = False) -> Any:
        """Run the module on inputs of the structure and dtypes of `input_spec`."""
        if not self.by_example:
            return self._run(inputs, training)
        return run_by_example(
            lambda example: self._run(example, training),
            inputs,
            self._example_spec,
            self.output_spec,
        )

    def _run(self, inputs: Any, training: bool) -> Any:
        if self.is_signature:
            if self._is_single_named_input:
                inputs = {self._signature_names()[0]: inputs}
            return self._shaped(self._select(self.function(**inputs)))
        keywords = dict(self.arguments)
        if self.takes_training:
            # TF2 modules branch on a Python bool: one trace for each.
            keywords["training"] = training
        return self._shaped(self._select(self.function(inputs, **keywords)))

    def _shaped(self, outputs: Any) -> Any:
        """With the shapes that the graph says, which a call inside a replica loses."""
        if not self._from_graph:
            return outputs
        specs = self._example_spec if self.by_example else self.output_spec
        return tf.nest.map_structure(
            lambda output, spec: tf.ensure_shape(output, spec.shape), outputs, specs
        )

    @property
    def can_train(self) -> bool:
        """Whether the entry point belongs to the module itself; a signature is for serving."""
        return not self.is_signature

    def can_adapt(self) -> bool:
        """Whether the module was saved with a training mode."""
        return self.takes_training and bool(self._matching_traces(training=True, strict=False))

    def variables(self) -> list[tf.Variable]:
        """The variables that the function reads, in the order it first reads them."""
        seen: dict[int, tf.Variable] = {}
        for trace in self._traces:
            for variable in trace.variables:
                seen.setdefault(id(variable), variable)
        return list(seen.values())

    def trainable_ids(self) -> set[int]:
        """`id`s of the variables that the module says may be trained."""
        listed = getattr(self.module, "trainable_variables", None)
        if listed is None:
            return {id(variable) for variable in self.variables() if variable.trainable}
        return {id(variable) for variable in listed}

    def trace_place(self) -> int:
        """Which of the entry point's traces runs in inference mode."""
        traces = [self.function] if self.is_signature else self.function.concrete_functions
        return next(place for place, each in enumerate(traces) if each is self._traces[0])

    def regularization_losses(self) -> list[Callable[[], tf.Tensor]]:
        """The module's regularisation losses, each a function without arguments."""
        return list(getattr(self.module, "regularization_losses", None) or [])

    def attribute_paths(self) -> dict[int, str]:
        """Where in the module's attributes each variable hangs, by `id`."""
        paths: dict[int, str] = {}
        kind = type(self.module).__module__
        lists = ("variables", "trainable_variables", "non_trainable_variables", "_all_variables")
        for name, value in vars(self.module).items():
            if not name.startswith("_") and name not in lists:
                for path, variable in _walk(value, name, kind, set()):
                    paths.setdefault(id(variable), path)
        return paths

    def input_dtypes(self) -> set[str]:
        """The dtypes the module's traces take, over all inputs."""
        return {spec.dtype.name for spec in keras.tree.flatten(self.input_spec)}

    def _knows(self, name: str) -> bool:
        if self.is_signature:
            return False
        kinds = {parameter.kind for parameter in self._parameters}
        named = {parameter.name for parameter in self._parameters[1:]}
        return name in named or (name != "training" and inspect.Parameter.VAR_KEYWORD in kinds)

    def _refuse_unknown_arguments(self) -> None:
        unknown = [name for name in self.arguments if not self._knows(name)]
        if not unknown:
            return
        known = [parameter.name for parameter in self._parameters[1:]]
        raise ValueError(
            f"The module's {self.entry} takes these further arguments: {known or 'none'}. "
            f"Received: arguments={self.arguments!r}"
        )

    def _matching_traces(self, training: bool, strict: bool = True) -> list[Any]:
        traces = [self.function] if self.is_signature else self.function.concrete_functions
        matching = [trace for trace in traces if self._matches(trace, training)]
        if matching or not strict:
            return matching
        if not traces:
            raise ValueError(
                f"The module's {self.entry} was saved without a single trace, so there is nothing "
                "to run. Call it once, or give its tf.function an input_signature, before saving."
            )
        said = sorted({str(self._python_arguments(trace)) for trace in traces})
        raise ValueError(
            "The module was not saved for these arguments. It was saved for: "
            f"{'; '.join(said)}. Received: arguments={self.arguments!r}"
        )

    def _matches(self, trace: Any, training: bool) -> bool:
        saved = self._python_arguments(trace)
        wanted = {**self.arguments, **({"training": training} if self.takes_training else {})}
        defaults = {
            parameter.name: parameter.default
            for parameter in self._parameters[1:]
            if parameter.default is not inspect.Parameter.empty
        }
        return all(
            isinstance(value, tf.TypeSpec) or value == wanted.get(name, defaults.get(name, value))
            for name, value in saved.items()
        )

    def _python_arguments(self, trace: Any) -> dict[str, Any]:
        """The arguments after the inputs that a trace was made with."""
        positional, keywords = trace.structured_input_signature
        names = [parameter.name for parameter in self._parameters[1:]]
        return {**dict(zip(names, positional[1:])), **({} if self.is_signature else keywords)}

    def _signature_names(self) -> list[str]:
        return sorted(self.function.structured_input_signature[1])

    def _read_input_spec(self) -> Any:
        if self.is_signature:
            named = dict(self.function.structured_input_signature[1])
            if len(named) != 1:
                return named
            self._is_single_named_input = True
            return next(iter(named.values()))
        positional, keywords = self._traces[0].structured_input_signature
        if not self._parameters or not (positional or keywords):
            raise ValueError(
                f"The module's {self.entry} takes no input, so it is no network. "
                f"Received: a module with the attributes {_public_names(self.module)}"
            )
        spec = positional[0] if positional else keywords[self._parameters[0].name]
        return plain(spec)

    def _select(self, outputs: Any) -> Any:
        is_single = self.is_signature and isinstance(outputs, dict) and len(outputs) == 1
        if is_single and self.output_key is None:
            return next(iter(outputs.values()))
        return select_output(outputs, self.output_key)


def _find_entry(module: Any) -> tuple[Any, str]:
    # A restored tf.function carries the traces it was saved with.
    call: Any = getattr(module, "__call__", None)  # noqa: B004
    if callable(module) and hasattr(call, "concrete_functions"):
        return call, "__call__"
    if hasattr(getattr(module, "serve", None), "concrete_functions"):
        return module.serve, "serve"
    signatures = getattr(module, "signatures", {})
    if "serving_default" in signatures:
        return signatures["serving_default"], "signatures['serving_default']"
    if len(signatures) == 1:
        name = next(iter(signatures))
        return signatures[name], f"signatures[{name!r}]"
    raise ValueError(
        "The module has nothing to call: a __call__ method, a serve function or a "
        "serving_default signature. Received: a module with the attributes "
        f"{_public_names(module)} and the signatures {sorted(signatures)}"
    )


def _public_names(module: Any) -> list[str]:
    return sorted(name for name in vars(module) if not name.startswith("_"))


def _walk(value: Any, path: str, kind: str, seen: set[int]) -> Iterator[tuple[str, tf.Variable]]:
    """All variables below an attribute; `kind` is the Python module restored objects come from."""
    if isinstance(value, tf.Variable):
        yield path, value
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, dict):
        children = [(str(key), child) for key, child in value.items()]
    elif isinstance(value, (list, tuple)):
        children = [(str(index), child) for index, child in enumerate(value)]
    elif type(value).__module__ == kind:
        children = [(key, child) for key, child in vars(value).items() if not key.startswith("_")]
    else:
        return
    for key, child in children:
        yield from _walk(child, f"{path}/{key}", kind, seen)
