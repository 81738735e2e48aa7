"""Reader of the IDX format, in which MNIST and Fashion-MNIST are published."""

import gzip
import io
import math
import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from keras_transgen.datasets.image_file import open_plain_file

MAX_BYTES = 2**30
# Four bytes, and four for each of 255 dimensions.
_LONGEST_HEADER = 1024

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: str | Path, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """The array of one IDX file, gzipped or not.

    Args:
        path: The file, such as `train-images-idx3-ubyte.gz`.
        max_bytes: Most bytes of the array. Defaults to 1 GiB.

    Returns:
        The array with the file's own shape and type, in the machine's byte order.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no IDX file, is truncated, has more data than it says, or more
            than `max_bytes`.

    Example:
        ```python
        import struct, tempfile
        from pathlib import Path
        from keras_transgen.datasets import read_idx

        path = Path(tempfile.mkdtemp()) / "two.idx"
        path.write_bytes(struct.pack(">HBBI", 0, 8, 1, 2) + bytes([3, 4]))
        assert read_idx(path).tolist() == [3, 4]
        ```

    Reference:
        LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"read_idx expected an IDX file. Received: path={str(path)!r}")
    with open_plain_file(path) as file:
        try:
            return _read(file, path, max_bytes)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                "read_idx expected a whole gzip file; fetch it again. "
                f"Received: path={str(path)!r} ({error})"
            ) from error


def _read(file: IO[bytes], path: Path, max_bytes: int) -> np.ndarray:
    stream: IO[bytes] = io.BufferedReader(file)  # type: ignore[type-var]
    if file.read(2) == _GZIP_MAGIC:
        stream = gzip.GzipFile(fileobj=stream)  # type: ignore[assignment]
    file.seek(0)
    content = stream.read(_LONGEST_HEADER)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise ValueError(
            "read_idx expected an IDX file, which begins with two zero bytes and a type byte. "
            f"Received: path={str(path)!r} beginning with {content[:4].hex(' ') or 'nothing'}"
        )
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise ValueError(_wrong_length(path, f"{start} bytes of header", len(content)))
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    dtype = np.dtype(_TYPES[content[2]])
    expected = start + math.prod(shape) * dtype.itemsize
    if expected > max_bytes:
        raise ValueError(
            f"read_idx expected at most max_bytes={max_bytes:,}. "
            f"Received: path={str(path)!r} with {expected:,} bytes for shape {shape}"
        )
    # One byte more shows whether there are more, and a gzip file's end its checksum.
    content += stream.read(max(0, expected - len(content)) + 1)
    if len(content) != expected:
        raise ValueError(_wrong_length(path, f"{expected} bytes for shape {shape}", len(content)))
    return (
        np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
    )


def load_idx_folder(
    folder: str | Path, value_range: tuple[float, float] | None = None
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """MNIST, Fashion-MNIST or another data set of four IDX files, in `keras.datasets`' form.

    Args:
        folder: Folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
            `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, each gzipped (`.gz`) or not.
        value_range: `(low, high)` that the bytes 0 and 255 become, as float32; `None`, the
            default, leaves the images uint8.

    Returns:
        `(train_images, train_labels), (test_images, test_labels)`: images
        `[count, height, width, 1]`, labels int64 `[count]`.

    Raises:
        FileNotFoundError: If the folder or one of the files is missing.
        ValueError: If a file is broken or images and labels differ in number.

    Example:
        ```python no-run
        from keras_transgen.datasets import load_idx_folder

        (images, labels), _ = load_idx_folder("../shared/data/mnist", value_range=(0.0, 1.0))
        ```
    """
    folder = Path(folder)
    parts = []
    for part in ("train", "t10k"):
        images = read_idx(_plain_or_gzipped(folder, f"{part}-images-idx3-ubyte"))
        labels = read_idx(_plain_or_gzipped(folder, f"{part}-labels-idx1-ubyte"))
        if len(images) != len(labels):
            raise ValueError(
                "load_idx_folder expected as many labels as images. Received: "
                f"{len(images)} {part} images and {len(labels)} labels in {str(folder)!r}"
            )
        parts.append((_scaled(images[..., np.newaxis], value_range), labels.astype("int64")))
    return parts[0], parts[1]


def _wrong_length(path: Path, expected: str, received: int) -> str:
    return (
        f"read_idx expected {expected}; the file is truncated or not IDX, fetch it again. "
        f"Received: path={str(path)!r} with {received} bytes"
    )


def _plain_or_gzipped(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"load_idx_folder expected {name}.gz or {name} in the folder. "
        f"Received: folder={str(folder)!r}"
    )


def _scaled(images: np.ndarray, value_range: tuple[float, float] | None) -> np.ndarray:
    if value_range is None:
        return images
    low, high = value_range
    return (images.astype("float32") * np.float32((high - low) / 255.0)) + np.float32(low)
