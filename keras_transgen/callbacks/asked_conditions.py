"""Whether a model draws samples for conditions, of which a callback must then be told."""

from __future__ import annotations

from typing import Any


def wants_conditions(model: Any) -> bool:
    """Whether `sample` of a model wants a condition for each sample, or `count=` by name."""
    has_some = getattr(model, "has_conditions", True)
    return bool(has_some) and callable(getattr(model, "condition_spec", None))


def refuse_no_condition(model: Any, callback: Any, condition: Any, example: str) -> None:
    """Refuse a callback that would ask a conditional model for samples of no condition.

    Args:
        model: Which is about to train.
        callback: Which asks it.
        condition: What the callback was told.
        example: What it could be told.

    Raises:
        ValueError: If it was told nothing, and the model wants conditions.
    """
    if condition is None and wants_conditions(model):
        raise ValueError(
            f"{type(model).__name__} draws samples for conditions: give {type(callback).__name__} "
            f"condition=, such as {example}. Received: condition=None"
        )
