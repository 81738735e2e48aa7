"""What all generative models share: examples in, checked and scaled once; samples by seed."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.generative.architecture_record import architecture_record, check_architecture
from keras_transgen.generative.parts_range import refuse_other_ranges
from keras_transgen.training import TrainerModel
from keras_transgen.training.batch_assertions import stop_at_wrong_values
from keras_transgen.training.batches import ends_promptly
from keras_transgen.training.counts import check_count
from keras_transgen.training.entrance import FIT_DATA, PARTS, is_batches
from keras_transgen.training.replica_noise import whole_seed

_LARGEST_BYTE = 255.0
_ARCHITECTURE = "architecture"


@keras.saving.register_keras_serializable(package="keras_transgen")
class GenerativeModel(TrainerModel):
    """A `TrainerModel` that learns the distribution of examples of one shape.

    It knows what an example looks like (`example_shape`) and in which range its values lie
    (`value_range`). Data that do not fit are refused before training; uint8 images are scaled to
    the range on the device, in the step itself, so they travel as bytes. `fit` and `evaluate`
    compile the model with its defaults where the user has not.

    A model overrides `check_values` for another rule about values and `check_labels` for one about
    the second part of the data, and calls `unpack` first in its step.

    Args:
        example_shape: Shape of one example, without the batch: `(height, width, channels)` for
            images, `(features,)` for vectors.
        value_range: `(low, high)` of the values, to which uint8 0..255 is scaled. `None` for
            examples without bounds, such as vectors of measurements; uint8 is then scaled to
            [0, 1].
        **kwargs: Passed to `TrainerModel`.

    Raises:
        ValueError: If the shape is empty or the range is not an interval.
    """

    # Whether examples may weigh in the loss; a model whose loss counts weights says so.
    weighs_examples = False

    def __init__(
        self,
        example_shape: tuple[int, ...],
        value_range: tuple[float, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.example_shape = _checked_shape(example_shape)
        self.value_range = _checked_range(value_range)

    # Data on their way in

    def scaled(self, x: Any) -> tf.Tensor:
        """Examples as float32 in the value range: uint8 scaled, other types only cast.

        Args:
            x: Batch of examples of any numeric type.

        Returns:
            Float32 tensor of the same shape.
        """
        x = tf.convert_to_tensor(x)
        if x.dtype != tf.uint8:
            return tf.cast(x, tf.float32)
        low, high = self.value_range or (0.0, 1.0)
        return tf.cast(x, tf.float32) * ((high - low) / _LARGEST_BYTE) + low

    def unpack(self, data: Any) -> tuple[tf.Tensor, Any, Any]:
        """Split a step's batch into examples, scaled, and what came with them.

        Args:
            data: What `update_step` and `evaluation_step` receive.

        Returns:
            `(x, y, sample_weight)`; the last two are `None` where the data have none.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        return self.scaled(x), y, sample_weight

    def check_data(self, x: Any, y: Any, sample_weight: Any, training: bool) -> None:
        """Refuse data that are no examples of this model; see `TrainerModel.check_data`."""
        if isinstance(x, (list, tuple)):
            raise ValueError(
                f"{type(self).__name__} takes one array of examples: np.stack(x) makes one of a "
                f"list. Received: x of type {type(x).__name__} of {len(x)}"
            )
        self.check_examples(x)
        self.check_labels(y)
        if sample_weight is not None and not self.weighs_examples:
            raise self._weighs_nothing("sample weights")

    def weighed_classes(self, class_weight: Any) -> int | None:
        """How many classes may weigh; see `TrainerModel.weighed_classes`."""
        if not self.weighs_examples:
            raise self._weighs_nothing("class_weight")
        return super().weighed_classes(class_weight)

    def _weighs_nothing(self, received: str) -> ValueError:
        return weighs_nothing(type(self).__name__, received)

    def stop_at_misfits(self, data: Any) -> list[tf.Operation]:
        """Assertions that a batch's floats are finite and in their range."""
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        return [
            operation
            for part, name in self.examples_in(x, y)
            for operation in stop_at_wrong_values(part, self.limits, name)
        ]

    @property
    def limits(self) -> tuple[float, float] | None:
        """Lowest and highest value of float examples; `None` for finite numbers of any size."""
        return self.value_range

    @property
    def examples_name(self) -> str:
        """What messages call examples of this shape: images, sequences, or just examples."""
        return {3: "images", 2: "sequences"}.get(len(self.example_shape), "examples")

    def examples_in(self, x: Any, y: Any) -> list[tuple[Any, str]]:
        """The parts of a batch that are examples, with their names in messages."""
        return [(x, "examples")]

    def check_examples(
        self, x: Any, name: str = "x", example_shape: tuple[int, ...] | None = None
    ) -> None:
        """Refuse what is not a batch of examples of this model.

        Args:
            x: The batch, or the whole array.
            name: What the caller's argument is called, for the message.
            example_shape: Expected shape of one; the model's own by default.

        Raises:
            ValueError: If shape, type or values are wrong.
        """
        expected = example_shape or self.example_shape
        if is_batches(x):
            raise ValueError(
                f"{type(self).__name__} takes arrays here; data sets and generators go to fit and "
                f"evaluate. Received: {name} of type {type(x).__name__}"
            )
        shape = tuple(np.shape(x))
        if len(shape) != len(expected) + 1 or shape[1:] != expected:
            raise ValueError(
                f"{type(self).__name__} expects {name} of shape "
                f"[batch, {', '.join(map(str, expected))}]"
                f"{_shape_advice(shape, expected)}. Received: {name} of shape {list(shape)}"
            )
        values = np.asarray(x)
        if values.dtype.kind not in "buif":
            raise ValueError(
                f"{type(self).__name__} expects numbers. Received: {name} of type {values.dtype}"
            )
        if values.size == 0:
            raise ValueError(f"The data are empty. Received: {name} of shape {list(shape)}")
        if values.dtype == np.uint8:
            self.check_bytes(values, name)
            return
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError(
                "Examples must be finite numbers; remove or replace NaN and infinite values. "
                f"Received: {name} with values from {low} to {high}"
            )
        self.check_values(values, low, high, name)

    def check_bytes(self, values: np.ndarray, name: str) -> None:
        """Refuse uint8 values that are no image of 0..255.

        Args:
            values: The examples, uint8.
            name: What the caller's argument is called, for the message.

        Raises:
            ValueError: If the values look binary.
        """
        if int(values.max()) == 1:
            raise ValueError(
                "uint8 values count as 0..255 and are scaled, but the largest here is 1, as if the "
                "data were binary. Cast them to float32. Received: uint8 "
                f"{name} with values from {int(values.min())} to 1"
            )

    def check_values(self, values: np.ndarray, low: float, high: float, name: str) -> None:
        """Refuse values that are not uint8 and lie outside the value range.

        Args:
            values: The examples.
            low: The smallest value.
            high: The largest value.
            name: What the caller's argument is called, for the message.

        Raises:
            ValueError: If a value lies outside.
        """
        if self.value_range is None:
            return
        lowest, highest = self.value_range
        tolerance = 1e-3 * (highest - lowest)
        if low < lowest - tolerance or high > highest + tolerance:
            or_bytes = " or uint8 images, which it scales itself"
            raise ValueError(
                f"{type(self).__name__} expects float values in [{lowest:g}, {highest:g}]"
                f"{or_bytes if self.examples_name == 'images' else ''}. Scale the data, or pass "
                f"their range as value_range=. Received: {name} with values from {low:g} to "
                f"{high:g}"
            )
        if lowest < 0.0 <= low and values.size > 1 and high > low:
            warnings.warn(
                f"All values lie in [{low:g}, {high:g}], but the model's value_range is "
                f"({lowest:g}, {highest:g}), the range of its samples too. If the data lie in "
                "[0, 1], pass value_range=(0.0, 1.0) or scale them.",
                stacklevel=3,
            )

    def check_parts(self) -> None:
        """Refuse networks and losses that mean another range of values; constructors end so.

        Raises:
            ValueError: If a part's `value_range` is not the model's.
        """
        refuse_other_ranges(self, self.value_range)

    def batch_shape(self) -> tuple[int | None, ...] | None:
        """Shape of a batch of examples."""
        return (None, *self.example_shape)

    def takes_several_inputs(self) -> bool:
        """Examples are one array."""
        return False

    def check_labels(self, y: Any) -> None:
        """Refuse labels or conditions that do not fit; the default takes any and ignores them."""

    # fit and evaluate

    @takes_any_data(*FIT_DATA, training=True)
    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train the model; compiles it with its defaults if `compile` has not been called.

        Takes the arguments of `keras.Model.fit` and returns its history. See `TrainerModel.fit`.

        Raises:
            ValueError: If the data do not fit the model or a batch is too small for the replicas,
                before training starts.
        """
        self._compile_if_needed()
        return super().fit(x, y, *args, **kwargs)

    @takes_any_data(*PARTS)
    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluate the model, with the arguments and the result of `keras.Model.evaluate`."""
        self._compile_if_needed()
        if isinstance(x, (np.ndarray, tf.Tensor)):
            self.check_data(x, y, kwargs.get("sample_weight"), training=False)
        return super().evaluate(x, y, *args, **kwargs)

    # Logs

    _trackers: list[keras.metrics.Mean]

    def _epoch_means(self, logs: dict[str, tf.Tensor], size: tf.Tensor) -> dict[str, tf.Tensor]:
        """Means over the epoch so far; overflows that a loss scale skips do not count."""
        results = {}
        for tracker in self._trackers:
            if tracker.name not in logs:
                continue
            value = tf.cast(logs[tracker.name], tf.float32)
            counts = size > 0
            if tracker.name.endswith("norm"):
                counts &= tf.math.is_finite(value)
            tracker.update_state(
                tf.where(counts, value, 0.0), sample_weight=tf.where(counts, size, 0)
            )
            results[tracker.name] = tracker.result()
        return results

    # Weights

    def save_own_variables(self, store: Any) -> None:
        """Save the run's state, and a record of the architecture that the weights belong to."""
        super().save_own_variables(store)
        store[_ARCHITECTURE] = architecture_record(self)

    def load_own_variables(self, store: Any) -> None:
        """Load what `save_own_variables` saved; weights of another architecture are refused."""
        # The store of an HDF5 file has `keys` and nothing else of a mapping.
        saved = {key: store[key] for key in store.keys()}  # noqa: SIM118
        record = saved.pop(_ARCHITECTURE, None)
        if record is not None:
            check_architecture(self, record)
        super().load_own_variables(saved)

    def _compile_if_needed(self) -> None:
        if not self.compiled:
            self.compile()


def weighs_nothing(model: str, received: str) -> ValueError:
    """The error for weights that would count for nothing.

    Args:
        model: What messages call the model.
        received: What was given.
    """
    return ValueError(
        f"{model} does not weigh examples: leave sample_weight and class_weight out. To show a "
        f"class more often repeat its examples. Received: {received}"
    )


def graph(function: Callable[..., Any]) -> Callable[..., Any]:
    """A TensorFlow function of a public method, traced once for batches of any size."""
    # TensorFlow counts how often functions of one place in the source are traced, and warns: of a
    # partial, which has no place, it counts this one alone.
    alone = functools.partial(function)
    return tf.function(alone, reduce_retracing=True, autograph=False)


def in_parts(function: Callable[..., tf.Tensor], data: Any, batch_size: int) -> np.ndarray:
    """What a function gives for a tuple of arrays (or structures of them), a batch at a time."""
    check_count("batch_size", batch_size)
    parts = ends_promptly(tf.data.Dataset.from_tensor_slices(data).batch(batch_size))
    return np.concatenate([function(*part).numpy() for part in parts])


def sampling_seed(seed: int | None) -> tf.Tensor:
    """The stateless seed, int32 `[2]`, of a public method that draws: the same for the same number.

    `None` gives fresh draws, which `keras.utils.set_random_seed` fixes.
    """
    whole = whole_seed(seed)
    low, high = whole & 0xFFFFFFFF, (whole >> 32) & 0xFFFFFFFF
    return tf.constant(np.array([low, high], "uint32").view("int32"))


def _shape_advice(shape: tuple[int, ...], expected: tuple[int, ...]) -> str:
    if expected[-1] == 1 and shape[1:] == expected[:-1]:
        return "; add the channel axis with x[..., None]"
    if len(shape) == len(expected):
        return "; a single example needs a batch axis, x[None]"
    return ""


def _checked_shape(shape: Any) -> tuple[int, ...]:
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if not shape or not all(isinstance(size, (int, np.integer)) and size > 0 for size in shape):
        raise ValueError(
            "The shape of one example must be positive integers, such as (28, 28, 1) or (64,). "
            f"Received: {shape}"
        )
    return tuple(int(size) for size in shape)


def _checked_range(value_range: Any) -> tuple[float, float] | None:
    if value_range is None:
        return None
    ends = np.asarray(value_range)
    numbers = ends.shape == (2,) and ends.dtype.kind in "iuf"
    low, high = (float(value) for value in ends) if numbers else (0.0, 0.0)
    if not low < high or not math.isfinite(high - low):
        raise ValueError(
            "value_range must be (low, high), finite numbers with low < high. "
            f"Received: value_range={value_range}"
        )
    return low, high
