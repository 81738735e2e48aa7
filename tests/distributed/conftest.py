"""A small Ray cluster on this machine, none of whose processes may survive the tests."""

import os
import time
from pathlib import Path

import pytest

# Ray's usage report would wait for a network that is not there.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


def descendants(pid: int) -> dict[int, str]:
    """The living descendants of a process, with their command lines."""
    parents, commands = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, UnicodeDecodeError):
            continue
        if status[0] != "Z":
            parents[int(entry.name)] = int(status[1])
            commands[int(entry.name)] = command
    found: dict[int, str] = {}
    added = {pid}
    while added:
        added = {child for child, parent in parents.items() if parent in added} - set(found)
        found.update({child: commands[child] for child in added})
    return found


@pytest.fixture(scope="module")
def ray_cluster():
    """Ray with three logical CPUs: two for workers, one to read with."""
    import ray

    before = set(descendants(os.getpid()))
    ray.init(
        address="local",
        num_cpus=3,
        object_store_memory=80 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    yield ray
    started = {pid for pid in descendants(os.getpid()) if pid not in before}
    assert started
    ray.shutdown()
    deadline = time.monotonic() + 20
    while alive := [pid for pid in started if Path(f"/proc/{pid}/exe").exists()]:
        assert time.monotonic() < deadline, f"Ray's processes survive: {alive}"
        time.sleep(0.1)
