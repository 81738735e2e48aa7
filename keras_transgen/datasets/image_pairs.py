"""Read a folder of side-by-side images as pairs of input and target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_transgen.datasets.image_decoding import batched, decoding
from keras_transgen.datasets.image_file import MAX_PIXELS, height_and_width
from keras_transgen.datasets.image_index import list_images
from keras_transgen.datasets.printable import printable
from keras_transgen.datasets.readable_images import readable_images
from keras_transgen.datasets.viewed_image import WHITE

if TYPE_CHECKING:
    import tensorflow as tf

DIRECTIONS = ("left_to_right", "right_to_left")
# Isola et al. enlarge 256 pixels to 286 before they cut 256 out again.
_ENLARGEMENT = 286 / 256
_NAMED = 5


def image_pairs(
    path: str | Path,
    image_size: int | tuple[int, int],
    batch_size: int | None = 8,
    *,
    direction: str = "left_to_right",
    value_range: tuple[float, float] = (-1.0, 1.0),
    flip: bool = False,
    jitter: bool = False,
    shuffle: bool = False,
    seed: int = 0,
    check: str | bool = "quick",
    skip_broken: bool = False,
    square_halves: bool = True,
    background: Sequence[int] = WHITE,
    max_pixels: int = MAX_PIXELS,
) -> tf.data.Dataset:
    """A folder of images, each with two halves side by side, as `(inputs, targets)`.

    Both halves are cut, flipped and resized alike, so that they stay a pair.

    Args:
        path: The folder; images may lie deeper.
        image_size: Height and width of each half in pixels, or one number for both.
        batch_size: Pairs per batch, the last one smaller; `None` gives single pairs.
            Defaults to 8.
        direction: `"left_to_right"` (the default): the left half is the input, the right one the
            target; `"right_to_left"`: the other way round.
        value_range: `(low, high)` that black and white become. Defaults to `(-1.0, 1.0)`, that of
            `Pix2Pix`.
        flip: Mirror every second pair, by chance.
        jitter: Enlarge each pair by an eighth and cut the size out at a random place.
        shuffle: Another order in every epoch. Defaults to `False`: by path.
        seed: Of flips, cuts and order; other draws in every epoch.
        check: Whether to look for files that cannot be read before training meets them, as in
            `image_folder`: `"quick"` (the default, and `True`), `"thorough"`, or `"none"`
            (`False`), which does not look at shapes either.
        skip_broken: As in `image_folder`.
        square_halves: Refuse files that are not twice as wide as high, since they are hardly pairs
            of two squares. `False` takes halves of any shape and stretches them to `image_size`.
        background: Red, green and blue from 0 to 255 behind what is transparent. Defaults to white.
        max_pixels: Most pixels of a file. Defaults to 67 million (2^26).

    Returns:
        A `tf.data.Dataset` of `(inputs, targets)`, float32 `[batch, height, width, 3]`, with the
        attribute `file_paths`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are no images, a file cannot be read or is no two squares side by
            side, or an argument is out of its range.

    Example:
        ```python no-run
        from keras_transgen.datasets import image_pairs

        train = image_pairs(
            "../shared/data/facades_pairs_128/train", 128, direction="right_to_left", flip=True
        )
        ```

    Reference:
        Isola, Zhu, Zhou and Efros, Image-to-image translation with conditional adversarial
        networks, 2017 (the form of the files, flips and jitter).
    """
    import tensorflow as tf

    how = decoding(image_size, value_range, background=background)
    size = how.size
    if direction not in DIRECTIONS:
        raise ValueError(f"Expected direction in {DIRECTIONS}. Received: direction={direction!r}")
    if isinstance(check, bool):
        check = "quick" if check else "none"
    index = list_images(path, False, "image_pairs")
    images = readable_images(index, check, skip_broken, max_pixels, "image_pairs")
    paths = list(images.index.paths)
    if square_halves and check != "none":
        _refuse_other_shapes(paths, max_pixels)
    low, high = value_range
    larger = [round(side * _ENLARGEMENT) for side in size] if jitter else list(size)

    def read(file: dict[str, tf.Tensor], numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = images.pixels(file, how)
        half = tf.shape(image)[1] // 2
        # Halves one above the other in depth, so that whatever is done is done to both.
        pair = tf.concat([image[:, :half], image[:, half : 2 * half]], axis=2)
        pair = tf.image.resize(pair, larger, antialias=True)
        if jitter:
            pair = tf.image.stateless_random_crop(pair, [*size, 6], seed=numbers)
        if flip:
            pair = tf.image.stateless_random_flip_left_right(pair, seed=numbers + 1)
        pair = tf.ensure_shape(pair, [*size, 6])
        pair = tf.clip_by_value(pair * ((high - low) / 255.0) + low, low, high)
        left, right = pair[..., :3], pair[..., 3:]
        return (left, right) if direction == DIRECTIONS[0] else (right, left)

    files = images.files()
    if shuffle:
        files = files.shuffle(len(paths), seed=seed)
    numbers = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)
    data = tf.data.Dataset.zip(files, numbers)
    data = data.map(
        lambda file, pair: read(file, tf.bitcast(pair, tf.int32)[:, 0]),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    data = batched(data, batch_size)
    data.file_paths = paths
    return data


def _refuse_other_shapes(paths: Sequence[str], max_pixels: int) -> None:
    """Of a single square image the halves are no pair, nor of one that was turned."""
    others = []
    for path in paths:
        height, width = height_and_width(path, max_pixels)
        if width != 2 * height:
            others.append(f"{printable(path)} of {width} x {height} pixels")
    if others:
        more = f"; and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        raise ValueError(
            "image_pairs expected two images side by side in every file, both square: twice as "
            "wide as high. Single images are no pairs (image_folder reads them); pass "
            "square_halves=False (--any-shape) for halves of another shape. "
            f"Received: {len(others)} other(s) of {len(paths)} (width x height): "
            f"{'; '.join(others[:_NAMED])}{more}"
        )
