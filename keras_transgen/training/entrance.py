"""The one entrance of data: whatever `fit` takes, the other methods of every model take too."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import as_arrays
from keras_transgen.training.padded_sequences import padded, ragged_inputs, with_padded_inputs

# Arguments of `fit`, `evaluate` and `predict` that hold data, in the order in which they are read.
FIT_DATA = ("x", "y", "sample_weight", "class_weight", "validation_data")
PARTS = FIT_DATA[:3]


class TakesAnyData:
    """What a model makes of the data in its arguments, before anything looks at them."""

    def batch_shape(self) -> tuple[int | None, ...] | None:
        """Shape of a batch of inputs, `None` where any size will do; `None` if not known."""
        return None

    def takes_sequences(self) -> bool:
        """Whether examples may differ in their length."""
        return False

    def takes_several_inputs(self) -> bool:
        """Whether a list of arrays is one array an input, as in Keras, or else one an example."""
        return True

    def entered(self, name: str, value: Any, training: bool) -> Any:
        """An argument that holds data, as arrays, tensors, data sets or generators.

        Args:
            name: Of the argument.
            value: What the user gave, not `None`.
            training: Whether it is trained on.

        Raises:
            ValueError: Something is missing, or of several kinds.
        """
        if name == "validation_data":
            is_parts = isinstance(value, tuple) or (
                isinstance(value, list) and len(value) <= len(PARTS)
            )
            if not is_parts:
                return self.entered("x", value, False)
            return tuple(
                part if part is None else self.entered(each, part, False)
                for each, part in zip(PARTS, value)
            ) + tuple(value[len(PARTS) :])
        if name == "y":
            return self.entered_labels(value, training)
        if name == "class_weight":
            return self.entered_weights(value)
        if is_batches(value):
            return self.entered_batches(value, training)
        if name == "sample_weight":
            return as_arrays(value, name)
        shape = self.batch_shape()
        rank = None if shape is None else len(shape)
        found = as_arrays(value, name, rank, self.takes_several_inputs())
        if not isinstance(found, tf.RaggedTensor):
            return found
        self._refuse_lengths(name)
        if found.dtype == tf.string:
            raise ValueError(
                f"Each row of {name} must be one text: join its words, ' '.join(words). "
                "Received: rows of several words"
            )
        return keras.tree.map_structure(np.asarray, padded(found, name))

    def _refuse_lengths(self, name: str) -> None:
        if not self.takes_sequences():
            shape = self.batch_shape()
            told = "" if shape is None else f", {['any' if n is None else n for n in shape[1:]]}"
            raise ValueError(
                f"{type(self).__name__} takes examples of one shape{told}: cut or pad them first, "
                "keras.utils.pad_sequences(x, length, 'float32', 'post', 'post'). "
                f"Received: {name} with examples of several lengths"
            )

    def entered_labels(self, labels: Any, training: bool) -> Any:
        """Labels as arrays or tensors."""
        return as_arrays(labels, "y")

    def entered_weights(self, class_weight: Any) -> Any:
        """Weights by class."""
        return class_weight

    def entered_batches(self, data: Any, training: bool) -> Any:
        """A data set or generator whose batches the model takes.

        Raises:
            ValueError: The shape of its examples has no known number of dimensions, here neither.
        """
        if isinstance(data, types.GeneratorType):
            return (self._entered_batch(batch) for batch in data)
        if isinstance(data, keras.utils.PyDataset):
            return ChangedBatches(data, self._entered_batch)
        if ragged_inputs(data):
            self._refuse_lengths("x")
            return with_attributes_of(data, with_padded_inputs(data))
        return _of_known_rank(data, self.batch_shape())

    def _entered_batch(self, batch: Any) -> Any:
        """A batch of a generator or `PyDataset`, in any form that arrays come in."""
        if batch is None:
            raise ValueError(
                "A Python generator must yield tuples: (inputs,), (inputs, labels) or (inputs, "
                "labels, weights). Received: None"
            )
        batch = tuple(batch) if isinstance(batch, list) else batch
        if not isinstance(batch, tuple) or not batch or all(map(_is_as_it_should_be, batch)):
            return batch
        x, *rest = batch
        found = x if _is_as_it_should_be(x) else self.entered("x", x, False)
        labels = [
            each if each is None or _is_as_it_should_be(each) else as_arrays(each, name)
            for name, each in zip(PARTS[1:], rest)
        ]
        return (keras.tree.map_structure(_texts_as_tensor, found), *labels)


class ChangedBatches(keras.utils.PyDataset):
    """The batches of another data set, each changed when it is asked for.

    Args:
        data: The other one.
        change: Takes a batch, and gives another.
    """

    def __init__(self, data: keras.utils.PyDataset, change: Callable[[Any], Any]) -> None:
        super().__init__(data.workers, data.use_multiprocessing, data.max_queue_size)
        self._data, self._change = data, change

    @property
    def num_batches(self) -> int | None:
        """As many as the other has."""
        return self._data.num_batches

    def __getitem__(self, index: int) -> Any:
        return self._change(self._data[index])

    def on_epoch_begin(self) -> None:
        """Tells the other one."""
        self._data.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tells the other one."""
        self._data.on_epoch_end()


def _is_as_it_should_be(part: Any) -> bool:
    """Whether a part of a batch is an array of numbers or a tensor, or a structure of these."""
    if hasattr(part, "to_numpy"):
        return False
    leaves = keras.tree.flatten(part)
    return bool(leaves) and all(
        isinstance(leaf, tf.Tensor)
        or (isinstance(leaf, np.ndarray) and leaf.dtype.kind not in "OUS")
        for leaf in leaves
    )


def _texts_as_tensor(leaf: Any) -> Any:
    """Words as a tensor, which is what goes through a graph batch by batch."""
    is_words = isinstance(leaf, np.ndarray) and leaf.dtype.kind in "OUS"
    return tf.constant(leaf) if is_words else leaf


def is_batches(value: Any) -> bool:
    """Whether a value gives batches: a data set or a generator."""
    return isinstance(value, (tf.data.Dataset, keras.utils.PyDataset, types.GeneratorType))


def _of_known_rank(data: Any, shape: tuple[int | None, ...] | None) -> Any:
    """A data set whose inputs have as many dimensions as the model's; `decode_image` says none."""
    if not isinstance(data, tf.data.Dataset):
        return data
    spec = data.element_spec
    if isinstance(spec, tuple) and any(_has_no_rank(each) for each in spec[1:]):
        data = _with_rank_of_labels(data)
    inputs = spec[0] if isinstance(spec, tuple) else spec
    if not isinstance(inputs, tf.TensorSpec) or inputs.shape.rank is not None:
        return data
    if shape is None:
        raise ValueError(
            "The shape of examples must have a known number of dimensions: "
            "data.map(lambda x, y: (tf.ensure_shape(x, [None, height, width, 3]), y)). "
            f"Received: a data set with inputs of shape {inputs.shape}"
        )

    def ensured(first: Any, *rest: Any) -> Any:
        first = tf.ensure_shape(first, shape)
        return (first, *rest) if isinstance(spec, tuple) else first

    return with_attributes_of(data, data.map(ensured))


def _has_no_rank(spec: Any) -> bool:
    return isinstance(spec, tf.TensorSpec) and spec.shape.rank is None


def _with_rank_of_labels(data: tf.data.Dataset) -> tf.data.Dataset:
    """A data set whose labels and weights have as many dimensions as in the first batch."""
    first = next(iter(data.take(1)), None)
    if first is None:
        return data
    ranks = [len(part.shape) if isinstance(part, tf.Tensor) else 0 for part in first]

    def ensured(x: Any, *rest: Any) -> tuple:
        parts = (
            tf.ensure_shape(part, [None] * rank) if isinstance(part, tf.Tensor) else part
            for part, rank in zip(rest, ranks[1:])
        )
        return (x, *parts)

    return with_attributes_of(data, data.map(ensured))


def with_attributes_of(data: tf.data.Dataset, changed: tf.data.Dataset) -> tf.data.Dataset:
    """A changed data set with what the readers of this package say of the first one."""
    for attribute in ("class_names", "file_paths"):
        if hasattr(data, attribute):
            setattr(changed, attribute, getattr(data, attribute))
    return changed
