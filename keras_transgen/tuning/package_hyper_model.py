"""What all HyperModels of the package share: their space, their objective, their errors."""

from __future__ import annotations

import abc
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner

from keras_transgen.tuning.chief import role, wait_for_chief
from keras_transgen.tuning.fresh_parts import fresh
from keras_transgen.tuning.objective_check import ObjectiveInLogs, check_objective, tuner_of
from keras_transgen.tuning.search_space import LEFT_OUT, MARKER, Hyperparameter, SearchSpace

BATCH_SIZE = Hyperparameter("batch_size")
JIT_COMPILE = Hyperparameter("jit_compile", allowed=("auto", True, False))


class PackageHyperModel(keras_tuner.HyperModel, abc.ABC):
    """A `keras_tuner.HyperModel` whose search space is a dict; base class.

    `fixed` is what else makes the search what it is, as JSON values, and `arguments` are those of
    the model that are the same in all trials.
    """

    def __init__(
        self,
        known: Sequence[Hyperparameter],
        space: Mapping[str, Any] | None,
        fixed: Mapping[str, Any],
        arguments: dict[str, Any],
        chief_timeout: float,
        name: str | None = None,
        tunable: bool = True,
    ) -> None:
        super().__init__(name=name, tunable=tunable)
        self._space = SearchSpace(type(self).__name__, known, space, fixed)
        self.arguments = arguments
        self.chief_timeout = chief_timeout
        self._policy = keras.config.dtype_policy()
        wait_for_chief(chief_timeout)

    @property
    def space(self) -> dict[str, Any]:
        """The search space in force: choices, ranges and fixed values by name."""
        return self._space.described()

    @property
    @abc.abstractmethod
    def objective(self) -> keras_tuner.Objective:
        """What makes one model better than another; for the tuner's `objective=`."""

    @abc.abstractmethod
    def make(self, values: dict[str, Any]) -> keras.Model:
        """Make the model of a trial, of the hyperparameters that exist in it."""

    def train(
        self, model: keras.Model, values: dict[str, Any], x: Any, y: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        """Train the model of a trial, with the arguments of `tuner.search`."""
        return model.fit(x, y, **kwargs)

    @abc.abstractmethod
    def logged(self, model: Any, validated: bool) -> set[str]:
        """Names that training logs, with data to validate on or without."""

    def refused(self, model: Any) -> set[str]:
        """Names in the logs that must not be an objective; none here."""
        return set()

    def watchers(self, x: Any, y: Any, kwargs: dict[str, Any]) -> list[keras.callbacks.Callback]:
        """Callbacks that log the objective, before all others; none here."""
        return []

    # What Keras Tuner calls

    def declare_hyperparameters(self, hp: Any) -> None:
        """Register the whole space at once, when a tuner is made."""
        self._policy = keras.config.dtype_policy()
        if self.tunable:
            self._space.declare(hp)

    def build(self, hp: Any) -> keras.Model:
        """Make the model of a trial.

        Raises:
            keras_tuner.errors.FatalValueError: If its hyperparameters are another search space's.
        """
        # Keras Tuner clears Keras' session before each trial, and with it the policy.
        if keras.config.dtype_policy() != self._policy:
            keras.config.set_dtype_policy(self._policy)
        return self.make(fresh(self._read(hp)))

    def fit(
        self,
        hp: Any,
        model: keras.Model,
        x: Any = None,
        y: Any = None,
        *,
        callbacks: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train the model of a trial, with the arguments of `tuner.search`.

        Raises:
            keras_tuner.errors.FatalValueError: If the objective is not logged, the tuner's folder
                holds another search, or the data are refused.
            keras_tuner.errors.FatalRuntimeError: If the chief of a distributed search is gone.
        """
        values = self._read(hp)
        given = list(callbacks or [])
        tuner = tuner_of(given)
        own: list[keras.callbacks.Callback] = []
        if tuner is not None:
            self._check_folder(tuner, hp)
            objective = tuner.oracle.objective
            logged = self.logged(model, self._is_validated(kwargs))
            check_objective(objective, self.objective, logged, self.refused(model), given)
            own = [ObjectiveInLogs(objective, self.objective)]
        if "batch_size" in values:
            kwargs["batch_size"] = values["batch_size"]
        watchers = self.watchers(x, y, kwargs)
        try:
            history = self.train(model, values, x, y, callbacks=[*watchers, *given, *own], **kwargs)
        except ValueError as error:
            # What is refused before the first step is the data, as in every other trial.
            if "batch_size" in values or int(model.progress.step.numpy()):
                raise
            raise keras_tuner.errors.FatalValueError(str(error)) from error
        if role() == "worker":
            self._check_chief()
        return history

    def _is_validated(self, kwargs: dict[str, Any]) -> bool:
        return kwargs.get("validation_data") is not None or bool(kwargs.get("validation_split"))

    def _read(self, hp: Any) -> dict[str, Any]:
        try:
            return self._space.read(hp)
        except ValueError as error:
            raise keras_tuner.errors.FatalValueError(str(error)) from error

    def _check_folder(self, tuner: keras_tuner.Tuner, hp: Any) -> None:
        """A folder that was begun without this HyperModel has no marker in its space."""
        known = {each.name for each in tuner.oracle.get_space().space}
        if tuner.hypermodel is self and self.tunable and MARKER not in known:
            raise keras_tuner.errors.FatalValueError(
                f"{self._space.other_space(None)}, in {tuner.project_dir}"
            )

    def _check_chief(self) -> None:
        try:
            wait_for_chief(self.chief_timeout)
        except ConnectionError as error:
            raise keras_tuner.errors.FatalRuntimeError(str(error)) from error


def model_arguments(
    owner: str, model: type, given: Mapping[str, Any], taken: Sequence[str]
) -> dict[str, Any]:
    """Arguments for every trial's model, checked before any is made.

    Those in `taken` are hyperparameters, or given otherwise.
    """
    known = {
        name
        for each in model.__mro__
        if issubclass(each, keras.Model) and each is not keras.Model
        for name, parameter in inspect.signature(each).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    } - {*taken}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(
            f"{owner} passes these arguments to its models: {sorted(known)}; what is searched for, "
            f"or fixed instead, goes into space=. Received: {unknown}"
        )
    return dict(given)


def present(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Those of the named hyperparameters that exist in a trial, as keyword arguments."""
    return {name: values[name] for name in names if values.get(name, LEFT_OUT) is not LEFT_OUT}
