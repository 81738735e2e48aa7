"""What `keras-transgen translate train` reads: pairs, two sets, or clean images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

HELD_OUT = 10
_SHUFFLED = 1000


def one_set(
    folder: Path,
    validation: Path | None,
    size: int,
    direction: str | None,
    batch_size: int,
    seed: int,
    reading: dict[str, Any] | None = None,
) -> tuple[tf.data.Dataset, tf.data.Dataset, int]:
    """Training and validation batches of a folder, and how many images there are to train on."""
    import tensorflow as tf

    def read(folder: Path, **varied: Any) -> tf.data.Dataset:
        return _read(folder, size, direction, **varied, **(reading or {}))

    plain = read(folder)
    count = len(plain.file_paths)
    if validation is not None:
        held_out, train = read(validation), read(folder, seed=seed)
        return train.batch(batch_size).prefetch(1), held_out.batch(batch_size), count
    if count < 2:
        raise ValueError(
            "One image is held out, so there must be two at least; or give --validation. "
            f"Received: {count} image in {folder}"
        )
    held_out = plain.shard(HELD_OUT, 0)
    # In the folder's order while numbered, in another one in every epoch after that.
    train = read(folder, seed=seed, shuffle=False).enumerate()
    train = train.filter(lambda number, _: number % HELD_OUT != 0).map(lambda _, item: item)
    train = train.shuffle(min(count, _SHUFFLED), seed=seed)
    held = -(-count // HELD_OUT)
    # A filter does not say how much it leaves.
    train = train.apply(tf.data.experimental.assert_cardinality(count - held))
    return train.batch(batch_size).prefetch(1), held_out.batch(batch_size), count - held


def two_sets(
    images: Path,
    others: Path | None,
    size: int,
    direction: str,
    batch_size: int,
    seed: int,
    reading: dict[str, Any] | None = None,
) -> tuple[tf.data.Dataset, tf.data.Dataset, int]:
    """Batches `(a, b)` of images that chance brings together, and the first images in order."""
    import tensorflow as tf

    def read(folder: Path, **varied: Any) -> tf.data.Dataset:
        side_by_side = direction if others is None else None
        return _read(folder, size, side_by_side, **varied, **(reading or {}))

    if others is None:
        plain = read(images)
        sides = [read(images, seed=seed + side).map(_taking(side)) for side in range(2)]
        counts = [len(plain.file_paths)] * 2
    else:
        first, second = (read(folder) for folder in (images, others))
        plain = tf.data.Dataset.zip(first, second)
        sides = [read(folder, seed=seed) for folder in (images, others)]
        counts = [len(first.file_paths), len(second.file_paths)]
    count = max(counts)
    # The shorter set begins again until the longer one is through.
    sides = [side if own == count else side.repeat() for side, own in zip(sides, counts)]
    train = tf.data.Dataset.zip(*sides).take(count).batch(batch_size).prefetch(1)
    return train, plain.batch(batch_size), count


def _taking(side: int) -> Any:
    return lambda *pair: pair[side]


def _read(
    folder: Path,
    size: int,
    direction: str | None,
    seed: int | None = None,
    shuffle: bool = True,
    check: str = "quick",
    skip_broken: bool = False,
    any_shape: bool = False,
) -> tf.data.Dataset:
    """Single images, or single pairs where there is a direction; varied where there is a seed."""
    import tensorflow as tf

    from keras_transgen.datasets import image_folder, image_pairs

    varied = seed is not None
    options: dict[str, Any] = {
        "shuffle": varied and shuffle,
        "seed": seed or 0,
        "check": check,
        "skip_broken": skip_broken,
    }
    if direction is not None:
        return image_pairs(
            folder,
            size,
            batch_size=None,
            direction=direction,
            flip=varied,
            jitter=varied,
            square_halves=not any_shape,
            **options,
        )
    data = image_folder(
        folder,
        size,
        batch_size=None,
        labelled=False,
        value_range=(-1.0, 1.0),
        crop_to_aspect_ratio=True,
        **options,
    )
    if not varied:
        return data
    paths = data.file_paths
    numbers = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)
    data = tf.data.Dataset.zip(data, numbers).map(
        lambda image, pair: tf.image.stateless_random_flip_left_right(
            image, tf.bitcast(pair, tf.int32)[:, 0]
        )
    )
    data.file_paths = paths
    return data
