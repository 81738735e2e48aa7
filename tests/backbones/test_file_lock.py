import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from keras_transgen.backbones.file_lock import file_lock

SOURCE = Path(__file__).parents[2] / "keras_transgen" / "backbones" / "file_lock.py"
HOLD = f"""
import runpy, sys, time
lock = runpy.run_path({str(SOURCE)!r})["file_lock"]
with lock(sys.argv[1], "holding on", print):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def lock(tmp_path):
    return tmp_path / ".lock"


@pytest.fixture
def holder(lock):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_threads_take_turns(lock):
    inside, most = 0, 0

    def work():
        nonlocal inside, most
        for _ in range(20):
            with file_lock(lock, "counting", lambda line: None):
                inside += 1
                most = max(most, inside)
                time.sleep(0.0005)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, inside) == (1, 0)
    assert not lock.exists()


def test_a_killed_holder_holds_nothing(lock, holder):
    lines = []
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert lock.exists()
    with file_lock(lock, "counting", lines.append):
        assert lines == []
    assert not lock.exists()


def test_the_waiter_says_whom_it_waits_for_and_takes_over(lock, holder):
    lines = []

    def tell(line):
        lines.append(line)
        holder.send_signal(signal.SIGKILL)

    with file_lock(lock, "counting", tell):
        assert f"process {os.getpid()} " in lock.read_text()
    assert len(lines) == 1
    assert lines[0].startswith(f"Waiting for process {holder.pid} on ")
    assert lines[0].endswith("which is holding on")


def test_an_error_releases_it(lock):
    with pytest.raises(KeyError), file_lock(lock, "failing", print):
        raise KeyError
    assert not lock.exists()
