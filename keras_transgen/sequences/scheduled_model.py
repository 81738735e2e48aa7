"""Training by default and kept functions, which all models of sequences share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_transgen.sequences.optimizer_schedule import scheduled_adamw
from keras_transgen.sequences.traced_by_shape import TracedByShape
from keras_transgen.training import TrainerModel

# XLA takes four or five seconds for each shape of batch, which so few steps do not give back.
_FEW_STEPS = 500


class ScheduledModel(TrainerModel):
    """A `TrainerModel` with an optimizer by default whose rate fits its training.

    Args:
        **kwargs: Passed to `TrainerModel`.
    """

    # The highest rate of the default optimizer.
    default_rate = 1e-3
    # Whether XLA compiles a `fit` without `compile` that is long enough to pay for it.
    default_jit_compile: bool | str = "auto"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._compiled_by_default = False
        # Compiled functions, by what they do.
        self.kept_functions: dict[Any, Any] = {}

    def compile(self, optimizer: Any = None, **kwargs: Any) -> None:
        """Configure training; `fit` does it with its defaults where it has not been called.

        Args:
            optimizer: Keras optimizer or its name. Defaults to AdamW at the model's rate. A `fit`
                without `compile` warms up to that rate and lets it fall to a tenth.
            **kwargs: `jit_compile`, `run_eagerly`, `steps_per_execution` and `auto_scale_loss`, as
                in `TrainerModel.compile`.
        """
        self._compiled_by_default = False
        with self.distribute_strategy.scope():
            given = keras.optimizers.get(
                scheduled_adamw(rate=self.default_rate) if optimizer is None else optimizer
            )
        super().compile(optimizer=given, **kwargs)
        self.remember_compile(optimizer=given, **kwargs)

    def compile_for(self, steps: int | None) -> None:
        """Compile with the defaults for a training, where the user has not compiled.

        Args:
            steps: How many it will take; `None` where nobody knows.
        """
        if self.compiled and not self._compiled_by_default:
            return
        is_short = steps is not None and steps < _FEW_STEPS
        with self.distribute_strategy.scope():
            self.compile(
                scheduled_adamw(steps, self.default_rate),
                jit_compile=False if is_short else self.default_jit_compile,
            )
        self._compiled_by_default = True

    def kept_function(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of tensors as TensorFlow runs it, compiled as the model's steps are.

        Args:
            name: By which it is kept.
            function: What it does, the same at every call.
        """
        if name not in self.kept_functions:
            self.kept_functions[name] = TracedByShape(function, bool(self.jit_compile))
        return self.kept_functions[name]
