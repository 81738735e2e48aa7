"""Whatever interrupts the writing, finished blocks are found again and nothing else is."""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from keras_transgen.backbones import feature_cache
from keras_transgen.backbones.feature_cache import ArrayWriter, cache_key, open_arrays

KEY = "ab"


@pytest.fixture
def every_batch_a_block(monkeypatch):
    monkeypatch.setattr(feature_cache, "BLOCK_BYTES", 1)


def batch(start, rows=2):
    return [
        np.arange(start, start + rows * 3, dtype="float32").reshape(rows, 3),
        np.arange(start, start + rows),
    ]


def test_round_trip(tmp_path):
    writer = ArrayWriter(tmp_path / "features", KEY)
    for start in range(0, 10, 2):
        writer.append(batch(start), {"x": 0, "y": 1})
        assert open_arrays(tmp_path / "features", KEY) is None
    assert writer.row_bytes == 3 * 4 + 8
    folder = writer.finish()
    stored = open_arrays(folder, KEY)
    expected = [np.concatenate(parts) for parts in zip(*(batch(s) for s in range(0, 10, 2)))]
    for array, wanted in zip(stored.arrays, expected):
        assert isinstance(array, np.memmap)
        np.testing.assert_array_equal(array, wanted)
        assert array.dtype == wanted.dtype
    assert stored.layout == {"x": 0, "y": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["features"]
    # The files are ordinary ones.
    np.testing.assert_array_equal(np.load(folder / "0.npy"), expected[0])


@pytest.mark.parametrize(
    "array",
    [
        np.arange(4, dtype="float16"),
        np.zeros((4, 0), "float32"),
        np.array([True, False, True, True]),
        np.array(["ant", "bee", "ant", "fly"]),
        np.arange(8, dtype=">i4").reshape(4, 2),
        np.asfortranarray(np.arange(24.0).reshape(4, 6)),
    ],
)
def test_dtypes_and_shapes(tmp_path, array):
    writer = ArrayWriter(tmp_path / "features", KEY)
    writer.append([array[:3]], 0)
    writer.append([array[3:]], 0)
    stored = open_arrays(writer.finish(), KEY).arrays[0]
    np.testing.assert_array_equal(stored, array)
    assert stored.dtype == array.dtype


def test_another_key_is_not_found(tmp_path):
    writer = ArrayWriter(tmp_path / "features", KEY)
    writer.append(batch(0), 0)
    folder = writer.finish()
    assert open_arrays(folder, "cd") is None
    assert open_arrays(tmp_path / "nothing", KEY) is None


def test_key_tells_parts_apart():
    assert cache_key(a=1, b=2) == cache_key(b=2, a=1)
    assert len({cache_key(a=1), cache_key(a=2), cache_key(b=1), cache_key(a="1")}) == 4


@pytest.mark.parametrize("file", ["0.npy", "1.npy", "manifest.json"])
def test_damaged_folder_is_no_cache(tmp_path, file):
    writer = ArrayWriter(tmp_path / "features", KEY)
    writer.append(batch(0), 0)
    folder = writer.finish()
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[:-5])
    assert open_arrays(folder, KEY) is None
    (folder / file).unlink()
    assert open_arrays(folder, KEY) is None


def test_resumes_after_the_last_whole_block(tmp_path, every_batch_a_block):
    writer = ArrayWriter(tmp_path / "features", KEY)
    for start in (0, 2):
        writer.append(batch(start), 0)
    # Bytes that were written after the last block, and a line of the journal cut short.
    writer.close()
    partial = tmp_path / "features.partial"
    with open(partial / "0.npy", "ab") as file:
        file.write(b"half a row")
    with open(partial / "journal.jsonl", "ab") as file:
        file.write(b'{"rows": 2, "batc')

    writer = ArrayWriter(tmp_path / "features", KEY)
    assert (writer.rows, writer.batches) == (4, 2)
    writer.append(batch(4), 0)
    stored = open_arrays(writer.finish(), KEY)
    expected = [np.concatenate(parts) for parts in zip(batch(0), batch(2), batch(4))]
    for array, wanted in zip(stored.arrays, expected):
        np.testing.assert_array_equal(array, wanted)


def test_block_whose_bytes_are_lost_is_written_again(tmp_path, every_batch_a_block):
    """As after a crash of the machine: the journal has the block, the file does not."""
    writer = ArrayWriter(tmp_path / "features", KEY)
    for start in (0, 2, 4):
        writer.append(batch(start), 0)
    writer.close()
    file = tmp_path / "features.partial" / "0.npy"
    content = bytearray(file.read_bytes())
    content[-10] ^= 1
    file.write_bytes(content)
    assert ArrayWriter(tmp_path / "features", KEY).rows == 4


def test_interrupted_while_finishing(tmp_path, every_batch_a_block):
    writer = ArrayWriter(tmp_path / "features", KEY)
    writer.append(batch(0), 0)
    writer.close()
    writer = ArrayWriter(tmp_path / "features", KEY)
    np.testing.assert_array_equal(open_arrays(writer.finish(), KEY).arrays[0], batch(0)[0])


def test_partial_folder_of_another_key_is_begun_anew(tmp_path, every_batch_a_block):
    writer = ArrayWriter(tmp_path / "features", KEY)
    writer.append(batch(0), 0)
    writer.close()
    assert ArrayWriter(tmp_path / "features", "cd").rows == 0


def test_batches_of_unequal_shape(tmp_path):
    writer = ArrayWriter(tmp_path / "features", KEY)
    writer.append([np.zeros((2, 3))], 0)
    with pytest.raises(ValueError, match="one shape and dtype"):
        writer.append([np.zeros((2, 4))], 0)


def test_journal_holds_the_checksums(tmp_path, every_batch_a_block):
    writer = ArrayWriter(tmp_path / "features", KEY)
    writer.append(batch(0), 0)
    folder = writer.finish()
    block = json.loads((folder / "journal.jsonl").read_text())
    assert block["sha256"][0] == hashlib.sha256(batch(0)[0].tobytes()).hexdigest()


WRITER = """
import importlib.util, os, sys, time
import numpy as np
# By its path: the package would import TensorFlow, which this needs nothing of.
spec = importlib.util.spec_from_file_location("feature_cache", sys.argv[2])
feature_cache = sys.modules["feature_cache"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(feature_cache)
feature_cache.BLOCK_BYTES = 1
writer = feature_cache.ArrayWriter(sys.argv[1], "ab")
for start in range(writer.rows, 400, 2):
    writer.append([np.full((2, 1000), start, "float32")], 0)
    print(writer.rows, flush=True)
    time.sleep(0.01)
writer.finish()
"""


@pytest.mark.slow
def test_killed_writer(tmp_path):
    """A real SIGKILL: the finished blocks are there, and no cache is."""
    folder = tmp_path / "features"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), feature_cache.__file__],
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if int(line) >= 20:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert open_arrays(folder, KEY) is None

    writer = ArrayWriter(folder, KEY)
    assert 20 <= writer.rows < 400
    for start in range(writer.rows, 400, 2):
        writer.append([np.full((2, 1000), start, "float32")], 0)
    stored = open_arrays(writer.finish(), KEY).arrays[0]
    np.testing.assert_array_equal(stored[:, 0], np.repeat(np.arange(0, 400, 2), 2))


@pytest.mark.slow
def test_full_disk(tmp_path):
    """A process that may write no more than 64 KiB a file meets what a full disk gives."""
    script = textwrap.dedent(
        """
        import resource, sys
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
        """
    )
    process = subprocess.run(
        [sys.executable, "-c", script + WRITER, str(tmp_path / "features"), feature_cache.__file__],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode != 0
    assert "The disk is full" in process.stderr
    assert "nothing unfinished is taken for a cache" in process.stderr
    assert open_arrays(tmp_path / "features", KEY) is None
    assert not (tmp_path / "features").exists()
    # What was durable before can be gone on from.
    assert ArrayWriter(tmp_path / "features", KEY).rows >= 14


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 256 KiB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_really_full_disk(tiny_disk, every_batch_a_block):
    writer = ArrayWriter(tiny_disk / "features", KEY)

    def fill():
        for start in range(200):
            writer.append([np.full((2, 1000), start, "float32")], 0)

    with pytest.raises(OSError, match="The disk is full") as caught:
        fill()
    assert caught.value.errno == errno.ENOSPC
    assert open_arrays(tiny_disk / "features", KEY) is None
    assert ArrayWriter(tiny_disk / "features", KEY).rows >= 2
