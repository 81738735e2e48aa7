"""Fits the head of a transfer model as a linear probe, and puts the solution into it."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_transgen.transfer.cached_features import CachedFeatures, cache_features
from keras_transgen.transfer.contract import FeatureModel
from keras_transgen.transfer.heads import dense_of
from keras_transgen.transfer.linear_probe import LinearProbe, fit_linear_probe


def fit_head_as_probe(
    model: FeatureModel,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    class_weight: dict[int, float] | None = None,
    **options: Any,
) -> LinearProbe:
    """Fit a model's dense head on features of data, extracted once.

    Args:
        model: The model; its head is one dense layer, after dropout at most.
        x: Raw input or a data set, as `fit` takes it.
        y: Labels.
        sample_weight: Weight of each example.
        class_weight: Weight of each class.
        **options: Further arguments of `cache_features`.

    Returns:
        The probe that is now the head.

    Raises:
        ValueError: The head is not linear, or the data do not fit the model.

    Reference:
        Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform
        Out-of-Distribution, 2022.
    """
    if dense_of(model.head) is None:
        raise ValueError(
            "Only a dense head can be fitted as a linear probe: use head_initialization='random' "
            f"with a head of one's own. Received: head {model.head.name!r} of type "
            f"{type(model.head).__name__}"
        )
    found = cache_features(model, x, y, sample_weight, class_weight, **options)
    return fit_dense_head(model, found)


def fit_dense_head(
    model: FeatureModel, found: CachedFeatures, l2: float | str = "sweep", seed: int = 0
) -> LinearProbe:
    """Fit a model's dense head on features at hand.

    Args:
        model: The model.
        found: Features with targets and weights.
        l2: As in `fit_linear_probe`.
        seed: As in `fit_linear_probe`.
    """
    dense = dense_of(model.head)
    assert dense is not None
    probe = fit_linear_probe(
        found.features,
        found.targets,
        task="classification" if model.task == "sequence_labelling" else model.task,
        l2=l2,
        weights=found.weights,
        views=found.views,
        seed=seed,
    )
    dense.kernel.assign(np.asarray(probe.kernel, "float32"))
    dense.bias.assign(np.asarray(probe.bias, "float32"))
    return probe
