"""What `fit` reports where it leaves the linear probe as it is."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_transgen.transfer.cached_features import targets_of, weights_of
from keras_transgen.transfer.training_data import take_steps


def history_of_kept_probe(model: Any, given: dict[str, Any]) -> keras.callbacks.History:
    """The history of a training that kept the probe: one epoch, whose logs are evaluated.

    Callbacks are told of that epoch.

    Args:
        model: A `FineTuning`, with the probe as its head.
        given: The arguments of `fit`.
    """
    if not model.compiled:
        model.compile_by_default()
    y, sample_weight = given["y"], given["sample_weight"]
    if given["class_weight"] is not None and y is not None:
        targets = targets_of(np.asarray(y), model.task, model.num_classes)
        sample_weight = weights_of(targets, sample_weight, given["class_weight"])
    judge = {"batch_size": given["batch_size"], "verbose": 0, "return_dict": True}
    x = take_steps(given["x"], given["steps_per_epoch"])
    logs = model.evaluate(x, y, sample_weight=sample_weight, **judge)
    held = given["validation_data"]
    if held is not None:
        is_pair = isinstance(held, (tuple, list))
        one, other, weights = (
            keras.utils.unpack_x_y_sample_weight(held) if is_pair else (held, None, None)
        )
        judge |= {
            "steps": given.get("validation_steps"),
            "batch_size": given.get("validation_batch_size") or given["batch_size"],
        }
        values = model.evaluate(one, other, sample_weight=weights, **judge)
        logs |= {f"val_{name}": value for name, value in values.items()}
    callbacks = given["callbacks"]
    listed = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    told = keras.callbacks.CallbackList(
        [each for each in listed if each is not None],
        add_history=True,
        model=model,
        epochs=given["initial_epoch"] + 1,
        steps=1,
        verbose=0,
    )
    told.on_train_begin()
    told.on_epoch_begin(given["initial_epoch"])
    told.on_epoch_end(given["initial_epoch"], logs)
    told.on_train_end(logs)
    return model.history
