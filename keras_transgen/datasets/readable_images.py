"""The images of a folder that a data set reads, and how it gets at each."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.datasets.image_check import look_at_images
from keras_transgen.datasets.image_decoding import Decoding, decode_image, decode_pixels
from keras_transgen.datasets.image_index import ImageIndex
from keras_transgen.datasets.printable import printable

if TYPE_CHECKING:
    import tensorflow as tf

CHECKS = ("quick", "thorough", "none")
_NAMED = 5


@dataclass(frozen=True)
class ReadableImages:
    """Images that were looked at, or shall not be.

    Attributes:
        index: Which they are.
        plain: Whether each is a plain JPEG (`image_check.Look`), bool `[count]`; `None` where
            nobody has looked.
        max_pixels: Most pixels of an image.
    """

    index: ImageIndex
    plain: np.ndarray | None
    max_pixels: int

    def part(self, positions: np.ndarray) -> ReadableImages:
        """The images at these positions."""
        plain = None if self.plain is None else self.plain[positions]
        return ReadableImages(self.index.part(positions), plain, self.max_pixels)

    def files(self) -> tf.data.Dataset:
        """What `pixels` takes, image by image, with the label of each if they have labels."""
        import tensorflow as tf

        # Names need not be UTF-8, nor any text.
        columns: dict[str, Any] = {"path": [os.fsencode(path) for path in self.index.paths]}
        if self.plain is not None and not self.plain.all():
            columns["plain"] = self.plain
        if self.index.labels is not None:
            columns["label"] = self.index.labels
        return tf.data.Dataset.from_tensor_slices(columns)

    def pixels(self, file: dict[str, tf.Tensor], how: Decoding) -> tf.Tensor:
        """An image as a viewer shows it, uint8 `[height, width, 3]`."""
        content, known = self._read(file)
        return decode_pixels(content, how.background, **known)

    def image(self, file: dict[str, tf.Tensor], how: Decoding) -> tf.Tensor:
        """An image as the data set shall give it, float32 `[height, width, channels]`."""
        content, known = self._read(file)
        return decode_image(content, how, **known)

    def _read(self, file: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, Any]]:
        import tensorflow as tf

        plain = None if self.plain is None else file.get("plain", True)
        known = {"max_pixels": self.max_pixels, "name": file["path"], "plain": plain}
        return tf.io.read_file(file["path"]), known


def readable_images(
    index: ImageIndex, check: str, skip_broken: bool, max_pixels: int, caller: str
) -> ReadableImages:
    """The images of an index that can be read.

    Args:
        index: The images.
        check: `"quick"`, `"thorough"`, or `"none"`, which does not look.
        skip_broken: Leave out what cannot be read, with one warning, instead of raising.
        max_pixels: Most pixels of an image.
        caller: Whose words an error or the warning are.

    Raises:
        ValueError: Images cannot be read, the first of them named; a class has none left; or the
            arguments do not go together.
    """
    if check not in CHECKS:
        raise ValueError(f"Expected check in {CHECKS}. Received: check={check!r}")
    if check == "none":
        if skip_broken:
            raise ValueError(
                f"{caller} leaves out what its check finds broken. Expected check='quick' or "
                "'thorough' with skip_broken=True. Received: check='none'"
            )
        return ReadableImages(index, None, max_pixels)
    looks = look_at_images(index.paths, check == "thorough", max_pixels)
    reasons = {path: look.reason for path, look in zip(index.paths, looks) if look.reason}
    found = ReadableImages(index, np.array([look.plain for look in looks], bool), max_pixels)
    if not reasons:
        return found
    said = _said(reasons, index.paths)
    if not skip_broken:
        raise ValueError(
            "Expected files that can be read as images. Remove or replace the broken ones, or "
            f"leave them out with skip_broken=True. Received: {said}"
        )
    left = found.part(np.array([path not in reasons for path in index.paths]).nonzero()[0])
    _refuse_empty(left.index, said)
    warnings.warn(f"{caller} leaves out {said}", stacklevel=3)
    return left


def _said(reasons: dict[str, str], paths: Sequence[str]) -> str:
    listed = "; ".join(
        f"{printable(path)} ({reason})" for path, reason in list(reasons.items())[:_NAMED]
    )
    more = f"; and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
    return f"{len(reasons)} unreadable of {len(paths)}: {listed}{more}"


def _refuse_empty(left: ImageIndex, said: str) -> None:
    labels = set() if left.labels is None else set(left.labels.tolist())
    empty = [name for number, name in enumerate(left.class_names or ()) if number not in labels]
    if empty or not left.paths:
        of_class = f"; none is left in {empty}" if empty else ""
        raise ValueError(
            "Expected images that can be read, of every class. Replace the broken ones. "
            f"Received: {said}{of_class}"
        )
