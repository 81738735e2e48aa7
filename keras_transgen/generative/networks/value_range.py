"""The last layer of a generator: any number into the range of the data."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_transgen")
class InValueRange(keras.layers.Layer):
    """Hyperbolic tangent, moved and stretched to a range; without a range, the values as they are.

    Computes in float32, since half precision cannot tell the values near the ends apart.
    """

    def __init__(
        self, value_range: tuple[float, float] | None = (-1.0, 1.0), **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.value_range = None if value_range is None else tuple(value_range)

    def call(self, inputs: Any) -> Any:
        if self.value_range is None:
            return inputs
        low, high = self.value_range
        return keras.ops.tanh(inputs) * ((high - low) / 2) + (high + low) / 2

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "value_range": self.value_range}
