"""Several named deltas on one backbone, at most one of them in force."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training.config_from_file import FileConfigError, shown
from keras_transgen.training.variable_limit import limit_variables
from keras_transgen.transfer.deltas.delta import DELTAS, Delta, check_from_file, make_delta
from keras_transgen.transfer.deltas.targets import Target

# What TensorFlow takes for a scope.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_BASE = "base."
_ASIDE = "aside."
_HEAD = "head."
_ACTIVE = "active"
# What a delta's variables may take beyond its state: nothing, but for rounding up.
_SLACK, _SLACK_COUNT = 2**20, 1000


@keras.saving.register_keras_serializable(package="keras_transgen")
class DeltaSet(keras.layers.Layer):
    """Keeps the base values of a backbone beside the deltas that change them.

    The backbone is frozen. Each delta, and the base, has values of the head of its own, which
    change places with the delta.

    Args:
        backbone: The backbone.
        head_variables: Returns the weights of the head.
    """

    def __init__(self, backbone: Any, head_variables: Callable[[], Sequence[Any]]) -> None:
        super().__init__(name="deltas", dtype="float32")
        # In a namespace, which Keras does not look into: neither is this layer's.
        self._links = types.SimpleNamespace(
            backbone=backbone, head_variables=head_variables, base={}, heads={}
        )
        self.deltas: dict[str, Delta] = {}
        self._active: str | None = None
        self._merged = False
        self.built = True
        backbone.freeze_to(None)
        backbone.trainable = False

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DeltaSet:
        """Refused: the model that holds the deltas makes them again.

        Raises:
            ValueError: Always.
        """
        raise FileConfigError(
            "Deltas stand on a backbone, and their model makes them again: load the whole model. "
            f"Received: a DeltaSet by itself, {shown(config)}"
        )

    @property
    def active(self) -> str | None:
        """Name of the delta in force, `None` for the base."""
        return self._active

    def in_force(self) -> Delta | None:
        """The delta in force, `None` for the base.

        No property: Keras' saver looks through those, and would file the delta under this name.
        """
        return None if self._active is None else self.deltas[self._active]

    @property
    def merged(self) -> bool:
        """Whether the delta in force has been made part of the backbone."""
        return self._merged

    # Changing what is in force

    def add(
        self,
        name: str,
        method: str,
        arguments: Mapping[str, Any],
    ) -> Delta:
        """Make a delta from its method and the method's further arguments, and keep it, inactive.

        Raises:
            ValueError: The name is taken, or the method cannot be used so.
        """
        return self._kept(name, lambda: make_delta(method, self._links.backbone, name, arguments))

    def add_from_file(
        self,
        name: Any,
        method: Any,
        arguments: Any,
        state: Mapping[str, np.ndarray] | None = None,
    ) -> Delta:
        """Make a delta of what a file says, and keep it, inactive.

        Args:
            name: Its name.
            method: Its method.
            arguments: Further arguments of the method.
            state: What the delta's `state` gave, to start from: it also says how much memory the
                delta may take, before it takes it. `None` where the weights are loaded later.

        Raises:
            ValueError: As in `add`; or the file says what is the user's alone, or what does not fit
                its state.
        """
        check_from_file(method, arguments)
        arguments = {**DELTAS.find(method).from_earlier_files(), **arguments}

        def made() -> Delta:
            try:
                if state is None:
                    return make_delta(method, self._links.backbone, name, arguments)
                taken = sum(value.nbytes for value in state.values())
                with limit_variables(taken + _SLACK, len(state) + _SLACK_COUNT):
                    delta = make_delta(method, self._links.backbone, name, arguments)
                delta.restore(state)
            except (TypeError, KeyError, AttributeError, OverflowError) as error:
                raise ValueError(
                    f"The file's arguments are none of method={method!r}. Ask its author for "
                    f"another. Received: {shown(dict(arguments))} "
                    f"({type(error).__name__}: {error!s:.120})"
                ) from None
            return delta

        return self._kept(name, made)

    def _kept(self, name: Any, make: Callable[[], Delta]) -> Delta:
        self._refuse_if_merged()
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(
                "A delta's name must be made of letters, digits, '_', '-' and '.', since its "
                f"variables bear it. Received: name={name!r}"
            )
        if name in self.deltas:
            raise ValueError(
                f"There is a delta of this name already. Choose another. Received: name={name!r}; "
                f"the deltas are {list(self.deltas)}"
            )
        active = self._active
        self.activate(None)
        try:
            delta = make()
            self._hold_base(delta.touched)
            self.deltas[name] = delta
        finally:
            self.activate(active)
        return delta

    def activate(self, name: str | None) -> None:
        """Bring a delta into force, or the base for `None`.

        Raises:
            ValueError: There is no such delta, or the present one is merged.
        """
        if name is not None and name not in self.deltas:
            raise ValueError(
                f"There is no such delta; the deltas are {list(self.deltas)}. "
                f"Received: name={name!r}"
            )
        if name == self._active:
            return
        self._refuse_if_merged()
        self._put_head_aside()
        self._to_base()
        self._active = name
        if name is not None:
            self.deltas[name].activate(self._links.base)
        self._take_up_head()

    def merge(self) -> None:
        """Make the delta in force part of the backbone, which then stands by itself.

        Raises:
            ValueError: No delta is in force, or its change cannot be held by parameters.
        """
        delta = self.in_force()
        if delta is None:
            raise ValueError(
                "There is no delta in force to be merged: choose one by set_delta. "
                f"Received: the deltas {list(self.deltas)}"
            )
        if not delta.mergeable:
            raise ValueError(
                f"A delta of method={delta.method!r} adds layers, which parameters of the backbone "
                f"cannot stand for: save the model as it is. Received: delta {delta.name!r}"
            )
        delta.freeze()
        self._merged = True

    def unmerge(self) -> None:
        """Take the merged delta out again, so that it trains and can be switched."""
        if self._merged:
            self.deltas[str(self._active)].unfreeze()
        self._merged = False

    def _refuse_if_merged(self) -> None:
        if self._merged:
            raise ValueError(
                "The delta in force is merged into the backbone: call unmerge() first. "
                f"Received: merged delta {self._active!r}"
            )

    def _to_base(self) -> None:
        delta = self.in_force()
        if delta is None:
            return
        delta.deactivate()
        for target in delta.touched:
            target.variable.assign(self._links.base[target.index].numpy())

    def _hold_base(self, targets: Sequence[Target]) -> None:
        """Keep the present values of variables that no delta has touched before."""
        for target in targets:
            if target.index not in self._links.base:
                self._links.base[target.index] = tf.Variable(
                    target.variable.value.numpy(), trainable=False, name=f"base_{target.index}"
                )

    # Each delta's head

    def head_values(self, name: str | None) -> list[np.ndarray]:
        """Values of the head that belong to a delta, or to the base for `None`."""
        if name == self._active or name not in self._links.heads:
            return self._present_head()
        return self._links.heads[name]

    def _present_head(self) -> list[np.ndarray]:
        return [keras.ops.convert_to_numpy(v.value) for v in self._links.head_variables()]

    def _put_head_aside(self) -> None:
        self._links.heads[self._active] = self._present_head()

    def _take_up_head(self) -> None:
        # A delta that was never in force goes on from the present head.
        aside = self._links.heads.pop(self._active, None)
        if aside is not None:
            self.set_head(aside)

    def set_head(self, values: Sequence[np.ndarray]) -> None:
        """Assign the head of the delta in force, one array for each of its weights."""
        for variable, value in zip(self._links.head_variables(), values, strict=True):
            variable.assign(value)

    # The base

    def base_digest(self) -> str:
        """The backbone's digest without any delta."""
        delta = self.in_force()
        touched = () if delta is None else delta.touched
        present = [keras.ops.convert_to_numpy(target.variable.value) for target in touched]
        try:
            for target in touched:
                target.variable.assign(self._links.base[target.index].numpy())
            return self._links.backbone.digest()
        finally:
            for target, value in zip(touched, present):
                target.variable.assign(value)

    # Saving

    def specifications(self) -> list[dict[str, Any]]:
        """What `add` needs to make the deltas again, as JSON values."""
        return [
            {"name": name, "method": delta.method, "arguments": delta.arguments()}
            for name, delta in self.deltas.items()
        ]

    def save_own_variables(self, store: Any) -> None:
        """Save the base values, and what inactive deltas and their heads put aside."""
        for key, value in self._own_values().items():
            store[key] = value

    def _own_values(self) -> dict[str, np.ndarray]:
        values = {_ACTIVE: np.array([*(self._active or "").encode()], "uint8")}
        values |= {f"{_BASE}{i}": variable.numpy() for i, variable in self._links.base.items()}
        for number, (name, delta) in enumerate(self.deltas.items()):
            if name != self._active and not delta.weights:
                # Only the backbone holds the values of such a delta, while it is in force.
                values |= {f"{_ASIDE}{number}.{key}": v for key, v in delta.state().items()}
        for name, arrays in self._links.heads.items():
            number = self._number(name)
            values |= {f"{_HEAD}{number}.{place}": v for place, v in enumerate(arrays)}
        return values

    def _number(self, name: str | None) -> int:
        return -1 if name is None else list(self.deltas).index(name)

    def load_own_variables(self, store: Any) -> None:
        """Load what `save_own_variables` saved.

        Raises:
            ValueError: The file is of other deltas, or another one was in force.
        """
        saved = {key: np.asarray(store[key]) for key in store.keys()}  # noqa: SIM118
        active = saved.pop(_ACTIVE, np.zeros(0, "uint8")).astype("uint8").tobytes().decode()
        base = {int(key[len(_BASE) :]) for key in saved if key.startswith(_BASE)}
        if active != (self._active or "") or base != set(self._links.base):
            received = f"weights with {active or None!r} in force, {len(base)} base values"
            raise ValueError(
                "The weights must be those of a model with the same deltas, and the same one in "
                "force: use add_delta and set_delta first. "
                f"Received: {received if saved else 'other weights'}; the model has "
                f"{self._active!r} in force, {len(self._links.base)} base values"
            )
        for index, variable in self._links.base.items():
            variable.assign(saved[f"{_BASE}{index}"])
        for number, (name, delta) in enumerate(self.deltas.items()):
            state = _below(saved, f"{_ASIDE}{number}.")
            if state and name != self._active:
                delta.restore(state)
        self._links.heads = {}
        for owner in (None, *self.deltas):
            arrays = _below(saved, f"{_HEAD}{self._number(owner)}.")
            if arrays:
                self._links.heads[owner] = [arrays[str(place)] for place in range(len(arrays))]


def _below(values: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {key[len(prefix) :]: value for key, value in values.items() if key.startswith(prefix)}
