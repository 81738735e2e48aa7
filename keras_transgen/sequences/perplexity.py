"""What language models log besides their loss."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_transgen")
class Perplexity(keras.metrics.Mean):
    """The exponential of a mean loss in nats a token.

    Args:
        name: Name in the logs. Defaults to `"perplexity"`.
        **kwargs: As in `keras.metrics.Mean`.
    """

    def __init__(self, name: str = "perplexity", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def result(self) -> Any:
        return keras.ops.exp(super().result())
