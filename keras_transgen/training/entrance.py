"""The one entrance of data: whatever `fit` takes, the other methods of every model take too."""

from __future__ import annotations

import types
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
            raise ValueError(
                f"{type(self).__name__} takes examples of one shape. "
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
        if isinstance(data, tf.data.Dataset) and ragged_inputs(data):
            self._refuse_lengths("x")
            return with_attributes_of(data, with_padded_inputs(data))
        return _of_known_rank(data, self.batch_shape())


def is_batches(value: Any) -> bool:
    """Whether a value gives batches: a data set or a generator."""
    return isinstance(value, (tf.data.Dataset, keras.utils.PyDataset, types.GeneratorType))


def _of_known_rank(data: Any, shape: tuple[int | None, ...] | None) -> Any:
    """A data set whose inputs have as many dimensions as the model's; `decode_image` says none."""
    if not isinstance(data, tf.data.Dataset):
        return data
    spec = data.element_spec
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


def with_attributes_of(data: tf.data.Dataset, changed: tf.data.Dataset) -> tf.data.Dataset:
    """A changed data set with what the readers of this package say of the first one."""
    for attribute in ("class_names", "file_paths"):
        if hasattr(data, attribute):
            setattr(changed, attribute, getattr(data, attribute))
    return changed
