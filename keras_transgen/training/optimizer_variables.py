"""Optimizers that follow what a model trains, and keep the state of what goes on training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


def variables_of(optimizer: Any) -> list[keras.Variable]:
    """The variables that an optimizer was built for.

    Args:
        optimizer: Keras optimizer, built.
    """
    return list(getattr(optimizer, "_trainable_variables", ()))


def follow_variables(optimizer: Any, variables: Sequence[keras.Variable]) -> bool:
    """Let a built optimizer train other variables from now on.

    It stays the same object, with its settings, rate and iterations; variables that it trained
    before keep their moments, new ones begin with none. Call it in the scope of the optimizer's
    strategy.

    Args:
        optimizer: Keras optimizer, built; one that scales losses or holds others, too.
        variables: What it shall train.

    Returns:
        Whether there was anything to change.
    """
    variables = list(variables)
    if {id(each) for each in variables_of(optimizer)} == {id(each) for each in variables}:
        return False
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        follow_variables(optimizer.inner_optimizer, variables)
        _take_over(optimizer, variables)
    elif isinstance(optimizer, keras.optimizers.MultiOptimizer):
        _follow_each(optimizer, variables)
    else:
        _rebuild(optimizer, variables)
    return True


def _take_over(optimizer: Any, variables: list[keras.Variable]) -> None:
    """What the optimizer knows of its variables, its own counters left as they are."""
    optimizer._trainable_variables = variables
    optimizer._trainable_variables_indices = {
        optimizer._var_key(variable): index for index, variable in enumerate(variables)
    }


def _follow_each(optimizer: Any, variables: list[keras.Variable]) -> None:
    theirs: dict[int, list[keras.Variable]] = {}
    for variable in variables:
        theirs.setdefault(id(optimizer._optimizer_map(variable)), []).append(variable)
    had_none = [each for each in optimizer.optimizers if not variables_of(each)]
    for each in optimizer.optimizers:
        if each.built:
            follow_variables(each, theirs.get(id(each), []))
    # Keras finds out anew which goes where; the built ones stay as they are.
    optimizer.built = False
    optimizer.build(variables)
    for each in had_none:
        if id(each) in theirs:
            # Its schedule is as far as that of the others.
            each.iterations.assign(optimizer.iterations)


def _rebuild(optimizer: Any, variables: list[keras.Variable]) -> None:
    fresh = _made_anew(optimizer)
    fresh.loss_scale_factor = optimizer.loss_scale_factor
    fresh.build(variables)
    places = {id(each): index for index, each in enumerate(variables_of(optimizer))}
    for name, ours in vars(fresh).items():
        before = vars(optimizer).get(name)
        if isinstance(ours, keras.Variable) and isinstance(before, keras.Variable):
            ours.assign(before.value)
        elif name != "_trainable_variables" and _is_slots(ours, variables):
            if not _is_slots(before, places):
                continue
            for slot, variable in zip(ours, variables):
                place = places.get(id(variable))
                known = None if place is None else before[place]
                if slot is not None and known is not None and slot.shape == known.shape:
                    slot.assign(known.value)
    optimizer.__dict__.update(vars(fresh))


def _made_anew(optimizer: Any) -> Any:
    """An optimizer of the same settings that has met no variables, with the same schedule."""
    rate = optimizer._learning_rate
    is_number = isinstance(rate, keras.Variable)
    if not is_number:
        # The schedule goes along as it is: it may be of no class that a file could name.
        optimizer._learning_rate = keras.optimizers.schedules.ExponentialDecay(0.0, 1, 1.0)
    try:
        config = optimizer.get_config()
        return type(optimizer).from_config(
            config if is_number else {**config, "learning_rate": rate}
        )
    except (TypeError, NotImplementedError) as error:
        raise ValueError(
            "This optimizer cannot follow what trains now, since it cannot be made anew from its "
            "get_config. Give it one that its constructor takes, or compile the model anew with a "
            f"new optimizer. Received: {type(optimizer).__name__}: {str(error)[:200]}"
        ) from error
    finally:
        optimizer._learning_rate = rate


def _is_slots(value: Any, variables: Any) -> bool:
    """Whether an attribute of an optimizer holds one state for each of its variables."""
    return (
        isinstance(value, list)
        and len(value) == len(variables)
        and all(each is None or isinstance(each, keras.Variable) for each in value)
    )
