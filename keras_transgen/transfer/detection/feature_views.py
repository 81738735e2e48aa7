"""The scales of a frozen backbone, extracted once, for flipped and cropped images too."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.backbones.extraction import Features, extract_features
from keras_transgen.training.batch_assertions import own_words
from keras_transgen.training.progress import Progress
from keras_transgen.transfer.detection.augmentation import BoxAugmentation
from keras_transgen.transfer.detection.objects import padded_batches


class _Scales:
    """The part of a detector that makes features, as the extraction wants to see it.

    Args:
        layer: The layer of several scales.
        scaled: Brings images to the layer's range.
    """

    def __init__(self, layer: Any, scaled: Callable[[Any], Any]) -> None:
        self._layer, self._scaled = layer, scaled
        self.dtype_policy = layer.backbone.dtype_policy

    def __call__(self, images: Any, training: bool = False) -> dict[str, Any]:
        maps = self._layer(self._scaled(images), training=False)
        return {scale_name(place): each for place, each in enumerate(maps)}

    def digest(self) -> str:
        text = f"{self._layer.backbone.digest()} {self._layer.value_range}"
        return hashlib.sha256(text.encode()).hexdigest()


def scale_name(place: int) -> str:
    """What the maps of a scale are called in a batch of features; they sort as the scales do."""
    return f"scale_{place:02d}"


def extract_views(
    layer: Any,
    data: tf.data.Dataset,
    scaled: Callable[[Any], Any],
    *,
    augmentation: BoxAugmentation | None = None,
    views: int = 1,
    max_boxes: int,
    batch_size: int = 16,
    seed: int = 0,
    cache_dir: str | os.PathLike[str] | None = None,
    data_key: str | None = None,
    progress: bool = False,
    given: Any = None,
) -> list[Features]:
    """Run images through the frozen backbone once for each view, to the disk, as float16.

    The first view is the plain one. The others are flipped in turn in all ways that the
    augmentation knows, and cropped and lit at random as it says.

    Args:
        layer: A frozen `MultiScaleFeatures`.
        data: As `objects.fitted` returns it.
        scaled: Brings images to the layer's range.
        augmentation: Makes the other views.
        views: How many there are.
        max_boxes: Boxes are padded to so many.
        batch_size: Images a batch.
        seed: Of crops and lights.
        cache_dir: As in `extract_features`.
        data_key: As in `extract_features`.
        progress: Whether to show a progress bar.
        given: The data set that `data` was made of, for messages about damaged files.

    Returns:
        For each view the features, a dict of arrays `[images, height, width, channels]`, and the
        boxes and labels as they lie in it.
    """
    batches = padded_batches(data, batch_size, max_boxes)
    compiled: dict[str, Any] = {}
    found = []
    for view in range(views):
        varied = batches
        if view:
            assert augmentation is not None
            varied = _varied(batches, scaled, augmentation, view, seed)
        with own_words(given):
            found.append(
                extract_features(
                    _Scales(layer, scaled),  # type: ignore[arg-type]
                    varied,
                    cache_dir=cache_dir,
                    data_key=None
                    if data_key is None
                    else f"{data_key} (view {view} of {seed}{_described(augmentation, view)})",
                    dtype="float16",
                    progress=progress,
                    compiled=compiled,
                )
            )
    return found


def _described(augmentation: BoxAugmentation | None, view: int) -> str:
    """How a view is varied, so that features of another way are not taken for its own."""
    if not view or augmentation is None:
        return ""
    config = {name: each for name, each in augmentation.get_config().items() if name != "name"}
    return f" by {json.dumps(config, sort_keys=True, default=str)}"


def _varied(
    batches: tf.data.Dataset,
    scaled: Callable[[Any], Any],
    augmentation: BoxAugmentation,
    view: int,
    seed: int,
) -> tf.data.Dataset:
    flips = augmentation.flips()
    chosen = flips[view % len(flips)]

    def vary(number: Any, batch: Any) -> Any:
        images, objects = batch
        place = tf.stack([tf.cast(seed + view, tf.int64), number])
        images, boxes, labels = augmentation(
            scaled(images), objects["boxes"], objects["labels"], seed=place, flips=chosen
        )
        return images, {"boxes": boxes, "labels": labels}

    return batches.enumerate().map(vary)


class ViewBatches(keras.utils.PyDataset):
    """Batches of features of all views, with boxes and labels.

    Args:
        found: What `extract_views` returned.
        batch_size: Images a batch.
        shuffle: Whether each epoch takes another order, given by the run's seed and step.
        progress: The counters of the run.
    """

    def __init__(
        self, found: list[Features], batch_size: int, shuffle: bool, progress: Progress
    ) -> None:
        super().__init__()
        self._found = found
        self._images = len(found[0].labels["labels"])
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._progress = progress
        self._order: np.ndarray | None = None
        # Padding that no image needs costs time in each step.
        self._objects = max(
            [1]
            + [
                int(np.flatnonzero((each.labels["labels"] >= 0).any(axis=0)).max(initial=-1)) + 1
                for each in found
            ]
        )

    @property
    def num_batches(self) -> int:
        """Batches in an epoch."""
        return math.ceil(self._images * len(self._found) / self._batch_size)

    def on_epoch_begin(self) -> None:
        """Draw the epoch's order; Keras calls this before it takes the first batch."""
        if self._shuffle:
            key = [int(self._progress.seed.numpy()) & 0xFFFFFFFF, self._progress.epoch_start()]
            rows = self._images * len(self._found)
            self._order = np.random.default_rng(key).permutation(rows)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        rows = np.arange(index * self._batch_size, (index + 1) * self._batch_size)
        rows = rows[rows < self._images * len(self._found)]
        if self._order is not None:
            # Ascending, which is how a disk reads best.
            rows = np.sort(self._order[rows])
        views, images = np.divmod(rows, self._images)
        parts = [self._part(view, images[views == view]) for view in np.unique(views)]
        features, objects = zip(*parts)
        return _joined(features), _joined(objects)

    def _part(self, view: int, images: np.ndarray) -> tuple[dict[str, Any], dict[str, Any]]:
        found = self._found[view]
        return (
            {name: np.asarray(each[images]) for name, each in found.features.items()},
            {
                name: np.asarray(each[images, : self._objects])
                for name, each in found.labels.items()
            },
        )


def _joined(parts: Any) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
