"""How waves and what is known of them enter a model, which they train."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import as_arrays, takes_any_data
from keras_transgen.generative.networks.condition_scale import ConditionScale, some_rows
from keras_transgen.sequences.scheduled_model import ScheduledModel
from keras_transgen.sequences.sequence_model import steps_of_fit
from keras_transgen.sequences.wavenet.clips import check_waves, entered_waves, with_lengths
from keras_transgen.sequences.wavenet.known_conditions import (
    check_known,
    condition_values,
    label_rows,
)
from keras_transgen.training.batch_assertions import stop_at_wrong_labels, stop_at_wrong_values
from keras_transgen.training.entrance import FIT_DATA, PARTS, TakesAnyData, is_batches
from keras_transgen.training.named_classes import NamesClasses
from keras_transgen.training.padded_sequences import lengths_of, padded, values_and_mask


class WaveModel(NamesClasses, ScheduledModel):
    """A `ScheduledModel` that waves, their classes and speakers, or other conditions come in to.

    Args:
        **kwargs: Passed to `TrainerModel`.
    """

    sample_rate: int
    num_classes: int | None = None
    num_speakers: int | None = None
    condition_encoder: keras.layers.Layer | None = None
    condition_scale: ConditionScale | None = None
    samples_per_frame: int | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._adapts = False

    # Data on their way in

    def batch_shape(self) -> tuple[int | None, ...] | None:
        return (None, None)

    def takes_sequences(self) -> bool:
        """Waves have any lengths."""
        return True

    def takes_several_inputs(self) -> bool:
        """Arrays in a list are waves, not inputs."""
        return False

    def count_of_classes(self) -> int | None:
        """The number of classes; `None` without."""
        return self.num_classes

    def knows_classes_by_number(self) -> bool:
        """Whether a training has begun."""
        return bool(int(self.progress.step.numpy()))

    def weighed_classes(self, class_weight: Any) -> int | None:
        """The number of classes, which may weigh differently."""
        if self.num_classes is None or self.num_speakers is not None:
            raise ValueError(
                "Only classes weigh, of a model with num_classes and without num_speakers: give "
                "sample_weight instead. Received: class_weight"
            )
        return self.num_classes

    def entered(self, name: str, value: Any, training: bool) -> Any:
        """Waves padded, with lengths; labels as numbers, conditions as arrays."""
        if name in ("x", "waves") and not is_batches(value):
            return entered_waves(value, name, self.sample_rate)
        return TakesAnyData.entered(self, "y" if name == "labels" else name, value, training)

    def entered_labels(self, labels: Any, training: bool) -> Any:
        """Labels as numbers: `[count]`, or `[count, 2]` of classes and speakers."""
        if self.condition_encoder is not None:
            found = as_arrays(labels, "conditions")
            if isinstance(found, tf.RaggedTensor):
                return keras.tree.map_structure(np.asarray, padded(found, "conditions"))
            return found
        if isinstance(labels, tuple) and len(self.label_sizes()) == 2 and len(labels) == 2:
            classes, speakers = super().entered_labels(labels[0], training), labels[1]
            columns = [np.asarray(each) for each in (classes, as_arrays(speakers, "speakers"))]
            if any(each.ndim != 1 for each in columns) or len(columns[0]) != len(columns[1]):
                raise ValueError(
                    "There is a class and a speaker for each wave: (classes, speakers), ints "
                    f"[count] each. Received: shapes {[list(each.shape) for each in columns]}"
                )
            return np.stack(columns, axis=1)
        return super().entered_labels(labels, training)

    def label_sizes(self) -> dict[str, int]:
        """How many classes and speakers there are, of what there is."""
        sizes = {"labels": self.num_classes, "speakers": self.num_speakers}
        return {name: size for name, size in sizes.items() if size is not None}

    def check_data(self, x: Any, y: Any, sample_weight: Any, training: bool) -> None:
        """Refuse what are no waves, or conditions of another model."""
        check_waves(x)
        self.check_labels(y, lengths_of(x))
        # Of an evaluation the first batch is looked at as that of a training.
        if training and self._adapts:
            self._adapt_to(y)

    def _adapt_to(self, y: Any) -> None:
        """Measure the scale of what the encoder gives, once."""
        scale, encoder = self.condition_scale, self.condition_encoder
        if scale is None or encoder is None or scale.adapted:
            return
        with self.distribute_strategy.scope():
            encoded = encoder(condition_values(some_rows(y)), training=False)
            scale.adapt(np.reshape(encoded, [-1, encoded.shape[-1]]))

    def check_labels(self, y: Any, lengths: np.ndarray | None) -> None:
        """Refuse labels or conditions that are none of this model's.

        Args:
            y: Entered.
            lengths: Of their waves, where they are known.
        """
        sizes = self.label_sizes()
        if sizes or self.condition_encoder is not None:
            check_known(y, sizes, lengths, self.samples_per_frame)
        elif y is not None:
            raise ValueError(
                "This model takes waves alone, and draws count=2 of them: give num_classes, "
                "num_speakers or condition_encoder for labels. Received: labels"
            )

    def stop_at_misfits(self, data: Any) -> list[tf.Operation]:
        """Assertions that a batch's waves are in [-1, 1] and its labels are classes."""
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        found = stop_at_wrong_values(values_and_mask(x)[0], (-1.0, 1.0), "waves")
        sizes = list(self.label_sizes().values())
        if y is not None and sizes:
            rows = label_rows(y, len(sizes))
            for at, size in enumerate(sizes):
                found += stop_at_wrong_labels(rows[:, at], size)
        return found

    # Training

    @takes_any_data(*FIT_DATA, training=True)
    def fit(
        self, x: Any = None, y: Any = None, *args: Any, lengths: Any = None, **kwargs: Any
    ) -> keras.callbacks.History:
        """Train the model, with the arguments and the result of `keras.Model.fit`.

        Args:
            x: Waves: a list of arrays `[samples]` or of what `ktg.datasets.read_wav` gives, floats
                in [-1, 1]; an array `[count, samples]`; a ragged tensor; or a data set of batches.
            y: Labels `[count]`, ints or names; a pair `(classes, speakers)`; or what the condition
                encoder takes. `None` without conditions.
            *args: As in `keras.Model.fit`.
            lengths: Ints `[count]`, how many samples of each row of an array count.
            **kwargs: As in `keras.Model.fit`; `validation_data` is `(waves, labels)`.

        Raises:
            ValueError: Waves have another sample rate, are not finite, leave [-1, 1] or are empty,
                or labels are none of this model's.
        """
        if lengths is not None:
            x = with_lengths(x, lengths)
        self.compile_for(steps_of_fit(x, args, kwargs))
        self._adapts = True
        try:
            return super().fit(x, y, *args, **kwargs)
        finally:
            self._adapts = False

    @takes_any_data(*PARTS)
    def evaluate(
        self, x: Any = None, y: Any = None, *args: Any, lengths: Any = None, **kwargs: Any
    ) -> Any:
        """Evaluate the model on whole clips, with the result of `keras.Model.evaluate`."""
        if lengths is not None:
            x = with_lengths(x, lengths)
        if not self.compiled:
            self.compile()
        if not is_batches(x):
            self.check_data(x, y, kwargs.get("sample_weight"), training=False)
        return super().evaluate(x, y, *args, **kwargs)
