"""What `keras-transgen tune` searches over, and on which data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_transgen.cli.example_images import example_images
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
) -> Search:
    """A search for the best transfer, the arguments of `tuner.search`, and the classes.

    Raises:
        ValueError: The backbones take different images.
    """
    import keras_transgen as ktg
    from keras_transgen.cli.image_input import image_input
    from keras_transgen.datasets import image_folder_split, index_images, load_digits_split

    if images == EMBEDDED:
        (x, y), held_out = load_digits_split()
        names = [str(digit) for digit in range(10)]
        search = ktg.tuning.TransferHyperModel(sources or [EMBEDDED], 10, space=space, seed=seed)
        data = {"x": x, "y": y, "validation_data": held_out, "batch_size": batch_size}
        return search, data, names
    index = index_images(images)
    names = list(index.class_names or ())
    refuse_small_classes(index.labels, names, "Add some.")
    search = ktg.tuning.TransferHyperModel(
        list(sources) or [EMBEDDED], len(names), space=space, seed=seed
    )
    wanted = {
        name: image_input(search.backbones.shared(name), size, images)
        for name in search.backbones.names
    }
    if len(set(wanted.values())) > 1:
        raise ValueError(
            "The backbones to choose from must take images of one size, colour and range. "
            f"Received: {', '.join(f'{name}: {each}' for name, each in wanted.items())}"
        )
    (reading,) = set(wanted.values())
    x, held_out = image_folder_split(images, batch_size=batch_size, seed=seed, **reading.options())
    return search, {"x": x, "validation_data": held_out}, names


def search_for_generation(
    task: str,
    images: str,
    space: dict[str, Any],
    size: int | None,
    color: str,
    extractor: str,
    batch_size: int,
    seed: int,
) -> Search:
    """A search for the best generative model, the arguments of `tuner.search`, and the classes."""
    import keras_transgen as ktg

    value_range = (0.0, 1.0) if task == "vae" else (-1.0, 1.0)
    labelled = task == "conditional-gan"
    every, names = example_images(images, size, color, labelled, value_range, seed)
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
