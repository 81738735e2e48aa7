"""A transfer model whose network trains, at a learning rate that is found or given."""

from __future__ import annotations

import dataclasses
import inspect
import math
import types
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training.batches import check_call, check_epochs
from keras_transgen.training.config_from_file import FileConfigError, shown
from keras_transgen.transfer.fine_tuning_recipe import RATES, FineTuningRecipe, is_large
from keras_transgen.transfer.fit_by_recipe import found_recipe, planned_steps, what_forbids_trials
from keras_transgen.transfer.kept_probe import history_of_kept_probe
from keras_transgen.transfer.recipe_choice import HILL, held_out_losses
from keras_transgen.transfer.recipe_search import on_the_way
from keras_transgen.transfer.training_data import counted_steps, is_in_memory, steps_of
from keras_transgen.transfer.transfer_model import TransferModel

_FOUND = "found_learning_rate"
# Steps of a training whose epochs nobody named; passes over a large network cost more.
STEPS, STEPS_OF_A_LARGE_NETWORK = 200, 100
FEWEST_EPOCHS, MOST_EPOCHS = 3, 20


class FineTuning(TransferModel):
    """Base of the kinds of transfer that train the network, or a part of it, from a linear probe.

    With `learning_rate="auto"` the first `fit` of a model that its user has not compiled with an
    optimizer tries rates on held-out examples, and how far to leave the probe; see
    `FineTuningRecipe`. Whatever is fitted later goes on at the rate that was found, all the way; if
    the probe was kept, at the lowest that was tried.

    Args:
        backbone: As in `TransferModel`.
        num_classes: As in `TransferModel`.
        learning_rate: `"auto"`, or the highest learning rate of the default optimizer.
        **kwargs: As in `TransferModel`.

    Attributes:
        recipe: What was tried, and what was chosen; `None` before, and where nothing was tried.
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int | None = None,
        *,
        learning_rate: float | str = "auto",
        **kwargs: Any,
    ) -> None:
        _check_rate(learning_rate)
        super().__init__(backbone, num_classes, **kwargs)
        self.learning_rate: float | str = (
            learning_rate if isinstance(learning_rate, str) else float(learning_rate)
        )
        self.recipe: FineTuningRecipe | None = None
        self._found_rate: float | None = None
        self._warned = False
        # Where the training of a recipe began, while it is not over.
        self._pending: types.SimpleNamespace | None = None

    # What a kind says of itself

    def untried_rate(self) -> float:
        """The highest learning rate where none was given and none could be tried."""
        raise NotImplementedError

    def rates_to_try(self) -> tuple[float, ...]:
        """Learning rates of the short trials, ascending."""
        return RATES

    @property
    def warm_up_share(self) -> float:
        """Share of a training in which the learning rate rises, of trials too."""
        return 0.3

    def optimizer_at(self, schedule: Any) -> keras.optimizers.Optimizer:
        """The default optimizer, driven by a learning rate or a schedule of one's own.

        Args:
            schedule: Learning rate or schedule; by group, one with a method `with_share`.
        """
        return keras.optimizers.Adam(schedule)

    def moving_weights(self) -> list[keras.Variable]:
        """Weights that a training moves: those that train, and statistics that follow the data."""
        follows = self.backbone.normalization == "adapt"
        trains = {id(weight) for weight in self.trainable_variables}
        return [
            weight
            for weight in self.weights
            if keras.backend.is_float_dtype(weight.dtype) and (follows or id(weight) in trains)
        ]

    def settle_weights(self) -> None:
        """Bring what follows from the moving weights up to date, after they were assigned."""

    def starts_from_features(self) -> bool:
        """Whether something of the network trains, from what it had: else no rate is looked for."""
        return True

    def trial_settings(self) -> dict[str, Any]:
        """What the losses of trials depend on, beside the data and the network."""
        return {"dropout": self.dropout, "task": self.task, "warm_up": self.warm_up_share}

    # The learning rate

    @property
    def rate_is_known(self) -> bool:
        """Whether a learning rate was given or found."""
        return not isinstance(self.learning_rate, str) or self._found_rate is not None

    def highest_rate(self) -> float:
        """The learning rate that was given or found, or that stands in for it."""
        if not isinstance(self.learning_rate, str):
            return float(self.learning_rate)
        return self.untried_rate() if self._found_rate is None else self._found_rate

    def forget_recipe(self) -> None:
        """Find the learning rate anew in the next `fit`, as what trains has changed."""
        self._found_rate = self.recipe = self._pending = None

    def default_epochs(self, x: Any, batch_size: int | None, steps_per_epoch: int | None) -> int:
        """Passes over the data where nobody names them: about 200 steps, from 3 to 20 passes.

        A network of more than a million parameters takes about 100 steps. A model with a rate that
        was given, or that its user compiled with an optimizer, takes one pass, as in Keras.
        """
        if not self._is_by_default() or not isinstance(self.learning_rate, str):
            return 1
        steps = steps_per_epoch or counted_steps(x, batch_size)
        if not steps:
            return 1
        enough = STEPS_OF_A_LARGE_NETWORK if is_large(self) else STEPS
        return min(max(math.ceil(enough / steps), FEWEST_EPOCHS), MOST_EPOCHS)

    def _is_by_default(self) -> bool:
        return (
            not self.compiled or self._compiled_by_default or self._compiled_with_default_optimizer
        )

    def finds_rate(self) -> bool:
        """Whether the next `fit` looks for a learning rate, if its data allow it."""
        return (
            self.learning_rate == "auto"
            and self._found_rate is None
            and self._is_by_default()
            and self.starts_from_features()
            and not self._has_begun()
        )

    def _has_begun(self) -> bool:
        """Whether what trains has been trained already."""
        return bool(int(self.progress.step.numpy()))

    def train(self, given: dict[str, Any]) -> keras.callbacks.History:
        """Find the learning rate if it is to be found, train, and go as far as is best.

        Args:
            given: The arguments of `fit`.
        """
        searches = self.finds_rate() and given["epochs"] > given["initial_epoch"]
        if searches:
            _check_arguments(given)
            if not self.compiled or self._compiled_by_default:
                _refuse_other_schedules(given["callbacks"])
            found = what_forbids_trials(self, given) or found_recipe(self, given)
            if isinstance(found, str):
                self._tell_untried(found)
            else:
                self.recipe, examples = found
                # Whoever trains on after a kept probe does so at the lowest rate.
                kept = self.recipe.kept_probe
                self._found_rate = min(self.recipe.rates) if kept else self.recipe.learning_rate
                self._head_initialized = True
                self._pending = types.SimpleNamespace(start=self._values(), examples=examples)
        elif self._pending is not None:
            # The training that the search was for was interrupted: this one is in its place.
            searches = True
        elif self._found_rate is not None and given["verbose"] not in (0, "0"):
            print(f"Trains on at the learning rate that was found, {self._found_rate:.2g}")
        pending = self._pending
        if pending is not None and self.recipe is not None and self.recipe.kept_probe:
            self._assign(pending.start)
            # Batches of the data are looked at, not the data: one class may fill a batch.
            self._whole_data = False
            history = history_of_kept_probe(self, given)
        else:
            self._renew_optimizer(given)
            history = self._trained(given)
            if pending is not None:
                self._go_as_far_as_is_best(pending.start, pending.examples, given)
        self._pending = None
        history.recipe = self.recipe if searches else None
        return history

    def _trained(self, given: dict[str, Any]) -> keras.callbacks.History:
        """Train; a training that failed before its first step leaves nothing of its search."""
        before = int(self.progress.step.numpy())
        try:
            return super().train(given)
        except BaseException:
            if self._pending is not None and int(self.progress.step.numpy()) == before:
                self._assign(self._pending.start)
                self.forget_recipe()
            raise

    def _renew_optimizer(self, given: dict[str, Any]) -> None:
        """Where a user compiled all but the optimizer: that of the coming training."""
        if (
            self.compiled
            and self._compiled_with_default_optimizer
            and not self._compiled_by_default
        ):
            steps = planned_steps(given["x"], given["batch_size"], given["steps_per_epoch"])
            passes = given["epochs"] - given["initial_epoch"]
            with self.distribute_strategy.scope():
                self.optimizer = self.prepare_optimizer(
                    self.default_optimizer(steps, passes), self.trainable_variables
                )
            self.train_function = None

    def _go_as_far_as_is_best(
        self, start: list[np.ndarray], examples: tuple, given: dict[str, Any]
    ) -> None:
        """Put the weights where the recipe says, or back to the probe if they went astray."""
        assert self.recipe is not None
        if self.recipe.share < 1.0 and not _restores_best(given["callbacks"]):
            self._assign(on_the_way(start, self._values(), self.recipe.share))
            if given["verbose"] not in (0, "0"):
                print(
                    f"The weights went {self.recipe.share:.0%} of the way from the probe; the logs "
                    "above are those of the whole way."
                )
        if self._went_astray(*examples):
            self._assign(start)
            self._found_rate = min(self.recipe.rates)
            self.recipe = dataclasses.replace(self.recipe, share=0.0, went_astray=True)
            warnings.warn(f"After the training: {self.recipe}.", stacklevel=5)

    def _went_astray(self, x: Any, targets: np.ndarray, weights: np.ndarray) -> bool:
        """Whether examples that were trained on are told worse than others were by the probe."""
        logits = np.asarray(self.predict(x, batch_size=128, verbose=0))
        loss = held_out_losses(logits, targets, self.task, weights).mean()
        return self.recipe is not None and not loss <= HILL * self.recipe.probe_loss

    def _tell_untried(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"No learning rate was tried on held-out examples, since {reason}: "
                f"{self.untried_rate():g} is taken. Give learning_rate a number to choose it.",
                stacklevel=4,
            )

    def _values(self) -> list[np.ndarray]:
        return [np.asarray(weight) for weight in self.moving_weights()]

    def _assign(self, values: list[np.ndarray]) -> None:
        for weight, value in zip(self.moving_weights(), values):
            weight.assign(value)
        self.settle_weights()

    # What it is

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        **kwargs: Any,
    ) -> None:
        """Print how many parameters of each group train, and what was found before a training.

        Args:
            line_length: Width of the table in characters.
            positions: Taken for Keras' sake, and unused.
            print_fn: Receives the text. Defaults to `print`.
            **kwargs: Keras' further arguments, unused.
        """
        super().summary(line_length, positions, print_fn, **kwargs)
        if self.recipe is not None:
            (print_fn or print)(f"Before the first training: {self.recipe}")

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the model from, backbone included."""
        config = {**super().get_config(), "learning_rate": self.learning_rate}
        # What was found goes with the model, whose further training need not look again.
        return config if self._found_rate is None else {**config, _FOUND: self._found_rate}

    @classmethod
    def found_in_file(cls, config: dict[str, Any]) -> float | None:
        """Take the learning rate that was found out of what a file says.

        Args:
            config: What `get_config` gave; the rate is taken out.

        Raises:
            ValueError: It is no number above zero.
        """
        found = config.pop(_FOUND, None)
        is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
        if found is not None and not (is_number and 0.0 < found < math.inf):
            raise FileConfigError(f"{_FOUND} must be a number above zero. Received: {shown(found)}")
        return None if found is None else float(found)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FineTuning:
        """Rebuild a model from what `get_config` gave."""
        config = dict(config)
        found = cls.found_in_file(config)
        model: Any = super().from_config(config)
        model._found_rate = found
        return model


def _check_arguments(given: dict[str, Any]) -> None:
    """Refuse before a long search what the training would refuse after it.

    Raises:
        ValueError: Data, batch size, epochs or callbacks are none.
    """
    check_call(given["x"], given["batch_size"], given["y"])
    check_epochs(given["epochs"])
    wanted, there = given["steps_per_epoch"], None
    if is_in_memory(given["x"]):
        there = steps_of(given["x"], given["batch_size"])
    if wanted and there and wanted > there:
        raise ValueError(
            "An epoch of arrays has as many steps as they have batches: leave steps_per_epoch out, "
            "or hand over an endless data set. "
            f"Received: steps_per_epoch={wanted}, arrays of {there} batches"
        )
    _refuse_unknown(given)
    callbacks = given["callbacks"]
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return
    listed = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    wrong = [
        each for each in listed if not isinstance(each, (keras.callbacks.Callback, type(None)))
    ]
    if wrong:
        raise ValueError(
            "callbacks must be Keras callbacks. "
            f"Received: a {type(wrong[0]).__name__} among {len(listed)}"
        )
    if given["y"] is not None and isinstance(given["x"], (tf.data.Dataset, keras.utils.PyDataset)):
        raise ValueError("A data set brings its labels: leave y out. Received: a data set, and y")


def _refuse_other_schedules(callbacks: Any) -> None:
    """Refuse callbacks that set a learning rate which a schedule gives already."""
    listed = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    setters = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)
    wrong = [type(each).__name__ for each in listed if isinstance(each, setters)]
    if wrong:
        raise ValueError(
            "The default optimizer has a schedule of its own, which rises and falls: leave the "
            "callback out, or compile the model with an optimizer whose learning rate is a number. "
            f"Received: {', '.join(wrong)}"
        )


def _refuse_unknown(given: dict[str, Any]) -> None:
    known = inspect.signature(keras.Model.fit).parameters
    unknown = [name for name in given if name not in known]
    if unknown:
        raise TypeError(f"fit() got an unexpected keyword argument {unknown[0]!r}")


def _restores_best(callbacks: Any) -> bool:
    """Whether a callback chose the weights of an epoch, which then stay."""
    listed = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    return any(getattr(callback, "restore_best_weights", False) for callback in listed)


def _check_rate(learning_rate: Any) -> None:
    if isinstance(learning_rate, str) and learning_rate == "auto":
        return
    is_number = isinstance(learning_rate, (int, float, np.number)) and not isinstance(
        learning_rate, bool
    )
    # 1e38 is more than any optimizer bears, and less than float32 holds.
    if not (is_number and 0.0 < learning_rate < 1e38):
        raise ValueError(
            "learning_rate must be 'auto', or a number above zero. "
            f"Received: learning_rate={learning_rate!r}"
        )
