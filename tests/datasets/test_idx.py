import gzip
import os
import struct
import tracemalloc

import numpy as np
import pytest

from keras_transgen.datasets import load_idx_folder, read_idx


def idx_bytes(type_code, shape, payload):
    return struct.pack(f">HBB{len(shape)}I", 0, type_code, len(shape), *shape) + payload


def write_folder(folder, labels=3):
    pixels = bytes(range(12))
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(idx_bytes(8, (3, 2, 2), pixels))
        )
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            idx_bytes(8, (labels,), bytes([7, 0, 9][:labels]))
        )


@pytest.mark.parametrize(
    ("code", "payload", "expected"),
    [
        (0x08, bytes([0, 255]), [0, 255]),
        (0x09, struct.pack(">2b", -3, 4), [-3, 4]),
        (0x0B, struct.pack(">2h", -300, 4), [-300, 4]),
        (0x0C, struct.pack(">2i", -70000, 4), [-70000, 4]),
        (0x0D, struct.pack(">2f", 0.5, -2.0), [0.5, -2.0]),
        (0x0E, struct.pack(">2d", 0.1, -2.0), [0.1, -2.0]),
    ],
)
def test_every_type_of_the_format_is_read(tmp_path, code, payload, expected):
    path = tmp_path / "a.idx"
    path.write_bytes(idx_bytes(code, (2, 1), payload))
    values = read_idx(path)
    assert values.shape == (2, 1)
    assert values.dtype.isnative
    assert values.ravel().tolist() == expected


def test_folder_gives_images_with_a_channel_and_integer_labels(tmp_path):
    write_folder(tmp_path)
    (images, labels), (test_images, _) = load_idx_folder(tmp_path)

    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, np.arange(12).reshape(3, 2, 2, 1))
    assert labels.tolist() == [7, 0, 9]
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(test_images, images)


def test_value_range_scales_black_and_white_to_its_ends(tmp_path):
    write_folder(tmp_path)
    (images, _), _ = load_idx_folder(tmp_path, value_range=(-1.0, 1.0))
    assert images.dtype == np.float32
    np.testing.assert_allclose(images.ravel(), np.arange(12) / 127.5 - 1.0, atol=1e-7)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with two zero bytes"),
        (b"PK\x03\x04abcd", "begins with two zero bytes"),
        (b"\0\0\x07\x01\0\0\0\0", "begins with two zero bytes"),
        (idx_bytes(8, (5,), b"1234"), "truncated"),
        (idx_bytes(8, (3,), b"1234"), "truncated or not IDX"),
        (b"\0\0\x08\x03\0\0", "truncated"),
        (gzip.compress(idx_bytes(8, (400,), bytes(400)), mtime=0)[:-12], "whole gzip file"),
    ],
)
def test_broken_files_are_named(tmp_path, content, message):
    path = tmp_path / "broken.idx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_idx(path)
    assert "broken.idx" in str(error.value)


def test_missing_files_and_unequal_numbers_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte"):
        load_idx_folder(tmp_path)
    write_folder(tmp_path, labels=2)
    with pytest.raises(ValueError, match="3 train images and 2 labels"):
        load_idx_folder(tmp_path)


@pytest.mark.shared_data
def test_mnist_has_its_published_counts(shared_folder):
    (images, labels), (test_images, test_labels) = load_idx_folder(shared_folder / "data/mnist")
    assert images.shape == (60000, 28, 28, 1)
    assert test_images.shape == (10000, 28, 28, 1)
    assert labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(test_labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    # The published mean of the training images.
    assert images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)


def test_what_a_file_costs_is_known_before_it_is_read(tmp_path):
    zeros = gzip.compress(bytes(2**26))
    header = gzip.compress(idx_bytes(8, (1000, 1000), b""))
    (tmp_path / "larger_than_it_says").write_bytes(header + zeros)
    (tmp_path / "as_large_as_it_says").write_bytes(
        gzip.compress(idx_bytes(8, (2**26,), b"")) + zeros
    )
    (tmp_path / "says_too_much").write_bytes(idx_bytes(8, (2**16, 2**15), b""))
    tracemalloc.start()
    with pytest.raises(ValueError, match="truncated or not IDX"):
        read_idx(tmp_path / "larger_than_it_says")
    with pytest.raises(ValueError, match="max_bytes=1,000,000"):
        read_idx(tmp_path / "as_large_as_it_says", max_bytes=10**6)
    with pytest.raises(ValueError, match=r"max_bytes=1,073,741,824.*2,147,483,660"):
        read_idx(tmp_path / "says_too_much")
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()
    assert read_idx(tmp_path / "as_large_as_it_says").shape == (2**26,)


@pytest.mark.timeout(20)
def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "pipe")
