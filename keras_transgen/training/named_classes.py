"""Labels that are names: a model learns them, keeps them, and takes them at every method."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import as_arrays
from keras_transgen.datasets.class_names import (
    are_names,
    checked_class_names,
    names_in,
    numbers_of,
    sorted_names,
)
from keras_transgen.datasets.printable import printable
from keras_transgen.training.changed_labels import labels_of, with_changed_labels
from keras_transgen.training.entrance import TakesAnyData, with_attributes_of
from keras_transgen.training.first_batch import first_batch

_SHOWN = 5
YES_AND_NO = ("False", "True")


class NamesClasses(TakesAnyData):
    """A model whose labels may be names: it knows the names of its classes."""

    class_names: tuple[str, ...] | None = None

    def count_of_classes(self) -> int | None:
        """How many classes there are; `None` where labels are no classes."""
        raise NotImplementedError

    def knows_classes_by_number(self) -> bool:
        """Whether it was trained on class numbers, which no name belongs to."""
        raise NotImplementedError

    def set_class_names(self, names: Any) -> None:
        """Give the classes names.

        Args:
            names: In the order of the class numbers; `None` for none.

        Raises:
            ValueError: They are not as many as the classes.
        """
        count = self.count_of_classes()
        if names is None:
            self.class_names = None
            return
        if count is None:
            raise ValueError(
                "Only classes have names: leave class_names out, for what this model predicts is "
                f"no class. Received: class_names of {len(names)}"
            )
        checked = checked_class_names(names, least=min(2, count))
        if len(checked) != count:
            raise ValueError(
                f"class_names must name every class, {count} in all. Received: {len(checked)} names"
            )
        self.class_names = checked

    def _learn_names(self, names: tuple[str, ...], whose: str) -> None:
        count = self.count_of_classes()
        if self.knows_classes_by_number():
            raise ValueError(
                "This model has learnt classes by their numbers; say which names they have: "
                f"model.set_class_names([...]). Received: {whose}"
            )
        if len(names) != count:
            raise ValueError(
                f"Labels must name each of num_classes={count} classes; give num_classes as many "
                "as there are, or class_names=[...] if some have no examples. "
                f"Received: {whose} with {len(names)} names: "
                f"{printable(', '.join(names[:_SHOWN]), 300)}"
                + (", ..." if len(names) > _SHOWN else "")
            )
        self.set_class_names(names)

    def _learn_yes_and_no(self) -> None:
        """Names for the classes of labels that are `True` and `False`, where there are none."""
        are_two = self.count_of_classes() == len(YES_AND_NO)
        if self.class_names is None and are_two and not self.knows_classes_by_number():
            self.set_class_names(YES_AND_NO)

    def _names_needed(self, whose: str) -> tuple[str, ...]:
        if self.class_names is None:
            raise ValueError(
                "This model does not know the names of its classes: fit it on labels that are "
                f"names, or give class_names=[...]. Received: {whose}"
            )
        return self.class_names

    def entered_labels(self, labels: Any, training: bool) -> Any:
        """Labels as arrays or tensors of numbers; names become the numbers of their classes."""
        if self.count_of_classes() is None:
            return super().entered_labels(labels, training)
        categories = are_names(labels)
        found = labels if isinstance(labels, tf.Tensor) else as_arrays(labels, "y")
        if isinstance(found, tf.Tensor):
            if found.dtype not in (tf.string, tf.bool):
                return found
            found = found.numpy()
        if isinstance(found, np.ndarray) and found.dtype.kind == "b":
            # Yes and no are classes 1 and 0.
            if training and found.size == len(found):
                self._learn_yes_and_no()
            return found.astype("int64")
        if not isinstance(found, np.ndarray) or not are_names(found):
            return found
        if self.class_names is None and training:
            self._learn_names(names_in(labels if categories else found), "labels that are names")
        return numbers_of(found, self._names_needed("labels that are names"))

    def entered_weights(self, class_weight: Any) -> Any:
        """Weights by the number of the class; names become numbers."""
        named = isinstance(class_weight, dict) and class_weight
        if not named or not all(isinstance(each, str) for each in class_weight):
            return class_weight
        if self.class_names is None:
            # Which is refused where all keys that are no numbers are.
            return class_weight
        numbers = numbers_of(list(class_weight), self.class_names)
        return dict(zip(numbers.tolist(), class_weight.values()))

    def entered_batches(self, data: Any, training: bool) -> Any:
        """A data set or generator of numbered labels; a data set's own names are taken over."""
        data = super().entered_batches(data, training)
        if self.count_of_classes() is None:
            return data
        changed = _with_whole_numbers(data)
        if training and changed is not data and _labels_rank(data) == 1:
            self._learn_yes_and_no()
        data = changed
        named = getattr(data, "class_names", None)
        if not isinstance(data, tf.data.Dataset):
            batch, data = first_batch(data)
            labels = None if batch is None else batch[1]
            if isinstance(labels, (np.ndarray, tf.Tensor)) and labels.dtype == bool:
                if training and len(labels.shape) == 1:
                    self._learn_yes_and_no()
                return with_changed_labels(data, _as_whole_numbers, tf.int64)
            is_words = isinstance(labels, (np.ndarray, tf.Tensor, list)) and are_names(
                labels.numpy() if isinstance(labels, tf.Tensor) else as_arrays(labels, "y")
            )
        else:
            is_words = labels_of(data.element_spec) == tf.string
        is_first = training and self.class_names is None and not self.knows_classes_by_number()
        if named and is_first and len(named) == self.count_of_classes():
            self.set_class_names(list(named))
        if not is_words:
            return data
        if self.class_names is None and training:
            self._learn_names(_names_in_batches(data), "a data set whose labels are names")
        names = self._names_needed("a data set whose labels are names")

        def numbered(labels: Any) -> np.ndarray:
            return numbers_of(labels, names)

        return with_changed_labels(data, numbered, tf.int64)


def _as_whole_numbers(labels: Any) -> np.ndarray:
    return np.asarray(labels).astype("int64")


def _with_whole_numbers(data: Any) -> Any:
    """A data set whose labels that are yes and no are 1 and 0."""
    if not isinstance(data, tf.data.Dataset) or labels_of(data.element_spec) != tf.bool:
        return data
    changed = data.map(lambda x, y, *weights: (x, tf.cast(y, tf.int64), *weights))
    return with_attributes_of(data, changed)


def _labels_rank(data: tf.data.Dataset) -> int | None:
    """The number of dimensions of a batch of labels."""
    return data.element_spec[1].shape.rank


def _names_in_batches(data: Any) -> tuple[str, ...]:
    """All names that a data set has as labels; it is read through once."""
    if isinstance(data, tf.data.Dataset):
        if int(data.cardinality()) == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                "An endless data set cannot be read for its names: give class_names=[...]. "
                "Received: an endless data set whose labels are names"
            )
        labels = [each.numpy() for each in data.map(lambda x, y, *_: y)]
    elif isinstance(data, keras.utils.PyDataset):
        labels = [as_arrays(data[number][1], "y") for number in range(data.num_batches)]
    else:
        raise ValueError(
            "A generator cannot be read for its names, since it gives its batches once: give "
            "class_names=[...]. Received: a generator whose labels are names"
        )
    return sorted_names({name for each in labels for name in names_in(np.ravel(each))})
