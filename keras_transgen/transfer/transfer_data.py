"""What a transfer model takes: inputs and labels of every form, checked and counted."""

from __future__ import annotations

import types
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training import TrainerModel
from keras_transgen.training.batch_assertions import stop_at_wrong_values
from keras_transgen.training.entrance import is_batches
from keras_transgen.training.example_weights import check_sample_weight
from keras_transgen.training.named_classes import NamesClasses
from keras_transgen.training.padded_sequences import (
    is_padded,
    lengths_of,
    values_and_mask,
    with_padded_labels,
)
from keras_transgen.transfer.kept_batches import KeptBatches
from keras_transgen.transfer.raw_input import (
    raw_contract,
    warn_of_empty_texts,
    warn_of_unknown_range,
    warn_of_unseen_padding,
)
from keras_transgen.transfer.sequence_labels import (
    NOT_COUNTED,
    counted_weights,
    weighed_positions,
)
from keras_transgen.transfer.tasks import Task
from keras_transgen.transfer.training_data import (
    are_rows_of_classes,
    labels_in_form,
    some_rows,
)


class TransferData(NamesClasses, TrainerModel):
    """Base of `TransferModel`: the entrance of its data.

    Attributes:
        backbone: The pretrained network.
        preprocessing: Layer that makes the backbone's input of raw input, or `None`.
    """

    backbone: Any
    preprocessing: Any
    _task: Task
    _num_classes: Any
    _whole_data: bool
    _inputs_checked: bool
    _head_initialized: bool
    _labels_are_rows: bool | None
    _label_lengths: tuple[np.ndarray, np.ndarray] | None
    # `steps_per_epoch` and `validation_steps` of the call whose data are entered.
    steps_wanted: tuple[int | None, int | None] = (None, None)

    @property
    def task(self) -> str:
        """Name of the task."""
        return self._task.name

    # The entrance of data

    def needs_data_twice(self) -> bool:
        """Whether a `fit` goes through its data before it trains on them."""
        return True

    @property
    def input_contract(self) -> Any:
        """What raw input must be, as `Backbone.input_contract`; `None` where nobody knows."""
        return raw_contract(self.backbone, self.preprocessing)

    def batch_shape(self) -> tuple[int | None, ...] | None:
        """Shape of a batch, where there is one input whose shape is known."""
        shape = getattr(self.input_contract, "shape", None)
        return None if shape is None else (None, *shape[1:])

    def takes_several_inputs(self) -> bool:
        """Whether the backbone has several inputs."""
        return isinstance(self.backbone.input_contract, (list, tuple, dict))

    def takes_sequences(self) -> bool:
        """Whether the backbone takes inputs of any length."""
        shape = self.batch_shape()
        return self.preprocessing is not None or shape is None or None in shape[1:2]

    def count_of_classes(self) -> int | None:
        """The number of classes; `None` for a regression."""
        return None if self.task == "regression" else self._num_classes

    def knows_classes_by_number(self) -> bool:
        """Whether a training has begun."""
        return self._head_initialized or bool(int(self.progress.step.numpy()))

    def entered_labels(self, labels: Any, training: bool) -> Any:
        """Labels as arrays or tensors of numbers; those of sequences end in -1."""
        found = super().entered_labels(labels, training)
        if not self._task.of_positions or not isinstance(found, tf.RaggedTensor):
            return found
        if found.dtype == tf.string:
            words = found.flat_values.numpy()
            found = found.with_flat_values(super().entered_labels(words, training))
        array = found.to_tensor(NOT_COUNTED).numpy()
        # Of which array, since padding does not tell.
        self._label_lengths = (array, np.asarray(found.row_lengths()))
        return array

    def with_positions(self, x: Any, y: Any) -> Any:
        """Labels of positions that are those of the sequences, and -1 behind the sequences' ends.

        Args:
            x: Inputs, as `entered` gives them.
            y: Labels, as `entered` gives them.

        Raises:
            ValueError: A sequence has another number of labels than positions. A network that cuts
                its sequences takes as many labels less for each.
        """
        lengths = lengths_of(x)
        if not self._task.of_positions or lengths is None or not isinstance(y, np.ndarray):
            return y
        if self.preprocessing is not None or y.ndim != 2 or len(y) != len(lengths):
            return y
        known, counts = self._label_lengths or (None, None)
        cut = int(lengths.max()) - y.shape[1]
        if known is y and counts is not None:
            # A network may cut its sequences, all alike: what most of them have is right.
            cuts, times = np.unique(lengths - counts, return_counts=True)
            if 2 * times.max() > len(lengths):
                cut = int(cuts[times.argmax()])
            wrong = np.flatnonzero(lengths - cut != counts)
            if len(wrong):
                row = int(wrong[0])
                raise ValueError(
                    "Each sequence must have a label for each of its positions. Received: "
                    f"{len(wrong)} sequences with another number, the first in row {row}: "
                    f"{int(counts[row])} labels for {int(lengths[row])} positions"
                    + (f", where others have {cut} less" if cut else "")
                )
        if cut < 0 or not is_padded(x):
            return y
        positions = np.arange(y.shape[1])
        return np.where(positions < (lengths - cut)[:, None], y, NOT_COUNTED)

    def behind_the_ends(self, x: Any, shape: tuple[int, int]) -> np.ndarray | None:
        """Which positions of what was told lie behind the ends of sequences that were padded.

        Args:
            x: The sequences, as the user gave them.
            shape: Of what was told, `(count, length)`.

        Returns:
            bool of that shape; `None` where nothing was padded here.
        """
        if is_batches(x):
            return None
        padded = self.entered("x", x, False)
        if not is_padded(padded):
            return None
        lengths = lengths_of(padded)
        assert lengths is not None
        # What the network cuts, it cuts of all.
        ends = lengths - (lengths.max() - shape[1])
        return np.arange(shape[1]) >= ends[:, None]

    def entered(self, name: str, value: Any, training: bool) -> Any:
        """An argument as arrays, tensors, data sets or generators; see `TakesAnyData.entered`."""
        if name == "validation_data" and isinstance(value, types.GeneratorType):
            # Which each epoch goes through.
            value = KeptBatches(value, self.steps_wanted[1])
        found = super().entered(name, value, training)
        if name == "x" and training:
            warn_of_empty_texts(self, found)
        if name == "validation_data" and isinstance(found, tuple) and len(found) > 1:
            return (found[0], self.with_positions(found[0], found[1]), *found[2:])
        return found

    def entered_batches(self, data: Any, training: bool) -> Any:
        """A data set or generator of numbered labels; those of sequences end in -1."""
        if training and isinstance(data, types.GeneratorType) and self.needs_data_twice():
            data = KeptBatches(data, self.steps_wanted[0])
        data = super().entered_batches(data, training)
        if self._task.of_positions and isinstance(data, tf.data.Dataset):
            return with_padded_labels(data, NOT_COUNTED)
        return data

    def counted(self, x: Any, y: Any, sample_weight: Any) -> tf.Tensor:
        """The number of examples, or of positions that have a label, by their weights."""
        if not self._task.of_positions:
            return super().counted(x, y, sample_weight)
        mask = values_and_mask(x)[1]
        return tf.reduce_sum(counted_weights(y, mask, sample_weight))

    def weighed_by_class(self, data: Any, by_class: np.ndarray) -> tuple:
        """A batch with the weights that the classes of its labels have."""
        weighed = weighed_positions if self._task.of_positions else super().weighed_by_class
        return weighed(data, by_class)

    def with_labels_alike(self, y: Any, held_out: Any) -> Any:
        """Held-out data whose labels, numbers or rows, are in the form of those that came first.

        Args:
            y: Labels to train on, of which the form is remembered.
            held_out: As `validation_data` of `fit`.
        """
        if self.task != "classification" or self._num_classes is None:
            return held_out
        if y is not None:
            self._labels_are_rows = are_rows_of_classes(y, self._num_classes)
        if not isinstance(held_out, (tuple, list)) or len(held_out) < 2:
            return held_out
        x, labels, *weights = held_out
        if self._labels_are_rows is None:
            self._labels_are_rows = are_rows_of_classes(labels, self._num_classes)
        return (x, labels_in_form(labels, self._labels_are_rows, self._num_classes), *weights)

    # Checks

    def check_data(self, x: Any, y: Any, sample_weight: Any, training: bool) -> None:
        """Refuse data that cannot be learned from, and warn of an unlikely range of values.

        Raises:
            ValueError: Inputs of the wrong shape or dtype, or not finite; labels outside the
                classes, of the wrong shape or dtype, or of one class only.
        """
        if not (training and self._inputs_checked):
            self.check_inputs(x)
        self.check_labels(y, self._whole_data and training)
        check_sample_weight(sample_weight)
        shape = tuple(np.shape(sample_weight)) if sample_weight is not None else ()
        if len(shape) > 1 and set(shape[1:]) != {1} and not self._task.of_positions:
            raise ValueError(
                "Each example has one weight: sample_weight of shape [count]. "
                f"Received: sample_weight of shape {list(shape)}"
            )

    def check_inputs(self, x: Any) -> None:
        """Refuse inputs that the backbone cannot take; see `TrainerModel.check_inputs`."""
        x, _ = values_and_mask(x)
        if self.preprocessing is not None:
            x = some_rows(x)
            if hasattr(self.preprocessing, "check_inputs"):
                self.preprocessing.check_inputs(x)
            x = self.preprocessing(x, training=False)
            warn_of_unseen_padding(self.backbone, self.preprocessing, x)
        warn_of_unknown_range(self.backbone, self.preprocessing, x)
        self.backbone.check_inputs(x)

    def stop_at_misfits(self, data: Any) -> list[tf.Operation]:
        """Assertions that a batch's inputs are finite and its labels are the task's."""
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        found = [
            operation
            for leaf in keras.tree.flatten(x)
            if isinstance(leaf, tf.Tensor)
            for operation in stop_at_wrong_values(leaf, None, "inputs")
        ]
        if isinstance(y, tf.Tensor) and self._num_classes is not None:
            found += self._task.stops(y, self._num_classes)
        return found

    def weighed_classes(self, class_weight: Any) -> int | None:
        """The number of classes, where each example or position has one."""
        if self.task not in ("classification", "sequence_labelling"):
            raise ValueError(
                "class_weight is for examples of one class each. Weigh the examples: use "
                f"sample_weight. Received: class_weight with task={self.task!r}"
            )
        return self._num_classes

    def check_labels(self, y: Any, whole: bool) -> None:
        """Refuse labels that the head cannot learn.

        Args:
            y: Labels.
            whole: Whether these are all the labels there are to learn from.

        Raises:
            ValueError: Labels outside the classes, of the wrong shape or dtype, or of one class.
        """
        if self._num_classes is not None:
            self._task.check(y, self._num_classes, whole)
