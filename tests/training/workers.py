"""Two worker processes on loopback, as `MultiWorkerMirroredStrategy` starts them."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def run_workers(module: str, *arguments: str, count: int = 2, timeout: float = 300) -> None:
    """Run `python -m module arguments...` as each worker of a cluster, and wait for all.

    Raises:
        AssertionError: If a worker fails, with what it printed.
    """
    addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
    workers = []
    for index in range(count):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        workers.append(
            subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=Path(__file__).parents[2],
                env={**os.environ, "TF_CONFIG": json.dumps(config), "TF_CPP_MIN_LOG_LEVEL": "2"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    try:
        outputs = [worker.communicate(timeout=timeout)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    failed = [
        f"worker {index} ended with {worker.returncode}:\n{output[-4000:]}"
        for index, (worker, output) in enumerate(zip(workers, outputs))
        if worker.returncode
    ]
    assert not failed, "\n\n".join(failed)
