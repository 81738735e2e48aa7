"""Features of validation data, kept for a prediction of the same data."""

from __future__ import annotations

import hashlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.backbones.batch_source import BatchSource
from keras_transgen.transfer.cached_features import CachedFeatures, cache_features, features_digest
from keras_transgen.transfer.contract import FeatureModel

# More bytes of features than this are not kept in memory.
_LARGEST = 2**26
# Rows that the network is asked about twice, to see whether it answers alike.
_ASKED_TWICE = 2


class BatchDigests:
    """Digests of the batches that an extraction reads, and the first rows of them.

    Attributes:
        digests: One a batch; empty if a batch has none.
    """

    def __init__(self) -> None:
        self.digests: tuple[str | None, ...] = ()
        self.first_rows: Any = None

    def __call__(self, x: Any) -> None:
        """Take note of a batch of inputs."""
        if not self.digests:
            self.first_rows = keras.tree.map_structure(lambda leaf: leaf[:_ASKED_TWICE], x)
        self.digests += (batch_digest(x),)


class KeptFeatures:
    """What a model made of data, found again by the bytes of the same batches in the same order.

    Args:
        model: The model.
        seen: What was noted of the batches while their features were extracted.
        found: The features.
        batch_size: Rows a batch of arrays.
    """

    def __init__(
        self, model: FeatureModel, seen: BatchDigests, found: CachedFeatures, batch_size: int
    ) -> None:
        self._digests = seen.digests
        self._features = np.array(found.features)
        self._batch_size = batch_size
        self._model_digest = features_digest(model)

    def of(self, model: FeatureModel, x: Any) -> np.ndarray | None:
        """Features of data, or `None` if these are others or the model would make others of them.

        Args:
            model: The model.
            x: Arrays or a data set.
        """
        is_data_set = isinstance(x, (tf.data.Dataset, keras.utils.PyDataset))
        if not is_data_set and not isinstance(x, (np.ndarray, tf.Tensor)):
            return None
        if isinstance(x, tf.data.Dataset):
            count = int(x.cardinality())
        elif isinstance(x, keras.utils.PyDataset):
            count = x.num_batches or 0
        else:
            count = -(-len(x) // self._batch_size)
        # Before a data set is read, which may take long to begin.
        if count != len(self._digests) or features_digest(model) != self._model_digest:
            return None
        read = 0
        for part, _, _ in BatchSource(x, self._batch_size).batches(0, 0):
            if read == count or batch_digest(part) != self._digests[read]:
                return None
            read += 1
        return self._features if read == count else None


def keep_features(
    model: FeatureModel, seen: BatchDigests, found: CachedFeatures, options: dict[str, Any]
) -> KeptFeatures | None:
    """Features to be used again, unless they are too large or the network answers at random.

    Args:
        model: The model.
        seen: What was noted of the batches.
        found: Their features.
        options: Further arguments of the `cache_features` that made them.
    """
    if not seen.digests or None in seen.digests or found.features.nbytes > _LARGEST:
        return None
    rows = min(_ASKED_TWICE, len(found.labels))
    options = {**options, "cache_dir": None, "data_key": None, "progress": False}
    again = cache_features(model, seen.first_rows, found.labels[:rows], training=False, **options)
    first = np.asarray(found.features[:rows])
    # Another number of rows is summed up in another order.
    if not np.allclose(again.features, first, rtol=1e-3, atol=1e-4 * np.abs(first).max()):
        return None
    return KeptFeatures(model, seen, found, options["batch_size"])


def batch_digest(x: Any) -> str | None:
    """A digest of a batch's values, types and shapes; `None` for what has no plain bytes.

    Args:
        x: Array, tensor or structure of them.
    """
    total = hashlib.sha256()
    for leaf in keras.tree.flatten(x):
        if not isinstance(leaf, (np.ndarray, tf.Tensor)):
            return None
        values = np.ascontiguousarray(leaf)
        if values.dtype.hasobject:
            return None
        total.update(f"{values.dtype.str}{values.shape}".encode())
        total.update(values.data)
    return total.hexdigest()
