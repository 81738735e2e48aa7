"""Features of a whole data set, in bounded memory: statistics of all rows, and some rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_transgen.evaluation.streaming_statistics import StreamingStatistics
from keras_transgen.training import write_whole

_FORMAT = 1


@dataclass(frozen=True)
class FeatureSummary:
    """What is known of a set of features.

    Attributes:
        count: Rows seen.
        mean: Their mean, float64 `[features]`.
        covariance: Their covariance, float64 `[features, features]`.
        features: Rows that were kept, a uniform sample, `[kept, features]`.
    """

    count: int
    mean: np.ndarray
    covariance: np.ndarray
    features: np.ndarray


class FeatureStream:
    """Statistics of all rows of a stream, and a uniform sample of its rows.

    Both depend on the rows, their order and the seed, and not on the batches.
    """

    def __init__(self, capacity: int, seed: int = 0) -> None:
        self._statistics = StreamingStatistics()
        self._capacity = capacity
        self._random = np.random.default_rng(seed)
        self._keys = np.zeros(0)
        self._kept: np.ndarray | None = None

    @property
    def count(self) -> int:
        """Rows seen."""
        return self._statistics.count

    def update(self, features: Any) -> None:
        """Add rows `[batch, features]`."""
        rows = np.asarray(features)
        self._statistics.update(rows)
        # Every row draws a key, and the rows of the smallest keys stay: a uniform sample without
        # repetition, whatever the length of the stream.
        keys = np.concatenate([self._keys, self._random.random(len(rows))])
        kept = rows if self._kept is None else np.concatenate([self._kept, rows])
        if len(keys) > self._capacity:
            stay = np.sort(np.argpartition(keys, self._capacity)[: self._capacity])
            keys, kept = keys[stay], kept[stay]
        self._keys, self._kept = keys, np.array(kept)

    def summary(self) -> FeatureSummary:
        """What was seen so far; the stream may go on."""
        mean, covariance = self._statistics.mean, self._statistics.covariance
        assert self._kept is not None
        return FeatureSummary(self.count, mean, covariance, self._kept)


def save_summary(path: str | Path, summary: FeatureSummary, extractor: str, digest: str) -> None:
    """Write a summary with the extractor it came from; the file appears whole or not at all."""

    def write(beside: str) -> None:
        # Through a stream, since NumPy would put .npz behind another name.
        with open(beside, "wb") as file:
            np.savez(
                file,
                format=_FORMAT,
                extractor=extractor,
                digest=digest,
                count=summary.count,
                mean=summary.mean,
                covariance=summary.covariance,
                features=summary.features,
            )

    write_whole(str(path), write)


def load_summary(path: str | Path, extractor: str, digest: str) -> FeatureSummary:
    """Read a summary; one of another extractor is refused.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no reference, is broken, or comes from another extractor.
    """
    # This room is imported without TensorFlow, which the other one brings along.
    from keras_transgen.backbones.archives import MAX_BYTES
    from keras_transgen.backbones.array_archive import read_arrays

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            "Expected a reference written by save_reference. "
            f"Received: path={str(path)!r} (nothing there)"
        )
    try:
        values = read_arrays(path, MAX_BYTES)
        if int(values["format"]) != _FORMAT:
            raise ValueError(f"format {int(values['format'])}")
        summary = FeatureSummary(
            int(values["count"]), values["mean"], values["covariance"], values["features"]
        )
        theirs, their_digest = str(values["extractor"]), str(values["digest"])
    except Exception as error:  # numpy and zipfile raise half a dozen kinds for a broken file
        raise ValueError(
            "Expected a reference written by save_reference of this version; write it again. "
            f"Received: path={str(path)!r} ({type(error).__name__}: {error})"
        ) from error
    if their_digest != digest:
        raise ValueError(
            "Expected a reference taken with the same extractor: its weights, its input size and "
            f"its structure must be equal. Take it again with {extractor!r}. Received: "
            f"path={str(path)!r} of {theirs!r}, digest {their_digest[:12]}; here {digest[:12]}"
        )
    return summary
