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

    def check_examples(self, x: Any, name: str) -> None: ...


class ForgottenScale(keras.callbacks.Callback):
    """Forgets the scale of an autoencoder's latents where a training begins, which moves them."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        with self.model.distribute_strategy.scope():
            self.model.codec.scale.forget()


def measure_latents(model: Measured, data: Any) -> None:
    """Give the codec of a model the mean and deviation of each channel of its latents.

    Args:
        model: The autoencoder, trained.
        data: Images, or batches of them, of which the first 10,000 images count.

    Raises:
        ValueError: If they are none of the model's, or their latents are not finite.
    """
    model.average_what_was_loaded()
    channels, rows = model.codec.latent_channels, []
    for images in image_batches(data, MOST_MEASURED):
        model.check_examples(images, "images")
        rows.append(np.reshape(model._functions["latents"](images), (-1, channels)))
    if not rows:
        raise ValueError("The data are empty. Received: 0 images")
    found = np.concatenate(rows)
    if not np.isfinite(found).all():
        raise ValueError(
            "The latents of these images are not finite: a weight of the autoencoder is none. "
            "Begin anew, or load what was saved before. Received: latents with NaN or infinite "
            "values"
        )
    with model.distribute_strategy.scope():
        model.codec.scale.adapt(found)


def can_be_read_again(data: Any) -> bool:
    """Whether `image_batches` takes this: a Python generator is used up by its first reader."""
    return isinstance(data, (np.ndarray, tf.Tensor, tf.data.Dataset, keras.utils.PyDataset))


def image_batches(data: Any, most: int) -> Iterator[Any]:
    """Batches of images out of what `fit` takes.

    Args:
        data: Arrays, a `tf.data.Dataset` or a `PyDataset`.
        most: Images after which no further batch comes.
    """
    if isinstance(data, (np.ndarray, tf.Tensor)):
        few = data[:most]
        return (few[k : k + _BATCH_SIZE] for k in range(0, len(few), _BATCH_SIZE))
    if isinstance(data, tf.data.Dataset):
        return _few(iter(ends_promptly(data)), most)
    return _few((data[k] for k in itertools.count()), most, data.num_batches)


def _few(batches: Iterator[Any], most: int, number: int | None = None) -> Iterator[Any]:
    seen = 0
    for batch in itertools.islice(batches, number):
        images = batch[0] if isinstance(batch, (tuple, list)) else batch
        yield images
        seen += len(images)
        if seen >= most:
            return
