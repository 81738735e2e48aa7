"""Read a folder of side-by-side images as pairs of input and target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from keras_transgen.datasets.image_check import refuse_unreadable
from keras_transgen.datasets.image_decoding import batched, decoding
from keras_transgen.datasets.image_index import index_images
from keras_transgen.datasets.image_size import MAX_PIXELS, checked_pixels

if TYPE_CHECKING:
    import tensorflow as tf

DIRECTIONS = ("left_to_right", "right_to_left")
# Isola et al. enlarge 256 pixels to 286 before they cut 256 out again.
_ENLARGEMENT = 286 / 256


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
    check: bool = True,
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
        check: Whether to look for files that cannot be read before training meets them.
        max_pixels: Most pixels of a file. Defaults to 67 million (2^26).

    Returns:
        A `tf.data.Dataset` of `(inputs, targets)`, float32 `[batch, height, width, 3]`, with the
        attribute `file_paths`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are no images, a file cannot be read, or an argument is out of its
            range.

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

    size = decoding(image_size, value_range).size
    if direction not in DIRECTIONS:
        raise ValueError(f"Expected direction in {DIRECTIONS}. Received: direction={direction!r}")
    paths = list(index_images(path, labelled=False).paths)
    if check:
        refuse_unreadable(paths, False, max_pixels)
    low, high = value_range
    larger = [round(side * _ENLARGEMENT) for side in size] if jitter else list(size)

    def read(file: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        content = tf.io.read_file(file)
        if not check:
            content = checked_pixels(content, max_pixels, file)
        image = tf.io.decode_image(content, channels=3, expand_animations=False)
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

    files = tf.data.Dataset.from_tensor_slices(paths)
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
