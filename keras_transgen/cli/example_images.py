"""Images for generative models: of a folder, or the embedded digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keras_transgen.cli.options import EMBEDDED


def has_folders(path: Path) -> bool:
    """Whether there are folders in a folder: those of classes."""
    return any(each.is_dir() and not each.name.startswith(".") for each in path.iterdir())


def example_images(
    images: str,
    size: int | None,
    color: str,
    labelled: bool,
    value_range: tuple[float, float],
    seed: int,
    shuffle: bool = False,
    check: str = "quick",
    skip_broken: bool = False,
) -> tuple[Any, list[str]]:
    """A data set of single images with labels, and the classes.

    Labels of a folder without classes are 0. With `shuffle` each pass takes another order; else it
    is a folder's own, and the digits have one at random, but the same.
    """
    import numpy as np
    import tensorflow as tf

    from keras_transgen.datasets import image_folder, index_images, load_digits

    low, high = value_range
    if images == EMBEDDED:
        pixels, labels = load_digits()
        if size not in (None, 8):
            pixels = np.asarray(tf.image.resize(pixels, (size, size)))
        order = np.random.default_rng(seed).permutation(len(pixels))
        pixels = (low + (high - low) * pixels[order]).astype("float32")
        data = tf.data.Dataset.from_tensor_slices((pixels, labels[order]))
        names = [str(digit) for digit in range(10)] if labelled else []
        return data.shuffle(len(pixels), seed=seed) if shuffle else data, names
    index = index_images(images, labelled=labelled)
    data = image_folder(
        images,
        image_size=size or 64,
        batch_size=None,
        labelled=labelled,
        value_range=value_range,
        color_mode=color,
        shuffle=shuffle,
        seed=seed,
        check=check,
        skip_broken=skip_broken,
    )
    if not labelled:
        data = data.map(lambda image: (image, tf.constant(0, tf.int64)))
    return data, list(index.class_names or ()) if labelled else []


def few_of_each(images: Any, labels: Any, count: int = 8) -> tuple[Any, Any]:
    """The first images of each class, for a picture; all of them where there are no classes.

    Args:
        images: An array of images.
        labels: Their classes, or `None`.
        count: Of a class at most. Defaults to 8, the samples that stand in a row.
    """
    import numpy as np

    if labels is None:
        return images, None
    rows = np.sort(np.concatenate([np.flatnonzero(labels == each)[:count] for each in set(labels)]))
    return images[rows], labels[rows]
