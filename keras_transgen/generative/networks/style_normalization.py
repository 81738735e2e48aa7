"""Instance normalization with a scale and an offset for each style."""

from __future__ import annotations

from typing import Any

import keras

_EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="keras_transgen")
class ConditionalInstanceNormalization(keras.layers.Layer):
    """Normalises each image's channels over its pixels; a style says how they are stretched.

    Takes `[features, mixture]`, a mixture being a row of weights `[num_styles]` for each image.
    Everything else in a network is shared by all styles, and a mixture of styles gives the mean of
    their scales and offsets.

    Reference:
        Dumoulin, Shlens and Kudlur, A learned representation for artistic style, 2017.
    """

    def __init__(self, num_styles: int, epsilon: float = _EPSILON, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_styles = num_styles
        self.epsilon = epsilon
        self.normalization = keras.layers.GroupNormalization(
            groups=-1, epsilon=epsilon, center=False, scale=False, dtype=self.dtype_policy
        )

    def build(self, input_shape: Any) -> None:
        features, _ = input_shape
        self.normalization.build(features)
        shape = (self.num_styles, features[-1])
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones")
        self.offset = self.add_weight(name="offset", shape=shape, initializer="zeros")
        self.built = True

    def call(self, inputs: Any) -> Any:
        features, mixture = inputs
        # A product with rows of weights has a dense gradient, which replicas can sum.
        scale, offset = (
            keras.ops.matmul(mixture, keras.ops.cast(table, self.compute_dtype))[:, None, None]
            for table in (self.scale, self.offset)
        )
        return self.normalization(features) * scale + offset

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_styles": self.num_styles, "epsilon": self.epsilon}
