"""Tries learning rates from small to large on a model, and leaves the model as it was."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training import TrainerModel
from keras_transgen.training.batches import is_arrays
from keras_transgen.transfer.learning_rate_suggestion import smooth, suggest_rate
from keras_transgen.transfer.training_data import rows_of
from keras_transgen.transfer.trial_rate import TrialRate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A loss this many times the lowest one has diverged; the range above tells nothing more.
DIVERGED = 4.0
# What `compile` and a training function leave on a model.
_ATTRIBUTES = (
    "_given_metrics",
    "_head_initialized",
    "compiled",
    "jit_compile",
    "loss",
    "optimizer",
    "run_eagerly",
    "steps_per_execution",
    "stop_training",
    "test_function",
    "train_function",
)


@dataclasses.dataclass(frozen=True, eq=False)
class LearningRateRange:
    """What a range test found.

    Attributes:
        learning_rates: Rates tried, ascending `[steps]`.
        losses: Loss of the batch that each rate was tried on, before its step `[steps]`; or, with
            validation data, the loss of these after some steps at each rate.
        smoothed: The losses, smoothed; with validation data as they are.
        suggestion: The rate where the smoothed loss falls fastest, or with validation data the one
            with the lowest loss; `None` where the loss does not fall clearly: then the curve has to
            be read.
        loss_before: Loss of the validation data before any step; `None` without them.
    """

    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggestion: float | None
    loss_before: float | None = None

    def plot(self) -> Figure:
        """The loss against the learning rate, with the suggestion, as a Matplotlib figure."""
        from keras_transgen.plotting import plot_learning_rate_finder

        return plot_learning_rate_finder(
            self.learning_rates.tolist(),
            self.losses.tolist(),
            smoothed=self.smoothed.tolist(),
            suggestion=self.suggestion,
        )


def find_learning_rate(
    model: TrainerModel,
    x: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    batch_size: int = 32,
    lowest: float = 1e-7,
    highest: float = 1.0,
    steps: int | None = None,
    validation_data: Any = None,
) -> LearningRateRange:
    """Train a few steps with a learning rate that grows, and put everything back.

    With validation data each rate, in half decades, gets some steps of its own from the weights as
    they are, and is judged by the loss of the validation data. This is what tells something of a
    model that is fitted already, such as one whose head is a linear probe: its training loss has
    little left to fall. Few steps prefer low rates; over a whole training the next one up is often
    better.

    Weights, optimizer, metrics, counters and random states of the model are afterwards what they
    were before, bit for bit. A model that is not compiled is tried with its defaults.

    The suggestion is the rate where the smoothed loss falls fastest, the first tenth of the steps
    and the last five left out. Where the loss does not fall clearly there is none, and a warning
    says so: a head that is fitted already, for one, has little to gain, and its curve tells only
    the rate at which steps begin to harm.

    Args:
        model: A model with one optimizer, such as a transfer model; with validation data one that
            begins with a linear probe is tried from there. Where the optimizer has
            several rates (by layer), they keep their proportions, and the highest of them is the
            one that is reported.
        x: Arrays, or a `tf.data.Dataset` or `keras.utils.PyDataset` of batches.
        y: Labels of arrays.
        sample_weight: Weights of arrays.
        batch_size: Examples a batch of arrays. Defaults to 32.
        lowest: First rate. Defaults to 1e-7.
        highest: Last rate, unless the loss diverges before. Defaults to 1.
        steps: Rates to try, at equal ratios; 60 by default. With validation data the steps of each
            rate; 12 by default.
        validation_data: `(x, y)`, or a data set, as `fit` takes it. Defaults to none.

    Returns:
        The rates, the losses, the suggestion or `None`, and a `plot()`.

    Raises:
        ValueError: The rates or steps make no range, or the loss was not finite from the start.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.transfer import TransferModel, find_learning_rate

        images, labels = ktg.datasets.load_digits()
        model = TransferModel("digits", num_classes=10)
        found = find_learning_rate(model, images[:256], labels[:256], lowest=1e-5, steps=40)
        if found.suggestion is not None:
            model.compile(optimizer="adam")
            model.optimizer.learning_rate = found.suggestion
        ```

    Reference:
        Smith, Cyclical Learning Rates for Training Neural Networks, 2017; the suggestion is
        fastai's "steep".
    """
    if validation_data is not None:
        steps = 12 if steps is None else steps
    steps = 60 if steps is None else steps
    if not 0 < lowest < highest or steps < 5:
        raise ValueError(
            "A range needs 0 < lowest < highest and at least 5 steps. "
            f"Received: lowest={lowest}, highest={highest}, steps={steps}"
        )
    given = {"x": x, "y": y, "sample_weight": sample_weight, "validation_data": validation_data}
    x, y, sample_weight, validation_data = (
        value if value is None else model.entered(name, value, name != "validation_data")
        for name, value in given.items()
    )
    if validation_data is not None:
        found = _by_held_out(
            model, (x, y, sample_weight), batch_size, lowest, highest, steps, validation_data
        )
        if found.suggestion is None:
            warnings.warn(
                "No rate lowers the loss of the validation data, which is "
                f"{found.loss_before:.4g}: the model is as good as these steps make it. "
                f"Received: losses from {np.nanmin(found.losses):.4g} at "
                f"{found.learning_rates[np.nanargmin(found.losses)]:.2g}",
                stacklevel=2,
            )
        return found
    rates = lowest * (highest / lowest) ** (np.arange(steps) / (steps - 1))
    with put_back(model):
        if not model.compiled:
            model.compile()
            model.steps_per_execution = 1
        if is_arrays((x, y)):
            model.check_data(x, y, sample_weight, training=True)
        growth = _Growth(lowest, highest / lowest, steps)
        model.optimizer = model.prepare_optimizer(
            _with_growing_rate(model.optimizer, growth), model.trainable_variables
        )
        losses = _losses(model, _batches(x, y, sample_weight, batch_size), rates)
    if not np.isfinite(losses[:1]).all():
        raise ValueError(
            "The loss must be finite at the start: look at the data, or compile with another "
            f"loss. Received: a first loss of {losses[0]}"
        )
    finite = losses[np.isfinite(losses)]
    rates = rates[: len(finite)]
    # What ended the test would lift the smoothed losses before it.
    calm = finite[:-1] if _has_diverged(finite) else finite
    smoothed = np.concatenate([smooth(calm), finite[len(calm) :]])
    suggestion = suggest_rate(rates, finite)
    if suggestion is None:
        warnings.warn(
            "The range test suggests no rate: the loss does not fall clearly, or too few steps are "
            "left to tell. Read the curve (`plot()` of what is returned): a rate well below the "
            "one where the loss begins to rise is safe. Or try more steps, another range, larger "
            f"batches. Received: {len(rates)} of {steps} steps, from rate {rates[0]:.2g} to "
            f"{rates[-1]:.2g}, smoothed loss {smoothed[0]:.4g} at first and {smoothed.min():.4g} "
            "at its lowest",
            stacklevel=2,
        )
    return LearningRateRange(rates, finite, smoothed, suggestion)


def _by_held_out(
    model: TrainerModel,
    data: tuple,
    batch_size: int,
    lowest: float,
    highest: float,
    steps: int,
    validation_data: Any,
) -> LearningRateRange:
    """Some steps of each rate from the same weights, and the loss of the validation data."""
    count = max(2, round(2 * math.log10(highest / lowest)) + 1)
    rates = lowest * (highest / lowest) ** (np.arange(count) / (count - 1))
    pair = validation_data if isinstance(validation_data, (tuple, list)) else (validation_data,)
    endless = tf.data.INFINITE_CARDINALITY
    if isinstance(pair[0], tf.data.Dataset) and int(pair[0].cardinality()) == endless:
        raise ValueError(
            "Expected validation data that end: leave out .repeat(), or take some of them, "
            "data.take(10). Received: an endless data set"
        )
    held = (*pair, None, None)[:3]

    def loss() -> float:
        logs = model.evaluate(
            held[0], held[1], sample_weight=held[2], batch_size=batch_size, verbose=0,
            return_dict=True,
        )  # fmt: skip
        return float(logs["loss"])

    with put_back(model):
        if not model.compiled:
            model.compile()
            model.steps_per_execution = 1
        if is_arrays(data[:2]):
            model.check_data(data[0], data[1], data[2], training=True)
        if getattr(model, "head_initialization", None) == "probe" and not int(
            model.progress.step.numpy()
        ):
            # As the training will.
            model.initialize_head(data[0], data[1], data[2], batch_size=batch_size)
        before = loss()
        if not math.isfinite(before):
            raise ValueError(
                "The loss of the validation data must be finite at the start: look at the data, "
                f"or compile with another loss. Received: a loss of {before}"
            )
        trial = TrialRate()
        model.optimizer = model.prepare_optimizer(
            _with_growing_rate(model.optimizer, trial), model.trainable_variables
        )
        model.train_function = None
        step = model.make_train_function()
        state = [*model.variables, *model.optimizer.variables]
        values = [keras.ops.convert_to_numpy(variable.value) for variable in state]
        batches = _batches(data[0], data[1], data[2], batch_size)
        strategy = model.distribute_strategy
        losses = np.full(count, np.nan)
        for place, rate in enumerate(rates):
            for variable, value in zip(state, values):
                variable.assign(value)
            trial.set(float(rate), steps, 0.3, decays=False)
            with strategy.scope():
                iterator = iter(strategy.experimental_distribute_dataset(batches))
                for _ in range(steps):
                    step(iterator)
            losses[place] = loss()
            if not np.isfinite(losses[place]) or _has_diverged([before, losses[place]]):
                break
        losses[~np.isfinite(losses)] = np.nan
    if not np.isfinite(losses).any():
        raise ValueError(
            "No rate gave a finite loss of the validation data: lower them. "
            f"Received: lowest={lowest:g}, highest={highest:g}"
        )
    best = int(np.nanargmin(losses))
    falls = bool(losses[best] < before)
    return LearningRateRange(
        rates[: place + 1],
        losses[: place + 1],
        losses[: place + 1],
        float(rates[best]) if falls else None,
        before,
    )


@keras.saving.register_keras_serializable(package="keras_transgen")
class _Growth(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that grows by equal ratios, times what another schedule gives relative to a rate."""

    def __init__(self, lowest: float, ratio: float, steps: int, share: float = 1.0) -> None:
        self.lowest, self.ratio, self.steps, self.share = lowest, ratio, steps, share

    def __call__(self, step: Any) -> Any:
        progress = keras.ops.cast(step, "float32") / (self.steps - 1)
        return self.share * self.lowest * self.ratio**progress

    def with_share(self, share: float) -> _Growth:
        return _Growth(self.lowest, self.ratio, self.steps, share)

    def get_config(self) -> dict[str, Any]:
        names = ("lowest", "ratio", "steps", "share")
        return {name: getattr(self, name) for name in names}


def _with_growing_rate(optimizer: Any, growth: _Growth) -> Any:
    """A fresh optimizer with the same settings, driven by the growing rate."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        # `prepare_optimizer` wraps it again.
        return _with_growing_rate(optimizer.inner_optimizer, growth)
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        ours = list(optimizer.optimizers)
        highest = max(_rate(each) for each in ours)
        fresh = [
            _with_growing_rate(each, growth.with_share(_rate(each) / highest)) for each in ours
        ]
        # Each variable goes where it went: Keras tells by identity of the variable.
        places = {
            id(variable): index
            for index, each in enumerate(ours)
            for variable in getattr(each, "_trainable_variables", [])
        }
        return keras.optimizers.MultiOptimizer(lambda variable: fresh[places[id(variable)]])
    config = {**optimizer.get_config(), "learning_rate": growth}
    return type(optimizer).from_config(config)


def _rate(optimizer: keras.optimizers.Optimizer) -> float:
    """The highest rate an optimizer comes to, as far as a schedule tells at its steps."""
    schedule = getattr(optimizer, "_learning_rate", None)
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return float(optimizer.learning_rate)
    return max(float(schedule(step)) for step in np.unique(np.geomspace(1, 1e6, 200).astype(int)))


@contextlib.contextmanager
def put_back(model: TrainerModel) -> Iterator[None]:
    """Remember the whole state of a model, and restore it at the end, come what may.

    Args:
        model: The model, which the `with` block may train.
    """
    variables = [*model.variables, *_metric_variables(model), *_counters(model)]
    values = [keras.ops.convert_to_numpy(variable.value) for variable in variables]
    attributes = {
        name: value
        for name, value in vars(model).items()
        if name in _ATTRIBUTES or name.startswith("_compile")
    }
    try:
        model.steps_per_execution = 1
        yield
    finally:
        for variable, value in zip(variables, values):
            variable.assign(value)
        # Past Keras' tracking, which would count metrics twice.
        model.__dict__.update(attributes)


def _metric_variables(model: TrainerModel) -> list[keras.Variable]:
    known = {id(variable) for variable in model.variables}
    return [
        variable
        for metric in (model.metrics if model.compiled else [])
        for variable in metric.variables
        if id(variable) not in known
    ]


def _counters(model: TrainerModel) -> list[keras.Variable]:
    return [value for value in vars(model.progress).values() if isinstance(value, keras.Variable)]


def _batches(x: Any, y: Any, sample_weight: Any, batch_size: int) -> tf.data.Dataset:
    if isinstance(x, tf.data.Dataset):
        return x.repeat()
    if isinstance(x, keras.utils.PyDataset):
        first = x[0]
        signature = keras.tree.map_structure(
            lambda leaf: tf.TensorSpec([None, *leaf.shape[1:]], tf.as_dtype(leaf.dtype)), first
        )
        return tf.data.Dataset.from_generator(
            lambda: (x[index] for index in range(x.num_batches)), output_signature=signature
        ).repeat()
    data = keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
    rows = rows_of(data)
    return tf.data.Dataset.from_tensor_slices(data).shuffle(rows, seed=0).batch(batch_size).repeat()


def _losses(model: TrainerModel, batches: tf.data.Dataset, rates: np.ndarray) -> np.ndarray:
    """The loss of each batch, until the loss diverges."""
    model.train_function = None
    step = model.make_train_function()
    strategy = model.distribute_strategy
    losses: list[float] = []
    with strategy.scope():
        iterator = iter(strategy.experimental_distribute_dataset(batches))
        for _ in rates:
            # The tracked loss is a mean over steps; afresh, it is this step's.
            model.reset_metrics()
            losses.append(float(step(iterator)["loss"]))
            if not np.isfinite(losses[-1]) or _has_diverged(losses):
                break
    return np.array(losses)


def _has_diverged(losses: Sequence[float] | np.ndarray) -> bool:
    return losses[-1] > DIVERGED * min(losses) + 1e-6
