"""Which image file stopped a run: its decoder does not say, and may not be asked for each image."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_transgen.datasets.image_check import is_plain
from keras_transgen.datasets.printable import printable

if TYPE_CHECKING:
    import tensorflow as tf

# TensorFlow's words.
_MARK = "Invalid JPEG data"
# Our own, of an image with boxes, which TensorFlow shows with the way that the error came.
_NAMED_ALREADY = re.compile(r"UnreadableImageError: (.*?)\nTraceback", re.DOTALL)
_NAMED = 5


def refuse_damaged_images(error: Exception, *data: Any) -> None:
    """Raise with the names of the files where TensorFlow's decoder of JPEG stopped a run.

    The files are read once more, which costs nothing as long as nothing is wrong. Nothing is raised
    for other errors, and where nobody knows the files.

    Args:
        error: What stopped the run.
        *data: What it read; of data sets of this package the files are known, and of what became
            of them by `map`, `batch`, `take` and so on.

    Raises:
        ValueError: Images are damaged.
    """
    own = _NAMED_ALREADY.search(str(error))
    if own:
        raise ValueError(
            f"{own[1]}. Replace this file, or remove it; of a folder of images check='thorough' "
            "with skip_broken=True leaves it out"
        ) from error
    if _MARK not in str(error):
        return
    paths = [path for each in data for path in _file_paths(each)]
    damaged = _undecodable(list(dict.fromkeys(paths)))
    if not damaged:
        return
    listed = ", ".join(printable(path) for path in damaged[:_NAMED])
    more = f" and {len(damaged) - _NAMED} more" if len(damaged) > _NAMED else ""
    raise ValueError(
        "Expected images that can be decoded to their end. Replace these files, or read the folder "
        "with check='thorough', which finds them before a run, and skip_broken=True. Received: "
        f"damage among the pixels of {listed}{more}"
    ) from error


def _file_paths(data: Any) -> list[str]:
    """The files that a data set, or what it was made of, says that it reads."""
    import tensorflow as tf

    found, waiting = [], [data]
    while waiting:
        each = waiting.pop()
        if not isinstance(each, tf.data.Dataset):
            continue
        if hasattr(each, "file_paths"):
            found += [path for path in tf.nest.flatten(each.file_paths) if isinstance(path, str)]
        else:
            # There is no public way from a data set to those that it was made of;
            # `test_damaged_images.py` tells when this one goes.
            waiting += each._inputs()
    return found


def _undecodable(paths: list[str]) -> list[str]:
    """Those of the files that TensorFlow reads, and fails on."""
    import tensorflow as tf

    if not paths:
        return []

    def decoded(number: tf.Tensor, path: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return number, tf.size(tf.io.decode_jpeg(tf.io.read_file(path), channels=3))

    files = tf.data.Dataset.from_tensor_slices([os.fsencode(path) for path in paths]).enumerate()
    read = files.map(decoded, num_parallel_calls=tf.data.AUTOTUNE).ignore_errors()
    seen = {int(number) for number, _ in read}
    left = [path for number, path in enumerate(paths) if number not in seen]
    return [path for path in left if Path(path).is_file() and is_plain(Path(path).read_bytes())]
