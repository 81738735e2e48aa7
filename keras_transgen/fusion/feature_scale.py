"""Features brought to zero mean and unit deviation, and back."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.generative.generative_model import GenerativeModel
from keras_transgen.training.batches import ends_promptly
from keras_transgen.training.entrance import FIT_DATA

# A feature that varies less than this, relative to the others, counts as constant.
_SMALLEST = 1e-6


@keras.saving.register_keras_serializable(package="keras_transgen")
class FeatureScale(keras.layers.Layer):
    """Subtracts the mean of each feature and divides by its deviation; `inverse` undoes it.

    A constant feature (pooled rectified units that never fired) has deviation zero: it is only
    centred, and `inverse` gives the constant.

    Both are weights, known after `adapt` and saved with the model. Keras' `Normalization` holds
    what it adapts as constants, which a training function that was traced before would keep.
    """

    def __init__(self, feature_dim: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.feature_dim = feature_dim
        self.mean = self._weight("mean", (feature_dim,), "zeros")
        self.deviation = self._weight("deviation", (feature_dim,), "ones")
        self.rows = self._weight("rows", (), "zeros")
        self.built = True

    def _weight(self, name: str, shape: tuple[int, ...], initializer: str) -> keras.Variable:
        return self.add_weight(
            name=name, shape=shape, initializer=initializer, trainable=False, dtype="float32"
        )

    @property
    def adapted(self) -> bool:
        """Whether mean and deviation are known."""
        return float(keras.ops.convert_to_numpy(self.rows)) > 0

    def adapt(self, features: Any) -> None:
        """Take mean and deviation from features, or a `tf.data.Dataset` of batches of them.

        Of batches that are tuples the first part counts.
        """
        from sklearn.preprocessing import StandardScaler

        scaler, count = StandardScaler(), 0
        data = ends_promptly(features) if isinstance(features, tf.data.Dataset) else [(features,)]
        for batch in data:
            rows = np.asarray(batch[0] if isinstance(batch, (tuple, list)) else batch, "float64")
            if len(rows):
                scaler.partial_fit(rows)
                count += len(rows)
        if not count:
            raise ValueError("Expected at least one row of features. Received: 0 rows")
        deviation = np.sqrt(scaler.var_)
        deviation[deviation <= _SMALLEST * deviation.max()] = 0.0
        self.mean.assign(scaler.mean_)
        self.deviation.assign(deviation)
        self.rows.assign(count)

    def forget(self) -> None:
        """Know neither any more, until `adapt`."""
        self.rows.assign(0)

    def call(self, features: Any) -> Any:
        return (features - self.mean) / self.divisor()

    def divisor(self) -> tf.Tensor:
        """The deviations, one for constant features."""
        deviation = tf.convert_to_tensor(self.deviation)
        return tf.where(deviation > 0.0, deviation, tf.ones_like(deviation))

    def varying(self) -> tf.Tensor:
        """Which features are not constant, booleans `[feature_dim]`."""
        return tf.convert_to_tensor(self.deviation) > 0.0

    def inverse(self, standard: Any) -> Any:
        """Features from standardised ones."""
        return standard * tf.convert_to_tensor(self.deviation) + tf.convert_to_tensor(self.mean)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "feature_dim": self.feature_dim}


class StandardisedFeatures(GenerativeModel):
    """A model of feature vectors that standardises them inside: base class, before their kind."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.feature_scale = FeatureScale(self.example_shape[0], name="feature_scale")

    def adapt(self, features: Any) -> None:
        """Take the scale of features, as for `fit`, which does it if nobody has."""
        with self.distribute_strategy.scope():
            self.feature_scale.adapt(features)

    @takes_any_data(*FIT_DATA, training=True)
    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train the model, after `adapt(x)` if there was none; see `keras.Model.fit`."""
        if not self.feature_scale.adapted:
            _refuse_one_time_data(x)
            if not isinstance(x, tf.data.Dataset):
                self.check_examples(x)
            self.adapt(x)
        return super().fit(x, *args, **kwargs)

    def scaled(self, x: Any) -> tf.Tensor:
        """Standardised features, float32."""
        return self.feature_scale(super().scaled(x))


def checked_feature_dim(feature_dim: Any) -> int:
    """The length of a feature vector, or a `ValueError`."""
    if isinstance(feature_dim, bool) or not isinstance(feature_dim, int) or feature_dim < 1:
        raise ValueError(
            "feature_dim must be given, the length of a feature vector. "
            f"Received: feature_dim={feature_dim!r}"
        )
    return feature_dim


def _refuse_one_time_data(x: Any) -> None:
    """Refuse data that one look at the scale would use up, or that have no end."""
    endless = isinstance(x, tf.data.Dataset) and x.cardinality() == tf.data.INFINITE_CARDINALITY
    if endless or not (hasattr(x, "shape") or isinstance(x, tf.data.Dataset)):
        raise ValueError(
            "The scale of the features is taken before training, from an array or a "
            "tf.data.Dataset that ends. For other data call adapt(features) first, with an array "
            "of some. "
            f"Received: x of type {type(x).__name__}{' without an end' if endless else ''}"
        )
