"""Transfer of a structure: the pretrained network stays, and a small delta of it is trained."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_transgen.backbones import ParameterGroup
from keras_transgen.datasets.printable import printable
from keras_transgen.training.config_from_file import (
    FileConfigError,
    arguments_from_file,
    refuse_arguments,
    shown,
)
from keras_transgen.training.refusal import refusals
from keras_transgen.transfer.deltas import (
    DELTAS,
    Delta,
    DeltaSet,
    SavedDelta,
    read_delta,
    write_delta,
)
from keras_transgen.transfer.deltas.delta import (
    arguments_of,
    methods_by_argument,
    refuse_words,
)
from keras_transgen.transfer.deltas.delta_file import MAX_DELTA_BYTES
from keras_transgen.transfer.deltas.delta_training import DeltaTraining
from keras_transgen.transfer.deltas.group_delta import GroupDelta
from keras_transgen.transfer.deltas.parameter_delta import ParameterDelta
from keras_transgen.transfer.fine_tuning import FineTuning
from keras_transgen.transfer.heads import dense_of
from keras_transgen.transfer.schedules import warm_up_and_decay
from keras_transgen.transfer.transfer_model import TransferModel

# In a file; each takes seconds to make.
_MOST_DELTAS = 1000
# In the place of what a delta was at first: it was trained elsewhere.
_LOADED = "loaded"


@keras.saving.register_keras_serializable(package="keras_transgen")
class StructureTransfer(DeltaTraining, FineTuning):
    """Keeps a pretrained network and trains a small part, or an addition, of it: a delta.

    | method | what trains |
    | --- | --- |
    | `"lora"` | two thin matrices a kernel; `rank`, `alpha`, `targets`, `selection`, `seed` |
    | `"ia3"` | factors of activations; `targets`, `selection` |
    | `"bias"` | offsets: `bias`, `beta`; `targets` |
    | `"normalization"` | `gamma` and `beta` of normalisation layers; `targets` |
    | `"adapter"` | bottlenecks behind layers; `rank`, `targets`, `activation`, `seed` |
    | `"last"` | the last `groups` of the backbone's parameter groups |
    | `"reinitialize"` | the structure with fresh parameters; `from_group`, `seed` |
    | `"copy"` | all, from the parameters of another network that fit; `source` |

    The head trains along. Everything else is frozen, statistics of normalisation included. At
    first a delta changes nothing (but for `"reinitialize"` and `"copy"`, whose purpose it is).

    All methods work on SavedModels as on Keras models. LoRA and the other methods that alter
    parameters assign them from base values kept beside, which cost the memory of the targeted
    parameters once more; Keras' own `enable_lora` is not used, so that one implementation serves
    every layer, and files are the same for both kinds of backbones.

    Several named deltas can live on one backbone, one of them in force. That of the constructor
    bears the name of its method; `add_delta` names further ones. Each has values of the head of its
    own; `set_delta(None)` gives back the base and its head, bit for bit.

    Training from scratch, the same architecture with nothing that was learnt before, is
    `method="reinitialize"` on a backbone made with `normalization="adapt"`.

    Args:
        backbone: A backbone, or anything `keras_transgen.load_backbone` takes.
        num_classes: Number of classes, labels or regression outputs.
        method: One of the methods above, or `None` to start without a delta.
        rank: Rank of LoRA, width of an adapter's bottleneck. Defaults to 8.
        alpha: LoRA's scale is `alpha / rank`. Defaults to `rank`.
        targets: Regular expression, or several, for the paths of the parameters (for adapters: the
            names of layers) that the delta acts on. `None`: the method's own choice.
        learning_rate: `"auto"` (default), which finds the rate and how far to leave the probe, as
            in `ParameterTransfer`; or the highest learning rate of the default optimizer.
        head_initialization: `"probe"` or `"random"`. Defaults to `"probe"`, and to `"random"` for
            `"reinitialize"` and with a head of one's own that is not one dense layer.
        **kwargs: The method's further arguments (see the table), and those of `TransferModel`.

    Raises:
        ValueError: No such method, an argument that it does not take, or targets that match
            nothing.

    Example:
        ```python
        import keras_transgen as ktg

        images, labels = ktg.datasets.load_digits()
        model = ktg.StructureTransfer("digits", num_classes=10, method="lora", rank=4)
        model.fit(images[:64], labels[:64], epochs=1, verbose=0)
        model.save_delta("/tmp/digits.delta")
        ```

    Reference:
        Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021; Houlsby et al.,
        Parameter-Efficient Transfer Learning for NLP, 2019.
    """

    delta_set: DeltaSet

    def __init__(
        self,
        backbone: Any,
        num_classes: int | None = None,
        method: str | None = "lora",
        rank: int = 8,
        alpha: float | None = None,
        targets: str | Sequence[str] | None = None,
        *,
        learning_rate: float | str = "auto",
        head_initialization: str | None = None,
        **kwargs: Any,
    ) -> None:
        arguments = {"rank": rank, "alpha": alpha, "targets": targets}
        arguments |= _of_methods(method, kwargs)
        delta = DELTAS.get(method or "")
        if delta is not None and "rank" not in arguments_of(str(method)):
            # It has a default, and would be refused.
            del arguments["rank"]
        arguments = {key: value for key, value in arguments.items() if value is not None}
        super().__init__(
            backbone,
            num_classes,
            learning_rate=learning_rate,
            head_initialization=head_initialization or "random",
            **kwargs,
        )
        is_linear = not self.built or dense_of(self.head) is not None
        keeps_features = delta is None or delta.keeps_features
        if head_initialization is None and keeps_features and is_linear:
            self.head_initialization = "probe"
        self.delta_set = DeltaSet(self.backbone, self._head_weights)
        self._first_states: dict[int, str] = {}
        # What was found for each delta, by its name; of which the file keeps the rate.
        self._found: dict[str | None, tuple[Any, float | None]] = {}
        if method is not None:
            self.add_delta(method, method, **arguments)

    def _head_weights(self) -> list[keras.Variable]:
        head: Any = self.head
        return list(head.weights)

    # Deltas

    @property
    def deltas(self) -> dict[str, Delta]:
        """The deltas by name."""
        return dict(self.delta_set.deltas)

    @property
    def active_delta(self) -> str | None:
        """Name of the delta in force, `None` for the base."""
        return self.delta_set.active

    def add_delta(self, name: str, method: str = "lora", **arguments: Any) -> Delta:
        """Add a delta and bring it into force; the one before keeps what it has learnt.

        Training goes on with a fresh optimizer of the same settings, since optimizers belong to
        the variables that they have met.

        Args:
            name: Its name, any but those in `deltas`; `set_delta` takes it.
            method: One of the class's methods.
            **arguments: The method's arguments, as in the constructor.

        Returns:
            The delta.

        Raises:
            ValueError: As in the constructor; or the name is taken.
        """
        with self.distribute_strategy.scope():
            delta = self.delta_set.add(name, method, arguments)
            self._first_states[id(delta)] = _state_of(delta)
        self.set_delta(name)
        return delta

    def set_delta(self, name: str | None) -> None:
        """Bring a delta into force, with its head; `None` gives the base, exactly.

        Args:
            name: Name of a delta, or `None`.

        Raises:
            ValueError: There is no such delta, or the one in force is merged.
        """
        if name == self.delta_set.active:
            return
        self._found[self.delta_set.active] = (self.recipe, self._found_rate)
        with self.distribute_strategy.scope():
            self.delta_set.activate(name)
        self._after_change()
        self.recipe, self._found_rate = self._found.get(name, (None, None))

    def merge(self) -> None:
        """Make the delta in force part of the backbone, which then stands by itself.

        The outputs stay the same; only the head trains then. `model.backbone` can be used
        elsewhere, without the delta.

        Raises:
            ValueError: No delta is in force, or it adds layers (adapters).
        """
        self.delta_set.merge()
        self._after_change()

    def unmerge(self) -> None:
        """Undo `merge`: the delta trains again, and can be switched."""
        self.delta_set.unmerge()
        self._after_change()

    def _after_change(self) -> None:
        """Optimizers, compiled functions and a rate belong to what trained before."""
        self.forget_recipe()
        for function in ("train_function", "test_function", "predict_function"):
            setattr(self, function, None)
        if not self.compiled:
            return
        if self._compiled_by_default:
            self.compile_by_default()
            return
        if self.optimizer is not None:
            with self.distribute_strategy.scope():
                self.optimizer = _fresh_optimizer(self.optimizer, self.trainable_variables)

    def save_delta(self, path: str | os.PathLike[str], name: str | None = None) -> None:
        """Save what a delta has learnt, its head, and the digest of the backbone it belongs to.

        Args:
            path: The file, `"name.delta"`; a few per cent of the model's size.
            name: Name of the delta. Defaults to the one in force.

        Raises:
            ValueError: There is no such delta, or none is in force.
        """
        name = self.delta_set.active if name is None else name
        if name not in self.delta_set.deltas:
            raise ValueError(
                "There is no such delta to save; the deltas are "
                f"{list(self.delta_set.deltas)}. Received: name={name!r}"
            )
        delta = self.delta_set.deltas[name]
        saved = SavedDelta(
            name=name,
            method=delta.method,
            arguments=delta.arguments(),
            digest=self.delta_set.base_digest(),
            backbone=self.backbone.name,
            state=delta.state(),
            head=self.delta_set.head_values(name),
        )
        write_delta(path, saved)

    def load_delta(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        head: bool = True,
        max_bytes: int = MAX_DELTA_BYTES,
    ) -> Delta:
        """Add a delta from a file and bring it into force, with its head.

        A stranger's file is safe to load: it gives numbers and names, and nothing of it is run,
        fetched or read from elsewhere.

        Args:
            path: The file.
            name: Its name here. Defaults to the name it was saved under.
            head: Whether to take its head too. Defaults to True.
            max_bytes: How much memory the file's arrays may take. Defaults to 4 GiB.

        Returns:
            The delta.

        Raises:
            ValueError: The file is none, the delta is another backbone's, its head does not fit,
                or the name is taken.
        """
        with refusals(f"The delta file {os.fspath(path)!r}"):
            return self._load_delta(path, name, head, max_bytes)

    def _load_delta(
        self, path: str | os.PathLike[str], name: str | None, head: bool, max_bytes: int
    ) -> Delta:
        saved = read_delta(path, max_bytes=max_bytes)
        digest = self.delta_set.base_digest()
        if saved.digest != digest:
            raise ValueError(
                "The delta must be one of this very backbone: it was trained on another structure "
                "or other weights. Load the backbone it belongs to, or train a delta anew. "
                f"Received: path={os.fspath(path)!r} with a delta of backbone "
                f"{shown(saved.backbone)}, digest {printable(saved.digest, 80)}; this backbone is "
                f"{self.backbone.name!r}, digest {digest}"
            )
        shapes = [tuple(value.shape) for value in saved.head]
        own_shapes = [tuple(variable.shape) for variable in self._head_weights()]
        if head and shapes != own_shapes:
            raise ValueError(
                "The delta's head must fit this model's: use the same num_classes and head, or "
                f"head=False. Received: path={os.fspath(path)!r} with a head of shapes {shapes}; "
                f"the model's are {own_shapes}"
            )
        if head:
            refuse_words({f"head {place}": value for place, value in enumerate(saved.head)})
        name = saved.name if name is None else name
        with self.distribute_strategy.scope():
            delta = self.delta_set.add_from_file(name, saved.method, saved.arguments, saved.state)
            self._first_states[id(delta)] = _LOADED
            self.delta_set.activate(name)
            if head:
                self.delta_set.set_head(saved.head)
        self._after_change()
        return delta

    # Training

    def default_optimizer(
        self, steps_per_epoch: int | None = None, epochs: int | None = None
    ) -> keras.optimizers.Optimizer:
        """Adam, with the learning rate of the delta in force.

        Args:
            steps_per_epoch: Steps an epoch of the coming `fit`; `None` if not known.
            epochs: Epochs of the coming `fit`; `None` if not known.
        """
        delta = self.delta_set.in_force()
        if not self.rate_is_known:
            # A head that knows nothing yet would learn too slowly beside a careful delta.
            if delta is None or self.head_initialization == "random":
                return keras.optimizers.Adam(1e-3)
            if delta.warm_up is None:
                return keras.optimizers.Adam(delta.learning_rate)
        steps = steps_per_epoch * epochs if steps_per_epoch and epochs else None
        return keras.optimizers.Adam(
            warm_up_and_decay(self.highest_rate(), steps, self.warm_up_share)
        )

    def default_optimizer_is_for_one_fit(self) -> bool:
        """Whether a schedule is as long as one `fit`."""
        delta = self.delta_set.in_force()
        return self.rate_is_known or (delta is not None and delta.warm_up is not None)

    def untried_rate(self) -> float:
        """The learning rate of the delta in force."""
        delta = self.delta_set.in_force()
        return 1e-3 if delta is None else delta.learning_rate

    def rates_to_try(self) -> tuple[float, ...]:
        """Those of the delta in force."""
        delta = self.delta_set.in_force()
        return super().rates_to_try() if delta is None else delta.rates

    @property
    def warm_up_share(self) -> float:
        """Share of a training in which the learning rate rises, of trials too."""
        delta = self.delta_set.in_force()
        return (delta.warm_up if delta is not None else None) or 0.1

    def starts_from_features(self) -> bool:
        """Whether a delta trains that starts from the backbone's features."""
        delta = self.delta_set.in_force()
        if delta is None or self.delta_set.merged or self.head_initialization == "random":
            return False
        return delta.keeps_features

    def _has_begun(self) -> bool:
        """Whether the delta in force has been trained, here or before it was loaded."""
        delta = self.delta_set.in_force()
        first = self._first_states.get(id(delta))
        if delta is None or first is None or isinstance(delta, GroupDelta):
            return super()._has_begun()
        return _state_of(delta) != first

    def settle_weights(self) -> None:
        """Write the parameters that follow from the delta's variables."""
        delta = self._parameter_delta()
        if delta is not None:
            with self.distribute_strategy.scope():
                delta.write()

    def trial_settings(self) -> dict[str, Any]:
        """What the losses of trials depend on, beside the data and the network."""
        delta = self.delta_set.in_force()
        method = {} if delta is None else {"method": delta.method, **delta.arguments()}
        return {**super().trial_settings(), **method}

    # What it is

    def _backbone_outputs(self, inputs: Any, training: bool) -> Any:
        delta = self.delta_set.in_force()
        if delta is None:
            return super()._backbone_outputs(inputs, training)
        return delta.features(self.backbone, inputs, training)

    def features_state(self) -> str:
        """A digest of the delta in force: adapters change features, and no backbone's weight."""
        delta = self.delta_set.in_force()
        # Those that assign parameters are in the backbone's digest.
        if delta is None or isinstance(delta, ParameterDelta):
            return ""
        state = _state_of(delta)
        # One that keeps features changes none until it has learnt.
        return "" if delta.keeps_features and state == self._first_states.get(id(delta)) else state

    def parameter_groups(self) -> list[ParameterGroup]:
        """The backbone's groups from input to output, then the deltas' own variables, the head."""
        *groups, head = super().parameter_groups()
        groups += [
            ParameterGroup(f"delta {name}", tuple(delta.variables))
            for name, delta in self.delta_set.deltas.items()
            if delta.variables
        ]
        return [*groups, head]

    # Saving

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the model from, backbone and deltas included."""
        deltas = {
            "specifications": self.delta_set.specifications(),
            "active": self.delta_set.active,
            "merged": self.delta_set.merged,
        }
        return {**super().get_config(), "method": None, "deltas": deltas}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> StructureTransfer:
        """Rebuild a model from what `get_config` gave."""
        config = dict(config)
        deltas = config.pop("deltas", None)
        found = cls.found_in_file(config)
        refuse_arguments(cls, config, "method", "source")
        model = cls(**arguments_from_file(cls, config, **cls.nested_arguments()))
        try:
            model._take_up(deltas)
        except (TypeError, KeyError) as error:
            raise FileConfigError(
                "A file lists its deltas by name, method and arguments. "
                f"Received: deltas={shown(deltas)} ({type(error).__name__}: {error!s:.80})"
            ) from None
        model._found_rate = found
        return model

    def _take_up(self, deltas: Any) -> None:
        specifications = deltas["specifications"]
        if len(specifications) > _MOST_DELTAS:
            raise FileConfigError(
                f"A file may hold {_MOST_DELTAS:,} deltas. Received: {len(specifications):,}"
            )
        for each in specifications:
            self.delta_set.add_from_file(each["name"], each["method"], each["arguments"])
        self.delta_set.activate(deltas["active"])
        if deltas["merged"]:
            self.delta_set.merge()


def _fresh_optimizer(
    optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]
) -> keras.optimizers.Optimizer:
    """An optimizer of the same settings that has met these variables only."""
    fresh = type(optimizer).from_config(optimizer.get_config())
    fresh.build(variables)
    return fresh


def _of_methods(method: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """Take out arguments that only methods have; one that the model has too is for both."""
    models_own = inspect.signature(TransferModel).parameters
    arguments = {}
    for key, methods in methods_by_argument(DELTAS).items():
        if key in given and key not in models_own:
            arguments[key] = given.pop(key)
        elif key in given and method in methods:
            arguments[key] = given[key]
    return arguments


def _state_of(delta: Delta) -> str:
    """A digest of what a delta is and has learnt."""
    total = hashlib.sha256(f"{delta.method} {delta.arguments()}".encode())
    for variable in delta.variables:
        total.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return total.hexdigest()
