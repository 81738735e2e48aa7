"""`fit` of a transfer model that finds its learning rate, and how far to leave the probe."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training.batches import is_arrays
from keras_transgen.training.worker_agreement import has_several_workers
from keras_transgen.transfer.cached_features import cache_features
from keras_transgen.transfer.fine_tuning_recipe import ENOUGH, FineTuningRecipe
from keras_transgen.transfer.heads import dense_of
from keras_transgen.transfer.recipe_search import find_recipe, put_probe
from keras_transgen.transfer.training_data import as_arrays, rows_of

# Where nothing could be tried: the middle of what was best in eleven tasks.
UNTRIED = 3e-4
# Data sets up to this size in memory are read whole, so that folds can be cut.
_LARGEST = 2**31


def what_forbids_trials(model: Any, x: Any, y: Any) -> str | None:
    """Why rates cannot be tried on held-out examples, or `None` where they can.

    Args:
        model: A transfer model.
        x: What `fit` was given.
        y: What `fit` was given.
    """
    if has_several_workers(model.distribute_strategy):
        return "several workers train together"
    if dense_of(model.head) is None:
        return "the head is no dense layer, so there is no linear probe to start from"
    if model.head_initialization != "probe":
        return f"head_initialization={model.head_initialization!r}"
    if not is_arrays((x, y) if y is not None else (x,)) and not isinstance(x, tf.data.Dataset):
        return f"the data are a {type(x).__name__}, which cannot be cut into folds"
    if isinstance(x, tf.data.Dataset) and int(x.cardinality()) == tf.data.INFINITE_CARDINALITY:
        return "the data set has no end"
    return None


def untried(reason: str) -> float:
    """The learning rate where none could be tried, with a warning that says why.

    Args:
        reason: What `what_forbids_trials` said.
    """
    warnings.warn(
        f"No learning rate was tried on held-out examples, since {reason}: {UNTRIED:g} is taken. "
        "Give learning_rate a number to choose it.",
        stacklevel=4,
    )
    return UNTRIED


def in_memory(x: Any, y: Any, sample_weight: Any) -> tuple | None:
    """Arrays `(x, y, weights)` of what `fit` was given; `None` where they are too large.

    Args:
        x: Arrays, or a data set of batches with an end.
        y: Labels of arrays.
        sample_weight: Weights of arrays.
    """
    if not isinstance(x, tf.data.Dataset):
        return (x, y, sample_weight)
    parts, size = [], 0
    for batch in x:
        part = keras.utils.unpack_x_y_sample_weight(batch)
        leaves = [leaf for leaf in keras.tree.flatten(part) if leaf is not None]
        size += sum(np.asarray(leaf).nbytes for leaf in leaves)
        if size > _LARGEST:
            return None
        parts.append(part)
    return keras.tree.map_structure(
        lambda *leaves: None if leaves[0] is None else np.concatenate([*map(np.asarray, leaves)]),
        *parts,
        none_is_leaf=True,
    )


def found_recipe(
    model: Any,
    data: tuple,
    validation_data: Any,
    class_weight: Any,
    epochs: int,
    batch_size: int,
    verbose: Any,
) -> FineTuningRecipe:
    """Search for the recipe, and leave the model with the probe of all rows as its head.

    Args:
        model: The transfer model.
        data: Arrays `(x, y, weights)`.
        validation_data: What `fit` was given; judges where it has 200 examples or more.
        class_weight: What `fit` was given.
        epochs: Of the coming training.
        batch_size: Examples a step.
        verbose: What `fit` was given.
    """
    x, y, sample_weight = data
    found = cache_features(model, x, y, sample_weight, class_weight, batch_size=batch_size)
    held_out = None
    if validation_data is not None:
        judge = (
            keras.utils.unpack_x_y_sample_weight(validation_data)
            if isinstance(validation_data, (tuple, list))
            else keras.utils.unpack_x_y_sample_weight(in_memory(validation_data, None, None) or ())
        )
        if judge[0] is not None and rows_of(judge[0]) >= ENOUGH:
            held_out = (judge[0], as_arrays(judge[1]))
    weights = None if sample_weight is None and class_weight is None else found.weights
    bar = _Bar(verbose)
    recipe = find_recipe(
        model,
        (x, np.asarray(y)) if weights is None else (x, np.asarray(y), weights.astype("float32")),
        found,
        held_out,
        epochs=epochs,
        batch_size=batch_size,
        tell=bar,
    )
    put_probe(model, found)
    return recipe


class _Bar:
    """Keras' progress bar over trials."""

    def __init__(self, verbose: Any) -> None:
        self._shown = verbose not in (0, 2)
        self._bar: keras.utils.Progbar | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        if self._shown:
            self._bar = self._bar or keras.utils.Progbar(total, unit_name="trial")
            # Fewer whole trials than foreseen, where the best rate is the highest.
            self._bar.update(min(done, total), finalize=done >= total)
