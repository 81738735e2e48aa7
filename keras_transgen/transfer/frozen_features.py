"""Features of the same examples, extracted once for all models that make the same of them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_transgen.transfer.cached_features import (
    CachedFeatures,
    ExtractedRows,
    cache_features,
    features_digest,
)
from keras_transgen.transfer.feature_transfer import FeatureTransfer
from keras_transgen.transfer.labelled_examples import LabelledExamples
from keras_transgen.transfer.transfer_model import TransferModel

# Rows that go through a head together.
_ROWS_AT_ONCE = 4096


class FrozenFeatures:
    """Keeps what networks make of some examples, by all that their features depend on.

    The features are on the disk, in a temporary folder that goes with this object, unless a model
    has a `cache_dir`.

    Args:
        examples: The examples.
    """

    def __init__(self, examples: LabelledExamples) -> None:
        self._examples = examples
        # Of each network: for each part of the rows, their numbers and their features.
        self._found: dict[str, list[tuple[np.ndarray, CachedFeatures]]] = {}

    def extract(self, model: Any, rows: np.ndarray | None, batch_size: int) -> None:
        """Extract features of those rows of which no model that makes the same ones did.

        All rows of a data set may come in any order, since they bring their labels.

        Args:
            model: A transfer model.
            rows: Numbers of the rows, ascending, each once; `None` for all there are.
            batch_size: Examples a batch of arrays.

        Raises:
            ValueError: The data do not fit the model, or a data set changed its order.
        """
        found = self._found.setdefault(features_digest(model), [])
        missing = rows
        if found:
            if rows is None:
                return
            missing = np.setdiff1d(rows, np.concatenate([part[0] for part in found]))
            if not len(missing):
                return
        chosen = self._examples.chosen(missing)
        x, y = (chosen, None) if self._examples.is_data_set else chosen
        cached = cache_features(
            model,
            x,
            y,
            batch_size=batch_size,
            cache_dir=getattr(model, "cache_dir", None),
            training=False,
        )
        if missing is None:
            missing = np.arange(len(cached.labels))
        else:
            self._examples.refuse_other_order(missing, cached.labels)
        found.append((missing, cached))

    def of(self, model: Any, rows: np.ndarray) -> ExtractedRows:
        """Features of some of the rows, by a model for which they were extracted.

        Args:
            model: A transfer model.
            rows: Numbers of the rows.
        """
        return ExtractedRows(self._taken(features_digest(model), rows)[0])

    def classify(self, model: Any, rows: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The classes that a model's `classify` gives, from features at hand, and the true ones.

        Args:
            model: A transfer model of which `keeps_features` is true.
            rows: Numbers of the rows; `None` for all that were extracted at once.
        """
        digest = features_digest(model)
        if rows is None:
            rows = self._found[digest][0][0]
        found, expected = [], []
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            features, labels = self._taken(digest, rows[start : start + _ROWS_AT_ONCE])
            logits = model.head(keras.ops.convert_to_tensor(features), training=False)
            found.append(keras.ops.convert_to_numpy(model.task_probabilities(logits)))
            expected.append(labels)
        return np.concatenate(found).argmax(axis=-1), np.concatenate(expected)

    def _taken(self, digest: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = self._found[digest]
        first = parts[0][1].features
        features = np.empty((len(rows), *first.shape[1:]), first.dtype)
        labels = np.empty(len(rows), parts[0][1].labels.dtype)
        for numbers, cached in parts:
            is_here = np.isin(rows, numbers)
            places = np.searchsorted(numbers, rows[is_here])
            features[is_here] = cached.features[places]
            labels[is_here] = cached.labels[places].reshape(-1)
        return features, labels


def keeps_features(model: Any) -> bool:
    """Whether a model's features are the same after `fit`, and its logits its head's of them.

    Args:
        model: A new model.
    """
    if type(model) is FeatureTransfer:
        return model.task == "classification" and model.built
    return (
        type(model) is TransferModel
        and model.task == "classification"
        and model.built
        and not model.backbone.trainable_variables
        and model.backbone.normalization == "frozen"
    )


def starts_from_features(model: Any) -> bool:
    """Whether a model's `fit` begins with a linear probe.

    Args:
        model: A new model.
    """
    return isinstance(model, TransferModel) and model.built and model.head_initialization == "probe"
