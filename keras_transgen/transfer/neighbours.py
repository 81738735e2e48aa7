"""Heads that are fitted by remembering: the nearest class mean, and the nearest examples."""

from __future__ import annotations

import contextlib
from typing import Any

import keras
import numpy as np

METRICS = ("euclidean", "cosine")


class _RememberingHead(keras.layers.Layer):
    """A head without training: `remember` takes over what it needs of features and labels."""

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.num_classes = num_classes

    def _build_for(self, features: Any) -> None:
        if not self.built:
            self.build((None, features.shape[-1]))
            self.built = True

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (input_shape[0], self.num_classes)

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the layer from."""
        return {**super().get_config(), "num_classes": self.num_classes}


@keras.saving.register_keras_serializable(package="keras_transgen")
class NearestCentroid(_RememberingHead):
    """Logits are minus half the squared distances to the classes' mean features.

    That is Gaussian classes of unit variance, so softmax gives their probabilities.

    Args:
        num_classes: Number of classes.
        **kwargs: `name`, as in `keras.layers.Layer`.

    Example:
        ```python
        import numpy as np
        from keras_transgen.transfer.neighbours import NearestCentroid

        head = NearestCentroid(2)
        features = np.array([[0.0, 0.0], [0.0, 2.0], [4.0, 0.0]], "float32")
        head.remember(features, np.array([0, 0, 1]))
        assert head(features).numpy().argmax(axis=1).tolist() == [0, 0, 1]
        ```

    Reference:
        Snell, Swersky and Zemel, Prototypical Networks for Few-shot Learning, 2017.
    """

    def build(self, input_shape: Any) -> None:
        self.centroids = self.add_weight(
            shape=(self.num_classes, input_shape[-1]),
            initializer="zeros",
            trainable=False,
            name="centroids",
        )

    def remember(self, features: Any, labels: np.ndarray, weights: Any = None) -> None:
        """Take over the mean features of each class.

        Args:
            features: `[count, size]`.
            labels: Class of each, `[count]`.
            weights: Weight of each in its class's mean, `[count]`; equal if `None`.

        Raises:
            ValueError: A class has no example.
        """
        self._build_for(features)
        weights = np.ones(len(labels)) if weights is None else np.asarray(weights, "float64")
        members = np.eye(self.num_classes)[labels] * weights[:, None]
        totals = members.sum(axis=0)
        if (totals <= 0).any():
            raise ValueError(
                "Every class needs an example to have a mean. Received: none of the classes "
                f"{np.flatnonzero(totals <= 0).tolist()}"
            )
        sums = np.zeros((self.num_classes, features.shape[-1]))
        for start in range(0, len(labels), 8192):
            part = slice(start, start + 8192)
            sums += members[part].T @ np.asarray(features[part], "float64")
        self.centroids.assign((sums / totals[:, None]).astype("float32"))

    def call(self, inputs: Any) -> Any:
        """Logits `[batch, num_classes]` for features `[batch, size]`."""
        return -0.5 * squared_distances(inputs, self.centroids)


@keras.saving.register_keras_serializable(package="keras_transgen")
class KNearestNeighbours(_RememberingHead):
    """Logits are the logarithm of the share of each class among the nearest examples.

    Softmax gives the shares back. Classes without a neighbour get the logarithm of a share of
    1e-4, lest the loss become infinite.

    Args:
        num_classes: Number of classes.
        k: How many neighbours vote. Defaults to 5.
        metric: `"euclidean"` (default) or `"cosine"`.
        count: Number of examples it remembers; known once it has been fitted.
        **kwargs: `name`, as in `keras.layers.Layer`.

    Example:
        ```python
        import numpy as np
        from keras_transgen.transfer.neighbours import KNearestNeighbours

        head = KNearestNeighbours(2, k=1)
        features = np.array([[0.0], [1.0], [5.0]], "float32")
        head.remember(features, np.array([0, 0, 1]))
        assert head(np.array([[4.0]], "float32")).numpy().argmax() == 1
        ```

    Reference:
        Cover and Hart, Nearest neighbor pattern classification, 1967.
    """

    def __init__(
        self,
        num_classes: int,
        k: int = 5,
        metric: str = "euclidean",
        count: int | None = None,
        **kwargs: Any,
    ) -> None:
        if k < 1:
            raise ValueError(f"k must be at least 1. Received: k={k}")
        if metric not in METRICS:
            raise ValueError(f"metric must be one of {METRICS}. Received: metric={metric!r}")
        super().__init__(num_classes, **kwargs)
        self.k = k
        self.metric = metric
        self.count = count

    def build(self, input_shape: Any) -> None:
        # Before it is fitted there is nothing to remember, and one row of zeros stands in.
        rows = self.count or 1
        self.examples = self.add_weight(
            shape=(rows, input_shape[-1]), initializer="zeros", trainable=False, name="examples"
        )
        self.votes = self.add_weight(
            shape=(rows, self.num_classes), initializer="zeros", trainable=False, name="votes"
        )

    def remember(self, features: Any, labels: np.ndarray, weights: Any = None) -> None:
        """Take over examples.

        Args:
            features: `[count, size]`; `count` as the layer was made for.
            labels: Class of each, `[count]`.
            weights: Weight of each one's vote, `[count]`; equal if `None`.

        Raises:
            ValueError: There are fewer examples than neighbours.
        """
        if len(labels) < self.k:
            raise ValueError(
                "There must be at least k examples to have k neighbours. "
                f"Received: k={self.k}, {len(labels)} examples"
            )
        self.count = self.count or len(labels)
        self._build_for(features)
        votes = np.eye(self.num_classes)[labels]
        if weights is not None:
            votes = votes * np.asarray(weights)[:, None]
        features = np.asarray(features, "float32")
        self.examples.assign(_unit(features) if self.metric == "cosine" else features)
        self.votes.assign(votes)

    def load_own_variables(self, store: Any) -> None:
        """Load the examples of a file, however many they are."""
        rows, size = np.shape(store["0"])
        if rows != self.examples.shape[0] and size == self.examples.shape[1]:
            # Variables keep their shape, so others take their place.
            strategy = getattr(self.examples.value, "distribute_strategy", None)
            for variable in (self.examples, self.votes):
                self._untrack_variable(variable)
            self.count = int(rows)
            self._tracker.unlock()
            with strategy.scope() if strategy is not None else contextlib.nullcontext():
                self.build((None, size))
            self._tracker.lock()
        super().load_own_variables(store)

    def call(self, inputs: Any) -> Any:
        """Logits `[batch, num_classes]` for features `[batch, size]`."""
        if self.metric == "cosine":
            inputs = keras.ops.normalize(inputs, axis=-1)
        nearness = -squared_distances(inputs, self.examples)
        _, nearest = keras.ops.top_k(nearness, min(self.k, self.examples.shape[0]))
        votes = keras.ops.sum(keras.ops.take(self.votes, nearest, axis=0), axis=1)
        total = keras.ops.sum(votes, axis=-1, keepdims=True)
        return keras.ops.log(keras.ops.maximum(votes / keras.ops.maximum(total, 1e-12), 1e-4))

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the layer from, the number of remembered examples included."""
        return {**super().get_config(), "k": self.k, "metric": self.metric, "count": self.count}


def squared_distances(features: Any, others: Any) -> Any:
    """Squared Euclidean distances of all pairs.

    Args:
        features: `[batch, size]`.
        others: `[count, size]`.

    Returns:
        `[batch, count]`.
    """
    # About their own middle: far from zero the squares are large, and their difference is noise.
    middle = keras.ops.mean(others, axis=0, keepdims=True)
    features, others = features - middle, others - middle
    products = keras.ops.matmul(features, keras.ops.transpose(others))
    ours = keras.ops.sum(keras.ops.square(features), axis=-1, keepdims=True)
    theirs = keras.ops.sum(keras.ops.square(others), axis=-1)
    return keras.ops.maximum(ours - 2.0 * products + theirs, 0.0)


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-12)
