"""A transfer model's features, extracted once: with what a fit on them needs, and in batches."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.backbones.extraction import Features, extract_features
from keras_transgen.backbones.network_digest import layer_digest
from keras_transgen.training.example_weights import weights_by_class
from keras_transgen.training.padded_sequences import (
    gives_padded,
    is_padded,
    lengths_of,
    ragged,
    read_whole,
    values_and_mask,
)
from keras_transgen.training.progress import Progress
from keras_transgen.transfer.contract import FeatureModel
from keras_transgen.transfer.raw_input import warn_of_unknown_range
from keras_transgen.transfer.sequence_labels import NOT_COUNTED, positions_as_rows

# Rows that lie together on the disk are read together; blocks and the rows within are shuffled.
_BLOCK_ROWS = 4096


@dataclasses.dataclass(frozen=True, eq=False)
class CachedFeatures:
    """Features with labels and weights.

    Attributes:
        features: `[rows, size]`, mapped from the disk.
        labels: Labels as they were given, `[rows, ...]`.
        targets: Labels as rows `[rows, outputs]`: probabilities, zeros and ones, or numbers.
        weights: Product of the sample's and its class's weight, `[rows]`.
        views: Rows that follow one another and show the same example.
        source: What keeps the files on the disk; `None` for features in memory.
    """

    features: Any
    labels: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    views: int
    source: Features | None


@dataclasses.dataclass(frozen=True, eq=False)
class ExtractedRows:
    """Features at hand, which a model takes for `x` in place of the examples that they are of.

    Attributes:
        features: `[rows, size]`, as `cache_features` gives them for the same model.
    """

    features: np.ndarray


class _JoinedFeatures:
    """The part of a transfer model that makes features, as the extraction wants to see it."""

    def __init__(self, model: FeatureModel) -> None:
        self._model = model
        self.dtype_policy = model.backbone.dtype_policy

    def __call__(self, x: Any, training: bool = False) -> Any:
        return self._model.features(x, training=False, prepared=True)

    def check_inputs(self, x: Any) -> None:
        x, _ = values_and_mask(x)
        warn_of_unknown_range(self._model.backbone, self._model.preprocessing, x)
        self._model.backbone.check_inputs(x)

    def digest(self) -> str:
        join = self._model.feature_join.get_config()
        text = f"{self._model.backbone.digest()} {join['pooling']} {join['normalize']}"
        # A delta that computes beside the backbone changes none of its weights.
        text += self._model.features_state()
        return hashlib.sha256(text.encode()).hexdigest()


def features_digest(model: FeatureModel) -> str:
    """A digest of what a model's features depend on, besides the data.

    Args:
        model: The model.
    """
    joined = _JoinedFeatures(model)
    text = f"{joined.digest()} {joined.dtype_policy.name}"
    if model.preprocessing is not None:
        text += f" {layer_digest(model.preprocessing)}"
    return hashlib.sha256(text.encode()).hexdigest()


def cache_features(
    model: FeatureModel,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    class_weight: dict[int, float] | None = None,
    *,
    batch_size: int = 32,
    views: int = 1,
    cache_dir: str | os.PathLike[str] | None = None,
    data_key: str | None = None,
    seed: int = 0,
    progress: bool = False,
    training: bool = True,
    compiled: dict[str, Any] | None = None,
    watch: Callable[[Any], None] | None = None,
) -> CachedFeatures:
    """Run data through a model's preprocessing and backbone once, and check the labels.

    Args:
        model: The model.
        x: Raw input, or a data set of batches; or features at hand, `ExtractedRows`.
        y: Labels, where `x` does not bring them.
        sample_weight: Weight of each example, where `x` does not bring them.
        class_weight: Weight of each class.
        batch_size: Examples a batch of arrays.
        views: Views of each example, by the model's augmentation.
        cache_dir: As in `extract_features`.
        data_key: As in `extract_features`.
        seed: Seed of the augmentation.
        progress: Whether to show a progress bar.
        training: Whether these data are to be trained on.
        compiled: As in `extract_features`.
        watch: As in `extract_features`.

    Returns:
        The features.

    Raises:
        ValueError: The data or labels do not fit the model.
    """
    # What prepares inputs is not told of masks.
    carries = model.backbone.carries_masks() and model.preprocessing is None
    if gives_padded(x) and (not carries or model.task == "sequence_labelling"):
        x, y, sample_weight = read_whole(x)
        lengths = lengths_of(x)
        if model.task == "sequence_labelling" and lengths is not None:
            # Whatever stands behind the ends of the sequences.
            y = np.where(np.arange(y.shape[1]) < lengths[:, None], y, NOT_COUNTED)
    if y is not None and isinstance(x, (tf.data.Dataset, keras.utils.PyDataset)):
        raise ValueError(
            "A data set brings its own labels: leave y out, or give arrays. "
            f"Received: x of type {type(x).__name__} and y"
        )
    if y is None:
        _refuse_one_time_data(x)
    else:
        # Before hours of extraction, where it is known already.
        model.check_labels(np.asarray(y), training)
    if isinstance(x, ExtractedRows):
        return _as_cached(model, x.features, np.asarray(y), sample_weight, class_weight, 1, None)
    if is_padded(x) and views > 1:
        raise ValueError(
            "Feature transfer varies examples of one length only. Pad them to one, "
            "keras.utils.pad_sequences(x, dtype='float32', padding='post'), or take "
            "ParameterTransfer, or leave the augmentation out. "
            f"Received: examples of several lengths, views={views}"
        )
    if is_padded(x) and not carries:
        found = extract_features(
            _JoinedFeatures(model),  # type: ignore[arg-type]
            ragged(x),
            cache_dir=cache_dir,
            batch_size=batch_size,
            preprocessing=model.preprocessing,
            progress=False,
            compiled=compiled,
        )
        features = found.features
        if isinstance(features, tf.RaggedTensor):
            features = features.to_tensor().numpy()
        return _as_cached(model, features, np.asarray(y), sample_weight, class_weight, 1, None)
    data = x if y is None else (x, y) if sample_weight is None else (x, y, sample_weight)
    found = extract_features(
        _JoinedFeatures(model),  # type: ignore[arg-type]
        data,
        cache_dir=cache_dir,
        batch_size=batch_size,
        preprocessing=model.preprocessing,
        views=views,
        augmentation=model.augmentation if views > 1 else None,
        seed=seed,
        data_key=data_key,
        progress=progress,
        compiled=compiled,
        watch=watch,
    )
    model.check_labels(found.labels, training)
    labels = np.asarray(found.labels)
    return _as_cached(
        model, found.features, labels, found.sample_weight, class_weight, views, found
    )


def _as_cached(
    model: FeatureModel,
    features: Any,
    labels: np.ndarray,
    sample_weight: Any,
    class_weight: dict[int, float] | None,
    views: int,
    source: Features | None,
) -> CachedFeatures:
    if model.task == "sequence_labelling":
        # Each position is a row of its own, and a class to tell.
        features, labels, sample_weight = positions_as_rows(features, labels, sample_weight)
        targets = targets_of(labels, "classification", model.num_classes)
    else:
        targets = targets_of(labels, model.task, model.num_classes)
    weights = weights_of(targets, sample_weight, class_weight)
    return CachedFeatures(features, labels, targets, weights, views, source)


def targets_of(labels: np.ndarray, task: str, outputs: int) -> np.ndarray:
    """Labels as rows `[count, outputs]` in float64.

    Args:
        labels: Checked labels.
        task: Name of the task.
        outputs: Number of classes, labels or targets.
    """
    if task == "classification" and not (labels.ndim == 2 and labels.shape[1] == outputs):
        return np.eye(outputs)[labels.reshape(-1).astype("int64")]
    return labels.astype("float64").reshape(len(labels), outputs)


def weights_of(
    targets: np.ndarray, sample_weight: Any, class_weight: dict[int, float] | None
) -> np.ndarray:
    """Weight of each example, as Keras combines sample and class weights.

    Args:
        targets: `[count, outputs]`.
        sample_weight: `[count]`, or `None`.
        class_weight: Weight by class; classes left out weigh one.

    Raises:
        ValueError: The weights are negative or all zero.
    """
    weights = np.ones(len(targets))
    if sample_weight is not None:
        weights = weights * np.asarray(sample_weight, "float64").reshape(-1)
    if class_weight is not None:
        by_class = weights_by_class(class_weight, targets.shape[1])
        weights = weights * by_class[targets.argmax(axis=1)]
    if weights.min() < 0 or weights.max() == 0:
        raise ValueError(
            "Weights must not be negative, and one at least must be positive. "
            f"Received: weights in [{weights.min():g}, {weights.max():g}]"
        )
    return weights


def _refuse_one_time_data(x: Any) -> None:
    if isinstance(x, (tf.data.Dataset, keras.utils.PyDataset)) or hasattr(x, "shape"):
        return
    if hasattr(x, "__next__"):
        raise ValueError(
            "A Python generator gives its batches once, so features cannot be extracted before "
            "training. Give arrays, a tf.data.Dataset or a keras.utils.PyDataset, or use "
            f"head_initialization='random' in another kind of transfer. Received: x of type "
            f"{type(x).__name__}"
        )


class FeatureBatches(keras.utils.PyDataset):
    """Batches of `(features, labels, weights)` from a memory-mapped cache.

    Args:
        found: The features.
        batch_size: Rows a batch.
        shuffle: Whether each epoch takes another order, given by the run's seed and step.
        progress: The counters of the run.
    """

    def __init__(
        self, found: CachedFeatures, batch_size: int, shuffle: bool, progress: Progress
    ) -> None:
        super().__init__()
        self._found = found
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._progress = progress
        self._order: np.ndarray | None = None

    def on_epoch_begin(self) -> None:
        """Draw the epoch's order; Keras calls this before it takes the first batch."""
        if self._shuffle:
            key = [int(self._progress.seed.numpy()) & 0xFFFFFFFF, self._progress.epoch_start()]
            self._order = _order(len(self._found.labels), np.random.default_rng(key))

    @property
    def num_batches(self) -> int:
        """Batches in an epoch."""
        return math.ceil(len(self._found.labels) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
        rows: Any = slice(index * self._batch_size, (index + 1) * self._batch_size)
        if self._order is not None:
            # Ascending, which is how a disk reads best.
            rows = np.sort(self._order[rows])
        found = self._found
        return np.asarray(found.features[rows]), found.labels[rows], found.weights[rows]


def _order(rows: int, random: np.random.Generator) -> np.ndarray:
    blocks = [
        np.arange(start, min(start + _BLOCK_ROWS, rows)) for start in range(0, rows, _BLOCK_ROWS)
    ]
    return np.concatenate([random.permutation(blocks[i]) for i in random.permutation(len(blocks))])
