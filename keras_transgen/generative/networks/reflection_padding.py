"""Images continued at their edges by their own mirror image."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_transgen")
class ReflectionPadding2D(keras.layers.Layer):
    """Adds pixels at every edge that mirror those inside, so that no frame of zeros shows.

    Args:
        padding: Pixels at each edge; smaller than the image.
        **kwargs: Passed to `keras.layers.Layer`.

    Input shape:
        `[batch, height, width, channels]`.

    Output shape:
        `[batch, height + 2 * padding, width + 2 * padding, channels]`.

    Example:
        ```python
        import numpy as np
        from keras_transgen.generative.networks.reflection_padding import ReflectionPadding2D

        row = np.arange(3.0).reshape(1, 1, 3, 1).repeat(3, axis=1)
        padded = np.asarray(ReflectionPadding2D(1)(row))
        assert padded[0, 0, :, 0].tolist() == [1.0, 0.0, 1.0, 2.0, 1.0]
        ```
    """

    def __init__(self, padding: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.padding = padding

    def call(self, inputs: Any) -> Any:
        edge = (self.padding, self.padding)
        return keras.ops.pad(inputs, ((0, 0), edge, edge, (0, 0)), mode="reflect")

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, channels = input_shape
        more = 2 * self.padding
        return (
            batch,
            None if height is None else height + more,
            None if width is None else width + more,
            channels,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding}
