"""Images continued at their edges by their own mirror image."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_transgen")
class ReflectionPadding2D(keras.layers.Layer):
    """Adds pixels at every edge that mirror those inside, so that no frame of zeros shows."""

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
