"""Mean and covariance of a stream of features, the same for every batch size."""

from typing import Any

import numpy as np

from keras_transgen.evaluation.feature_matrix import feature_matrix, require_count

_CHUNK = 512


class StreamingStatistics:
    """Mean and covariance of rows that come in batches, in float64.

    Rows are gathered into chunks of a fixed size before they are added, so that the result depends
    on the rows alone, to the last bit, and not on how they were cut into batches. Chunks are
    joined by Chan's update, which has no cancellation where the mean is far from 0.

    Example:
        ```python
        import numpy as np
        from keras_transgen.evaluation import StreamingStatistics

        statistics = StreamingStatistics()
        for _ in range(3):
            statistics.update(np.random.default_rng(0).normal(size=(100, 4)))
        assert statistics.count == 300 and statistics.covariance.shape == (4, 4)
        ```

    Reference:
        Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance", 1983.
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean = np.zeros(0)
        self._scatter = np.zeros((0, 0))
        self._waiting: np.ndarray | None = None

    @property
    def count(self) -> int:
        """Rows seen."""
        return self._count + (0 if self._waiting is None else len(self._waiting))

    @property
    def mean(self) -> np.ndarray:
        """Mean of the rows, float64 `[features]`."""
        return self._totals()[1]

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the rows (divided by count - 1), float64 `[features, features]`."""
        count, _, scatter = self._totals()
        return scatter / (count - 1)

    def update(self, features: Any) -> None:
        """Add rows.

        Args:
            features: Array or tensor `[batch, features]`.

        Raises:
            ValueError: If the rank or the number of features is wrong, or a value is not finite.
        """
        rows = feature_matrix(features, "features")
        if self._waiting is None:
            self._waiting = np.zeros((0, rows.shape[1]))
            self._mean = np.zeros(rows.shape[1])
            self._scatter = np.zeros((rows.shape[1], rows.shape[1]))
        if rows.shape[1] != len(self._mean):
            raise ValueError(
                f"Expected {len(self._mean)} features as in the rows before. "
                f"Received: features.shape={rows.shape}"
            )
        rows = np.concatenate([self._waiting, rows])
        whole = len(rows) // _CHUNK * _CHUNK
        for start in range(0, whole, _CHUNK):
            self._count, self._mean, self._scatter = _joined(
                self._count, self._mean, self._scatter, rows[start : start + _CHUNK]
            )
        self._waiting = rows[whole:]

    def _totals(self) -> tuple[int, np.ndarray, np.ndarray]:
        waiting = np.zeros((0, 0)) if self._waiting is None else self._waiting
        require_count(np.empty((self.count, 0)), 2, "the stream", "a covariance needs two")
        return _joined(self._count, self._mean, self._scatter, waiting)


def _joined(
    count: int, mean: np.ndarray, scatter: np.ndarray, rows: np.ndarray
) -> tuple[int, np.ndarray, np.ndarray]:
    if not len(rows):
        return count, mean, scatter
    total = count + len(rows)
    rows_mean = rows.mean(axis=0)
    centred = rows - rows_mean
    shift = rows_mean - mean
    return (
        total,
        mean + shift * (len(rows) / total),
        scatter + centred.T @ centred + np.outer(shift, shift) * (count * len(rows) / total),
    )
