"""Workers tell each other what they are about to do, so that unequal ones stop instead of hang."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_PACKAGES = ("tensorflow", "keras", "keras-transgen")
# Bytes that a worker tells: enough for some short entries, and the same number on every worker.
_LENGTH = 4096
_SHOWN = 240


def has_several_workers(strategy: tf.distribute.Strategy) -> bool:
    """Whether a strategy spans several processes."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return False
    jobs = strategy.cluster_resolver.cluster_spec().as_dict().values()
    return sum(len(addresses) for addresses in jobs) > 1


def package_versions() -> dict[str, str]:
    """The versions that all workers must have in common."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def refuse_unequal_workers(
    strategy: tf.distribute.Strategy, told: Mapping[str, str], occasion: str
) -> None:
    """Compare a description of what comes next over all workers.

    Collectives of unequal workers, whose batches or variables have other shapes, wait for each
    other forever. One exchange of a few bytes comes before them, the same on all workers whatever
    they are about to do. Does nothing on one machine.
    """
    if not has_several_workers(strategy):
        return
    resolver = strategy.cluster_resolver
    worker = f"{resolver.task_type} {resolver.task_id}"
    everyone = _exchange(strategy, {"": worker, **{k: _short(v) for k, v in told.items()}})
    described = {each.pop(""): each for each in everyone}
    names = sorted({name for each in everyone for name in each})
    unequal = [name for name in names if len({each.get(name) for each in everyone}) > 1]
    if not unequal:
        return
    lines = [
        f"{name}: " + "; ".join(f"{who} has {each.get(name)}" for who, each in described.items())
        for name in unequal
    ]
    raise ValueError(
        f"Expected all workers to {occasion} with the same, and they differ. Run the same script "
        "on the same data and the same versions of the packages everywhere. Received: "
        + "\n".join(lines)
    )


def agree_on_fit(
    model: keras.Model, data: Any, validation_data: Any, **numbers: int | None
) -> None:
    """Let the workers of a cluster compare what they were given, at the start of `fit`.

    Args:
        model: The model to be trained.
        data: `x`, or `(x, y, sample_weight)`.
        validation_data: As `fit` received it.
        **numbers: Further arguments of `fit` that decide how many steps there are.
    """
    if not has_several_workers(model.distribute_strategy):
        return
    told = {
        **package_versions(),
        "model": f"{type(model).__name__}, {describe_weights(model)}",
        "data": describe_data(data),
        "validation data": describe_data(validation_data),
        "steps": str(numbers),
    }
    refuse_unequal_workers(model.distribute_strategy, told, "fit")


def describe_data(data: Any) -> str:
    """What of data must be equal on all workers: the shapes and types of their batches.

    Of arrays also the number of rows, since every worker is given them all and takes its part.
    """
    if isinstance(data, tf.data.Dataset):
        return str(data.element_spec)
    if isinstance(data, (tuple, list, dict)):
        return str(keras.tree.map_structure(describe_data, data))
    return _describe_part(data)


def describe_weights(model: keras.Model) -> str:
    """How many weights a model has, of which shapes."""
    if not model.built:
        return "not built"
    shapes = [(tuple(weight.shape), str(weight.dtype)) for weight in model.weights]
    return f"{len(shapes)} weights: {shapes}"


def _describe_part(part: Any) -> str:
    if not hasattr(part, "shape"):
        return "none" if part is None else type(part).__name__
    return f"{part.dtype}{list(part.shape)}"


def _short(text: str) -> str:
    if len(text) <= _SHOWN:
        return text
    return f"{text[:_SHOWN]}... (SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:16]})"


def _exchange(strategy: tf.distribute.Strategy, told: Mapping[str, str]) -> list[dict[str, str]]:
    """What every worker tells, in the order of the workers, once for each of its replicas."""
    message = json.dumps(told).encode()
    if len(message) > _LENGTH:
        raise ValueError(f"Expected at most {_LENGTH} bytes to tell. Received: {len(message)}")
    # As floats, which every kind of collective carries.
    row = np.frombuffer(message.ljust(_LENGTH), "uint8").astype("float32")[None]
    rows = _gathering(strategy)(tf.constant(row)).numpy().astype("uint8")
    return [json.loads(row.tobytes()) for row in rows]


@functools.lru_cache(maxsize=4)
def _gathering(strategy: tf.distribute.Strategy) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from a row `[1, length]` of each replica to all of them, traced once."""

    def gather(row: tf.Tensor) -> tf.Tensor:
        return strategy.gather(strategy.run(lambda: tf.identity(row)), axis=0)

    return tf.function(gather, autograph=False)
