"""Examples with conditions: classes by number or name, vectors, or what an encoder takes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.generative.condition_values import (
    check_class_labels,
    check_condition_vectors,
    encoded_shape,
)
from keras_transgen.generative.generative_model import GenerativeModel
from keras_transgen.generative.networks.condition_scale import ConditionScale, some_rows
from keras_transgen.generative.networks.conditioning import ConditionEmbedding
from keras_transgen.generative.text_conditions import encodes_texts, with_tokens
from keras_transgen.training.batch_assertions import stop_at_wrong_labels
from keras_transgen.training.entrance import PARTS
from keras_transgen.training.named_classes import NamesClasses
from keras_transgen.training.serving import fitting_specs


class ConditionalModel(NamesClasses, GenerativeModel):
    """A `GenerativeModel` that makes examples for a condition, the second argument of `fit`.

    A condition is a class (`num_classes`), a vector (`condition_shape`) or anything that a Keras
    layer turns into a vector (`condition_encoder`). The model that derives from it sets these, and
    `embedding_dim`, before it calls `make_condition_scale` and `make_condition_embedding`.
    """

    num_classes: int | None
    condition_shape: tuple[int, ...] | None
    condition_encoder: keras.layers.Layer | None
    condition_scale: ConditionScale | None
    embedding_dim: int
    _drop_probability: float

    # Conditions on their way into a network

    def make_condition_scale(self) -> None:
        """Make the layer that standardises what the encoder gives."""
        features = encoded_shape(self.condition_encoder, self.condition_shape)[1]
        self.condition_scale = ConditionScale(features, name="condition_scale")

    def make_condition_embedding(
        self, name: str, initial_scale: float, normalized: bool = False
    ) -> ConditionEmbedding:
        """A layer, built, from encoded conditions to vectors `[batch, embedding_dim]`.

        Args:
            name: Of the layer.
            initial_scale: Size of a feature at the start.
            normalized: Whether its table has spectral norm one.
        """
        layer = ConditionEmbedding(
            self.embedding_dim,
            self.num_classes,
            self._drop_probability > 0,
            initial_scale,
            normalized,
            unit_conditions=self.condition_scale is not None,
            name=name,
        )
        if self.num_classes is not None:
            layer.build((None,))
        elif self.condition_encoder is None:
            layer.build((None, *(self.condition_shape or ())))
        else:
            layer.build(encoded_shape(self.condition_encoder, self.condition_shape))
        return layer

    def _encoded(self, y: Any, training: bool) -> Any:
        if self.condition_encoder is None:
            return tf.reshape(y, [-1]) if self.num_classes is not None else tf.cast(y, tf.float32)
        encoded = self.condition_encoder(y, training=training)
        return encoded if self.condition_scale is None else self.condition_scale(encoded)

    # Data

    def stop_at_misfits(self, data: Any) -> list[tf.Operation]:
        """Assertions that a batch's examples are in their range and its labels are classes."""
        found = super().stop_at_misfits(data)
        _, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        if self.num_classes is not None and y is not None:
            found += stop_at_wrong_labels(y, self.num_classes)
        return found

    def check_data(self, x: Any, y: Any, sample_weight: Any, training: bool) -> None:
        """Refuse data that are no examples of this model; the first measure the conditions' scale.

        See `TrainerModel.check_data`.
        """
        super().check_data(x, y, sample_weight, training)
        if training and self.condition_scale is not None and not self.condition_scale.adapted:
            with self.distribute_strategy.scope():
                assert self.condition_encoder is not None
                rows = keras.tree.map_structure(tf.convert_to_tensor, some_rows(y))
                self.condition_scale.adapt(self.condition_encoder(rows, training=False))

    def count_of_classes(self) -> int | None:
        """The number of classes; `None` where conditions are no classes."""
        return self.num_classes

    def knows_classes_by_number(self) -> bool:
        """Whether a training has begun."""
        return bool(int(self.progress.step.numpy()))

    def entered(self, name: str, value: Any, training: bool) -> Any:
        """An argument as arrays; conditions are what labels are in `fit`."""
        if name == "condition" and isinstance(value, str):
            raise ValueError(
                f"Conditions are a list, one for each sample: [{value!r}]. Received: one name"
            )
        return super().entered("y" if name == "condition" else name, value, training)

    def entered_labels(self, labels: Any, training: bool) -> Any:
        """Conditions as arrays; names and one-hot rows become numbers of classes, texts tokens."""
        found = super().entered_labels(labels, training)
        if encodes_texts(self.condition_encoder):
            return self.condition_encoder.tokens(found)
        if self.num_classes is None or np.ndim(found) != 2 or np.shape(found)[1] == 1:
            return found
        rows = np.asarray(found)
        is_one_hot = rows.shape[1] == self.num_classes and np.isin(rows, (0, 1)).all()
        return rows.argmax(axis=1) if is_one_hot and (rows.sum(axis=1) == 1).all() else found

    def entered_batches(self, data: Any, training: bool) -> Any:
        """A data set or generator of conditions that the model takes; texts become tokens."""
        data = super().entered_batches(data, training)
        encoder = self.condition_encoder
        return with_tokens(data, encoder) if encodes_texts(encoder) else data

    def check_labels(self, y: Any) -> None:
        """Refuse conditions that are none of this model's."""
        self._check_conditions(y, "conditions (the second argument of fit)")

    def _check_conditions(self, y: Any, name: str) -> None:
        if self.num_classes is not None:
            check_class_labels(y, self.num_classes, name)
        else:
            check_condition_vectors(y, self._expected_condition(), name)

    def _expected_condition(self) -> tuple[int | None, ...] | None:
        if self.condition_shape is not None:
            return self.condition_shape
        if encodes_texts(self.condition_encoder):
            return (self.condition_encoder.max_length,)
        shape = getattr(self.condition_encoder, "input_shape", None)
        return tuple(shape[1:]) if isinstance(shape, tuple) else None

    @takes_any_data(*PARTS)
    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluate the model, with the arguments and the result of `keras.Model.evaluate`."""
        if isinstance(x, (np.ndarray, tf.Tensor)):
            self.check_labels(y)
        return super().evaluate(x, y, *args, **kwargs)

    def row_names(self, conditions: Any, asked: Any) -> list[str] | None:
        """What stands beside the rows of a grid, one for each condition; `None` for numbers.

        Args:
            conditions: As the user gave them.
            asked: The same as arrays.
        """
        if self.num_classes is not None:
            return [
                str(number) if self.class_names is None else self.class_names[number]
                for number in np.ravel(asked).astype(int)
            ]
        is_text = encodes_texts(self.condition_encoder)
        return [str(each) for each in conditions] if is_text else None

    def condition_spec(self, asked: Any = None) -> Any:
        """Shape and dtype of a batch of conditions, for an export.

        Args:
            asked: What the user wants them to be; `None` for what is known.

        Raises:
            ValueError: If the model takes no such conditions.
        """
        known = self._known_condition_spec()
        if asked is None or not isinstance(known, tf.TensorSpec) or known.shape.rank is None:
            return known if asked is None else asked
        return fitting_specs(asked, known, "condition")

    def _known_condition_spec(self) -> Any:
        if self.num_classes is not None:
            return tf.TensorSpec([None], tf.int32)
        if encodes_texts(self.condition_encoder):
            return tf.TensorSpec([None], tf.string)
        known = getattr(self.condition_encoder, "inputs", None)
        shape = self._expected_condition()
        if known or shape is None:
            # Without either, the message of `named_specs` says what to pass.
            return known or tf.TensorSpec(None, tf.float32)
        return tf.TensorSpec([None, *shape], tf.float32)
