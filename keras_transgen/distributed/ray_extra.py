"""Ray, an extra of the package, and the actors on it that hold a model each."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from types import ModuleType
from typing import Any


def ray_module(name: str = "ray") -> ModuleType:
    """Import a module of Ray or what comes with it, or say how to install it.

    Args:
        name: `"ray"`, `"ray.data"`, `"pyarrow.parquet"`, ...

    Raises:
        ImportError: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ImportError(
            "Expected Ray, for work on several machines. Install the extra 'ray': "
            f"pip install 'keras-transgen[ray]'. Received: {error}"
        ) from error


def actor_options(num_workers: int | None, cpus_per_worker: int) -> dict[str, Any]:
    """The arguments of `map_batches` for actors that hold a model each.

    A Ray that is not running is started, or the cluster of `RAY_ADDRESS` joined.

    Args:
        num_workers: How many actors; `None` for one a GPU of the cluster, or where it has none,
            for as many as leave one CPU to read with.
        cpus_per_worker: CPUs of each.
    """
    ray = ray_module()
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    resources = ray.cluster_resources()
    cpus, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    room = (cpus - 1) // max(1, cpus_per_worker)
    if num_workers is None:
        num_workers = min(gpus, room) if gpus else room
    if num_workers < 1 or cpus_per_worker < 1 or num_workers > room:
        raise ValueError(
            "Expected num_workers and cpus_per_worker of at least 1 that leave one CPU of the "
            f"cluster to read with. Received: num_workers={num_workers}, "
            f"cpus_per_worker={cpus_per_worker}, and a cluster of {cpus} CPUs"
        )
    if gpus and num_workers > gpus:
        raise ValueError(
            "Expected at most one worker a GPU of the cluster. "
            f"Received: num_workers={num_workers}, and a cluster of {gpus} GPUs"
        )
    return {
        "compute": ray_module("ray.data").ActorPoolStrategy(size=num_workers),
        "num_cpus": cpus_per_worker,
        "num_gpus": 1 if gpus else 0,
    }


def run_actors(
    data: Any, actor: type, arguments: dict[str, Any], progress: bool, **options: Any
) -> Iterator[dict[str, Any]]:
    """The rows that actors give for the batches of a Ray data set.

    Args:
        data: The data set.
        actor: A class, called with `arguments` once on each actor, and its object with batches.
        arguments: By name.
        progress: Show Ray's progress bars.
        **options: Of `map_batches`, those of `actor_options` among them.
    """
    data = data.map_batches(actor, fn_constructor_kwargs=arguments, **options)
    data.context.enable_progress_bars = progress
    return data.iter_rows()


def packed_in_actor(model: Any) -> bytes:
    """A packed model that Ray handed to this actor, whose CPUs are TensorFlow's from now on."""
    import tensorflow as tf

    # Ray sets it for every actor.
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    return model if isinstance(model, bytes) else ray_module().get(model)
