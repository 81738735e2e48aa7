"""Deltas that train whole blocks of the backbone in place."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.transfer.deltas.delta import Delta, check_state
from keras_transgen.transfer.deltas.targets import Target
from keras_transgen.transfer.fine_tuning_recipe import RATES


class GroupDelta(Delta):
    """The backbone's own parameters train, from one group on: base of the block methods.

    Nothing is copied while it trains: the backbone is trainable, frozen up to the group before. Its
    normalisation policy holds, so that statistics follow the data with `normalization="adapt"`.
    The values are put aside, in host memory, when another delta takes over.

    Args:
        backbone: The backbone, at its base.
        name: Name of the delta.
        first_group: Index of the first group that trains.
    """

    # Pretrained blocks are easily spoilt by Adam's first steps.
    warm_up = 0.1
    rates = RATES

    def __init__(self, backbone: Any, name: str, first_group: int) -> None:
        super().__init__(backbone, name)
        if not backbone.parameter_groups():
            raise ValueError(
                "This backbone has nothing that can be trained: it is for inference only. "
                f"Received: backbone {backbone.name!r}, method={self.method!r}"
            )
        self._touched = tuple(_from_group(backbone, first_group))
        # In a namespace, which Keras does not look into: the backbone is not the delta's layer.
        self._links = types.SimpleNamespace(
            backbone=backbone, first_group=first_group, in_force=False, aside={}
        )
        self._links.aside = {**self._current(), **self.initial_values(self._touched)}

    @property
    def touched(self) -> Sequence[Target]:
        """The parameters of the groups that train, and the statistics that may follow the data."""
        return self._touched

    def initial_values(self, targets: Sequence[Target]) -> dict[int, np.ndarray]:
        """Values to start from other than the base's, by the variables' index."""
        return {}

    def activate(self, base: Mapping[int, tf.Variable]) -> None:
        """Take up the values put aside, and train."""
        super().activate(base)
        for target in self._touched:
            target.variable.assign(self._links.aside[target.index])
        first = self._links.first_group
        self._links.backbone.freeze_to(first - 1 if first > 0 else None)
        self._links.backbone.trainable = True
        self._links.in_force = True

    def deactivate(self) -> None:
        """Put the values aside."""
        super().deactivate()
        self._links.aside = self._current()
        self._links.backbone.freeze_to(None)
        self._links.backbone.trainable = False
        self._links.in_force = False

    def freeze(self) -> None:
        """Stop training, the change staying in force."""
        super().freeze()
        self._links.backbone.trainable = False

    def unfreeze(self) -> None:
        """Train again after `freeze`."""
        super().unfreeze()
        self._links.backbone.trainable = True

    def _current(self) -> dict[int, np.ndarray]:
        return {
            target.index: keras.ops.convert_to_numpy(target.variable.value)
            for target in self._touched
        }

    def state(self) -> dict[str, np.ndarray]:
        """The values of the touched variables while the delta is in force."""
        values = self._current() if self._links.in_force else self._links.aside
        return {str(index): value for index, value in values.items()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` gave, in force from the next activation."""
        check_state(state, {str(target.index): target.shape for target in self._touched})
        self._links.aside = {int(index): np.asarray(value) for index, value in state.items()}


def _from_group(backbone: Any, first_group: int) -> list[Target]:
    indices = {id(weight): index for index, weight in enumerate(backbone.weights)}
    groups = backbone.parameter_groups()[first_group:]
    chosen = [variable for group in groups for variable in (*group.variables, *group.statistics)]
    if backbone.normalization == "adapt":
        # One switch moves the statistics of a whole module, those of frozen groups too.
        parameters = {id(each) for group in backbone.parameter_groups() for each in group.variables}
        known = {id(variable) for variable in chosen}
        chosen += [
            weight
            for weight in backbone.weights
            if id(weight) not in parameters and id(weight) not in known
        ]
    return [Target(indices[id(variable)], variable) for variable in chosen]
