"""Maximum mean discrepancy of two batches of features, to be made small by training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_transgen")
class MaximumMeanDiscrepancy:
    """Squared maximum mean discrepancy with Gaussian kernels, differentiable.

    `mean k(a, a') + mean k(b, b') - 2 mean k(a, b)`, the distance of the two sets' mean embeddings
    (the biased estimate, never negative), where k is the mean of `exp(-|x - y|^2 / (2 w^2))` over
    the widths w.

    Args:
        widths: Of the Gaussians, in units of the features; `None` (the default) for multiples of
            the root mean square distance between rows of the two sets together, which follow the
            features while they are trained (and are constants to the gradient).
        multiples: These multiples. Defaults to `(0.25, 0.5, 1.0, 2.0, 4.0)`.

    Raises:
        ValueError: If there are no widths or one is not above 0.

    Example:
        ```python
        import numpy as np
        from keras_transgen.transfer import MaximumMeanDiscrepancy

        a, b = np.random.default_rng(0).normal(size=(2, 200, 4)).astype("float32")
        discrepancy = MaximumMeanDiscrepancy()
        assert float(discrepancy(a, b)) < 0.1 < float(discrepancy(a, b + 2.0))
        ```

    Reference:
        Gretton et al., A Kernel Two-Sample Test, 2012; Long et al., Learning Transferable Features
        with Deep Adaptation Networks, 2015 (several kernels at once).
    """

    def __init__(
        self,
        widths: Sequence[float] | None = None,
        multiples: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0),
    ) -> None:
        self.widths = None if widths is None else tuple(float(width) for width in widths)
        self.multiples = tuple(float(multiple) for multiple in multiples)
        for name in ("widths", "multiples"):
            values = getattr(self, name)
            if values is not None and not (values and all(value > 0 for value in values)):
                raise ValueError(
                    f"{name} must be at least one number above 0. Received: {name}={values}"
                )

    def __call__(self, a: Any, b: Any) -> Any:
        """The discrepancy of two sets.

        Args:
            a: Features `[count, features]`.
            b: Features `[other count, features]`.

        Returns:
            Float32 scalar, at least 0 but for rounding.
        """
        ops = keras.ops
        a, b = (ops.cast(ops.convert_to_tensor(each), "float32") for each in (a, b))
        distances = _squared_distances(ops.concatenate([a, b], axis=0))
        if self.widths is None:
            scale = ops.stop_gradient(ops.mean(distances))
            # Equal rows have no distance to go by, and a discrepancy of zero at any width.
            doubled = [2.0 * ops.maximum(scale, 1e-12) * each**2 for each in self.multiples]
        else:
            doubled = [2.0 * each**2 for each in self.widths]
        kernel = sum(ops.exp(-distances / each) for each in doubled) / len(doubled)
        # +1 / count for rows of a, -1 / count for those of b: the kernel's form at these numbers
        # is the three means at once.
        shares = ops.concatenate([_shares(a), -_shares(b)], axis=0)
        return ops.sum(shares[:, None] * kernel * shares[None, :])

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the penalty from."""
        return {"widths": self.widths, "multiples": self.multiples}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MaximumMeanDiscrepancy:
        """Make the penalty again from what `get_config` returned."""
        return cls(**config)


def _squared_distances(rows: Any) -> Any:
    ops = keras.ops
    # From differences to the common mean, so that far-off features lose no digits.
    rows = rows - ops.stop_gradient(ops.mean(rows, axis=0, keepdims=True))
    squares = ops.sum(ops.square(rows), axis=1)
    distances = squares[:, None] + squares[None, :] - 2.0 * ops.matmul(rows, ops.transpose(rows))
    return ops.maximum(distances, 0.0)


def _shares(rows: Any) -> Any:
    count = keras.ops.cast(keras.ops.shape(rows)[0], "float32")
    return keras.ops.ones_like(rows[:, 0]) / count
