"""Where the trials of a search keep the features that they share."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import keras

from keras_transgen.backbones.feature_cache import SameData
from keras_transgen.transfer.training_data import is_in_memory


class SharedFeatures:
    """Says under which folder and key a trial's features are kept and found again.

    The cache itself keys features by the backbone's digest, the preprocessing and the data. Arrays
    have a key of their own; a data set has none that outlives the process, so without a `data_key`
    it is known by being the same object, and its features go with this one.
    """

    def __init__(
        self, cache_dir: str | os.PathLike[str] | None = None, data_key: str | None = None
    ) -> None:
        self.cache_dir = None if cache_dir is None else os.fspath(cache_dir)
        self.data_key = data_key
        self._temporary: tempfile.TemporaryDirectory | None = None
        # Kept, so that no other object comes to the same address.
        self._seen: list[Any] = []

    def place(self, x: Any, y: Any, validation_data: Any, steps: int | None) -> dict[str, Any]:
        """Arguments for the extraction, `cache_dir` and `data_key`."""
        if self.data_key is not None:
            return {"cache_dir": self._folder(), "data_key": self.data_key}
        if is_in_memory(x, y) and _is_arrays(validation_data):
            return {"cache_dir": self._folder(), "data_key": None}
        return self.place_of_objects(x, y, validation_data, steps)

    def place_of_objects(self, x: Any, y: Any, validation_data: Any, steps: int | None) -> Any:
        """The same for data of whatever form, known by being the same objects."""
        parts = (x, y, *_parts(validation_data))
        key = " ".join(f"{self._number(part)}" for part in parts)
        return {"cache_dir": self._own_folder(), "data_key": SameData(f"{key} steps {steps}")}

    def _number(self, part: Any) -> int | None:
        if part is None:
            return None
        for number, seen in enumerate(self._seen):
            if seen is part:
                return number
        self._seen.append(part)
        return len(self._seen) - 1

    def _folder(self) -> str:
        return self._own_folder() if self.cache_dir is None else self.cache_dir

    def _own_folder(self) -> str:
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="keras-transgen-search-")
        return self._temporary.name


def _parts(validation_data: Any) -> tuple:
    if isinstance(validation_data, (tuple, list)):
        return tuple(validation_data)
    return () if validation_data is None else (validation_data,)


def _is_arrays(validation_data: Any) -> bool:
    parts = _parts(validation_data)
    return not parts or is_in_memory(keras.tree.flatten(list(parts)))
