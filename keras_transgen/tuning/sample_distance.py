"""Searches whose objective is the distance of samples to real data, on a network's features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf

from keras_transgen.backbones import load_backbone
from keras_transgen.callbacks.sample_quality import KernelDistance
from keras_transgen.datasets.as_arrays import as_arrays
from keras_transgen.training.counts import check_count, is_count
from keras_transgen.tuning.package_hyper_model import PackageHyperModel


class SampleDistanceHyperModel(PackageHyperModel):
    """A `PackageHyperModel` whose objective is the kernel distance of samples to real data.

    It is taken on the `validation_data` of `tuner.search`, else on the training data. A search that
    derives from it calls `prepare_distance` before its constructor's base.
    """

    image_shape: tuple[int, ...]
    samples: int
    every: int

    def prepare_distance(
        self, image_shape: Sequence[int], extractor: Any, samples: int, every: int
    ) -> dict[str, Any]:
        """Find out whose features are compared, and of how many samples.

        Args:
            image_shape: Shape of the examples.
            extractor: What `load_backbone` takes, a Keras layer, or `None` for the default.
            samples: How many samples, and at most as many real examples, are compared.
            every: Epochs from one measurement to the next.

        Returns:
            What of it makes the search what it is, as JSON values.

        Raises:
            ValueError: If a number is too small.
        """
        check_count("samples", samples, 2)
        check_count("every", every)
        self.image_shape = checked_shape(image_shape)
        self.samples = samples
        self.every = every
        self.extractor = _extractor(extractor, self.image_shape)
        # One for all trials, which keeps the features of the real images.
        self._distances: list[tuple[Any, KernelDistance]] = []
        self._log_name = _log_name(self.extractor)
        return {
            "image_shape": list(self.image_shape),
            "objective": self._log_name,
            "samples": samples,
        }

    @property
    def objective(self) -> keras_tuner.Objective:
        """The kernel distance of samples to real images, on the extractor's features."""
        return keras_tuner.Objective(self._log_name, "min")

    def logged(self, model: Any, validated: bool) -> set[str]:
        return {self._log_name}

    def refused(self, model: Any) -> set[str]:
        names = {metric.name for metric in model.metrics}
        return names | {f"val_{name}" for name in names}

    def watchers(self, x: Any, y: Any, kwargs: dict[str, Any]) -> list[keras.callbacks.Callback]:
        validation_data = kwargs.get("validation_data")
        return [self._distance((x, y) if validation_data is None else validation_data)]

    def _distance(self, data: Any) -> KernelDistance:
        parts = data if isinstance(data, (tuple, list)) else (data,)
        for seen, distance in self._distances:
            if len(seen) == len(parts) and all(one is other for one, other in zip(seen, parts)):
                distance.history.clear()
                return distance
        images, condition = self._real(parts)
        options = {"count": self.samples} if condition is None else {"condition": condition}
        distance = KernelDistance(self.extractor, images, every=self.every, **options)
        self._distances.append((parts, distance))
        return distance

    def _real(self, parts: Sequence[Any]) -> tuple[np.ndarray, Any]:
        """Real images to compare with, and what samples are to be conditioned on."""
        return some_rows(parts, self.samples)[0], None


def checked_shape(shape: Any) -> tuple[int, ...]:
    """The shape of examples as whole numbers.

    Raises:
        ValueError: If it is no sequence of sizes.
    """
    if not isinstance(shape, Sequence) or not all(map(is_count, shape)):
        raise ValueError(
            f"The shape of examples must be sizes, such as (28, 28, 1). Received: {shape!r:.100}"
        )
    return tuple(int(size) for size in shape)


def some_rows(parts: Sequence[Any], count: int) -> list[np.ndarray]:
    """Random rows of `(x,)` or `(x, y)` as arrays, always the same; a data set stands alone.

    A set is often sorted by class, and its first rows are then no sample of it. Of a data set
    twenty times as many rows are looked at, at most, and as many kept as are asked for.

    Raises:
        keras_tuner.errors.FatalValueError: If there are fewer than two rows, or arrays of other
            lengths.
    """
    kept = _chosen_rows(parts, count)
    if not kept or len(kept[0]) < 2:
        raise keras_tuner.errors.FatalValueError(
            "Samples are compared with real examples: give tuner.search two of them at least. "
            f"Received: {len(kept[0]) if kept else 0} examples"
        )
    return kept


def _chosen_rows(parts: Sequence[Any], count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    given = [as_arrays(part) for part in parts if part is not None]
    if not given:
        raise keras_tuner.errors.FatalValueError(
            "Samples are compared with real examples: give them to tuner.search. Received: no data"
        )
    if isinstance(given[0], (np.ndarray, tf.Tensor)):
        rows = len(given[0])
        if any(len(part) != rows for part in given):
            raise keras_tuner.errors.FatalValueError(
                "All arrays must have the same number of rows (the first dimension). "
                f"Received: {[len(part) for part in given]}"
            )
        chosen = np.sort(rng.choice(rows, min(count, rows), replace=False))
        return [np.asarray(part)[chosen] for part in given]
    kept: list[np.ndarray] = []
    keys = np.zeros(0)
    seen = 0
    for batch in _batches(given[0]):
        leaves = batch if isinstance(batch, (tuple, list)) else (batch,)
        columns = [np.asarray(leaf) for leaf in leaves]
        keys = np.concatenate([keys, rng.random(len(columns[0]))])
        kept = [np.concatenate(pair) for pair in zip(kept, columns)] if kept else columns
        if len(keys) > count:
            smallest = np.sort(np.argpartition(keys, count)[:count])
            keys, kept = keys[smallest], [column[smallest] for column in kept]
        seen += len(columns[0])
        if seen >= 20 * count:
            break
    return kept


def _batches(data: Any) -> Any:
    if isinstance(data, keras.utils.PyDataset):
        return (data[index] for index in range(int(data.num_batches)))
    return iter(data)


def _extractor(given: Any, image_shape: tuple[int, ...]) -> keras.layers.Layer:
    if given is None:
        given = "digits" if len(image_shape) == 3 else keras.layers.Flatten(name="values")
    is_layer = isinstance(given, keras.layers.Layer) and not isinstance(given, keras.Model)
    return given if is_layer else load_backbone(given)


def _log_name(extractor: keras.layers.Layer) -> str:
    # Two rows, since only the name is wanted.
    return KernelDistance(extractor, np.zeros((2, 1))).log_name
