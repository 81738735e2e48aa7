"""Cross-entropy with label smoothing: what the losses of classes have in common."""

from __future__ import annotations

from typing import Any

import keras


class SmoothedCrossEntropy(keras.losses.Loss):
    """Base of losses whose labels are classes.

    Args:
        label_smoothing: Share of the label that is spread over all classes, in [0, 1).
            Defaults to 0.
        name: As in `keras.losses.Loss`. Defaults to `"cross_entropy"`.
        **kwargs: `reduction` and `dtype`, as in `keras.losses.Loss`.

    Raises:
        ValueError: `label_smoothing` is out of its range.
    """

    def __init__(
        self, label_smoothing: float = 0.0, name: str = "cross_entropy", **kwargs: Any
    ) -> None:
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(
                f"label_smoothing must be in [0, 1). Received: label_smoothing={label_smoothing}"
            )
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def of_rows(self, rows: Any, logits: Any) -> Any:
        """Cross-entropy of rows of probabilities after smoothing, `[...]`, in nats.

        Args:
            rows: Probabilities of the classes `[..., classes]`.
            logits: Of that shape.
        """
        if self.label_smoothing:
            share = self.label_smoothing
            rows = rows * (1.0 - share) + share / logits.shape[-1]
        return -keras.ops.sum(rows * keras.ops.log_softmax(logits, axis=-1), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the loss from."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}
