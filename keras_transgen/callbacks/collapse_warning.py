"""A warning when samples become alike while the data are not."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from keras_transgen.callbacks.asked_conditions import refuse_no_condition


def diversity(examples: Any, groups: Any = None) -> float:
    """Root mean squared distance of two different examples `[count, ...]`, within groups if given.

    Groups are integers `[count]`, and weigh by their size.
    """
    values = np.asarray(examples, dtype="float64").reshape(len(examples), -1)
    labels = np.zeros(len(values), int) if groups is None else np.asarray(groups).reshape(-1)
    total, count = 0.0, 0
    for label in np.unique(labels):
        members = values[labels == label]
        if len(members) > 1:
            # The mean squared distance of pairs is twice the unbiased variance.
            total += len(members) * 2.0 * members.var(axis=0, ddof=1).sum()
            count += len(members)
    if not count:
        raise ValueError(
            "Diversity needs two examples of one group at least. "
            f"Received: {len(values)} examples in {len(np.unique(labels))} groups"
        )
    return float(np.sqrt(total / count))


def integer_classes(condition: Any) -> np.ndarray | None:
    """A condition that is integer classes `[count]`; `None` for any other, and for none."""
    values = np.asarray(condition)
    return values if values.ndim == 1 and values.dtype.kind in "iu" else None


class CollapseWarning(keras.callbacks.Callback):
    """Logs `diversity_ratio`, the samples' diversity over the data's, and warns when it is small.

    The ratio is about 1 for samples as different from each other as real examples are, and 0 for
    a generator that makes one example only. For a conditional model it is taken within conditions,
    where a collapse hides from a look at all classes together.

    Args:
        data: Real examples `[count, ...]` as the model takes them, a few hundred.
        condition: Their conditions, for a conditional model. Integer classes are compared within.
        threshold: Warn below this ratio. Defaults to 0.5.
        every: Epochs from one look to the next.
        seed: Of the samples.

    Raises:
        ValueError: If there are fewer than two examples, or an argument is out of range.

    Example:
        ```python
        import keras_transgen as ktg

        images, _ = ktg.datasets.load_digits()
        gan = ktg.GAN((8, 8, 1), filters=4, value_range=(0.0, 1.0))
        watch = ktg.callbacks.CollapseWarning(images[:256], threshold=0.1)
        gan.fit(images, batch_size=256, verbose=0, callbacks=[watch])
        ```

    Reference:
        Salimans et al., Improved techniques for training GANs, 2016 (mode collapse).
    """

    def __init__(
        self,
        data: Any,
        condition: Any = None,
        threshold: float = 0.5,
        every: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if len(data) < 2 or not 0.0 < threshold < 1.0 or every < 1:
            raise ValueError(
                "Expected at least two examples, a threshold between 0 and 1 and every >= 1. "
                f"Received: {len(data)} examples, threshold={threshold}, every={every}"
            )
        if condition is not None and len(condition) != len(data):
            raise ValueError(
                "There must be a condition for every example. "
                f"Received: {len(data)} examples, {len(condition)} conditions"
            )
        self.data = data
        self.condition = condition
        self.threshold = threshold
        self.every = every
        self.seed = seed
        self._groups = integer_classes(condition)
        self._real: float | None = None
        self._last: float | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        refuse_no_condition(self.model, self, self.condition, "the labels of its examples")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if epoch % self.every == 0 or self._last is None:
            self._last = self._ratio()
            if self._last < self.threshold:
                warnings.warn(
                    f"The samples of epoch {epoch + 1} differ from each other only "
                    f"{self._last:.2f} times as much as real examples do: the generator may have "
                    "collapsed. Lower the learning rates, or add gradient_penalty='r1', "
                    "augmentation= or label_smoothing=.",
                    stacklevel=2,
                )
        if logs is not None:
            logs["diversity_ratio"] = self._last

    def _ratio(self) -> float:
        if self._real is None:
            self._real = diversity(self.model.scaled(self.data), self._groups)
            if self._real == 0.0:
                raise ValueError("The real examples are all equal; there is nothing to compare")
        what = len(self.data) if self.condition is None else self.condition
        # Scaled like the examples: a model of features has a scale of its own.
        samples = self.model.scaled(self.model.sample(what, seed=self.seed))
        return diversity(samples, self._groups) / self._real
