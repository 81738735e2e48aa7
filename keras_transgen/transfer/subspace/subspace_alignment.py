"""Subspace alignment: the source's principal axes turned towards the target's."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA

from keras_transgen.transfer.subspace.domain_transformer import (
    DomainTransformer,
    check_components,
)


class SubspaceAlignment(DomainTransformer):
    """Projects each domain on its own principal axes, and the source's on towards the target's.

    With the axes `P_s` and `P_t`, both `[features, num_components]`, centred source features go to
    `x P_s (P_s' P_t)` and centred target features to `x P_t`. The matrix `P_s' P_t` is the one that
    brings the bases nearest to each other.

    Standardise features whose scales differ between the domains before. With as many components as
    features nothing is aligned but the means.

    Args:
        num_components: Dimensions of both subspaces. Defaults to 10.

    Attributes:
        source_axes_: `P_s`.
        target_axes_: `P_t`.
        alignment_: `P_s' P_t`, `[num_components, num_components]`.
        source_mean_: Mean of the source, `[features]`.
        target_mean_: Mean of the target, `[features]`.

    Raises:
        ValueError: By `fit`, if there are fewer features or rows than components.

    Example:
        ```python
        import numpy as np
        from keras_transgen.transfer.subspace import SubspaceAlignment

        source, target = np.random.default_rng(0).normal(size=(2, 50, 8))
        source, target = SubspaceAlignment(3).fit_transform(source, target)
        assert source.shape == target.shape == (50, 3)
        ```

    Reference:
        Fernando, Habrard, Sebban and Tuytelaars, Unsupervised Visual Domain Adaptation Using
        Subspace Alignment, 2013.
    """

    def __init__(self, num_components: int = 10) -> None:
        self.num_components = num_components

    def _fit(self, source: np.ndarray, target: np.ndarray) -> None:
        most = min(source.shape[1], len(source) - 1, len(target) - 1)
        check_components(
            self.num_components, most, "the features and the rows of the smaller domain less one"
        )
        axes = [
            PCA(self.num_components, svd_solver="full").fit(domain) for domain in (source, target)
        ]
        self.source_mean_, self.target_mean_ = (each.mean_ for each in axes)
        self.source_axes_, self.target_axes_ = (each.components_.T for each in axes)
        self.alignment_ = self.source_axes_.T @ self.target_axes_

    def _source(self, features: np.ndarray) -> np.ndarray:
        return (features - self.source_mean_) @ self.source_axes_ @ self.alignment_

    def _target(self, features: np.ndarray) -> np.ndarray:
        return (features - self.target_mean_) @ self.target_axes_
