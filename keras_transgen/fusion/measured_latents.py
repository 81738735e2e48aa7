"""The scale of an autoencoder's latents, measured on images as `fit` takes them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training.batches import ends_promptly

MOST_MEASURED = 10_000
_BATCH_SIZE = 64


class Measured(Protocol):
    """What is asked of the autoencoder."""

    codec: Any
    distribute_strategy: Any
    _functions: dict[str, Callable[..., tf.Tensor]]

    def average_what_was_loaded(self) -> None: ...


def measure_latents(model: Measured, data: Any) -> None:
    """Give the codec of a model the mean and deviation of each channel of its latents.

    Args:
        model: The autoencoder, trained.
        data: Images, or batches of them, of which the first 10,000 images count. What can be read
            only once, a Python generator, is left alone.
    """
    batches = image_batches(data, MOST_MEASURED)
    if batches is None:
        return
    model.average_what_was_loaded()
    channels = model.codec.latent_channels
    rows = [np.reshape(model._functions["latents"](each), (-1, channels)) for each in batches]
    with model.distribute_strategy.scope():
        model.codec.scale.adapt(np.concatenate(rows))


def image_batches(data: Any, most: int) -> Iterator[Any] | None:
    """Batches of images out of what `fit` takes, `None` of what can be read only once.

    Args:
        data: Arrays, a `tf.data.Dataset` or a `PyDataset`.
        most: Images after which no further batch comes.
    """
    if isinstance(data, (np.ndarray, tf.Tensor)):
        few = data[:most]
        return (few[k : k + _BATCH_SIZE] for k in range(0, len(few), _BATCH_SIZE))
    if isinstance(data, tf.data.Dataset):
        return _few(iter(ends_promptly(data)), most)
    if isinstance(data, keras.utils.PyDataset):
        return _few((data[k] for k in itertools.count()), most, data.num_batches)
    return None


def _few(batches: Iterator[Any], most: int, number: int | None = None) -> Iterator[Any]:
    seen = 0
    for batch in itertools.islice(batches, number):
        images = batch[0] if isinstance(batch, (tuple, list)) else batch
        yield images
        seen += len(images)
        if seen >= most:
            return
