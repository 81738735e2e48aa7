"""Learning rates over time and over a network's depth."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import keras

from keras_transgen.backbones import ParameterGroup
from keras_transgen.training.config_from_file import Nested, arguments_from_file

# What is left of the learning rate at the end of its decay.
LAST_SHARE = 0.01


@keras.saving.register_keras_serializable(package="keras_transgen")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Rises in equal steps to a learning rate and stays there; for runs of unknown length.

    Args:
        learning_rate: Where it ends.
        steps: After how many steps it is there.

    Example:
        ```python
        from keras_transgen.transfer.schedules import WarmUp

        schedule = WarmUp(0.1, steps=2)
        assert [round(float(schedule(step)), 6) for step in range(3)] == [0.05, 0.1, 0.1]
        ```
    """

    def __init__(self, learning_rate: float, steps: int) -> None:
        self.learning_rate = learning_rate
        self.steps = steps

    def __call__(self, step: Any) -> Any:
        """The learning rate at a step."""
        share = (keras.ops.cast(step, "float32") + 1.0) / max(self.steps, 1)
        return self.learning_rate * keras.ops.minimum(share, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the schedule from."""
        return {"learning_rate": self.learning_rate, "steps": self.steps}


@keras.saving.register_keras_serializable(package="keras_transgen")
class UnfreezeAt(keras.optimizers.schedules.LearningRateSchedule):
    """Zero before a step and another schedule from then on: what it drives is frozen till then.

    Adam's moments are gathered in the meantime, so the first move is in their direction.

    Args:
        schedule: The schedule, or a constant learning rate.
        step: The first step that moves.

    Example:
        ```python
        from keras_transgen.transfer.schedules import UnfreezeAt

        schedule = UnfreezeAt(0.5, step=2)
        assert [float(schedule(step)) for step in range(4)] == [0.0, 0.0, 0.5, 0.5]
        ```

    Reference:
        Howard and Ruder, Universal Language Model Fine-tuning for Text Classification, 2018.
    """

    def __init__(self, schedule: Any, step: int) -> None:
        self.schedule = schedule
        self.step = step

    def __call__(self, step: Any) -> Any:
        """The learning rate at a step."""
        moving = keras.ops.cast(keras.ops.cast(step, "int64") >= self.step, "float32")
        rate = self.schedule(step) if callable(self.schedule) else self.schedule
        return moving * rate

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the schedule from."""
        schedule = self.schedule
        if callable(schedule):
            schedule = keras.optimizers.schedules.serialize(schedule)
        return {"schedule": schedule, "step": self.step}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> UnfreezeAt:
        """Rebuild a schedule from what `get_config` gave."""
        kind = keras.optimizers.schedules.LearningRateSchedule
        return cls(**arguments_from_file(cls, config, schedule=Nested(kind, numbers=True)))


def warm_up_and_decay(
    learning_rate: float, steps: int | None, warm_up: float
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Rise to a learning rate, then fall along half a cosine to a hundredth of it.

    Args:
        learning_rate: The highest rate.
        steps: Steps of the whole run; `None` if not known: a hundred to rise, and no fall.
        warm_up: Share of the steps in which it rises, in [0, 1).

    Returns:
        The schedule.

    Raises:
        ValueError: The share is none.

    Example:
        ```python
        from keras_transgen.transfer.schedules import warm_up_and_decay

        schedule = warm_up_and_decay(0.1, steps=100, warm_up=0.1)
        assert float(schedule(10)) > 0.099 and float(schedule(100)) < 0.002
        ```

    Reference:
        Goyal et al., Accurate, Large Minibatch SGD, 2017; Loshchilov and Hutter, SGDR, 2017.
    """
    if not 0.0 <= warm_up < 1.0:
        raise ValueError(f"warm_up must be in [0, 1). Received: warm_up={warm_up}")
    if steps is None:
        return WarmUp(learning_rate, 100 if warm_up else 1)
    rising = round(steps * warm_up)
    if not rising:
        return keras.optimizers.schedules.CosineDecay(
            learning_rate, decay_steps=max(steps, 1), alpha=LAST_SHARE
        )
    return keras.optimizers.schedules.CosineDecay(
        # Not from zero: the first step shall move.
        learning_rate / (rising + 1),
        decay_steps=max(steps - rising, 1),
        alpha=LAST_SHARE,
        warmup_target=learning_rate,
        warmup_steps=rising,
    )


def layer_decay_factors(count: int, layer_decay: float) -> list[float]:
    """Factors of the learning rate for groups from input to output: 1 for the last, then less.

    Args:
        count: Number of groups, the head included.
        layer_decay: Factor from one group to the one before, in (0, 1].

    Raises:
        ValueError: The factor is none.

    Example:
        ```python
        from keras_transgen.transfer.schedules import layer_decay_factors

        assert layer_decay_factors(3, 0.5) == [0.25, 0.5, 1.0]
        ```
    """
    if not 0.0 < layer_decay <= 1.0:
        raise ValueError(f"layer_decay must be in (0, 1]. Received: layer_decay={layer_decay}")
    return [layer_decay ** (count - 1 - index) for index in range(count)]


def unfreezing_steps(count: int, steps: int) -> list[int]:
    """At which step each group starts to move: the last at once, the first at `steps`.

    Args:
        count: Number of groups from input to output, the head included.
        steps: Step at which the first group starts; the others at equal distances.

    Example:
        ```python
        from keras_transgen.transfer.schedules import unfreezing_steps

        assert unfreezing_steps(3, steps=10) == [10, 5, 0]
        ```
    """
    return [round(steps * (count - 1 - index) / max(count - 1, 1)) for index in range(count)]


def optimizer_by_group(
    groups: Sequence[ParameterGroup],
    make_optimizer: Callable[[int], keras.optimizers.Optimizer],
) -> keras.optimizers.MultiOptimizer:
    """One optimizer a group of parameters, as one.

    Args:
        groups: The groups; variables of equal paths must be in the same one.
        make_optimizer: Makes the optimizer of a group, given its index.

    Returns:
        Keras' `MultiOptimizer`; variables in no group go with the last.

    Raises:
        ValueError: Two groups have variables of the same path.
    """
    owners: dict[str, str] = {}
    for group in groups:
        for variable in group.variables:
            if owners.setdefault(variable.path, group.name) != group.name:
                raise ValueError(
                    "Layer-wise learning rates know variables by their paths, and two groups have "
                    "the same one. Rename a layer. Received: "
                    f"{variable.path!r} in {owners[variable.path]!r} and {group.name!r}"
                )
    optimizers = keras.optimizers.OptimizerMap(make_optimizer(len(groups) - 1))
    for index, group in enumerate(groups[:-1]):
        paths = sorted({variable.path for variable in group.variables if variable.trainable})
        if paths:
            patterns = [_pattern(path, owners) for path in paths]
            optimizers["|".join(patterns)] = make_optimizer(index)
    return keras.optimizers.MultiOptimizer(optimizers)


def _pattern(path: str, known: Collection[str]) -> str:
    """A path with or without its first part, which a `Sequential` loses in a file."""
    first, _, rest = path.partition("/")
    if "/" not in rest or rest in known:
        return re.escape(path)
    return f"(?:{re.escape(first)}/)?{re.escape(rest)}"
