"""Two domains of correlated features that differ in mean and covariance."""

import numpy as np


def two_domains(features: int = 6, source: int = 80, target: int = 60) -> tuple:
    rng = np.random.default_rng(4)
    mixing = rng.normal(size=(2, features, features))
    return (
        rng.normal(size=(source, features)) @ mixing[0] + 1.0,
        rng.normal(size=(target, features)) @ mixing[1] - 2.0,
    )
