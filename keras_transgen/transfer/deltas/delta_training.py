"""Training through a delta that writes parameters: its gradients, and when it writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.training import TrainerModel
from keras_transgen.transfer.deltas.delta_set import DeltaSet
from keras_transgen.transfer.deltas.parameter_delta import ParameterDelta


class DeltaTraining(TrainerModel):
    """A model whose step trains the delta in force: base class, before the kind of model.

    A delta's own variables get their gradients by way of the parameters that they write, and write
    them anew after each step.

    Attributes:
        delta_set: The deltas, or `None`.
    """

    # Keras sets it in compile; without the declaration mypy loops over its renewal elsewhere.
    optimizer: Any
    delta_set: DeltaSet | None

    def _parameter_delta(self) -> ParameterDelta | None:
        deltas = self.delta_set
        delta = None if deltas is None or deltas.merged else deltas.in_force()
        return delta if isinstance(delta, ParameterDelta) else None

    def gradients_of(
        self,
        loss_function: Callable[[], tuple[tf.Tensor, Any]],
        variables: Sequence[keras.Variable],
        weight: tf.Tensor,
    ) -> tuple[list[tf.Tensor | None], tf.Tensor, Any]:
        """Differentiate a loss by what trains; see `TrainerModel.gradients_of`."""
        delta = self._parameter_delta()
        if delta is None:
            return super().gradients_of(loss_function, variables, weight)
        own = {id(variable) for variable in delta.variables}
        direct = [variable for variable in variables if id(variable) not in own]
        gradients, loss, extra = super().gradients_of(
            loss_function, [*direct, *delta.differentiated()], weight
        )
        by_variable = delta.own_gradients(gradients[len(direct) :])
        by_variable |= {id(each): gradient for each, gradient in zip(direct, gradients)}
        return [by_variable[id(each)] for each in variables], loss, extra

    def apply_gradients(
        self,
        optimizer: keras.optimizers.Optimizer,
        gradients: Sequence[tf.Tensor | None],
        variables: Sequence[keras.Variable],
    ) -> None:
        """Apply a replica's gradients, and write the parameters that follow from a delta."""
        super().apply_gradients(optimizer, gradients, variables)
        delta = self._parameter_delta()
        if delta is not None:
            delta.write()

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Train, with the arguments and the result of `keras.Model.fit`.

        Raises:
            ValueError: If the data do not fit the model, before training starts.
            NonFiniteLossError: If the loss becomes NaN or infinite.
        """
        history = super().fit(*args, **kwargs)
        delta = self._parameter_delta()
        if delta is not None and getattr(self.optimizer, "use_ema", False):
            # Keras has just put averages in the place of the delta's variables.
            delta.write()
        return history
