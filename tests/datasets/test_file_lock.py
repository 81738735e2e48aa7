import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from keras_transgen.datasets.file_lock import UnsafeLockError, file_lock

SOURCE = Path(__file__).parents[2] / "keras_transgen" / "datasets" / "file_lock.py"
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


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["link", "dangling", "second name", "pipe", "folder"])
def test_what_is_no_lock_is_neither_locked_nor_emptied(lock, tmp_path, kind):
    victim = tmp_path / "victim"
    if kind != "dangling":
        victim.write_text("precious")
    if kind in ("link", "dangling"):
        lock.symlink_to(victim)
    elif kind == "second name":
        os.link(victim, lock)
    elif kind == "pipe":
        os.mkfifo(lock)
    else:
        lock.mkdir()
    with pytest.raises(UnsafeLockError, match="Received"), file_lock(lock, "counting", print):
        pytest.fail("held")
    assert os.path.lexists(lock)
    assert kind == "dangling" or victim.read_text() == "precious"
    assert kind != "dangling" or not victim.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_users_file_is_no_lock(lock, monkeypatch):
    lock.write_text("theirs")
    os.chown(lock, 12345, 12345)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(UnsafeLockError, match="12345"), file_lock(lock, "counting", print):
        pytest.fail("held")
    assert lock.read_text() == "theirs"


def test_only_the_user_can_read_and_open_it(lock):
    before = os.umask(0)
    try:
        with file_lock(lock, "counting", print):
            assert lock.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


def test_programs_that_are_started_do_not_keep_it(lock):
    with file_lock(lock, "counting", print):
        child = subprocess.Popen(["sleep", "20"], close_fds=False)
    with file_lock(lock, "counting", lambda line: pytest.fail(line)):
        pass
    child.kill()
    child.wait()
