"""What searches over models of texts share: sizes that fit, texts read once, errors of data."""

from __future__ import annotations

import abc
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import keras_tuner

from keras_transgen.sequences.sequence_model import SequenceModel
from keras_transgen.sequences.sizes import check_whole
from keras_transgen.sequences.transformer.stack import POSITIONS
from keras_transgen.sequences.vocabulary import Vocabulary
from keras_transgen.tuning.fresh_parts import fresh
from keras_transgen.tuning.package_hyper_model import (
    BATCH_SIZE,
    JIT_COMPILE,
    PackageHyperModel,
    model_arguments,
    present,
)
from keras_transgen.tuning.search_space import Hyperparameter

LOSS = "val_loss"
# The model's own unless the user names them.
OF_ALL = (
    Hyperparameter("feedforward_dim"),
    Hyperparameter("positions", allowed=POSITIONS),
    BATCH_SIZE,
    JIT_COMPILE,
)
_SIZES = ("num_layers", "model_dim", "num_heads", "feedforward_dim", "batch_size", "batch_tokens")
_SHARES = ("dropout", "label_smoothing")
_OF_TRAINING = ("learning_rate", "batch_size", "batch_tokens", "jit_compile")


class TextHyperModel(PackageHyperModel):
    """A search over a Transformer of texts; base class.

    Args:
        known: The hyperparameters there are.
        space: What the user changes of them.
        vocabularies: Of the model, by the name of its argument.
        context_length: Of the model.
        fixed: What else makes the search what it is.
        arguments: Further arguments of the model.
        chief_timeout: As in `TransferHyperModel`.
        name: As in `keras_tuner.HyperModel`.
        tunable: As in `keras_tuner.HyperModel`.
    """

    model_class: type[SequenceModel]

    def __init__(
        self,
        known: Sequence[Hyperparameter],
        space: Mapping[str, Any] | None,
        vocabularies: dict[str, Vocabulary],
        context_length: int,
        fixed: Mapping[str, Any],
        arguments: dict[str, Any],
        chief_timeout: float,
        name: str | None,
        tunable: bool,
    ) -> None:
        check_whole("context_length", context_length)
        taken = [*vocabularies, "context_length", *(each.name for each in known)]
        arguments = model_arguments(type(self).__name__, self.model_class, arguments, taken)
        self.vocabularies = vocabularies
        self.context_length = context_length
        self._names = [each.name for each in known if each.name not in _OF_TRAINING]
        # By the part of the data: what was given, and what was made of it.
        self._read_data: dict[str, tuple[tuple, Any]] = {}
        fixed = {
            **fixed,
            "context_length": context_length,
            # Nats a token can be compared within one vocabulary only.
            **{name: repr(each.get_config()) for name, each in vocabularies.items()},
        }
        super().__init__(known, space, fixed, arguments, chief_timeout, name, tunable)
        self._check_space()

    @property
    def objective(self) -> keras_tuner.Objective:
        """The mean of -log p over the held-out tokens, in nats."""
        return keras_tuner.Objective(LOSS, "min")

    def logged(self, model: Any, validated: bool) -> set[str]:
        names = {"loss", "perplexity"}
        return names | ({f"val_{name}" for name in names} if validated else set())

    def make(self, values: dict[str, Any]) -> keras.Model:
        model = self.model_class(
            **self.vocabularies,
            context_length=self.context_length,
            **present(values, self._names),
            **fresh(self.arguments),
        )
        # Not compiled, so that `fit` fits the schedule of the rate to the steps it will take.
        model.default_rate = values["learning_rate"]
        model.default_jit_compile = values.get("jit_compile", "auto")
        return model

    @abc.abstractmethod
    def read(self, model: Any, x: Any, y: Any, kwargs: dict[str, Any]) -> tuple[Any, Any]:
        """The data as all trials train on them; those held out are exchanged in `kwargs`."""

    def scorers(self, kwargs: dict[str, Any]) -> list[keras.callbacks.Callback]:
        """Callbacks that log the objective from the data held out; none here."""
        return []

    def train(
        self, model: keras.Model, values: dict[str, Any], x: Any, y: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        begun = _Begun()
        kwargs |= present(values, ["batch_tokens"])
        try:
            x, y = self.read(model, x, y, kwargs)
            kwargs["callbacks"] = [begun, *self.scorers(kwargs), *kwargs["callbacks"]]
            return model.fit(x, y, **kwargs)
        except ValueError as error:
            if begun.is_so:
                raise
            # The data are every trial's: no other trial would do better.
            raise keras_tuner.errors.FatalValueError(str(error)) from error

    def read_once(self, name: str, given: tuple, read: Callable[[], Any]) -> Any:
        """What was read of a part of the data for the first trial, for all others as well.

        A generator is spent after one.
        """
        seen, found = self._read_data.get(name, ((), None))
        if not (len(seen) == len(given) and all(one is other for one, other in zip(seen, given))):
            found = read()
            self._read_data[name] = given, found
        return found

    def _check_space(self) -> None:
        """Refuse what no model of the space could be, before the first is made."""
        possible = self._space.possible
        for name in _SIZES:
            for value in possible(name):
                if value is not None:
                    check_whole(name, value)
        for name in _SHARES:
            for value in possible(name):
                _check_number(name, value, "in [0, 1)", lambda number: 0.0 <= number < 1.0)
        for value in possible("learning_rate"):
            _check_number("learning_rate", value, "above zero", lambda number: number > 0.0)
        rotary = "rotary" in (possible("positions") or ["rotary"])
        for dim, heads in itertools.product(possible("model_dim"), possible("num_heads")):
            if dim % (2 * heads if rotary else heads):
                raise ValueError(
                    "Every model_dim of the space must be a multiple of every num_heads"
                    f"{', and twice of it for rotary positions' if rotary else ''}: narrow the "
                    "one or the other; a range takes a step. "
                    f"Received: model_dim={dim} with num_heads={heads}"
                )


def _check_number(name: str, value: Any, words: str, is_right: Callable[[float], bool]) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_right(value):
        raise ValueError(f"{name} must be a number {words}. Received: {name}={value!r} in space=")


class _Begun(keras.callbacks.Callback):
    """Whether training has begun: whatever is wrong before it is wrong with the data."""

    is_so = False

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.is_so = True
