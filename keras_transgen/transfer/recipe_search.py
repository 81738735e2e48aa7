"""Trials of fine-tuning on held-out examples: the rate, and how far to leave the probe."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.transfer.cached_features import CachedFeatures
from keras_transgen.transfer.fine_tuning_recipe import (
    RATES,
    SHARES,
    SHORT,
    FineTuningRecipe,
    held_out_losses,
    number_of_folds,
    rate_of_short_trials,
    with_losses,
)
from keras_transgen.transfer.heads import dense_of
from keras_transgen.transfer.linear_probe import fit_linear_probe, held_out_folds
from keras_transgen.transfer.schedules import LAST_SHARE
from keras_transgen.transfer.training_data import rows_of, take_rows


@keras.saving.register_keras_serializable(package="keras_transgen")
class TrialRate(keras.optimizers.schedules.LearningRateSchedule):
    """`warm_up_and_decay` whose rate and length are set from outside, so one graph runs all trials.

    Args:
        share: Factor of the rate, for one group of parameters.
    """

    def __init__(self, share: float = 1.0) -> None:
        self.share = share
        self.settings = keras.Variable([0.0, 1.0, 1.0, 0.0], dtype="float32", trainable=False)

    def set(self, rate: float, steps: int, warm_up: float, decays: bool) -> None:
        """Say what the next trial is: its highest rate, its length, and whether the rate falls."""
        rising = round(steps * warm_up) if decays else max(3, round(steps * warm_up))
        self.settings.assign([rate, rising, steps, float(decays)])

    def with_share(self, share: float) -> TrialRate:
        """The same, times a factor; set together."""
        other = TrialRate(share)
        other.settings = self.settings
        return other

    def __call__(self, step: Any) -> Any:
        """The learning rate at a step."""
        rate, rising, steps, decays = tf.unstack(tf.convert_to_tensor(self.settings.value))
        step = tf.cast(step, tf.float32)
        rise = (step + 1.0) / (rising + 1.0)
        through = tf.clip_by_value((step - rising) / tf.maximum(steps - rising, 1.0), 0.0, 1.0)
        fall = LAST_SHARE + (1.0 - LAST_SHARE) * 0.5 * (1.0 + tf.cos(math.pi * through))
        later = tf.where(decays > 0.0, fall, 1.0)
        return self.share * rate * tf.where(step < rising, rise, later)

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the schedule from."""
        return {"share": self.share}


class Bench:
    """A model on which trials run one after the other, each from given weights.

    Args:
        model: A transfer model, compiled with an optimizer that the rate drives.
        rate: That rate.
        warm_up: Share of the steps in which it rises.
        batch_size: Examples a step.
    """

    def __init__(self, model: Any, rate: TrialRate, warm_up: float, batch_size: int) -> None:
        self._model, self._rate = model, rate
        self._warm_up, self._batch_size = warm_up, batch_size
        self._fresh = [np.asarray(each) for each in model.optimizer.variables]
        self._moving = [
            weight for weight in model.weights if keras.backend.is_float_dtype(weight.dtype)
        ]
        self._step = model.make_train_function(force=True)

    def weights(self) -> list[np.ndarray]:
        """The model's weights as they are."""
        return [np.asarray(weight) for weight in self._moving]

    def put(self, weights: Sequence[np.ndarray]) -> None:
        """Set the model's weights."""
        for weight, value in zip(self._moving, weights):
            weight.assign(value)

    def train(
        self, data: tuple, start: Sequence[np.ndarray], rate: float, steps: int, decays: bool
    ) -> list[np.ndarray]:
        """Train some steps.

        Args:
            data: Arrays `(x, y, weights)`.
            start: Weights to begin with.
            rate: The highest learning rate.
            steps: How many steps.
            decays: Whether the rate falls in the end.

        Returns:
            The weights at the end.
        """
        self.put(start)
        for variable, value in zip(self._model.optimizer.variables, self._fresh):
            variable.assign(value)
        self._rate.set(rate, steps, self._warm_up, decays)
        rows = rows_of(data)
        order = tf.data.Dataset.range(rows).shuffle(rows, seed=0).batch(self._batch_size).repeat()
        held = keras.tree.map_structure(tf.convert_to_tensor, data)
        batches = order.map(
            lambda numbers: keras.tree.map_structure(lambda leaf: tf.gather(leaf, numbers), held)
        )
        strategy = self._model.distribute_strategy
        with strategy.scope():
            iterator = iter(strategy.experimental_distribute_dataset(batches))
            taken = 0
            while taken < steps:
                self._step(iterator)
                taken += 1
        return self.weights()

    def logits(self, x: Any, weights: Sequence[np.ndarray]) -> np.ndarray:
        """What the model with these weights predicts."""
        self.put(weights)
        return np.asarray(self._model.predict(x, batch_size=128, verbose=0))


def find_recipe(
    model: Any,
    data: tuple,
    found: CachedFeatures,
    held_out: tuple | None,
    *,
    epochs: int,
    batch_size: int,
    seed: int = 0,
    tell: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> FineTuningRecipe:
    """Try rates on held-out examples and say which to train with; the model is put back.

    Short trials, of a few steps from a linear probe, tell rates that learn from rates that
    destroy; the best of them and the next one up are tried as long as the training will be. The
    weights on the way from the probe to what was trained are judged, too: where none of them is
    clearly better the probe is kept.

    Args:
        model: A transfer model with a dense head; built.
        data: Arrays `(x, y, weights)` to train on.
        found: The features of `x`, with targets.
        held_out: `(x, y)` to judge on, or `None` for folds of the data.
        epochs: Of the coming training.
        batch_size: Examples a step.
        seed: Of the folds.
        tell: Called with what is done, how many trials are, and how many there will be.

    Returns:
        The recipe.

    Reference:
        Wortsman et al., Robust fine-tuning of zero-shot models, 2022 (weights on the way);
        Smith, Cyclical Learning Rates for Training Neural Networks, 2017 (short trials).
    """
    splits = _splits(model, data[0], found, held_out, seed)
    with _on_trial(model, batch_size) as bench:
        pretrained = bench.weights()
        starts, judges = [], []
        for train, judge in splits:
            bench.put(pretrained)
            put_probe(model, found, train)
            starts.append(bench.weights())
            judges.append(judge)
        total = len(splits) * (len(RATES) + 2)
        done = 0
        short = np.zeros((len(RATES), len(splits)))
        parts = [_part(data, train) for train, _ in splits]
        for place, rate in enumerate(RATES):
            for fold, (part, start, judge) in enumerate(zip(parts, starts, judges)):
                trained = bench.train(part, start, rate, SHORT, decays=False)
                short[place, fold] = _mean_loss(bench, model, trained, judge)
                done += 1
                tell(f"{SHORT} steps at {rate:.0e}", done, total)
        sizes = np.array([len(judge[1]) for judge in judges], "float64")
        short_losses = short @ sizes / sizes.sum()
        best = rate_of_short_trials(short_losses)
        whole: dict[float, np.ndarray] = {}
        for rate in dict.fromkeys((RATES[best], RATES[min(best + 1, len(RATES) - 1)])):
            losses = []
            for part, start, judge in zip(parts, starts, judges):
                steps = math.ceil(rows_of(part) / batch_size) * epochs
                trained = bench.train(part, start, rate, steps, decays=True)
                losses.append(_losses_on_the_way(bench, model, start, trained, judge))
                done += 1
                tell(f"a whole training at {rate:.0e}", done, total)
            whole[rate] = np.concatenate(losses, axis=1)
    return with_losses(RATES, short_losses, whole, 0 if held_out is not None else len(splits))


def put_probe(model: Any, found: CachedFeatures, rows: np.ndarray | None = None) -> None:
    """Fit a linear probe on some of the features, and make it the head.

    Args:
        model: The model, whose head is dense.
        found: Features with targets and weights.
        rows: Which of them, bool `[count]`; `None` for all.
    """
    kept = np.ones(len(found.targets), bool) if rows is None else rows
    probe = fit_linear_probe(
        found.features[kept], found.targets[kept], task=model.task, weights=found.weights[kept]
    )
    dense = dense_of(model.head)
    assert dense is not None
    dense.kernel.assign(np.asarray(probe.kernel, "float32"))
    dense.bias.assign(np.asarray(probe.bias, "float32"))


def on_the_way(
    start: Sequence[np.ndarray], end: Sequence[np.ndarray], share: float
) -> list[np.ndarray]:
    """Weights between two sets of weights.

    Args:
        start: At share 0.
        end: At share 1.
        share: From 0 to 1.
    """
    return [(1.0 - share) * one + share * other for one, other in zip(start, end)]


def _splits(
    model: Any, x: Any, found: CachedFeatures, held_out: tuple | None, seed: int
) -> list[tuple[np.ndarray, tuple]]:
    """Rows to train on, and `(x, targets)` to judge on, of each fold."""
    from keras_transgen.transfer.cached_features import targets_of

    if held_out is not None:
        x, y = held_out
        targets = targets_of(np.asarray(y), model.task, model.num_classes)
        return [(np.ones(len(found.targets), bool), (x, targets))]
    folds = held_out_folds(found.targets, model.task, 1, seed)
    if folds is None:
        raise ValueError(
            "Each class needs two examples at least, to learn from one and to be judged by the "
            "other. Give validation_data, or a learning_rate. Received: a class with one example"
        )
    count = number_of_folds(len(found.targets), len(folds))
    return [
        (~fold, (take_rows(x, np.flatnonzero(fold)), found.targets[fold])) for fold in folds[:count]
    ]


def _part(data: tuple, train: np.ndarray) -> tuple:
    return data if train.all() else take_rows(data, np.flatnonzero(train))


def _mean_loss(bench: Bench, model: Any, weights: list[np.ndarray], judge: tuple) -> float:
    x, targets = judge
    return float(held_out_losses(bench.logits(x, weights), targets, model.task).mean())


def _losses_on_the_way(
    bench: Bench,
    model: Any,
    start: list[np.ndarray],
    trained: list[np.ndarray],
    judge: tuple,
) -> np.ndarray:
    x, targets = judge
    return np.stack(
        [
            held_out_losses(bench.logits(x, on_the_way(start, trained, share)), targets, model.task)
            for share in SHARES
        ]
    )


@contextlib.contextmanager
def _on_trial(model: Any, batch_size: int) -> Iterator[Bench]:
    """The model compiled for trials, and put back afterwards."""
    from keras_transgen.transfer.learning_rate_finder import put_back

    with put_back(model):
        rate = TrialRate()
        with model.distribute_strategy.scope():
            model.compile(optimizer=model.optimizer_at(rate), metrics=None)
        model.steps_per_execution = 1
        yield Bench(model, rate, model.warm_up_share, batch_size)
    model.train_function = model.predict_function = None
