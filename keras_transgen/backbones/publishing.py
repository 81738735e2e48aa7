"""A backbone as a reusable SavedModel: TF-Hub's form, which can be called and trained again."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from keras_transgen.backbones.parameter_groups import ParameterGroup
from keras_transgen.datasets.whole_file import refuse_links_in
from keras_transgen.training.serving import named_specs


class Publishable(Protocol):
    """What a module is written from; a `Backbone` is one."""

    @property
    def input_contract(self) -> Any: ...

    @property
    def weights(self) -> Sequence[Any]: ...

    def parameter_groups(self) -> list[ParameterGroup]: ...

    def has_training_mode(self) -> bool: ...

    def computed(self, inputs: Any, training: bool) -> Any: ...

    def regularization_functions(self) -> list[Callable[[], Any]]: ...

    def resource_holder(self) -> Any: ...


def publish(
    backbone: Publishable, folder: str | os.PathLike[str], input_signature: Any = None
) -> None:
    """Write a backbone with its present weights to a SavedModel that others can tune.

    The module takes `training` where the network has a training mode, names what can be trained in
    `trainable_variables`, and keeps the paths of the weights, so that `load_backbone` finds the
    same parameter groups. Its signature `serving_default` is the inference mode.

    Args:
        backbone: The backbone.
        folder: Where to.
        input_signature: Shape and dtype of the input, where the backbone's contract is open.

    Raises:
        ValueError: If the shape of the input is not known, or there is a link in the folder,
            through which TensorFlow would write.
    """
    refuse_links_in(folder, folder)
    given = backbone.input_contract if input_signature is None else input_signature
    (spec,) = named_specs(given)
    # A trackable object without names of its own in the way, which `tf.Module` would have.
    module = tf.train.Checkpoint()
    call = _call(backbone)
    modes = [{"training": False}, {"training": True}] if backbone.has_training_mode() else [{}]
    traces = [call.get_concrete_function(spec, **mode) for mode in modes]
    weights = [weight.value for weight in backbone.weights]
    module.__call__ = call
    module.layers = _by_path([weight.path for weight in backbone.weights], weights)
    module.variables = weights
    module.trainable_variables = [
        variable.value for group in backbone.parameter_groups() for variable in group.variables
    ]
    module.regularization_losses = [
        tf.function(loss, input_signature=[]) for loss in backbone.regularization_functions()
    ]
    # States of dropout's seeds, say.
    known = {id(weight) for weight in weights}
    module.further_state = [
        each for trace in traces for each in trace.variables if id(each) not in known
    ]
    module.resources = _resources(backbone.resource_holder())
    serve = tf.function(lambda inputs: _named(call(inputs)), input_signature=[spec])
    tf.saved_model.save(module, os.fspath(folder), signatures={"serving_default": serve})


def _call(backbone: Publishable) -> Any:
    """The module's function; it has the argument `training` only where that means something."""

    def adaptable(inputs: Any, training: bool = False) -> Any:
        return _in_float32(backbone.computed(inputs, training))

    def fixed(inputs: Any) -> Any:
        return _in_float32(backbone.computed(inputs, False))

    return tf.function(adaptable if backbone.has_training_mode() else fixed, autograph=False)


def _resources(holder: Any) -> list[Any]:
    """Tables and the like, which TensorFlow saves only where the module holds them."""
    found = tf.train.TrackableView(holder).descendants()
    return [
        each for each in found if isinstance(each, tf.saved_model.experimental.TrackableResource)
    ]


def _in_float32(outputs: Any) -> Any:
    """Features in full precision, whatever the policy that they were trained under."""
    return keras.tree.map_structure(
        lambda each: tf.cast(each, tf.float32) if each.dtype.is_floating else each, outputs
    )


def _named(outputs: Any) -> dict[str, Any]:
    if isinstance(outputs, dict):
        return outputs
    if isinstance(outputs, (list, tuple)):
        return {f"features_{index}": each for index, each in enumerate(outputs)}
    return {"features": outputs}


def _by_path(paths: Sequence[str], variables: Sequence[Any]) -> dict[str, Any]:
    """Variables in nested dicts; loaded again, that is where their paths are read from."""
    tree: dict[str, Any] = {}
    for path, variable in zip(paths, variables, strict=True):
        *folders, name = path.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        taken = sum(key == name or key.startswith(f"{name}__") for key in node)
        node[f"{name}__{taken}" if taken else name] = variable
    return tree
