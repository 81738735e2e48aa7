"""Which workers there are, by each launcher, and what happens where one does not come."""

import json
import socket
import threading
import time

import pytest
import tensorflow as tf

from keras_transgen.distributed.cluster import (
    slurm_resolver,
    wait_for_workers,
    worker_strategy,
)
from tests.training.workers import free_ports


@pytest.fixture
def launched(monkeypatch):
    """Sets the environment that a launcher would."""
    for name in ("TF_CONFIG", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURMD_NODENAME"):
        monkeypatch.delenv(name, raising=False)

    def launch(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return launch


def slurm(rank: int, **changed: str) -> dict[str, str]:
    """What `srun --nodes=2 --ntasks-per-node=2` sets for one of four tasks on n9 and n10."""
    return {
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank % 2),
        "SLURM_STEP_NUM_TASKS": "4",
        "SLURM_STEP_NODELIST": "n[9-10]",
        "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
        "SLURMD_NODENAME": ("n9", "n10")[rank // 2],
        **changed,
    }


def tf_config(addresses: list[str], index: int, job: str = "worker") -> dict[str, str]:
    config = {"cluster": {"worker": addresses}, "task": {"type": job, "index": index}}
    return {"TF_CONFIG": json.dumps(config)}


@pytest.mark.parametrize("rank", range(4))
def test_slurm_tasks_are_workers_in_the_order_of_their_ranks(launched, rank):
    launched(**slurm(rank))
    resolver = slurm_resolver(port_base=9000)
    # Slurm fills the nodes in the order of its list, n9 before n10, task by task.
    expected = ["n9:9000", "n9:9001", "n10:9000", "n10:9001"]
    assert resolver.cluster_spec().as_dict() == {"worker": expected}
    assert (resolver.task_type, resolver.task_id) == ("worker", rank)


def test_unequal_slurm_nodes(launched):
    launched(**slurm(2, SLURM_STEP_TASKS_PER_NODE="3,1", SLURMD_NODENAME="n9"))
    expected = ["n9:8888", "n9:8889", "n9:8890", "n10:8888"]
    assert slurm_resolver().cluster_spec().as_dict() == {"worker": expected}


def test_slurm_tasks_in_turn_over_the_nodes_are_refused(launched):
    launched(**slurm(1, SLURMD_NODENAME="n10"))
    with pytest.raises(ValueError, match=r"--distribution=block.*task 1 on node 'n10'"):
        slurm_resolver()


def test_no_slurm_step_is_refused(launched):
    with pytest.raises(ValueError, match="srun python"):
        worker_strategy("slurm")


@pytest.mark.parametrize("text", ["{", '{"task": {"type": "worker", "index": 0}}', "[]"])
def test_tf_config_that_names_no_cluster_is_refused(launched, text):
    launched(TF_CONFIG=text)
    with pytest.raises(ValueError, match=r"Expected TF_CONFIG in the environment, such as"):
        worker_strategy("tf_config")


@pytest.mark.parametrize(("job", "index"), [("evaluator", 0), ("worker", 2)])
def test_a_task_that_is_no_worker_is_refused(launched, job, index):
    launched(**tf_config(["a:1", "b:1"], index, job))
    with pytest.raises(ValueError, match="Expected this process to be a worker"):
        worker_strategy()


def test_one_machine_needs_no_cluster(launched):
    assert worker_strategy() is tf.distribute.get_strategy()
    # An sbatch script itself is task 0 of no step.
    launched(SLURM_PROCID="0")
    assert worker_strategy() is tf.distribute.get_strategy()


def test_unknown_cluster_is_refused():
    with pytest.raises(ValueError, match="Received: cluster='kubernetes'"):
        worker_strategy("kubernetes")


def test_a_worker_that_never_comes_ends_the_wait_by_its_address(launched):
    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    launched(**tf_config(addresses, 1))
    with socket.create_server(("127.0.0.1", int(addresses[0].split(":")[1]))):
        start = time.monotonic()
        with pytest.raises(TimeoutError) as error:
            worker_strategy(timeout=1.0)
    assert 1.0 <= time.monotonic() - start < 5.0
    assert f"worker 2 at {addresses[2]}" in str(error.value)
    assert addresses[0] not in str(error.value)


def test_workers_wait_for_the_last_one():
    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    waited = {}

    def work(index: int, delay: float) -> None:
        time.sleep(delay)
        start = time.monotonic()
        wait_for_workers(addresses, index, timeout=10.0)
        waited[index] = time.monotonic() - start
        # What TensorFlow does next: it listens at the same port, for the others to find.
        with socket.create_server(("", int(addresses[index].split(":")[1]))):
            done.wait()

    done = threading.Barrier(3)
    threads = [threading.Thread(target=work, args=(i, i)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waited[0] == pytest.approx(2.0, abs=0.9)
    assert waited[1] == pytest.approx(1.0, abs=0.9)
    assert waited[2] < 0.9


def test_a_port_that_is_taken_is_named():
    (port,) = free_ports(1)
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(OSError, match=rf"Expected a free port.*127.0.0.1:{port}"):
            wait_for_workers([f"127.0.0.1:{port}", "127.0.0.1:1"], 0, timeout=1.0)
