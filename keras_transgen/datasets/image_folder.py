"""Read a folder of images as a `tf.data` data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_transgen.datasets.by_class import stratified_split
from keras_transgen.datasets.image_decoding import Decoding, batched, decoding
from keras_transgen.datasets.image_file import MAX_PIXELS
from keras_transgen.datasets.image_index import list_images
from keras_transgen.datasets.readable_images import ReadableImages, readable_images
from keras_transgen.datasets.viewed_image import WHITE

if TYPE_CHECKING:
    import tensorflow as tf


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
    skip_broken: bool = False,
    background: Sequence[int] = WHITE,
    max_pixels: int = MAX_PIXELS,
) -> tf.data.Dataset:
    """A folder of images as a data set of batches, always in the same order.

    What `keras.utils.image_dataset_from_directory` does, with images as a viewer shows them
    (`read_image`: turned by Exif, transparency over a background, palettes, 16 bits, CMYK, TIFF),
    values in a range that is said, downscaling without aliasing, and wrong folders and broken
    files refused by name before training starts. Files that are no images by their suffix are
    counted in a warning; of links to one file the first is read (`index_images`).

    Args:
        path: The folder. With `labelled`, each folder in it is a class, sorted, numbers by value.
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
            images; `"thorough"` decodes every file and looks for damage inside (what it cannot find
            is said at `unreadable_images`); `"none"` does not look, and small images are read
            slower. What cannot be read stops the training, by name; of damage among the pixels of
            a plain JPEG, most of which no decoder reports, the name is looked for when it stops a
            model's method or an extraction, and else only `"thorough"` knows it.
        skip_broken: Leave out the files that the check finds broken, with a warning that counts
            them and names the first five. Defaults to `False`: they are an error.
        background: Red, green and blue from 0 to 255 behind what is transparent. Defaults to white.
        max_pixels: Most pixels of an image, which bounds the memory of each of the readers that
            work side by side (three bytes a pixel). Defaults to 67 million (2^26).

    Returns:
        A `tf.data.Dataset` of float32 images `[batch, height, width, channels]`, with int64 labels
        `[batch]` if `labelled`, and with the attributes `class_names` and `file_paths`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are no images, a class without images, one class only, a file in two
            classes, a file that cannot be read, or an argument out of its range.

    Example:
        ```python no-run
        from keras_transgen.datasets import image_folder

        train = image_folder("../shared/data/ants_bees/train", image_size=224)
        print(train.class_names)
        ```
    """
    how = decoding(image_size, value_range, color_mode, crop_to_aspect_ratio, antialias, background)
    index = list_images(path, labelled, "image_folder")
    images = readable_images(index, check, skip_broken, max_pixels, "image_folder")
    return _dataset(images, how, batch_size, seed if shuffle else None)


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
    skip_broken: bool = False,
    background: Sequence[int] = WHITE,
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
        skip_broken: As in `image_folder`.
        background: As in `image_folder`.
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
    how = decoding(image_size, value_range, color_mode, crop_to_aspect_ratio, antialias, background)
    index = list_images(path, True, "image_folder_split")
    images = readable_images(index, check, skip_broken, max_pixels, "image_folder_split")
    assert images.index.labels is not None
    train, validation = stratified_split(images.index.labels, validation_fraction, seed)
    return (
        _dataset(images.part(train), how, batch_size, seed if shuffle else None),
        _dataset(images.part(validation), how, batch_size, None),
    )


def _dataset(
    images: ReadableImages, how: Decoding, batch_size: int | None, shuffle_seed: int | None
) -> tf.data.Dataset:
    import tensorflow as tf

    def read(file: dict[str, tf.Tensor]) -> Any:
        image = images.image(file, how)
        return (image, file["label"]) if "label" in file else image

    index = images.index
    dataset = images.files()
    if shuffle_seed is not None:
        # Paths are small: the buffer holds all, so that the order is a true permutation.
        dataset = dataset.shuffle(len(index.paths), seed=shuffle_seed)
    dataset = batched(dataset.map(read, num_parallel_calls=tf.data.AUTOTUNE), batch_size)
    dataset.class_names = None if index.class_names is None else list(index.class_names)
    dataset.file_paths = list(index.paths)
    return dataset
