"""Trials of fine-tuning on held-out examples: the rate, and how far to leave the probe."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.transfer.cached_features import CachedFeatures
from keras_transgen.transfer.fine_tuning_recipe import (
    FOLDS_OF_A_LARGE_NETWORK,
    MOST_HELD_OUT,
    MOST_STEPS,
    SHARES,
    SHORT,
    FineTuningRecipe,
    is_large,
)
from keras_transgen.transfer.heads import dense_of
from keras_transgen.transfer.learning_rate_finder import put_back
from keras_transgen.transfer.linear_probe import FOLDS, LinearProbe, fit_linear_probe
from keras_transgen.transfer.recipe_choice import (
    grows_better,
    guessing_losses,
    held_out_losses,
    number_of_folds,
    rate_of_short_trials,
    with_losses,
)
from keras_transgen.transfer.training_data import rows_of, take_rows
from keras_transgen.transfer.trial_journal import TrialJournal
from keras_transgen.transfer.trial_rate import TrialRate


class Bench:
    """A model on which trials run one after the other, each from given weights.

    Args:
        model: A model that fine-tunes, compiled with an optimizer that the rate drives.
        rate: That rate.
        batch_size: Examples a step.
    """

    def __init__(self, model: Any, rate: TrialRate, batch_size: int) -> None:
        self._model, self._rate, self._batch_size = model, rate, batch_size
        self._moving = model.moving_weights()
        self._fresh = [np.asarray(each) for each in model.optimizer.variables]
        # Seeds and counters, on which noise depends: each trial has the same.
        moving = {id(weight) for weight in self._moving}
        self._states = [
            weight
            for weight in (*model.variables, *vars(model.progress).values())
            if isinstance(weight, keras.Variable)
            and id(weight) not in moving
            and not keras.backend.is_float_dtype(weight.dtype)
        ]
        self._first = [keras.ops.convert_to_numpy(weight.value) for weight in self._states]
        self._step = model.make_train_function(force=True)

    def weights(self) -> list[np.ndarray]:
        """The weights that move, as they are."""
        return [np.asarray(weight) for weight in self._moving]

    def put(self, weights: Sequence[np.ndarray]) -> None:
        """Set the weights that move."""
        for weight, value in zip(self._moving, weights):
            weight.assign(value)
        self._model.settle_weights()

    def batches(self, data: tuple, steps: int) -> tf.data.Dataset:
        """Shuffled batches of data, the same for every trial.

        Args:
            data: Arrays `(x, y)` or `(x, y, weights)`.
            steps: How many there are at least.
        """
        rows, random = rows_of(data), np.random.default_rng(0)
        passes = math.ceil(steps / math.ceil(rows / self._batch_size))
        orders = np.stack([random.permutation(rows) for _ in range(passes)])
        order = tf.data.Dataset.from_tensor_slices(orders).flat_map(
            lambda each: tf.data.Dataset.from_tensor_slices(each).batch(self._batch_size)
        )
        held = keras.tree.map_structure(tf.convert_to_tensor, data)
        return order.map(
            lambda numbers: keras.tree.map_structure(lambda leaf: tf.gather(leaf, numbers), held)
        )

    def train(
        self,
        batches: tf.data.Dataset,
        start: Sequence[np.ndarray],
        rate: float,
        steps: int,
        decays: bool,
    ) -> list[np.ndarray]:
        """Train some steps.

        Args:
            batches: What `batches` gave.
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
        for variable, value in zip(self._states, self._first):
            variable.assign(value)
        self._rate.set(rate, steps, self._model.warm_up_share, decays)
        strategy = self._model.distribute_strategy
        with strategy.scope():
            iterator = iter(strategy.experimental_distribute_dataset(batches))
            for _ in range(steps):
                self._step(iterator)
        return self.weights()

    def logits(self, x: Any, weights: Sequence[np.ndarray]) -> np.ndarray:
        """What the model predicts with these weights, float32 `[examples, outputs]`."""
        self.put(weights)
        return np.asarray(self._model.predict(x, batch_size=128, verbose=0), "float32")


def find_recipe(
    model: Any,
    data: tuple,
    found: CachedFeatures,
    held_out: tuple | None,
    *,
    steps: int,
    batch_size: int,
    journal: TrialJournal | None = None,
    seed: int = 0,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> FineTuningRecipe:
    """Try rates on held-out examples and say which to train with; the model is put back.

    Short trials, of a few steps from a linear probe, tell rates that learn from rates that
    destroy. The best of them and the next one up are tried as long as the training will be, 500
    steps at most, and the next ones as long as they grow better: short trials prefer low rates.
    The weights on the way from the probe to what was trained are judged, too (`recipe_choice`). A
    large network is tried on two folds at most, its short trials on one.

    Args:
        model: A `FineTuning` with a dense head; built.
        data: Arrays `(x, y)` or `(x, y, weights)` to train on.
        found: The features of `x`, with targets.
        held_out: `(x, targets, weights)` to judge on, or `None` for folds of the data.
        steps: Of the coming training, on all rows.
        batch_size: Examples a step.
        journal: Where the outcome of trials is written down. Defaults to nowhere.
        seed: Of the folds.
        tell: Called with how many trials are done, and how many there will be.

    Returns:
        The recipe.

    Reference:
        Wortsman et al., Robust fine-tuning of zero-shot models, 2022 (weights on the way);
        Smith, Cyclical Learning Rates for Training Neural Networks, 2017 (short trials).
    """
    journal = TrialJournal(None, "") if journal is None else journal
    rates = model.rates_to_try()
    splits = _splits(model, data[0], found, held_out, seed)
    in_short = splits[:1] if is_large(model) else splits
    # Further whole trials follow where they grow better.
    total = len(in_short) * len(rates) + 2 * len(splits)
    done = 0

    def tried(name: str, fold: int, compute: Callable[[], np.ndarray]) -> np.ndarray:
        nonlocal done
        shape = splits[fold][1][1].shape
        shape = shape if name == "short" else (len(SHARES), *shape)
        logits = journal.array(f"{name}_{rate:g}_{fold}", shape, compute)
        done += 1
        tell(done, total)
        return logits

    def losses(logits: Sequence[np.ndarray]) -> np.ndarray:
        joined = np.concatenate(logits)
        return held_out_losses(joined, *judged_by(splits[: len(logits)]))

    def judged_by(splits: Sequence[tuple]) -> tuple[np.ndarray, str, np.ndarray]:
        targets, weights = (np.concatenate([judge[k] for _, judge in splits]) for k in (1, 2))
        return targets, model.task, weights

    with on_trial(model, batch_size) as bench:
        pretrained = bench.weights()
        folds = [Fold(bench, model, data, found, pretrained, *split) for split in splits]
        short = []
        for rate in rates:
            parts = [
                tried("short", number, functools.partial(fold.after, rate, SHORT))
                for number, fold in enumerate(folds[: len(in_short)])
            ]
            short.append(losses(parts).mean())
        whole: dict[float, np.ndarray] = {}
        for rate in rates[min(rate_of_short_trials(np.array(short)), len(rates) - 2) :]:
            total = max(total, done + len(folds))
            parts = []
            for number, fold in enumerate(folds):
                length = min(max(round(steps * fold.share), 1), MOST_STEPS)
                trial = functools.partial(fold.on_the_way, rate, length)
                parts.append(tried("whole", number, trial))
            whole[rate] = np.stack([losses(at) for at in zip(*parts)])
            if len(whole) > 1 and not grows_better(list(whole.values())):
                break
    guessing = guessing_losses(*judged_by(splits))
    return with_losses(rates, short, whole, guessing, 0 if held_out is not None else len(splits))


class Fold:
    """Rows to train on from a probe of them, and rows to judge by.

    Args:
        bench: Where it trains.
        model: The model on the bench.
        data: All arrays, `(x, y)` or `(x, y, weights)`.
        found: The features of all of them.
        pretrained: Weights to start from, but for the head's.
        train: Which rows to train on, bool `[rows]`.
        judge: `(x, targets, weights)` to judge by.
    """

    def __init__(
        self,
        bench: Bench,
        model: Any,
        data: tuple,
        found: CachedFeatures,
        pretrained: list[np.ndarray],
        train: np.ndarray,
        judge: tuple,
    ) -> None:
        self._bench, self._model, self._pretrained, self._judge = bench, model, pretrained, judge
        self._data = data if train.all() else take_rows(data, np.flatnonzero(train))
        self._batches: Any = None
        self._steps = 0
        self.share = float(train.mean())
        self._probe = fit_linear_probe(
            found.features[train],
            found.targets[train],
            task=model.task,
            weights=found.weights[train],
        )

    def trained(self, rate: float, steps: int, decays: bool) -> tuple[list, list]:
        """Weights of the probe, and after a training from there.

        Args:
            rate: The highest learning rate.
            steps: How many steps.
            decays: Whether the rate falls in the end.
        """
        self._bench.put(self._pretrained)
        make_head(self._model, self._probe)
        start = self._bench.weights()
        if steps > self._steps:
            self._batches, self._steps = self._bench.batches(self._data, steps), steps
        return start, self._bench.train(self._batches, start, rate, steps, decays)

    def after(self, rate: float, steps: int) -> np.ndarray:
        """Logits after a few steps at a constant rate, `[examples, outputs]`."""
        _, trained = self.trained(rate, steps, decays=False)
        return self._bench.logits(self._judge[0], trained)

    def on_the_way(self, rate: float, steps: int) -> np.ndarray:
        """Logits between the probe and a whole training, `[shares, examples, outputs]`."""
        start, trained = self.trained(rate, steps, decays=True)
        return np.stack(
            [
                self._bench.logits(self._judge[0], on_the_way(start, trained, share))
                for share in SHARES
            ]
        )


def put_probe(model: Any, found: CachedFeatures) -> None:
    """Fit a linear probe on features, and make it the head.

    Args:
        model: The model, whose head is dense.
        found: Features with targets and weights.
    """
    make_head(
        model,
        fit_linear_probe(found.features, found.targets, task=model.task, weights=found.weights),
    )


def make_head(model: Any, probe: LinearProbe) -> None:
    """Assign a probe to the dense head of a model.

    Args:
        model: The model.
        probe: A fitted probe.
    """
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
    if share == 0.0:
        # Numbers that are none, at the end of the way, have no part in it.
        return list(start)
    return [(1.0 - share) * one + share * other for one, other in zip(start, end)]


def _splits(
    model: Any, x: Any, found: CachedFeatures, held_out: tuple | None, seed: int
) -> list[tuple[np.ndarray, tuple]]:
    """Rows to train on, and `(x, targets, weights)` to judge on, of each fold."""
    if held_out is not None:
        x, targets, weights = held_out
        return [(np.ones(len(found.targets), bool), some_of(x, targets, weights, seed))]
    folds = trial_folds(found.targets, model.task, seed)
    count = number_of_folds(len(found.targets), len(folds))
    if is_large(model):
        count = min(count, FOLDS_OF_A_LARGE_NETWORK)
    return [
        (
            ~fold,
            some_of(
                take_rows(x, np.flatnonzero(fold)), found.targets[fold], found.weights[fold], seed
            ),
        )
        for fold in folds[:count]
    ]


def trial_folds(targets: np.ndarray, task: str, seed: int) -> np.ndarray:
    """Which rows are held out in each fold, bool `[folds, rows]`; none where there are too few.

    Classes are spread evenly over the folds. The only example of a class is always trained on.

    Args:
        targets: `[rows, outputs]`.
        task: Name of the task.
        seed: Of the order.
    """
    classes = targets.argmax(axis=1) if task == "classification" else np.zeros(len(targets), int)
    random = np.random.default_rng(seed)
    order = [random.permutation(np.flatnonzero(classes == each)) for each in np.unique(classes)]
    held = np.concatenate([rows for rows in order if len(rows) > 1] or [np.array([], int)])
    count = min(FOLDS, len(held))
    if count < 2:
        return np.zeros((0, len(targets)), bool)
    folds = np.zeros((count, len(targets)), bool)
    folds[np.arange(len(held)) % count, held] = True
    return folds


def some_of(
    x: Any, targets: np.ndarray, weights: np.ndarray, seed: int
) -> tuple[Any, np.ndarray, np.ndarray]:
    """Examples to judge by, 2,000 at most.

    Args:
        x: Arrays.
        targets: Their targets `[rows, outputs]`.
        weights: Their weights `[rows]`.
        seed: Of the choice.

    Returns:
        Some of all three, in their order.
    """
    if len(targets) <= MOST_HELD_OUT:
        return x, targets, weights
    rows = np.sort(np.random.default_rng(seed).permutation(len(targets))[:MOST_HELD_OUT])
    return take_rows(x, rows), targets[rows], weights[rows]


@contextlib.contextmanager
def on_trial(model: Any, batch_size: int) -> Iterator[Bench]:
    """The model compiled for trials, and put back afterwards.

    Args:
        model: A `FineTuning`.
        batch_size: Examples a step.
    """
    with put_back(model):
        rate = TrialRate()
        with model.distribute_strategy.scope():
            model.compile(optimizer=model.optimizer_at(rate), metrics=None)
        model.steps_per_execution = 1
        try:
            yield Bench(model, rate, batch_size)
        finally:
            model.train_function = model.predict_function = None
    model.settle_weights()
