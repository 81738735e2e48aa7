"""What the search for a learning rate needs of the arguments of `fit`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.backbones.network_digest import layer_digest
from keras_transgen.training.batches import is_arrays
from keras_transgen.training.worker_agreement import has_several_workers
from keras_transgen.transfer.cached_features import (
    cache_features,
    features_digest,
    targets_of,
    weights_of,
)
from keras_transgen.transfer.fine_tuning_recipe import ENOUGH, FineTuningRecipe
from keras_transgen.transfer.heads import dense_of
from keras_transgen.transfer.recipe_search import find_recipe, put_probe, some_of, trial_folds
from keras_transgen.transfer.rows_in_memory import bytes_of, in_memory
from keras_transgen.transfer.training_data import (
    steps_of,
    take_rows,
    take_steps,
)
from keras_transgen.transfer.trial_journal import TrialJournal

# Fewer held-out examples tell nothing.
FEWEST_TO_JUDGE = 8


def planned_steps(x: Any, batch_size: int | None, steps_per_epoch: int | None) -> int | None:
    """Steps in a pass over data, or `None` where nothing tells.

    Args:
        x: What `fit` was given.
        batch_size: What `fit` was given.
        steps_per_epoch: What `fit` was given.
    """
    return steps_per_epoch or steps_of(x, batch_size)


def what_forbids_trials(model: Any, given: dict[str, Any]) -> str | None:
    """Why rates cannot be tried on held-out examples, or `None` where they can.

    Args:
        model: A transfer model.
        given: The arguments of `fit`.
    """
    x, y = given["x"], given["y"]
    if has_several_workers(model.distribute_strategy):
        return "several workers train together"
    if model.task == "sequence_labelling":
        return "each position has a label, so that examples cannot be held out by their classes"
    if dense_of(model.head) is None:
        return "the head is no dense layer, so there is no linear probe to start from"
    if model.head_initialization != "probe":
        return f"head_initialization={model.head_initialization!r}"
    endless = (
        isinstance(x, tf.data.Dataset) and int(x.cardinality()) == tf.data.INFINITE_CARDINALITY
    )
    if endless and not given["steps_per_epoch"]:
        return "the data set has no end"
    others = [leaf for leaf in (x, y) if leaf is not None and not hasattr(leaf, "to_numpy")]
    is_data_set = isinstance(x, (tf.data.Dataset, keras.utils.PyDataset))
    if others and not is_arrays(others) and not is_data_set:
        return f"the data are a {type(x).__name__}, which cannot be cut into folds"
    return None


def found_recipe(
    model: Any, given: dict[str, Any]
) -> tuple[FineTuningRecipe, tuple[Any, np.ndarray, np.ndarray]] | str:
    """Search for the recipe, and leave the model with the probe of all rows as its head.

    Args:
        model: The transfer model.
        given: The arguments of `fit`.

    Returns:
        The recipe, and some of the examples, targets and weights; or why the data allow none.
    """
    x = take_steps(given["x"], given["steps_per_epoch"])
    read = in_memory(x, given["y"], given["sample_weight"])
    if isinstance(read, str):
        return read
    (x, y, sample_weight), batches_of = read
    batch_size = batches_of or given["batch_size"] or 32
    if y is None:
        model.check_labels(y, True)
    y = np.asarray(y)
    validation_data = take_steps(given["validation_data"], given.get("validation_steps"))
    held_out = _enough_to_judge(model, validation_data, given["class_weight"])
    at_hand = x if model.features_at_hand is None else model.features_at_hand
    found = cache_features(
        model, at_hand, y, sample_weight, given["class_weight"], batch_size=batch_size
    )
    counted = found.weights > 0
    if not counted.all():
        # What weighs nothing is neither learnt from nor judged by.
        rows = np.flatnonzero(counted)
        x, y = take_rows(x, rows), y[rows]
        found = dataclasses.replace(
            found,
            features=found.features[rows],
            labels=found.labels[rows],
            targets=found.targets[rows],
            weights=found.weights[rows],
        )
    if held_out is None:
        judges = int(trial_folds(found.targets, model.task, 0).sum())
        if not judges and model.task == "classification":
            return "no class has two examples, one to learn from and one to be judged by"
        if judges < FEWEST_TO_JUDGE:
            return f"{judges} examples are too few to judge by"
    weighed = sample_weight is not None or given["class_weight"] is not None
    data = (x, y, found.weights.astype("float32")) if weighed else (x, y)
    passes = given["epochs"] - given["initial_epoch"]
    steps = planned_steps(given["x"], batch_size, given["steps_per_epoch"])
    if steps is None:
        steps = steps_of(x, batch_size)
    plan = {
        "steps": int(steps or 1) * max(passes, 1),
        "batch_size": batch_size,
        "rates": list(model.rates_to_try()),
    }
    journal = TrialJournal(_backup_folder(given["callbacks"]), _key(model, plan, data, held_out))
    bar = _Bar(given["verbose"])
    # Whoever interrupts the search has the probe.
    put_probe(model, found)
    recipe = find_recipe(
        model,
        data,
        found,
        held_out,
        steps=plan["steps"],
        batch_size=batch_size,
        journal=journal,
        tell=bar,
    )
    bar.end(recipe)
    return recipe, some_of(x, found.targets, found.weights, 0)


def _enough_to_judge(model: Any, validation_data: Any, class_weight: Any) -> tuple | None:
    """Arrays `(x, targets, weights)` of validation data that are enough to judge by, or `None`.

    Raises:
        ValueError: They are not of the kind that the model learns from.
    """
    if validation_data is None:
        return None
    pair: Any = validation_data
    if not isinstance(validation_data, (tuple, list)):
        if not isinstance(validation_data, (tf.data.Dataset, keras.utils.PyDataset)):
            return None
        if (
            isinstance(validation_data, tf.data.Dataset)
            and int(validation_data.cardinality()) == tf.data.INFINITE_CARDINALITY
        ):
            return None
        read = in_memory(validation_data, None, None)
        if isinstance(read, str):
            return None
        pair = read[0]
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(tuple(pair))
    if y is None:
        model.check_labels(y, False)
    y = np.asarray(y)
    model.check_inputs(x)
    model.check_labels(y, False)
    targets = targets_of(y, model.task, model.num_classes)
    weights = weights_of(targets, sample_weight, class_weight)
    rows = np.flatnonzero(weights)
    if len(rows) < ENOUGH:
        return None
    if len(rows) < len(weights):
        x, targets, weights = take_rows(x, rows), targets[rows], weights[rows]
    return x, targets, weights


def _backup_folder(callbacks: Any) -> Path | None:
    """The folder of the backup that `fit` goes on from after a kill: trials are kept there too."""
    listed = (
        callbacks.callbacks
        if isinstance(callbacks, keras.callbacks.CallbackList)
        else callbacks
        if isinstance(callbacks, (list, tuple))
        else [callbacks]
    )
    for callback in listed:
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            return Path(os.fspath(callback.backup_dir))
    return None


def _key(model: Any, plan: dict[str, Any], data: tuple, held_out: tuple | None) -> str:
    """A digest of what the outcome of trials depends on."""
    total = hashlib.sha256(json.dumps(plan, sort_keys=True).encode())
    settings = {
        **model.trial_settings(),
        "features": features_digest(model),
        "augmentation": model.augmentation and layer_digest(model.augmentation),
        "head": model.head.get_config(),
        "outputs": model.num_classes,
        "policy": model.dtype_policy.name,
        "trains": [weight.shape for weight in model.trainable_variables],
    }
    total.update(repr(sorted(settings.items())).encode())
    for leaf in keras.tree.flatten((data, held_out)):
        if leaf is not None:
            array = np.ascontiguousarray(leaf)
            total.update(f"{array.dtype} {array.shape}".encode())
            total.update(bytes_of(array))
    return total.hexdigest()


class _Bar:
    """Keras' progress bar over trials, and what came of them."""

    def __init__(self, verbose: Any) -> None:
        self._shown = verbose not in (0, "0")
        self._moves = self._shown and verbose != 2
        self._bar: keras.utils.Progbar | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._shown and self._bar is None:
            print(
                f"Looking for the learning rate on held-out examples: {total} trainings or some "
                "more, most of them short. A learning rate that is given needs none."
            )
            self._bar = keras.utils.Progbar(total, unit_name="training")
        if self._moves and self._bar is not None:
            # More than was foreseen, where rates grow better.
            self._bar.target = total
            self._bar.update(done, finalize=False)

    def end(self, recipe: FineTuningRecipe) -> None:
        """Say what was chosen."""
        if self._bar is not None and self._moves:
            print()
        if self._shown:
            print(f"Chosen: {recipe}")
