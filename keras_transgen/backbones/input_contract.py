"""What a backbone expects to be fed, and an early word when it is fed something else."""

import dataclasses
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# Enough examples to see the range of a data set, few enough to cost nothing.
MEASURED_EXAMPLES = 512
# Resampled images overshoot their range a little; that is no wrong scale.
RANGE_TOLERANCE = 0.05


@dataclasses.dataclass(frozen=True)
class InputContract:
    """Shape, dtype and value range of one input of a backbone.

    Args:
        shape: Shape with the batch first; `None` where any size will do. `None` altogether:
            any shape.
        dtype: Name of the dtype the network computes with, such as `"float32"` or `"string"`.
            `None`: any.
        value_range: Lowest and highest value the network was trained on. `None`: not known.

    Example:
        ```python
        import numpy as np
        from keras_transgen.backbones import InputContract

        contract = InputContract((None, 224, 224, 3), "float32", (0.0, 1.0))
        contract.check(np.zeros((2, 224, 224, 3), "float32"))
        ```
    """

    shape: tuple[int | None, ...] | None = None
    dtype: str | None = None
    value_range: tuple[float, float] | None = None

    def check(self, values: Any, name: str = "x") -> None:
        """Raise on the wrong shape or dtype or on NaN; warn on values outside the range.

        Args:
            values: Array, tensor, list, or anything with a shape and a dtype (of a symbolic
                tensor or a `tf.TensorSpec` only these two are checked). Of a large array evenly
                spaced examples are measured.
            name: What to call the values in messages.

        Raises:
            ValueError: The shape or dtype cannot be fed to the network, or values are not finite.
        """
        if not hasattr(values, "shape") or not hasattr(values, "dtype"):
            values = np.asarray(values)
        self.check_form(values, name)
        if _has_values(values) and _dtype_name(values) not in ("string", "bool"):
            self._check_values(_some_examples(values), name)

    def check_form(self, values: Any, name: str = "x") -> None:
        """Raise on the wrong shape or dtype, without looking at the values.

        Args:
            values: Anything with a shape and a dtype.
            name: What to call the values in messages.

        Raises:
            ValueError: The shape or dtype cannot be fed to the network.
        """
        self._check_dtype(_dtype_name(values), name)
        shape = _static_shape(values)
        if shape is not None:
            self._check_shape(shape, name)

    def _check_dtype(self, dtype: str, name: str) -> None:
        if self.dtype is None or dtype == self.dtype:
            return
        expected, received = _kind(self.dtype), _kind(dtype)
        # Whole numbers become floats without loss; every other change of kind is a mistake.
        if expected == received or (expected == "float" and received == "integer"):
            return
        raise ValueError(
            f"The backbone takes {self.dtype} values. Convert the data first. "
            f"Received: {name} of dtype {dtype}"
        )

    def _check_shape(self, shape: tuple[int | None, ...], name: str) -> None:
        if self.shape is None:
            return
        said = f"Received: {name} of shape {_words(shape)}; expected {_words(self.shape)}"
        if len(shape) == len(self.shape) - 1:
            raise ValueError(
                "The backbone takes a batch with one axis more. Add the batch axis with "
                "x[None, ...], or the channel axis of grey images with x[..., None]. " + said
            )
        if len(shape) != len(self.shape):
            raise ValueError(f"The backbone takes {len(self.shape)} axes, batch first. {said}")
        wrong = [
            axis
            for axis, (expected, received) in enumerate(zip(self.shape, shape, strict=True))
            if axis > 0 and None not in (expected, received) and expected != received
        ]
        if not wrong:
            return
        if len(shape) == 4 and wrong == [3]:
            changes: dict[Any, str] = {
                (3, 1): "Repeat grey images with np.repeat(x, 3, axis=-1). ",
                (3, 4): "Drop the alpha channel with x[..., :3]. ",
                (1, 3): "Make colours grey with x.mean(axis=-1, keepdims=True). ",
            }
            how = changes.get((self.shape[3], shape[3]), "")
            advice = f"The backbone takes {self.shape[3]} channels, last. {how}"
        elif len(shape) == 4 and set(wrong) <= {1, 2}:
            advice = (
                f"The backbone takes images of {self.shape[1]} x {self.shape[2]}. Resize them "
                f"with keras.layers.Resizing({self.shape[1]}, {self.shape[2]}). "
            )
        else:
            advice = "The sizes do not fit the backbone. "
        raise ValueError(advice + said)

    def _check_values(self, values: np.ndarray, name: str) -> None:
        if values.size == 0:
            raise ValueError(
                "The data must hold at least one example. "
                f"Received: {name} of shape {tuple(values.shape)}"
            )
        if values.dtype.kind in "fc" and not np.isfinite(values).all():
            raise ValueError(
                "The data must be finite. Look for missing values or a division by zero in the "
                f"preprocessing. Received: {name} with "
                f"{int(np.size(values) - np.isfinite(values).sum())} NaN or infinite values "
                f"among {values.size} looked at"
            )
        if self.value_range is None:
            return
        low, high = self.value_range
        slack = RANGE_TOLERANCE * (high - low)
        measured_low, measured_high = float(values.min()), float(values.max())
        said = (
            f"The backbone was trained on values in [{low:g}, {high:g}], {name} was measured "
            f"in [{measured_low:g}, {measured_high:g}]"
        )
        if measured_low < low - slack or measured_high > high + slack:
            warnings.warn(f"{said}. {self._rescaling(measured_low, measured_high)}", stacklevel=4)
        elif high - low > 100 and 0 < measured_high <= 1 and measured_low >= -1:
            warnings.warn(
                f"{said}: far darker than any image it saw. Multiply by 255.", stacklevel=4
            )

    def _rescaling(self, measured_low: float, measured_high: float) -> str:
        low, high = self.value_range or (0.0, 1.0)
        if measured_low >= 0 and 1 < measured_high <= 255:
            scale = (high - low) / 255
            offset = f", offset={low:g}" if low else ""
            return f"Rescale with keras.layers.Rescaling({scale:.8g}{offset})."
        return "Its features will be poor; rescale the data to that range."


def checked_value_range(value_range: Any) -> tuple[float, float] | None:
    """A range of values as two numbers, or `None` for one that nobody knows.

    Args:
        value_range: `(low, high)`, or `None`.

    Raises:
        ValueError: It is not two finite numbers, the lower first.
    """
    if value_range is None:
        return None
    is_pair = isinstance(value_range, (tuple, list)) and len(value_range) == 2
    is_numbers = is_pair and all(
        isinstance(each, (int, float, np.number)) and math.isfinite(each) for each in value_range
    )
    if not is_numbers or not value_range[0] < value_range[1]:
        raise ValueError(
            "value_range must be (low, high), two numbers of which the first is less, such as "
            f"(0, 255), or None. Received: value_range={value_range!r}"
        )
    return float(value_range[0]), float(value_range[1])


def takes_images(contract: Any) -> bool:
    """Whether a backbone with this contract takes one batch of grey or colour images of floats.

    Args:
        contract: An `InputContract`, or a dict or list of them.
    """
    shape = getattr(contract, "shape", None)
    is_image = shape is not None and len(shape) == 4 and shape[-1] in (1, 3)
    return bool(is_image and _kind(contract.dtype or "float32") == "float")


def measured_range(values: Any) -> tuple[float | None, float | None]:
    """Lowest and highest of some of the values; `None` twice where none can be looked at.

    Args:
        values: As in `InputContract.check`.
    """
    if not _has_values(values) or _dtype_name(values) in ("string", "bool"):
        return None, None
    found = _some_examples(values)
    return (float(found.min()), float(found.max())) if found.size else (None, None)


def check_structure(
    contract: Any,
    values: Any,
    name: str = "x",
    check: Callable[[InputContract, Any, str], None] = InputContract.check,
) -> None:
    """Check values against a contract, or a dict or list of them against a dict or list.

    Args:
        contract: An `InputContract`, or a dict or list of them.
        values: What is to be fed, in the same structure.
        name: What to call the values in messages.
        check: `InputContract.check` or `InputContract.check_form`.
    """
    if isinstance(contract, InputContract):
        if isinstance(values, (list, tuple)) and len(values) == 1:
            values = values[0]
        if isinstance(values, dict):
            raise ValueError(
                "The backbone takes one tensor. Pick it from the dict. "
                f"Received: {name} with keys {sorted(values)}"
            )
        check(contract, values, name)
        return
    if isinstance(contract, dict):
        if not isinstance(values, dict) or not set(contract) <= set(values):
            received = sorted(values) if isinstance(values, dict) else type(values).__name__
            raise ValueError(
                f"The backbone takes a dict with the keys {sorted(contract)}. "
                f"Received: {name}={received}"
            )
        for key, part in contract.items():
            check_structure(part, values[key], f"{name}[{key!r}]", check)
        return
    if not isinstance(values, Sequence) or len(values) != len(contract):
        raise ValueError(
            f"The backbone takes a list of {len(contract)} inputs. "
            f"Received: {name} of type {type(values).__name__}"
        )
    for index, part in enumerate(contract):
        check_structure(part, values[index], f"{name}[{index}]", check)


def _static_shape(values: Any) -> tuple[int | None, ...] | None:
    if isinstance(values.shape, tf.TensorShape):
        return None if values.shape.rank is None else tuple(values.shape.as_list())
    return tuple(values.shape)


def _dtype_name(values: Any) -> str:
    if isinstance(values.dtype, str):
        return values.dtype
    name = tf.as_dtype(values.dtype).name if _is_known(values.dtype) else str(values.dtype)
    return "string" if name.startswith(("<U", "|S")) or name == "object" else name


def _is_known(dtype: Any) -> bool:
    try:
        tf.as_dtype(dtype)
    except TypeError:
        return False
    return True


def _kind(dtype: str) -> str:
    if dtype.startswith(("float", "bfloat")):
        return "float"
    if dtype.startswith(("int", "uint")):
        return "integer"
    return dtype


def _has_values(values: Any) -> bool:
    return isinstance(values, np.ndarray) or (tf.is_tensor(values) and hasattr(values, "numpy"))


def _some_examples(values: Any) -> np.ndarray:
    if values.shape and values.shape[0] > MEASURED_EXAMPLES:
        step = -(-values.shape[0] // MEASURED_EXAMPLES)
        values = values[::step]
    array = np.asarray(values)
    # bfloat16 has no NumPy kind of its own.
    return array.astype("float32") if array.dtype.kind == "V" else array


def _words(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"
