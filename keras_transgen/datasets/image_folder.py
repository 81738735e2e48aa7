"""Read a folder of images as a `tf.data` data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.datasets.by_class import stratified_split
from keras_transgen.datasets.image_check import unreadable_images
from keras_transgen.datasets.image_index import ImageIndex, index_images
from keras_transgen.datasets.image_size import MAX_PIXELS, checked_pixels
from keras_transgen.datasets.printable import printable

if TYPE_CHECKING:
    import tensorflow as tf

_CHANNELS = {"grayscale": 1, "rgb": 3}
# ITU-R BT.601, as Pillow and the JPEG decoder weigh colours.
_LUMA = ((0.299,), (0.587,), (0.114,))
_CHECKS = ("quick", "thorough", "none")


def image_folder(
    path: str | Path,
    image_size: int | tuple[int, int],
    batch_size: int | None = 32,
    *,
    labelled: bool = True,
    value_range: tuple[float, float] = (0.0, 1.0),
    color_mode: str = "rgb",
    crop_to_aspect_ratio: bool = False,
    antialias: bool = True,
    shuffle: bool = False,
    seed: int = 0,
    check: str = "quick",
    max_pixels: int = MAX_PIXELS,
) -> tf.data.Dataset:
    """A folder of images as a data set of batches, always in the same order.

    What `keras.utils.image_dataset_from_directory` does, with values in a range that is said,
    downscaling without aliasing, and wrong folders and broken files refused by name before
    training starts.

    Args:
        path: The folder. With `labelled`, each folder in it is a class, in sorted order.
        image_size: Height and width in pixels, or one number for both.
        batch_size: Images per batch, the last one smaller; `None` gives single images.
            Defaults to 32.
        labelled: `True`, the default, gives `(images, labels)`; `False` gives images, from the
            folder and the folders in it.
        value_range: `(low, high)` that black and white become. Defaults to `(0.0, 1.0)`.
        color_mode: `"rgb"` (the default) or `"grayscale"`.
        crop_to_aspect_ratio: Cut the middle out of images of another aspect ratio instead of
            stretching them. Defaults to `False`, as in Keras.
        antialias: Smooth before downscaling. Defaults to `True`; `False` resizes as Keras does.
        shuffle: Another order in every epoch. Defaults to `False`: by class, then by path.
        seed: Of the shuffling. Defaults to 0.
        check: `"quick"` (the default) finds empty and truncated files and files that are no
            images; `"thorough"` decodes every file once; `"none"` does not look, which is for files
            of your own: the frames of a GIF have no limit then.
        max_pixels: Most pixels of an image, which bounds the memory of each of the readers that
            work side by side (three bytes a pixel). Defaults to 67 million (2^26).

    Returns:
        A `tf.data.Dataset` of float32 images `[batch, height, width, channels]`, with int64 labels
        `[batch]` if `labelled`, and with the attributes `class_names` and `file_paths`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are no images, a class without images, one class only, a file that
            cannot be read, or an argument out of its range.

    Example:
        ```python no-run
        from keras_transgen.datasets import image_folder

        train = image_folder("../shared/data/ants_bees/train", image_size=224)
        print(train.class_names)
        ```
    """
    index = index_images(path, labelled)
    options = _options(
        image_size,
        batch_size,
        value_range,
        color_mode,
        crop_to_aspect_ratio,
        antialias,
        max_pixels,
        check,
    )
    _refuse_unreadable(index.paths, check, max_pixels)
    return _dataset(index, shuffle=shuffle, seed=seed, **options)


def image_folder_split(
    path: str | Path,
    image_size: int | tuple[int, int],
    batch_size: int | None = 32,
    *,
    validation_fraction: float = 0.2,
    value_range: tuple[float, float] = (0.0, 1.0),
    color_mode: str = "rgb",
    crop_to_aspect_ratio: bool = False,
    antialias: bool = True,
    shuffle: bool = True,
    seed: int = 0,
    check: str = "quick",
    max_pixels: int = MAX_PIXELS,
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """A folder of images by class as a training and a validation data set.

    Every class has the same share in both; the same seed always gives the same parts.

    Args:
        path: The folder; each folder in it is a class.
        image_size: As in `image_folder`.
        batch_size: As in `image_folder`.
        validation_fraction: Share of each class that goes to validation. Defaults to 0.2.
        value_range: As in `image_folder`.
        color_mode: As in `image_folder`.
        crop_to_aspect_ratio: As in `image_folder`.
        antialias: As in `image_folder`.
        shuffle: Another order of the training part in every epoch. Defaults to `True`; the
            validation part is never shuffled.
        seed: Of the split and the shuffling. Defaults to 0.
        check: As in `image_folder`.
        max_pixels: As in `image_folder`.

    Returns:
        `(train, validation)`, each as `image_folder` gives it.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: As `image_folder`, or if a class is too small to be in both parts.

    Example:
        ```python no-run
        from keras_transgen.datasets import image_folder_split

        train, validation = image_folder_split("../shared/data/flowers5_96", image_size=96)
        ```
    """
    index = index_images(path)
    options = _options(
        image_size,
        batch_size,
        value_range,
        color_mode,
        crop_to_aspect_ratio,
        antialias,
        max_pixels,
        check,
    )
    assert index.labels is not None
    train, validation = stratified_split(index.labels, validation_fraction, seed)
    _refuse_unreadable(index.paths, check, max_pixels)
    return (
        _dataset(_part(index, train), shuffle=shuffle, seed=seed, **options),
        _dataset(_part(index, validation), shuffle=False, seed=seed, **options),
    )


def _options(
    image_size: int | tuple[int, int],
    batch_size: int | None,
    value_range: tuple[float, float],
    color_mode: str,
    crop_to_aspect_ratio: bool,
    antialias: bool,
    max_pixels: int,
    check: str,
) -> dict[str, Any]:
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(size) != 2 or min(size) < 1:
        raise ValueError(
            "Expected image_size as a number of pixels or (height, width). "
            f"Received: image_size={image_size}"
        )
    if color_mode not in _CHANNELS:
        raise ValueError(
            f"Expected color_mode in {sorted(_CHANNELS)}. Received: color_mode={color_mode!r}"
        )
    if batch_size is not None and batch_size < 1:
        raise ValueError(
            f"Expected a batch_size of at least 1, or None. Received: batch_size={batch_size}"
        )
    if len(value_range) != 2 or not value_range[0] < value_range[1]:
        raise ValueError(
            f"Expected value_range as (low, high) with low below high. Received: {value_range}"
        )
    return {
        "size": size,
        "batch_size": batch_size,
        "value_range": value_range,
        "channels": _CHANNELS[color_mode],
        "crop": crop_to_aspect_ratio,
        "antialias": antialias,
        "max_pixels": max_pixels,
        "checked": check != "none",
    }


def _refuse_unreadable(paths: tuple[str, ...], check: str, max_pixels: int) -> None:
    if check not in _CHECKS:
        raise ValueError(f"Expected check in {_CHECKS}. Received: check={check!r}")
    if check == "none":
        return
    broken = unreadable_images(paths, thorough=check == "thorough", max_pixels=max_pixels)
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


def _part(index: ImageIndex, positions: np.ndarray) -> ImageIndex:
    assert index.labels is not None
    return ImageIndex(
        tuple(index.paths[i] for i in positions), index.labels[positions], index.class_names
    )


def _dataset(
    index: ImageIndex,
    *,
    shuffle: bool,
    seed: int,
    size: tuple[int, int],
    batch_size: int | None,
    value_range: tuple[float, float],
    channels: int,
    crop: bool,
    antialias: bool,
    max_pixels: int,
    checked: bool,
) -> tf.data.Dataset:
    import tensorflow as tf

    def read(path: tf.Tensor) -> tf.Tensor:
        content = tf.io.read_file(path)
        if not checked:
            content = checked_pixels(content, max_pixels, path)
        return _decoded(content, size, value_range, channels, crop, antialias)

    paths = np.asarray(index.paths)
    slices = paths if index.labels is None else (paths, index.labels)
    dataset = tf.data.Dataset.from_tensor_slices(slices)
    if shuffle:
        # Paths are small: the buffer holds all, so that the order is a true permutation.
        dataset = dataset.shuffle(len(paths), seed=seed)
    dataset = dataset.map(
        lambda path, *label: (read(path), *label) if label else read(path),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    if batch_size is not None:
        dataset = dataset.batch(batch_size)
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    dataset.class_names = None if index.class_names is None else list(index.class_names)
    dataset.file_paths = list(index.paths)
    return dataset


def decode_image(
    content: tf.Tensor,
    size: tuple[int, int],
    value_range: tuple[float, float],
    channels: int,
    crop: bool,
    antialias: bool,
    max_pixels: int = MAX_PIXELS,
) -> tf.Tensor:
    """An image from the bytes of its file, as `image_folder` gives it.

    Args:
        content: The bytes, a string tensor.
        size: Height and width in pixels.
        value_range: `(low, high)` that black and white become.
        channels: 1 or 3.
        crop: Cut the middle out of an image of another aspect ratio instead of stretching it.
        antialias: Smooth before downscaling.
        max_pixels: Most pixels, by the header.

    Returns:
        Float32 `[height, width, channels]`.
    """
    content = checked_pixels(content, max_pixels)
    return _decoded(content, size, value_range, channels, crop, antialias)


def _decoded(
    content: tf.Tensor,
    size: tuple[int, int],
    value_range: tuple[float, float],
    channels: int,
    crop: bool,
    antialias: bool,
) -> tf.Tensor:
    import tensorflow as tf

    low, high = value_range
    # Not every format can be decoded to one channel.
    image = tf.io.decode_image(content, channels=3, expand_animations=False)
    if crop:
        image = _middle(image, size)
    image = tf.image.resize(image, size, antialias=antialias)
    image.set_shape((*size, 3))
    if channels == 1:
        image = tf.tensordot(image, tf.constant(_LUMA), axes=1)
    # Smoothing can leave the range by a rounding error.
    return tf.clip_by_value(image * ((high - low) / 255.0) + low, low, high)


def _middle(image: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """The largest middle part of `image` with the aspect ratio of `size`."""
    import tensorflow as tf

    shape = tf.shape(image)
    height, width = shape[0], shape[1]
    crop_height = tf.minimum(height, tf.maximum(1, width * size[0] // size[1]))
    crop_width = tf.minimum(width, tf.maximum(1, height * size[1] // size[0]))
    return tf.image.crop_to_bounding_box(
        image, (height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width
    )
