"""Correlation alignment: the source's features get the target's covariance."""

from __future__ import annotations

import numpy as np

from keras_transgen.transfer.subspace.domain_transformer import DomainTransformer


class CORAL(DomainTransformer):
    """Whitens the source's features and colours them with the target's covariance and mean.

    Source features go to `(x - mean_s) C_s^(-1/2) C_t^(1/2) + mean_t`, target features stay as
    they are. With `regularization` r each covariance C gains r times the mean variance of its
    domain's features on the diagonal, which for standardised features and r = 1 is the paper's
    identity matrix. With r = 0 the covariance of the transformed source is the target's, where the
    source has full rank; directions in which the source does not vary are left out.

    Args:
        regularization: Share of the mean variance that is added to each direction, at least 0.
            Small values follow the target closely and take its noise for truth where rows are
            few. Defaults to 1.

    Attributes:
        colouring_: `C_s^(-1/2) C_t^(1/2)`, `[features, features]`.
        source_mean_: Mean of the source, `[features]`.
        target_mean_: Mean of the target, `[features]`.

    Raises:
        ValueError: By `fit`, if the regularization is negative.

    Example:
        ```python
        import numpy as np
        from keras_transgen.transfer.subspace import CORAL

        random = np.random.default_rng(0)
        source, target = random.normal(size=(500, 3)), random.normal(size=(400, 3)) * [1, 2, 3]
        moved, _ = CORAL(regularization=0.0).fit_transform(source, target)
        assert np.allclose(np.cov(moved.T), np.cov(target.T))
        ```

    Reference:
        Sun, Feng and Saenko, Return of Frustratingly Easy Domain Adaptation, 2016.
    """

    def __init__(self, regularization: float = 1.0) -> None:
        self.regularization = regularization

    def _fit(self, source: np.ndarray, target: np.ndarray) -> None:
        if not 0.0 <= self.regularization < np.inf:
            raise ValueError(
                "regularization must be a number of at least 0. "
                f"Received: regularization={self.regularization!r}"
            )
        self.source_mean_, self.target_mean_ = source.mean(axis=0), target.mean(axis=0)
        self.colouring_ = self._power(source, -0.5) @ self._power(target, 0.5)

    def _power(self, domain: np.ndarray, exponent: float) -> np.ndarray:
        """A power of a domain's covariance; directions without variance stay without."""
        covariance = np.atleast_2d(np.cov(domain, rowvar=False))
        added = self.regularization * np.trace(covariance) / len(covariance)
        values, vectors = np.linalg.eigh(covariance + added * np.eye(len(covariance)))
        used = values > len(values) * np.finfo(float).eps * max(values[-1], 0.0)
        return (vectors[:, used] * values[used] ** exponent) @ vectors[:, used].T

    def _source(self, features: np.ndarray) -> np.ndarray:
        return (features - self.source_mean_) @ self.colouring_ + self.target_mean_

    def _target(self, features: np.ndarray) -> np.ndarray:
        return features
