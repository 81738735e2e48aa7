"""More samples of a generative model than one machine makes, on a Ray cluster, in Parquet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_transgen.backbones.network_digest import layer_digest
from keras_transgen.distributed.packed_model import pack_model, unpack_model
from keras_transgen.distributed.parquet_folder import ParquetFolder, array_column, column_array
from keras_transgen.distributed.ray_extra import (
    actor_options,
    packed_in_actor,
    ray_module,
    run_actors,
)

_KEY = "number"
_SAMPLE = "sample"
_CONDITION = "condition"


def sample_with_ray(
    model: keras.Model | str | os.PathLike[str],
    output: str | os.PathLike[str],
    count: int,
    *,
    condition: Sequence[int] | None = None,
    seed: int = 0,
    rows_per_file: int = 1024,
    num_workers: int | None = None,
    cpus_per_worker: int = 1,
    progress: bool = True,
) -> int:
    """Draw samples of a generative model into a folder of Parquet files, on a Ray cluster.

    The samples depend on the model, the seed, `rows_per_file` and their number, and neither on how
    many workers draw them nor on who was killed: the same call goes on where it was stopped.

    The columns are `number` (0 to `count` - 1), `sample` (a list of fixed length) and, for a
    conditional model, `condition`.

    Args:
        model: A model with a `sample` method, or its `.keras` file.
        output: Folder that all machines of the cluster see, or an address such as
            `s3://bucket/samples`.
        count: How many samples.
        condition: Classes to draw, for a conditional model: sample `i` is of class
            `condition[i % len(condition)]`. Defaults to all classes of the model.
        seed: Of the samples. Defaults to 0.
        rows_per_file: Samples of a file, which are drawn together. Defaults to 1024.
        num_workers: As in `extract_with_ray`.
        cpus_per_worker: As in `extract_with_ray`.
        progress: Show Ray's progress bars.

    Returns:
        How many samples were drawn by this call.

    Raises:
        ImportError: If Ray is not installed.
        ValueError: If the model draws no samples, the output is of other work, or a number is out
            of its range.

    Example:
        ```python no-run
        import keras_transgen as ktg

        ktg.distributed.sample_with_ray("vae.keras", "/mnt/shared/samples", 1_000_000, seed=1)
        ```
    """
    ray = ray_module()
    if count < 1 or rows_per_file < 1:
        raise ValueError(
            "Expected count and rows_per_file of at least 1. "
            f"Received: count={count}, rows_per_file={rows_per_file}"
        )
    packed = pack_model(model)
    loaded = unpack_model(packed) if isinstance(model, (str, os.PathLike)) else model
    if not hasattr(loaded, "sample"):
        raise ValueError(
            "Expected a generative model, with a method `sample`. "
            f"Received: {type(loaded).__name__}"
        )
    classes = getattr(loaded, "num_classes", None)
    if condition is None and classes is not None:
        condition = range(classes)
    folder = ParquetFolder(output, _KEY)
    said = {
        "count": count,
        "condition": None if condition is None else list(condition),
        "seed": seed,
        "rows_per_file": rows_per_file,
    }
    folder.begin({"model": layer_digest(loaded), **said})
    actors = actor_options(num_workers, cpus_per_worker)
    there = set((np.asarray(folder.settle(), "int64") // rows_per_file).tolist())
    parts = [part for part in range(-(-count // rows_per_file)) if part not in there]
    if not parts:
        return 0
    data = ray_module("ray.data").from_items([{"part": part} for part in parts])
    arguments = {**said, "model": ray.put(packed), "output": folder.path}
    rows = run_actors(data, _Sampler, arguments, progress, batch_size=1, **actors)
    return sum(row["rows"] for row in rows)


def read_samples(
    folder: str | os.PathLike[str],
) -> tuple[np.ndarray, np.ndarray | None]:
    """The samples that `sample_with_ray` wrote, in order; all of them must fit into memory.

    Args:
        folder: The output folder.

    Returns:
        `(samples, conditions)`: `[count, ...]`, and `[count]` or `None`.

    Example:
        ```python no-run
        import keras_transgen as ktg

        samples, _ = ktg.distributed.read_samples("/mnt/shared/samples")
        ```
    """
    stored = ParquetFolder(folder, _KEY)
    conditional = _CONDITION in stored.columns()
    table = stored.read([_SAMPLE, _CONDITION] if conditional else [_SAMPLE])
    conditions = table[_CONDITION].to_numpy() if conditional else None
    return column_array(table, _SAMPLE), conditions


def part_seed(seed: int, part: int) -> int:
    """A seed for each part of the samples, none related to another."""
    return int(np.random.SeedSequence([seed, part]).generate_state(1)[0] >> 1)


class _Sampler:
    """An actor: the model, loaded once, and the folder that samples go to."""

    def __init__(
        self,
        model: Any,
        count: int,
        rows_per_file: int,
        condition: list[int] | None,
        seed: int,
        output: str,
    ) -> None:
        self._model = unpack_model(packed_in_actor(model))
        self._count = count
        self._rows = rows_per_file
        self._condition = condition
        self._seed = seed
        self._folder = ParquetFolder(output, _KEY)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list]:
        return {"rows": [self._draw(int(part)) for part in batch["part"]]}

    def _draw(self, part: int) -> int:
        pa = ray_module("pyarrow")
        numbers = np.arange(part * self._rows, min((part + 1) * self._rows, self._count))
        seed = part_seed(self._seed, part)
        columns = [(pa.field(_KEY, pa.int64()), pa.array(numbers))]
        if self._condition is None:
            samples = self._model.sample(len(numbers), seed=seed)
        else:
            conditions = np.asarray(self._condition)[numbers % len(self._condition)]
            samples = self._model.sample(conditions, seed=seed)
            columns.append((pa.field(_CONDITION, pa.int64()), pa.array(conditions)))
        columns.append(array_column(_SAMPLE, np.asarray(samples)))
        fields, arrays = zip(*columns)
        self._folder.write(pa.table(list(arrays), schema=pa.schema(fields)))
        return len(numbers)
