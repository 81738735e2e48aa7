"""What an encoder gives of conditions, brought to zero mean and unit deviation."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

_ROWS = 1024
# Of the largest deviation: what varies less says nothing of a condition.
_SMALLEST = 1e-3


@keras.saving.register_keras_serializable(package="keras_transgen")
class ConditionScale(keras.layers.Layer):
    """Subtracts the mean of each feature and divides by its deviation, as measured once.

    Encoders give vectors of any size: Keras' `Embedding` starts at 0.05, a recurrent layer stays in
    (-1, 1), a sentence encoder gives vectors of length one. Beside noise of unit variance a network
    does not hear the smaller ones. The measure is taken before the first training; an encoder that
    trains moves by as much less as its outputs are scaled up.
    """

    def __init__(self, features: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.features = features
        self.mean = self._weight("mean", (features,), "zeros")
        self.deviation = self._weight("deviation", (features,), "ones")
        self.rows = self._weight("rows", (), "zeros")
        self.built = True

    def _weight(self, name: str, shape: tuple[int, ...], initializer: str) -> keras.Variable:
        return self.add_weight(
            name=name, shape=shape, initializer=initializer, trainable=False, dtype="float32"
        )

    @property
    def adapted(self) -> bool:
        """Whether the scale has been measured."""
        return float(keras.ops.convert_to_numpy(self.rows)) > 0

    def adapt(self, encoded: Any) -> None:
        """Measure the scale; where all rows are equal, by their size alone.

        Args:
            encoded: What the encoder gives of some conditions, `[rows, features]`.
        """
        values = np.asarray(encoded, "float64")
        deviation = values.std(axis=0)
        if deviation.max() > 0.0:
            mean = values.mean(axis=0)
        else:
            mean = np.zeros(self.features)
            deviation = np.full(self.features, np.sqrt(np.square(values).mean()) or 1.0)
        self.mean.assign(mean)
        self.deviation.assign(np.maximum(deviation, _SMALLEST * deviation.max()))
        self.rows.assign(len(values))

    def share(self) -> tf.Tensor:
        """How small the encoder's outputs are, at most 1: what its moves must shrink by."""
        return tf.minimum(1.0, tf.sqrt(tf.reduce_mean(tf.square(self.deviation.value))))

    def call(self, encoded: Any) -> tf.Tensor:
        return (tf.cast(encoded, tf.float32) - self.mean) / self.deviation

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "features": self.features}


def some_rows(conditions: Any) -> Any:
    """At most a thousand rows of conditions, drawn at random but always the same."""
    count = len(keras.tree.flatten(conditions)[0])
    if count <= _ROWS:
        return conditions
    chosen = np.sort(np.random.default_rng(0).choice(count, _ROWS, replace=False))
    return keras.tree.map_structure(
        lambda each: tf.gather(each, chosen) if tf.is_tensor(each) else np.asarray(each)[chosen],
        conditions,
    )
