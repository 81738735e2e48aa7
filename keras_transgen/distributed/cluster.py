"""A strategy over the processes that a launcher started: by `TF_CONFIG`, by Slurm, or by Ray."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Iterator, Sequence

import tensorflow as tf

from keras_transgen.distributed.local_strategy import mirrored_strategy
from keras_transgen.training.worker_agreement import package_versions, refuse_unequal_workers

_JOBS = ("chief", "worker")
_CLUSTERS = ("auto", "tf_config", "slurm")
_PAUSE = 0.2


def worker_strategy(
    cluster: str = "auto", *, timeout: float = 600.0, port_base: int = 8888
) -> tf.distribute.Strategy:
    """The strategy for the machines that this process is one of.

    Call it before anything of TensorFlow runs, and make the model within its scope. The same script
    then trains on one machine, on several with `TF_CONFIG` (which Ray Train sets, too), and in a
    step of Slurm (`srun python train.py`), where each task is a worker.

    Before TensorFlow connects the workers, each waits for all others to be there, and after it they
    compare their versions of the packages: what would otherwise hang ends with an error.

    Args:
        cluster: `"tf_config"`, `"slurm"`, or `"auto"` (the default): the environment's `TF_CONFIG`,
            else a Slurm step of several tasks, else this machine alone.
        timeout: Seconds to wait for the other workers. Defaults to 600.
        port_base: First port that the tasks of a node listen at under Slurm. Two jobs that share a
            node need different ones. Defaults to 8888.

    Returns:
        `MultiWorkerMirroredStrategy`; on one machine `MirroredStrategy` where it has several GPUs,
        else TensorFlow's default strategy.

    Raises:
        ValueError: If the environment does not describe a cluster of workers that this process is
            one of, or if the workers have different versions of the packages.
        TimeoutError: If a worker does not come; the message names it and its address.
        RuntimeError: If TensorFlow has been used in this process before.

    Example:
        ```python
        import keras_transgen as ktg

        strategy = ktg.distributed.worker_strategy()
        with strategy.scope():
            vae = ktg.VAE(input_shape=(8, 8, 1), latent_dim=2)
        ```
    """
    if cluster not in _CLUSTERS:
        raise ValueError(f"Expected cluster in {_CLUSTERS}. Received: cluster={cluster!r}")
    if cluster == "auto":
        cluster = _launcher()
    if cluster == "alone":
        return _local_strategy()
    resolver = tf_config_resolver() if cluster == "tf_config" else slurm_resolver(port_base)
    addresses, own = _workers(resolver)
    wait_for_workers(addresses, own, timeout)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except RuntimeError as error:
        if "program startup" not in str(error):
            raise
        raise RuntimeError(
            "The workers must be connected before TensorFlow computes anything. Call "
            "worker_strategy() first of all, before models, tensors and data sets are made. "
            f"Received: {error}"
        ) from error
    refuse_unequal_workers(strategy, package_versions(), "start")
    return strategy


def _launcher() -> str:
    """Who started this process: `"tf_config"`, `"slurm"`, or nobody (`"alone"`)."""
    if os.environ.get("TF_CONFIG", "{}").strip() not in ("", "{}"):
        return "tf_config"
    if "SLURM_PROCID" in os.environ and int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return "slurm"
    return "alone"


def _local_strategy() -> tf.distribute.Strategy:
    if len(tf.config.get_visible_devices("GPU")) > 1:
        return mirrored_strategy()
    return tf.distribute.get_strategy()


# Who the workers are


def tf_config_resolver() -> tf.distribute.cluster_resolver.ClusterResolver:
    """The cluster that the environment's `TF_CONFIG` describes.

    Raises:
        ValueError: If it cannot be read or names no cluster.
    """
    text = os.environ.get("TF_CONFIG", "")
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    try:
        described = resolver.cluster_spec().as_dict()
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(_tf_config_wrong(text)) from error
    if not described:
        raise ValueError(_tf_config_wrong(text))
    return resolver


def _tf_config_wrong(text: str) -> str:
    return (
        "Expected TF_CONFIG in the environment, such as "
        '{"cluster": {"worker": ["host1:8888", "host2:8888"]}, "task": {"type": "worker", '
        f'"index": 0}}}}. Received: TF_CONFIG={text!r}'
    )


def slurm_resolver(port_base: int = 8888) -> tf.distribute.cluster_resolver.ClusterResolver:
    """The tasks of this Slurm step as workers, in the order of their ranks.

    TensorFlow's `SlurmClusterResolver` reads the nodes and tasks. Two things are put right: it
    sorts `n10` before `n9`, where Slurm counts the other way, so that the workers would look for
    each other at wrong addresses; and it cannot be used on nodes without GPUs, or where Slurm has
    bound a GPU to each task. Where Slurm has not, and a node has several tasks, its GPUs are shared
    out evenly.

    Args:
        port_base: First port that the tasks of a node listen at. Defaults to 8888.

    Raises:
        ValueError: If this is no Slurm step, or its tasks are not placed node by node.
    """
    try:
        tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", "0"))
        # Its own numbers of GPUs are of no use here; these let it list hosts and ports.
        parsed = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=port_base, gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
        )
        addresses = parsed.cluster_spec().as_dict()["worker"]
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            "Expected the variables of a Slurm step (SLURM_PROCID, SLURM_STEP_NUM_TASKS, "
            "SLURM_STEP_NODELIST, SLURM_STEP_TASKS_PER_NODE). Start the workers with "
            f"`srun python ...`. Received: {error}"
        ) from error
    addresses = sorted(addresses, key=_in_natural_order)
    rank = int(os.environ["SLURM_PROCID"])
    node = os.environ.get("SLURMD_NODENAME")
    if node is not None and _host(addresses[rank]) != node:
        raise ValueError(
            "Expected the tasks of the Slurm step node by node, in the order of the nodes' names. "
            "Start them with `srun --distribution=block`, or describe the workers in TF_CONFIG. "
            f"Received: task {rank} on node {node!r}, where {addresses[rank]!r} was expected"
        )
    _share_gpus([address for address in addresses if _host(address) == _host(addresses[rank])])
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": addresses}),
        task_type="worker",
        task_id=rank,
        num_accelerators={"GPU": len(tf.config.get_visible_devices("GPU"))},
        rpc_layer="grpc",
    )


def _in_natural_order(address: str) -> list[tuple[int, int | str]]:
    """A sorting key by which `n9:8888` comes before `n10:8888`."""
    parts = re.findall(r"\d+|\D+", address)
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]


def _share_gpus(neighbours: Sequence[str]) -> None:
    """Leave this task its part of the node's GPUs, unless Slurm has bound some to it."""
    if len(neighbours) == 1 or "CUDA_VISIBLE_DEVICES" in os.environ:
        return
    gpus = tf.config.get_visible_devices("GPU")
    local = int(os.environ.get("SLURM_LOCALID", "0"))
    if gpus:
        tf.config.set_visible_devices(gpus[local :: len(neighbours)], "GPU")


def _workers(
    resolver: tf.distribute.cluster_resolver.ClusterResolver,
) -> tuple[list[str], int]:
    """The addresses of all workers, and which of them this process is."""
    described = resolver.cluster_spec().as_dict()
    jobs = [job for job in _JOBS if job in described]
    addresses = [address for job in jobs for address in described[job]]
    before = {"chief": 0, "worker": len(described.get("chief", ()))}
    job, index = resolver.task_type, resolver.task_id
    if job not in jobs or index is None or not 0 <= index < len(described[job]):
        raise ValueError(
            "Expected this process to be a worker of the cluster. Parameter servers and "
            "evaluators have no part in synchronous training. "
            f"Received: task type {job!r}, index {index}, in {described}"
        )
    return addresses, before[job] + index


# Waiting for them


def wait_for_workers(addresses: Sequence[str], own: int, timeout: float = 600.0) -> None:
    """Wait until all workers of a cluster can be reached.

    Each worker listens at its address and calls those of the others; the last one to come sets all
    free. TensorFlow itself would wait for an absent worker for an hour, and not say for whom.

    Args:
        addresses: `host:port` of each worker.
        own: Which of them this process is.
        timeout: Seconds to wait. Defaults to 600.

    Raises:
        TimeoutError: If a worker has not come; the message names it and its address.
        OSError: If another program listens at this worker's own port.

    Example:
        ```python
        from keras_transgen.distributed import wait_for_workers

        wait_for_workers(["localhost:38917"], own=0, timeout=1.0)  # Nobody else to wait for.
        ```
    """
    deadline = time.monotonic() + timeout
    missing = [index for index in range(len(addresses)) if index != own]
    with _listening(addresses[own]):
        while missing:
            missing = [index for index in missing if not _answers(addresses[index])]
            if not missing:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(_not_there(addresses, missing, timeout))
            time.sleep(_PAUSE)


def _not_there(addresses: Sequence[str], missing: Sequence[int], timeout: float) -> str:
    named = ", ".join(f"worker {index} at {addresses[index]}" for index in missing)
    return (
        f"Expected all {len(addresses)} workers of the cluster within {timeout:g} s. Start those "
        "that are missing, and see that these addresses are right and no firewall is between. "
        f"Received: no answer from {named}"
    )


@contextlib.contextmanager
def _listening(address: str) -> Iterator[None]:
    """Take calls at a worker's own port, on all interfaces as TensorFlow will."""
    port = int(address.rpartition(":")[2])
    try:
        listener = socket.create_server(("", port), backlog=1024)
    except OSError as error:
        raise OSError(
            error.errno,
            "Expected a free port for this worker. Another program, or a worker of an earlier run, "
            f"has it: end that, or choose another port. Received: {address} ({error.strerror})",
        ) from error
    with listener:
        yield


def _answers(address: str) -> bool:
    try:
        with socket.create_connection((_host(address), int(address.rpartition(":")[2])), 2.0):
            return True
    except OSError:
        return False


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")
