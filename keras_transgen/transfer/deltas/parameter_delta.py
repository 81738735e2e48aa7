"""Deltas that write a parameter as a function of its base value and few numbers of their own."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.transfer.deltas.delta import Delta, refuse_adapting
from keras_transgen.transfer.deltas.targets import Target


class ParameterDelta(Delta):
    """Each targeted parameter is `effective(base, *own)`: base class of LoRA, (IA)^3 and others.

    A SavedModel's graph cannot be opened, but its parameters can be assigned. One tape gives the
    gradient with respect to the parameter, another takes it through `effective` to the delta's own
    variables, the optimizer updates those, and `write` assigns the parameter anew. This is exactly
    training through `effective`, without a change to the graph, and it is the same for Keras
    layers, of which only some offer `enable_lora`.

    The base values are kept beside, so that the parameter is computed from them at every step and
    never drifts, and the base comes back bit for bit. They cost the memory of the targeted
    parameters once more.

    Args:
        backbone: The backbone, at its base.
        name: Name of the delta.
        targets: The parameters.
    """

    def __init__(self, backbone: Any, name: str, targets: Sequence[Target]) -> None:
        refuse_adapting(backbone, self.method)
        super().__init__(backbone, name)
        self._targets = tuple(targets)
        # In a namespace, which Keras does not look into: the base is not the delta's to save.
        self._links = types.SimpleNamespace(base={})
        self.own = [self.make_own(target) for target in self._targets]
        for variable in self.variables:
            variable.trainable = False

    @property
    def touched(self) -> Sequence[Target]:
        """The targeted parameters."""
        return self._targets

    # What a method gives

    def make_own(self, target: Target) -> tuple[keras.Variable, ...]:
        """Create the delta's variables for one target, such that nothing changes at first."""
        raise NotImplementedError

    def effective(self, base: tf.Tensor, *own: tf.Tensor) -> tf.Tensor:
        """The value of a targeted parameter."""
        raise NotImplementedError

    # What the training step uses

    def differentiated(self) -> list[keras.Variable]:
        """The parameters whose gradients `own_gradients` needs."""
        return [target.variable for target in self._targets]

    def own_gradients(
        self, gradients: Sequence[tf.Tensor | tf.IndexedSlices | None]
    ) -> dict[int, tf.Tensor | None]:
        """The gradients of the delta's own variables, by the variables' `id`.

        Args:
            gradients: Gradients of `differentiated()`; `None` where the loss does not depend on it.
        """
        variables = self.variables
        values = [tf.convert_to_tensor(variable.value) for variable in variables]
        own = {id(variable): value for variable, value in zip(variables, values)}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            written = [
                self._effective(target, [own[id(variable)] for variable in each])
                for target, each in zip(self._targets, self.own, strict=True)
            ]
        needed = [number for number, each in enumerate(gradients) if each is not None]
        found = tape.gradient(
            [written[number] for number in needed],
            values,
            [tf.cast(tf.convert_to_tensor(gradients[number]), "float32") for number in needed],
        )
        return dict(zip(own, found, strict=True))

    def write(self) -> None:
        """Assign the targeted parameters from the delta's variables, the same in every replica."""
        for target, own in zip(self._targets, self.own, strict=True):
            _update(
                target.variable.value,
                self._assign_effective,
                (self._links.base[target.index], *[variable.value for variable in own]),
            )

    def _effective(self, target: Target, own: Sequence[tf.Tensor]) -> tf.Tensor:
        return self.effective(tf.cast(self._links.base[target.index], "float32"), *own)

    def _assign_effective(self, storage: Any, base: Any, *own: Any) -> None:
        value = self.effective(
            tf.cast(tf.convert_to_tensor(base), "float32"),
            *[tf.convert_to_tensor(variable) for variable in own],
        )
        storage.assign(tf.cast(value, storage.dtype))

    # Switching and storing

    def activate(self, base: Mapping[int, tf.Variable]) -> None:
        """Assign the targeted parameters and train."""
        self._links.base = {target.index: base[target.index] for target in self._targets}
        super().activate(base)
        self.write()

    def named_variables(self) -> list[tuple[str, keras.Variable]]:
        """The delta's own variables, named by the parameter's index and their own place."""
        named: dict[int, tuple[str, keras.Variable]] = {}
        for target, own in zip(self._targets, self.own, strict=True):
            for place, variable in enumerate(own):
                # A variable of several parameters is named by the first of them.
                named.setdefault(id(variable), (f"{target.index}.{place}", variable))
        return [*named.values()]


def _update(storage: Any, function: Any, arguments: tuple) -> None:
    if not tf.distribute.has_strategy():
        function(storage, *arguments)
        return

    def across_replicas(strategy: tf.distribute.Strategy, *given: Any) -> None:
        strategy.extended.update(storage, function, args=given, group=False)

    strategy = tf.distribute.get_strategy()
    if tf.distribute.in_cross_replica_context():
        across_replicas(strategy, *arguments)
    else:
        tf.distribute.get_replica_context().merge_call(across_replicas, args=arguments)
