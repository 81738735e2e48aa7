"""Find the images that cannot be read, by name, before a training run meets them."""

import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO

from keras_transgen.datasets.image_file import open_plain_file
from keras_transgen.datasets.image_size import HEAD_BYTES, MAX_PIXELS, too_many_pixels
from keras_transgen.datasets.printable import printable

# What a whole file of each format begins with, and has in so many of its last bytes.
_TAIL_BYTES = 64
_WHOLE_FILE_MARKS = {
    b"\xff\xd8\xff": (b"\xff\xd9", _TAIL_BYTES),
    b"\x89PNG\r\n\x1a\n": (b"IEND", _TAIL_BYTES),
    b"GIF8": (b"\x3b", 1),
}


def unreadable_images(
    paths: Iterable[str], thorough: bool = True, max_pixels: int = MAX_PIXELS
) -> dict[str, str]:
    """The images among `paths` that TensorFlow cannot decode, with the reason of each.

    `tf.data` reports a broken image without its name, in the middle of an epoch; this names it.

    Args:
        paths: Image files.
        thorough: `True`, the default, decodes every file. `False` reads the first and last bytes
            of each and decodes those that look broken: this finds empty and truncated files and
            files that are no images, at a thousandth of the cost.
        max_pixels: Images of more pixels, by their header, are not decoded and count as
            unreadable. Defaults to 67 million (2^26).

    Returns:
        A dictionary from path to reason, empty if all are readable.

    Example:
        ```python no-run
        from keras_transgen.datasets import index_images, unreadable_images

        broken = unreadable_images(index_images("photos", labelled=False).paths)
        ```
    """
    names = list(paths)
    check = partial(_reason, thorough=thorough, max_pixels=max_pixels)
    with ThreadPoolExecutor(min(32, 4 * (os.cpu_count() or 1))) as pool:
        reasons = pool.map(check, names)
        return {name: reason for name, reason in zip(names, reasons) if reason}


def refuse_unreadable(paths: Sequence[str], thorough: bool, max_pixels: int) -> None:
    """Raise for images that cannot be read, the first of them named."""
    broken = unreadable_images(paths, thorough, max_pixels)
    if not broken:
        return
    listed = "; ".join(
        f"{printable(path)} ({printable(reason)})" for path, reason in list(broken.items())[:5]
    )
    more = f"; and {len(broken) - 5} more" if len(broken) > 5 else ""
    raise ValueError(
        "Expected files that can be read as images. Remove or replace the broken ones. "
        f"Received: {len(broken)} unreadable of {len(paths)}: {listed}{more}"
    )


def _reason(path: str, thorough: bool, max_pixels: int) -> str:
    try:
        with open_plain_file(path) as file:
            head = file.read(HEAD_BYTES)
            large = too_many_pixels(head, file, max_pixels)
            if large or (not thorough and _looks_whole(head, file)):
                return large
            file.seek(0)
            content = file.read()
    except OSError as error:
        return str(error)
    return _decoding_error(content) if content else "the file is empty"


def _looks_whole(head: bytes, file: IO[bytes]) -> bool:
    file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
    tail = file.read()
    return any(
        head.startswith(beginning) and end in tail[-last_bytes:]
        for beginning, (end, last_bytes) in _WHOLE_FILE_MARKS.items()
    )


def _decoding_error(content: bytes) -> str:
    import tensorflow as tf

    try:
        # The GPU has no decoder, and the host must not wait for it.
        with tf.device("CPU:0"):
            tf.io.decode_image(content, channels=3, expand_animations=False)
    except tf.errors.OpError as error:
        # TensorFlow's message begins with the name of a graph node, which says nothing here.
        return re.sub(r"^\{\{.*?\}\}\s*|\s*\[Op:.*$", "", str(error.message))
    return ""
