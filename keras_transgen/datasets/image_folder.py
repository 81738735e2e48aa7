"""Read a folder of images as a `tf.data` data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.datasets.by_class import stratified_split
from keras_transgen.datasets.image_check import refuse_unreadable
from keras_transgen.datasets.image_decoding import Decoding, batched, decode_image, decoding
from keras_transgen.datasets.image_index import ImageIndex, index_images
from keras_transgen.datasets.image_size import MAX_PIXELS

if TYPE_CHECKING:
    import tensorflow as tf

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
    how = decoding(image_size, value_range, color_mode, crop_to_aspect_ratio, antialias)
    left = _looked_at(index.paths, check, max_pixels)
    return _dataset(index, how, left, batch_size, seed if shuffle else None)


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
    how = decoding(image_size, value_range, color_mode, crop_to_aspect_ratio, antialias)
    assert index.labels is not None
    train, validation = stratified_split(index.labels, validation_fraction, seed)
    left = _looked_at(index.paths, check, max_pixels)
    return (
        _dataset(_part(index, train), how, left, batch_size, seed if shuffle else None),
        _dataset(_part(index, validation), how, left, batch_size, None),
    )


def _looked_at(paths: tuple[str, ...], check: str, max_pixels: int) -> int | None:
    """Refuse files that cannot be read; the limit of pixels, where nobody has looked at it."""
    if check not in _CHECKS:
        raise ValueError(f"Expected check in {_CHECKS}. Received: check={check!r}")
    if check == "none":
        return max_pixels
    refuse_unreadable(paths, check == "thorough", max_pixels)
    return None


def _part(index: ImageIndex, positions: np.ndarray) -> ImageIndex:
    assert index.labels is not None
    return ImageIndex(
        tuple(index.paths[i] for i in positions), index.labels[positions], index.class_names
    )


def _dataset(
    index: ImageIndex,
    how: Decoding,
    max_pixels: int | None,
    batch_size: int | None,
    shuffle_seed: int | None,
) -> tf.data.Dataset:
    import tensorflow as tf

    def read(path: tf.Tensor, *label: tf.Tensor) -> Any:
        image = decode_image(tf.io.read_file(path), how, max_pixels, path)
        return (image, *label) if label else image

    paths = np.asarray(index.paths)
    slices = (paths,) if index.labels is None else (paths, index.labels)
    dataset = tf.data.Dataset.from_tensor_slices(slices)
    if shuffle_seed is not None:
        # Paths are small: the buffer holds all, so that the order is a true permutation.
        dataset = dataset.shuffle(len(index.paths), seed=shuffle_seed)
    dataset = batched(dataset.map(read, num_parallel_calls=tf.data.AUTOTUNE), batch_size)
    dataset.class_names = None if index.class_names is None else list(index.class_names)
    dataset.file_paths = list(index.paths)
    return dataset
