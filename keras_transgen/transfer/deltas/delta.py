"""What a delta is: a small change to a frozen backbone, which can be switched, merged and saved."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.printable import printable
from keras_transgen.training.config_from_file import (
    FileConfigError,
    check_plain,
    refuse_arguments,
    shown,
)
from keras_transgen.training.registry import Registry
from keras_transgen.transfer.deltas.targets import Target, check_pattern

DELTAS = Registry("method", lambda: Delta)


def register_delta(method: str) -> Callable[[type[Delta]], type[Delta]]:
    """Make a class known under the name that users give as `method=`.

    Args:
        method: The name.

    Example:
        ```python
        from keras_transgen.transfer.deltas import DELTAS

        assert "lora" in DELTAS
        ```
    """

    def register(cls: type[Delta]) -> type[Delta]:
        if "method" in vars(cls) and cls.method != method:
            raise ValueError(
                f"{cls.__name__} is registered as {cls.method!r}, which its files say. Derive a "
                f"class from it for another name. Received: {method!r}"
            )
        DELTAS.register(method)(cls)
        cls.method = method
        return cls

    return register


def arguments_of(method: str) -> list[str]:
    """The arguments that a method takes beside the backbone and the name."""
    return [key for key in inspect.signature(DELTAS[method]).parameters if key not in _GIVEN]


def plain_methods() -> list[str]:
    """The methods that a command line or a search can give: with numbers and words alone."""
    return [method for method, delta in DELTAS.items() if not delta.users_own]


def methods_by_argument(methods: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """For each argument that any of the methods takes, those that take it."""
    found: dict[str, tuple[str, ...]] = {}
    for method in methods:
        for key in arguments_of(method):
            found[key] = (*found.get(key, ()), method)
    return found


def make_delta(method: str, backbone: Any, name: str, arguments: Mapping[str, Any]) -> Delta:
    """Make a delta of a backbone, at its base, from its method's name.

    Raises:
        ValueError: There is no such method, or it takes no such argument.
    """
    delta = DELTAS.find(method)
    taken = arguments_of(method)
    unknown = [key for key in arguments if key not in taken]
    if unknown:
        raise ValueError(
            f"method={method!r} takes {', '.join(taken) or 'no further arguments'}. "
            f"Received: {', '.join(f'{key}={arguments[key]!r}' for key in unknown)}"
        )
    return delta(backbone, name=name, **arguments)


def check_from_file(method: Any, arguments: Any) -> None:
    """Refuse what a file may not say of a delta: anything but numbers and names.

    Args:
        method: The method that the file names.
        arguments: The arguments that it gives.

    Raises:
        ValueError: There is no such method; an argument is none of its, is the user's alone (the
            network to copy from), or is an address, an object or a pattern that could be searched
            for without end.
    """
    delta = DELTAS.find(method)
    if not isinstance(arguments, Mapping):
        raise FileConfigError(
            f"A delta's arguments must be an object. Received: {shown(arguments)}"
        )
    refuse_arguments(delta, arguments, *delta.users_own)
    check_plain(arguments, f"method={method!r}")
    for key in ("activation", "from_group"):
        if not isinstance(arguments.get(key), (str, int, type(None))):
            raise FileConfigError(f"{key} must be a name. Received: {shown(arguments[key])}")
    targets = arguments.get("targets")
    if targets is not None:
        for pattern in targets if isinstance(targets, (list, tuple)) else [targets]:
            check_pattern(pattern)


_GIVEN = ("backbone", "name")
# Kinds of NumPy's types; bfloat16 is of kind V.
_NUMBERS = "biufV"


class Delta(keras.layers.Layer):
    """A change to a frozen backbone: base class.

    A delta is inactive when it is made. `DeltaSet` activates one at a time, and takes care of the
    values of the parameters that it touches.

    Attributes:
        method: The name in the registry.
        mergeable: Whether the change can be held by the backbone's own parameters.
        learning_rate: Adam's learning rate where the user gives no optimizer.
        warm_up: Share of the training in which it then rises, before it decays to almost nothing;
            `None` for a constant one.
        rates: Learning rates that are tried on held-out examples, ascending.
        touched: The backbone's variables whose values differ from the base while it is active.
        users_own: Arguments that a file never gives.
        keeps_features: Whether it starts from the backbone's own features, so that a head fitted to
            these is worth having.
    """

    method: ClassVar[str]
    users_own: ClassVar[tuple[str, ...]] = ()
    mergeable: ClassVar[bool] = True
    keeps_features: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 1e-3
    warm_up: ClassVar[float | None] = None
    # An addition that starts at nothing bears higher rates than the network's own parameters.
    rates: ClassVar[tuple[float, ...]] = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)

    def __init__(self, backbone: Any, name: str) -> None:
        # Deltas hold parameters of float32 under every policy, as optimizers want them.
        super().__init__(name=name, dtype="float32")
        self.trainable = False
        self.built = True

    @property
    def touched(self) -> Sequence[Target]:
        """The backbone's variables whose values differ from the base while it is active."""
        return ()

    def arguments(self) -> dict[str, Any]:
        """The arguments to make the delta again from, as JSON values."""
        raise NotImplementedError

    @classmethod
    def from_earlier_files(cls) -> dict[str, Any]:
        """Arguments that files of earlier versions lack, with what they meant."""
        return {}

    def activate(self, base: Mapping[int, tf.Variable]) -> None:
        """Change the backbone, whose touched variables hold their base values, and train.

        Args:
            base: The base values of the touched variables, by their index.
        """
        self.trainable = True

    def deactivate(self) -> None:
        """Stop training, and keep whatever the touched variables alone hold."""
        self.trainable = False

    def freeze(self) -> None:
        """Stop training, the change staying in force."""
        self.trainable = False

    def unfreeze(self) -> None:
        """Train again after `freeze`."""
        self.trainable = True

    def features(self, backbone: Any, inputs: Any, training: bool | None) -> Any:
        """The backbone's output with the delta in force."""
        return backbone(inputs, training=training)

    def named_variables(self) -> list[tuple[str, keras.Variable]]:
        """What trains, by names that mean the same in every process."""
        raise NotImplementedError

    def state(self) -> dict[str, np.ndarray]:
        """What was trained: arrays by names that mean the same in every process."""
        return {
            key: keras.ops.convert_to_numpy(variable.value)
            for key, variable in self.named_variables()
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` gave, while inactive.

        Raises:
            ValueError: The state is another delta's.
        """
        named = self.named_variables()
        check_state(state, {key: tuple(variable.shape) for key, variable in named})
        for key, variable in named:
            variable.assign(state[key])


def refuse_adapting(backbone: Any, method: str) -> None:
    """Refuse a backbone whose statistics shall follow the data, for a method that keeps them.

    Raises:
        ValueError: The backbone was made with `normalization="adapt"`.
    """
    if backbone.normalization == "adapt":
        raise ValueError(
            f"With method={method!r} the base computes in inference mode, so its statistics stay. "
            "Make the backbone with normalization='frozen', or use method='last' or "
            f"'reinitialize'. Received: backbone {backbone.name!r} with normalization='adapt'"
        )


def check_state(state: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse arrays that are not those of a delta, by name and shape.

    Raises:
        ValueError: A name or a shape differs, or one is not of numbers.
    """
    refuse_words(state)
    received = {key: tuple(value.shape) for key, value in state.items()}
    if received != dict(shapes):
        differing = sorted(
            key for key in {*received, *shapes} if received.get(key) != shapes.get(key)
        )[:3]
        raise ValueError(
            "The delta's arrays must be those of this method on this backbone. "
            f"Received: {', '.join(f'{key} {received.get(key)}' for key in differing)}; expected: "
            f"{', '.join(f'{key} {shapes.get(key)}' for key in differing)}"
        )


def refuse_words(arrays: Mapping[str, Any]) -> None:
    """Refuse arrays, by what messages call them, that are not of real numbers.

    Raises:
        ValueError: One is not.
    """
    for key, value in arrays.items():
        dtype = np.asarray(value).dtype
        # Bytes without a meaning are of kind V too.
        if dtype.kind not in _NUMBERS or dtype.type is np.void:
            raise ValueError(
                "The delta's arrays must be of numbers. "
                f"Received: {printable(key, 80)} of {printable(dtype, 80)}"
            )
