"""Transfer component analysis: directions in which two domains vary, but do not differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import eigh
from sklearn.metrics.pairwise import pairwise_kernels

from keras_transgen.transfer.subspace.domain_transformer import (
    DomainTransformer,
    check_components,
)


class TransferComponentAnalysis(DomainTransformer):
    """Finds components of large variance on which the means of both domains nearly agree.

    With the kernel matrix K of all rows of both domains, H the centring matrix and L the matrix for
    which `trace(K L)` is the squared maximum mean discrepancy of the domains, the components
    `K W` maximise `W' K H K W` under `W' (K L K + mu I) W = I`. New rows are transformed by their
    kernel values with the rows of `fit`.

    The kernel matrix has as many rows as both domains together, and the time of its
    decomposition grows with their cube: draw some thousand rows from larger domains.

    Args:
        num_components: Dimensions of the result. Defaults to 10.
        mu: Weight of the components' length against the discrepancy, above 0. Defaults to 1.
        kernel: `"linear"`, `"rbf"` (the default) or another kernel of
            `sklearn.metrics.pairwise.pairwise_kernels`, or a callable of two rows.
        gamma: Of the kernel `exp(-gamma |x - y|^2)`. Defaults to one over twice the median squared
            distance between rows.

    Attributes:
        rows_: The rows of `fit`, source first, `[rows, features]`.
        weights_: `W`, `[rows, num_components]`.
        variances_: What the components maximise, from large to small, `[num_components]`.
        gamma_: The gamma in use.

    Raises:
        ValueError: By `fit`, if there are fewer rows than components, or a parameter is out of
            its range.

    Example:
        ```python
        import numpy as np
        from keras_transgen.transfer.subspace import TransferComponentAnalysis

        random = np.random.default_rng(0)
        source, target = random.normal(size=(40, 5)), random.normal(size=(30, 5)) + 1.0
        source, target = TransferComponentAnalysis(2).fit_transform(source, target)
        assert source.shape == (40, 2) and target.shape == (30, 2)
        ```

    Reference:
        Pan, Tsang, Kwok and Yang, Domain Adaptation via Transfer Component Analysis, 2011.
    """

    def __init__(
        self,
        num_components: int = 10,
        mu: float = 1.0,
        kernel: str | Callable[[np.ndarray, np.ndarray], float] = "rbf",
        gamma: float | None = None,
    ) -> None:
        self.num_components = num_components
        self.mu = mu
        self.kernel = kernel
        self.gamma = gamma

    def _fit(self, source: np.ndarray, target: np.ndarray) -> None:
        count = len(source) + len(target)
        check_components(self.num_components, count - 1, "the rows of both domains less one")
        if not 0.0 < self.mu < np.inf:
            raise ValueError(f"mu must be a number above 0. Received: mu={self.mu!r}")
        self.rows_ = np.concatenate([source, target])
        self.gamma_ = _gamma_for(self.rows_) if self.gamma is None else self.gamma
        kernel = self._kernel(self.rows_)
        # The difference of the means: L is its outer product with itself.
        shares = np.repeat([1.0 / len(source), -1.0 / len(target)], [len(source), len(target)])
        difference = kernel @ shares
        centred = kernel - kernel.mean(axis=0)
        constraint = np.outer(difference, difference) + self.mu * np.eye(count)
        values, vectors = eigh(
            centred.T @ centred,
            constraint,
            subset_by_index=[count - self.num_components, count - 1],
        )
        self.variances_, self.weights_ = values[::-1], vectors[:, ::-1]

    def _kernel(self, features: np.ndarray) -> np.ndarray:
        known: dict[str, Any] = {"gamma": self.gamma_, "filter_params": True}
        parameters = {} if callable(self.kernel) else known
        return pairwise_kernels(features, self.rows_, metric=self.kernel, **parameters)

    def _source(self, features: np.ndarray) -> np.ndarray:
        return self._kernel(features) @ self.weights_

    def _target(self, features: np.ndarray) -> np.ndarray:
        return self._source(features)


def _gamma_for(rows: np.ndarray, most: int = 1000) -> float:
    """One over twice the median squared distance, of evenly spaced rows where there are many."""
    from scipy.spatial.distance import pdist

    median = float(np.median(pdist(rows[:: -(-len(rows) // most)], "sqeuclidean")))
    return 1.0 / (2.0 * median) if median > 0 else 1.0
