"""Distances between samples and data on a backbone's features, in the logs of training."""

from __future__ import annotations

import abc
from typing import Any

import keras
import numpy as np

from keras_transgen.callbacks.asked_conditions import refuse_no_condition
from keras_transgen.evaluation import (
    FeatureExtractor,
    StreamingStatistics,
    frechet_distance_from_statistics,
    kernel_distance,
)


class _SampleDistance(keras.callbacks.Callback, abc.ABC):
    """Takes a distance every few epochs and puts it into the logs under its full name."""

    metric = ""

    def __init__(
        self,
        backbone: Any,
        data: Any,
        condition: Any = None,
        count: int | None = None,
        every: int = 1,
        seed: int = 0,
        name: str | None = None,
        batch_size: int = 64,
    ) -> None:
        super().__init__()
        if len(data) < 2 or every < 1 or (count is not None and count < 2):
            raise ValueError(
                "Expected at least two real images, two samples and every >= 1. "
                f"Received: {len(data)} images, count={count}, every={every}"
            )
        if condition is not None and count is not None and len(condition) != count:
            raise ValueError(
                "There is one sample a condition; leave count out. "
                f"Received: count={count} for {len(condition)} conditions"
            )
        self.extractor = FeatureExtractor(backbone, name, batch_size=batch_size)
        self.data = data
        self.condition = condition
        self.count = len(data) if count is None else count
        self.every = every
        self.seed = seed
        self.history: dict[int, float] = {}
        self._reference: Any = None

    @property
    def log_name(self) -> str:
        """The name in the logs: the metric and its extractor."""
        return f"{self.metric}[{self.extractor.name}]"

    def on_train_begin(self, logs: dict | None = None) -> None:
        refuse_no_condition(self.model, self, self.condition, "the labels of its real images")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if epoch % self.every == 0 or not self.history:
            self.history[epoch] = self.measure()
        if logs is not None:
            logs[self.log_name] = next(reversed(self.history.values()))

    def measure(self) -> float:
        """The distance of the model's samples as it is now."""
        span = getattr(self.model, "value_range", None) or (0.0, 1.0)
        if self._reference is None:
            self._reference = self._summary(_as_trained(self.data, self.model), span)
        what = self.count if self.condition is None else self.condition
        samples = self.model.sample(what, seed=self.seed)
        return self._distance(self._reference, self._summary(samples, span))

    @abc.abstractmethod
    def _summary(self, images: Any, value_range: tuple[float, float]) -> Any:
        """What is kept of the features of images."""

    @abc.abstractmethod
    def _distance(self, real: Any, generated: Any) -> float:
        """The distance of two summaries."""


def _as_trained(data: Any, model: Any) -> Any:
    """Bytes that are no images, in the range of samples, as the model takes them in training.

    Those of images are scaled where they are brought to the extractor's range.
    """
    value_range = getattr(model, "value_range", None)
    if value_range is None or getattr(data, "dtype", None) != np.uint8 or len(data.shape) == 4:
        return data
    low, high = value_range
    return low + (high - low) * np.asarray(data, "float32") / 255.0


class KernelDistance(_SampleDistance):
    """Logs `kernel_distance[extractor]` every few epochs; unbiased, so few samples do.

    Other callbacks find it in the logs: put `keras.callbacks.EarlyStopping(log_name, mode="min")`
    or `ModelCheckpoint` after this one. In the epochs between, the last distance is repeated, so
    that they always find it. `history` holds the distances by epoch.

    Args:
        backbone: A backbone or its name, a Keras layer or model, or any callable from images to
            features.
        data: Real images as the model takes them, `[count, height, width, channels]`.
        condition: What to sample for, with a conditional model; its length is then the count.
        count: Samples; defaults to the number of real images. Numbers taken with different counts
            cannot be compared.
        every: Epochs from one distance to the next; the first epoch always has one.
        seed: Of the samples.
        name: What the extractor is called in the logs; defaults to the backbone's name.
        batch_size: Images per call of the backbone.

    Raises:
        ValueError: If an argument is out of range or the backbone has no name.

    Example:
        ```python
        import keras
        import keras_transgen as ktg

        images, _ = ktg.datasets.load_digits()
        gan = ktg.GAN((8, 8, 1), filters=4, value_range=(0.0, 1.0))
        distance = ktg.callbacks.KernelDistance(
            keras.layers.Flatten(name="pixels"), images[:200], every=2
        )
        stop = keras.callbacks.EarlyStopping("kernel_distance[pixels]", mode="min", patience=4)
        gan.fit(images, batch_size=256, epochs=2, verbose=0, callbacks=[distance, stop])
        ```

    Reference:
        Binkowski et al., Demystifying MMD GANs, 2018.
    """

    metric = "kernel_distance"

    def _summary(self, images: Any, value_range: tuple[float, float]) -> np.ndarray:
        return np.concatenate(list(self.extractor.batches(images, value_range)))

    def _distance(self, real: np.ndarray, generated: np.ndarray) -> float:
        return float(kernel_distance(real, generated))


class FrechetDistance(_SampleDistance):
    """Logs `frechet_distance[extractor]` every few epochs; needs more samples than features.

    It is used as `KernelDistance` is.

    Args:
        backbone: As in `KernelDistance`, with the arguments that follow.
        data: As there.
        condition: As there.
        count: As there.
        every: As there.
        seed: As there.
        name: As there.
        batch_size: As there.

    Raises:
        ValueError: If an argument is out of range or the backbone has no name.

    Example:
        ```python
        import keras
        import keras_transgen as ktg

        images, _ = ktg.datasets.load_digits()
        gan = ktg.GAN((8, 8, 1), filters=4, value_range=(0.0, 1.0))
        distance = ktg.callbacks.FrechetDistance(
            keras.layers.Flatten(name="pixels"), images[:200]
        )
        gan.fit(images, batch_size=256, verbose=0, callbacks=[distance])
        ```

    Reference:
        Heusel et al., GANs trained by a two time-scale update rule, 2017.
    """

    metric = "frechet_distance"

    def _summary(self, images: Any, value_range: tuple[float, float]) -> StreamingStatistics:
        statistics = StreamingStatistics()
        for features in self.extractor.batches(images, value_range):
            statistics.update(features)
        return statistics

    def _distance(self, real: StreamingStatistics, generated: StreamingStatistics) -> float:
        return frechet_distance_from_statistics(
            real.mean, real.covariance, generated.mean, generated.covariance
        )
