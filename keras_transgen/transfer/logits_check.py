"""Whether head and loss agree that the head gives logits."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import keras

from keras_transgen.training.last_activation import PROBABILITIES, last_activation, output_bounds

# Losses of probabilities that cannot be told of logits, by the names of Keras' functions.
_OF_PROBABILITIES_ONLY = frozenset(
    {"kl_divergence", "dice", "tversky", "categorical_generalized_cross_entropy", "poisson"}
    | {"mean_squared_logarithmic_error"}
)


def refuse_bounded_head(head: keras.layers.Layer, features: Any, task: str) -> None:
    """Refuse a head that gives probabilities, which would pass a softmax or a sigmoid twice.

    It learns all the same, slowly, and is never sure of anything.

    Args:
        head: The head, from features to logits.
        features: Its input as a `keras.KerasTensor`, or `None` where it is not known yet.
        task: Name of the task. A regression's head may end as it likes.

    Raises:
        ValueError: If it ends in a softmax, a sigmoid or another one that gives probabilities.
    """
    if task == "regression":
        return
    inputs = () if features is None else (features,)
    found = last_activation(head, *inputs)
    bounds = output_bounds(head, *inputs)
    if found not in PROBABILITIES and bounds and bounds[0][0] >= 0.0 and bounds[0][1] <= 1.0:
        found = f"bounded by [{bounds[0][0]:g}, {bounds[0][1]:g}]"
    if found in PROBABILITIES or (found or "").startswith("bounded"):
        raise ValueError(
            "The head must give logits, and the loss, predict_probabilities and classify make "
            "probabilities of them. Leave the last activation out: activation=None in the last "
            "layer, and no Softmax or Activation after it. "
            f"Received: head {head.name!r} whose last activation is {found!r}, task={task!r}"
        )


def refuse_loss_of_probabilities(loss: Any, task: str) -> None:
    """Refuse a loss that takes the head's logits for probabilities.

    Args:
        loss: What `compile` was given: a Keras loss, its name, its configuration or a function, or
            a list or dict of them.
        task: Name of the task. In a regression there are no logits.

    Raises:
        ValueError: If it wants probabilities.
    """
    if task == "regression" or loss is None:
        return
    is_description = isinstance(loss, dict) and "class_name" in loss
    if isinstance(loss, (list, tuple, dict)) and not is_description:
        for each in loss.values() if isinstance(loss, dict) else loss:
            refuse_loss_of_probabilities(each, task)
        return
    shown = loss if isinstance(loss, str) else getattr(loss, "name", None) or function_name(loss)
    if isinstance(loss, str) and loss.lower() in ("crossentropy", "ce"):
        takes_logits: bool | None = False
    else:
        loss = keras.losses.get(loss)
        takes_logits = from_logits(loss)
    if takes_logits is False:
        named = type(loss).__name__ if isinstance(loss, keras.losses.Loss) else None
        write = f"keras.losses.{named or _class_named(shown)}(from_logits=True)"
        if named and getattr(keras.losses, named, None) is not type(loss):
            write = f"{named}(from_logits=True)"
        raise ValueError(
            "The head gives logits, and this loss takes them for probabilities. Give it "
            f"from_logits=True, such as loss={write}, or leave loss out for the task's own. "
            f"Received: loss={shown!r} with from_logits=False, task={task!r}"
        )
    if function_name(loss) in _OF_PROBABILITIES_ONLY:
        raise ValueError(
            "The head gives logits, and this loss is one of probabilities. Leave loss out for the "
            "task's own, or wrap it in a function of labels and logits that applies softmax or "
            f"sigmoid to the logits. Received: loss={shown!r}, task={task!r}"
        )


def from_logits(loss: Any) -> bool | None:
    """Whether a loss or metric takes logits; `None` where it does not say.

    Args:
        loss: A loss or metric of Keras, one with an attribute `from_logits`, or a function with
            such an argument.
    """
    for name in ("from_logits", "_from_logits"):
        said = getattr(loss, name, None)
        if isinstance(said, bool):
            return said
    given = dict(getattr(loss, "_fn_kwargs", {}) or {})
    function = getattr(loss, "fn", None) or getattr(loss, "_fn", None) or loss
    while isinstance(function, functools.partial):
        given = {**function.keywords, **given}
        function = function.func
    if isinstance(given.get("from_logits"), bool):
        return given["from_logits"]
    if not inspect.isroutine(function):
        return None
    try:
        argument = inspect.signature(function).parameters.get("from_logits")
    except (TypeError, ValueError):
        return None
    default = argument.default if argument is not None else None
    return default if isinstance(default, bool) else None


def function_name(loss: Any) -> str:
    """The name of the function that a loss or metric is, or that it wraps."""
    function = getattr(loss, "fn", None) or getattr(loss, "_fn", None) or loss
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)


def _class_named(function: str) -> str:
    """Keras' class of a function: `binary_crossentropy` is `BinaryCrossentropy`."""
    named = "".join(part.capitalize() for part in str(function).split("_"))
    return named if hasattr(keras.losses, named) else "SparseCategoricalCrossentropy"
