"""What a network does last to its outputs: a softmax, a sigmoid, or nothing that bounds them."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_transgen.training.output_bounds import Interval, bounds_of

# Activations that give probabilities.
PROBABILITIES = frozenset({"softmax", "sigmoid", "hard_sigmoid", "sparsemax", "sparse_sigmoid"})
# Activations whose values lie between two bounds, these among them.
BOUNDED = PROBABILITIES | {"tanh", "hard_tanh", "softsign", "clip", "relu6"}

_NAMES = {
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softsign": "softsign",
    "Softplus": "softplus",
    "Relu": "relu",
    "Relu6": "relu6",
    "LeakyRelu": "leaky_relu",
    "Elu": "elu",
    "Selu": "selu",
    "Exp": "exponential",
}
# What changes the shape, the order, the precision or the size in pixels, but no value's meaning.
_PASSED = frozenset(
    {"Identity", "IdentityN", "StopGradient", "PreventGradient", "CheckNumerics", "Cast"}
    | {"Reshape", "Transpose", "Squeeze", "ExpandDims", "EnsureShape", "Snapshot"}
    | {"StridedSlice", "Slice", "Pad", "PadV2", "MirrorPad", "GatherV2", "ResizeNearestNeighbor"}
    | {"ResizeBilinear", "DepthToSpace", "SpaceToDepth", "BatchToSpaceND", "ReverseV2", "Tile"}
)
_JOINED = frozenset({"ConcatV2", "Pack"})
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
# Layers whose attribute `activation` is the last thing they do.
_ENDS_IN_ACTIVATION = (
    keras.layers.Activation,
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv1D.__mro__[1],
    keras.layers.Conv1DTranspose.__mro__[1],
    keras.layers.DepthwiseConv1D.__mro__[1],
)


def last_activation(model: keras.layers.Layer, *inputs: Any) -> str | None:
    """Find the activation that a network's outputs have passed last.

    The network's own computation is looked at, so it does not matter who computes the activation:
    a layer's argument, a layer, `keras.ops`, a nested or a wrapped network. What only moves values
    about (`Reshape`, `Flatten`, `Cropping2D`, a cast) is looked through; what computes with them
    (`Rescaling`, a residual sum) ends the search.

    Args:
        model: A built layer or model.
        *inputs: Its inputs as `keras.KerasTensor`s, one an argument. Defaults to what a functional
            or sequential model says, or to the shape that it was built with.

    Returns:
        Keras' name of the activation (`"softmax"`, `"sigmoid"`, `"tanh"`, ...), `"clip"` for a
        clipping to constant bounds, or `None` for none that is known. Of several outputs it is the
        first's that has one.

    Example:
        ```python
        import keras
        from keras_transgen.training.last_activation import last_activation

        head = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
        assert last_activation(head) == "softmax"
        ```
    """
    found = [name for name in last_activations(model, *inputs) if name is not None]
    return found[0] if found else None


def last_activations(model: keras.layers.Layer, *inputs: Any) -> list[str | None]:
    """The last activation of each output, in the order of `keras.tree.flatten`.

    Args:
        model: As in `last_activation`.
        *inputs: As in `last_activation`.

    Returns:
        A name or `None` for each output; `[name]` where the network cannot be run symbolically and
        only its last layer can be asked.
    """
    declared = _declared(model)
    given = inputs or _known_inputs(model)
    if given is None:
        return [declared]
    try:
        traced = [_activation_of(each) for each in _traced(model, given)]
    except Exception:
        # A network that runs in no graph, or not with these inputs, fails in its own words later.
        return [declared]
    if len(traced) == 1 and traced[0] in (None, "clip", "relu6") and declared in BOUNDED:
        return [declared]
    return traced


def output_bounds(model: keras.layers.Layer, *inputs: Any) -> list[Interval]:
    """Between which numbers each output lies whatever goes in, as far as the computation tells.

    Args:
        model: As in `last_activation`.
        *inputs: As in `last_activation`.

    Returns:
        Lowest and highest value of each output, infinite where nothing bounds it; `[]` where the
        network cannot be run symbolically.

    Example:
        ```python
        import keras
        from keras_transgen.training.last_activation import output_bounds

        layers = [keras.layers.Dense(3, "tanh"), keras.layers.Rescaling(0.5, 0.5)]
        assert output_bounds(keras.Sequential([keras.Input((4,)), *layers])) == [(0.0, 1.0)]
        ```
    """
    given = inputs or _known_inputs(model)
    if given is None:
        return []
    try:
        return [bounds_of(each, _PASSED) for each in _traced(model, given)]
    except Exception:
        # As in `last_activations`.
        return []


def _known_inputs(model: keras.layers.Layer) -> tuple[Any, ...] | None:
    try:
        known = getattr(model, "inputs", None)
    except (AttributeError, ValueError):
        known = None
    if known:
        structure = getattr(model, "_inputs_struct", None)
        return (structure if structure is not None else known[0],)
    shapes = model.get_build_config() if model.built else None
    shape = shapes.get("input_shape") if shapes else None
    if not shape or not all(side is None or isinstance(side, int) for side in shape):
        return None
    return (keras.KerasTensor(shape, model.compute_dtype or "float32"),)


def _traced(model: keras.layers.Layer, inputs: tuple[Any, ...]) -> list[Any]:
    """The outputs of a network in a graph of its own."""

    def spec(each: Any) -> tf.TensorSpec:
        return tf.TensorSpec(each.shape, each.dtype)

    specs = keras.tree.map_structure(spec, inputs)

    def run(*values: Any) -> list[Any]:
        with keras.StatelessScope():
            outputs = keras.tree.flatten(model(*values, training=False))
        return [tf.identity(tf.convert_to_tensor(each)) for each in outputs]

    # Traced and never run: nothing is computed, and no variable changes.
    return tf.function(run, autograph=False).get_concrete_function(*specs).graph.outputs


def _activation_of(tensor: Any) -> str | None:
    operation = tensor.op
    kind = operation.type
    if kind in _NAMES:
        return _NAMES[kind]
    if kind in _PASSED:
        position = tensor.value_index if kind == "IdentityN" else 0
        return _activation_of(operation.inputs[position])
    if kind in _JOINED:
        parts = operation.inputs[:-1] if kind == "ConcatV2" else operation.inputs
        names = {_activation_of(part) for part in parts}
        return names.pop() if len(names) == 1 else None
    if kind in _CALLS:
        name = operation.get_attr("f").name
        called = getattr(operation.graph._get_function(name), "graph", None)
        return called and _activation_of(called.outputs[tensor.value_index])
    if kind in ("Minimum", "Maximum"):
        return _clipped(operation)
    if kind == "ClipByValue":
        return _activation_of(operation.inputs[0]) or "clip"
    if kind == "RealDiv" and _is_share(operation):
        return "softmax"
    return None


def _clipped(operation: Any) -> str | None:
    """A value cut below and above by constants; cut on one side only it is bounded by nothing."""
    inner = _without_constant(operation)
    if inner is None:
        return None
    below = _activation_of(inner)
    if below is not None:
        return below
    other = "Minimum" if operation.type == "Maximum" else "Maximum"
    both = inner.op.type == other and _without_constant(inner.op) is not None
    return "clip" if both else None


def _without_constant(operation: Any) -> Any:
    constant = [tf.get_static_value(each) is not None for each in operation.inputs]
    if sum(constant) != 1:
        return None
    return operation.inputs[constant.index(False)]


def _is_share(operation: Any) -> bool:
    """Whether exponentials, or other values, are divided by their own sum."""
    part, whole = operation.inputs
    return whole.op.type == "Sum" and whole.op.inputs[0] is part and part.op.type == "Exp"


def _declared(model: Any) -> str | None:
    """The activation that the last layer names, of layers in a row."""
    if isinstance(model, keras.layers.Softmax):
        return "softmax"
    if isinstance(model, keras.layers.Wrapper):
        return _declared(model.layer)
    if isinstance(model, keras.Model):
        layers = getattr(model, "layers", [])
        is_row = isinstance(model, keras.Sequential) and layers
        return _declared(layers[-1]) if is_row else None
    if not isinstance(model, _ENDS_IN_ACTIVATION):
        return None
    name = getattr(model.activation, "__name__", None)
    return None if name == "linear" else name
