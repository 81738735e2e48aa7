"""What `keras-transgen tune` searches over, and on which data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_transgen.cli.example_images import example_images
from keras_transgen.cli.image_input import ImageInput, image_input, open_backbone
from keras_transgen.cli.labelled_data import refuse_small_classes
from keras_transgen.cli.options import EMBEDDED

_HELD_OUT = 10

Search = tuple[Any, dict[str, Any], list[str]]


def search_for_transfer(
    images: str,
    sources: Sequence[str],
    space: dict[str, Any],
    size: int | None,
    batch_size: int,
    seed: int,
    value_range: tuple[float, float] | None = None,
    preprocessing: str | None = None,
    check: str = "quick",
    skip_broken: bool = False,
) -> Search:
    """A search for the best transfer, the arguments of `tuner.search`, and the classes.

    Raises:
        ValueError: The backbones take different images.
    """
    import keras_transgen as ktg
    from keras_transgen.datasets import image_folder_split, index_images, load_digits_split

    backbones = _of_range(sources or [EMBEDDED], value_range)
    common = {"space": space, "seed": seed, "preprocessing": preprocessing}
    if images == EMBEDDED:
        (x, y), held_out = load_digits_split()
        names = [str(digit) for digit in range(10)]
        search = ktg.tuning.TransferHyperModel(backbones, 10, **common)
        low, high = _reading(search, size, x.shape[1], preprocessing).value_range
        x, held_out = low + (high - low) * x, (low + (high - low) * held_out[0], held_out[1])
        data = {"x": x, "y": y, "validation_data": held_out, "batch_size": batch_size}
        return search, data, names
    index = index_images(images)
    names = list(index.class_names or ())
    refuse_small_classes(index.labels, names, "Add some.")
    search = ktg.tuning.TransferHyperModel(backbones, len(names), **common)
    reading = _reading(search, size, images, preprocessing)
    options = {**reading.options(), "check": check, "skip_broken": skip_broken}
    x, held_out = image_folder_split(images, batch_size=batch_size, seed=seed, **options)
    return search, {"x": x, "validation_data": held_out}, names


def _reading(
    search: Any, size: int | None, images: str | int, preprocessing: str | None
) -> ImageInput:
    """How all the backbones of a search want their images."""
    wanted = {
        name: image_input(search.backbones.shared(name), size, images, preprocessing)
        for name in search.backbones.names
    }
    if len(set(wanted.values())) > 1:
        raise ValueError(
            "The backbones to choose from must take images of one size, colour and range. "
            f"Received: {', '.join(f'{name}: {each}' for name, each in wanted.items())}"
        )
    return next(iter(wanted.values()))


def _of_range(sources: Sequence[str], value_range: tuple[float, float] | None) -> Any:
    """The sources, or by their names the backbones that take this range of values."""
    if value_range is None:
        return list(sources)
    names = [Path(source.rstrip("/")).name for source in sources]
    if len(set(names)) < len(names):
        raise ValueError(f"Backbones must have different names. Received: {names}")
    return {
        name: open_backbone(source, False, value_range)
        for name, source in zip(names, sources, strict=True)
    }


def search_for_generation(
    task: str,
    images: str,
    space: dict[str, Any],
    size: int | None,
    color: str,
    extractor: str,
    batch_size: int,
    seed: int,
    check: str = "quick",
    skip_broken: bool = False,
) -> Search:
    """A search for the best generative model, the arguments of `tuner.search`, and the classes."""
    import keras_transgen as ktg

    value_range = (0.0, 1.0) if task == "vae" else (-1.0, 1.0)
    labelled = task == "conditional-gan"
    every, names = example_images(
        images, size, color, labelled, value_range, seed, False, check, skip_broken
    )
    shape = tuple(every.element_spec[0].shape)
    count = int(every.cardinality())
    left = count - -(-count // _HELD_OUT)
    if left < batch_size:
        raise ValueError(
            "A batch must be full, and so many images are not left where every tenth is held out. "
            f"Give a smaller --batch-size. Received: --batch-size {batch_size}, {left} of {count} "
            "images to train on"
        )
    train, held_out = _split(every, batch_size, labelled, seed)
    data = {"x": train, "validation_data": held_out}
    if task == "vae":
        return ktg.tuning.VAEHyperModel(shape, space=space, seed=seed), data, names
    options = {"space": space, "extractor": extractor, "seed": seed}
    if labelled:
        return ktg.tuning.ConditionalGANHyperModel(shape, len(names), **options), data, names
    return ktg.tuning.GANHyperModel(shape, **options), data, names


def _split(every: Any, batch_size: int, labelled: bool, seed: int) -> tuple[Any, Any]:
    """Every tenth example is held out; the rest comes in another order each epoch."""
    import tensorflow as tf

    def part(held_out: bool) -> Any:
        chosen = every.enumerate().filter(
            lambda number, _: tf.equal(tf.equal(number % _HELD_OUT, 0), held_out)
        )
        chosen = chosen.map(lambda _, example: example if labelled else example[0]).cache()
        if not held_out:
            # All of them, since a folder comes class by class.
            chosen = chosen.shuffle(max(int(every.cardinality()), 1), seed=seed)
        count = int(every.cardinality())
        held = -(-count // _HELD_OUT)
        # A filter does not say how much it leaves.
        known = tf.data.experimental.assert_cardinality(held if held_out else count - held)
        chosen = chosen.apply(known)
        return chosen.batch(batch_size, drop_remainder=not held_out).prefetch(tf.data.AUTOTUNE)

    return part(False), part(True)
