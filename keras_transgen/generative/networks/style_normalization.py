"""Instance normalization with a scale and an offset for each style."""

from __future__ import annotations

from typing import Any

import keras

_EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="keras_transgen")
class ConditionalInstanceNormalization(keras.layers.Layer):
    """Normalises each image's channels over its pixels; a style says how they are stretched.

    Everything else in a network is shared by all styles, and a mixture of styles gives the mean of
    their scales and offsets.

    Args:
        num_styles: Number of styles.
        epsilon: Added to the variance.
        **kwargs: Passed to `keras.layers.Layer`.

    Call arguments:
        inputs: `[features [batch, height, width, channels], mixture [batch, num_styles]]`; a
            mixture is a one-hot row, or any weights.

    Output shape:
        That of the features.

    Example:
        ```python
        import numpy as np
        from keras_transgen.generative.networks.style_normalization import (
            ConditionalInstanceNormalization,
        )

        features = np.random.default_rng(0).uniform(size=(1, 4, 4, 3)).astype("float32")
        layer = ConditionalInstanceNormalization(num_styles=2)
        normal = np.asarray(layer([features, np.array([[1.0, 0.0]], "float32")]))
        assert np.allclose(normal.mean(axis=(1, 2)), 0.0, atol=1e-5)
        ```

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
