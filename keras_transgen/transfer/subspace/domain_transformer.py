"""What the transformers of two domains share: fitted to both, they transform each."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from keras_transgen.evaluation.feature_matrix import (
    feature_matrix,
    require_count,
    two_feature_matrices,
)


class DomainTransformer(BaseEstimator):
    """Base of the transformers that bring features of a source and a target domain together.

    A classifier trained on `transform_source` of labelled source features then serves for
    `transform_target` of the target's. No labels are used. Parameters are read, set and cloned as
    scikit-learn's estimators' are.

    A transformer overrides `_fit`, `_source` and `_target`.
    """

    num_features_: int

    def fit(self, source: Any, target: Any) -> DomainTransformer:
        """Learn from both domains.

        Args:
            source: Features `[count, features]` of the domain that has labels.
            target: Features `[other count, features]` of the other.

        Returns:
            The transformer itself.

        Raises:
            ValueError: If the features are no finite matrices of equal width with two rows at
                least, or a parameter is out of its range.
        """
        source, target = two_feature_matrices(source, target, "source", "target")
        for matrix, name in ((source, "source"), (target, "target")):
            require_count(matrix, 2, name, "a domain's spread needs two")
        self.num_features_ = source.shape[1]
        self._fit(source, target)
        return self

    def transform_source(self, features: Any) -> np.ndarray:
        """Transform features of the source domain.

        Args:
            features: `[count, features]`, those of `fit` or others.

        Returns:
            float64 `[count, components]`.

        Raises:
            ValueError: If they have another width than in `fit`.
        """
        return self._source(self._checked(features))

    def transform_target(self, features: Any) -> np.ndarray:
        """Transform features of the target domain; see `transform_source`."""
        return self._target(self._checked(features))

    def fit_transform(self, source: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
        """Fit to both domains and transform both.

        Args:
            source: As in `fit`.
            target: As in `fit`.

        Returns:
            `(source, target)`, transformed.
        """
        self.fit(source, target)
        return self.transform_source(source), self.transform_target(target)

    def _checked(self, features: Any) -> np.ndarray:
        check_is_fitted(self)
        features = feature_matrix(features, "features")
        if features.shape[1] != self.num_features_:
            raise ValueError(
                f"Expected features [count, {self.num_features_}], as in fit. "
                f"Received: features.shape={features.shape}"
            )
        return features

    def _fit(self, source: np.ndarray, target: np.ndarray) -> None:
        raise NotImplementedError

    def _source(self, features: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _target(self, features: np.ndarray) -> np.ndarray:
        raise NotImplementedError


def check_components(num_components: int, most: int, limit: str) -> None:
    """Refuse a number of components that the data cannot have.

    Args:
        num_components: What the user asked for.
        most: The largest number there can be.
        limit: What sets it, for the message.

    Raises:
        ValueError: If the number is below 1 or above `most`.
    """
    if isinstance(num_components, bool) or not isinstance(num_components, (int, np.integer)):
        raise ValueError(
            f"num_components must be a whole number. Received: num_components={num_components!r}"
        )
    if not 1 <= num_components <= most:
        raise ValueError(
            f"num_components must lie between 1 and {most}, {limit}. "
            f"Received: num_components={num_components}"
        )
