"""What a detector finds in images of any size, in the images' own pixels."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_transgen.evaluation.mean_average_precision import (
    MeanAveragePrecision,
    mean_average_precision,
)
from keras_transgen.training.batch_assertions import own_words, stop_at_wrong_values
from keras_transgen.transfer.detection.objects import as_dense
from keras_transgen.transfer.detection.square import Square, check_kind
from keras_transgen.transfer.detection.suppression import Suppressed


@dataclasses.dataclass(frozen=True, eq=False)
class Detections:
    """The objects found in one image, the most certain first.

    Attributes:
        boxes: float32 `[count, 4]`: left, top, right and bottom edge in pixels of the image.
        labels: int64 `[count]`.
        scores: float32 `[count]`, in (0, 1).
        names: The names of the labels; `None` where the classes have none.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    names: list[str] | None = None

    def __len__(self) -> int:
        return len(self.scores)


def images_dataset(x: Any) -> tf.data.Dataset:
    """Images one by one, from arrays, lists of arrays of any sizes, or a data set.

    Args:
        x: `[count, height, width, channels]`, a list of `[height, width, channels]`, or a
            `tf.data.Dataset` of images, alone or with other things, single or in batches.

    Raises:
        ValueError: If there are no images.
    """
    if isinstance(x, tf.data.Dataset):
        data = x.map(lambda image, *_: image) if isinstance(x.element_spec, tuple) else x
        rank = getattr(getattr(data.element_spec, "shape", None), "rank", None)
        if rank not in (3, 4):
            raise ValueError(
                "Expected a data set of images [height, width, channels], or of batches of such. "
                f"Received: a data set of {x.element_spec}"
            )
        return data.unbatch().map(as_dense) if rank == 4 else data
    x = list(x)
    if any(isinstance(image, (str, os.PathLike)) for image in x):
        raise ValueError(
            "Expected images, not names of files: read them by datasets.read_image(path), or "
            f"detect in a folder by `keras-transgen detect apply`. Received: {x[:1]}"
        )
    images = [np.asarray(image) for image in x]
    if not images or any(image.ndim != 3 for image in images):
        raise ValueError(
            "Expected images [count, height, width, channels], or a list of images [height, width, "
            "channels]; one alone goes into a list, [image]. Received: "
            + (f"{len(images)} of shape {images[0].shape}" if images else "none")
        )
    if len({image.shape[-1] for image in images}) > 1 or not all(image.size for image in images):
        raise ValueError(
            "Expected images with pixels, all of the same channels. "
            f"Received: images of shapes {sorted({image.shape for image in images})[:3]}"
        )
    kind = np.result_type(*{image.dtype for image in images})
    specification = tf.TensorSpec([None, None, images[0].shape[-1]], kind)
    return tf.data.Dataset.from_generator(
        lambda: (image.astype(kind, copy=False) for image in images),
        output_signature=specification,
    )


def found_in(
    data: tf.data.Dataset,
    square: Square,
    batch_size: int,
    function: Callable[[Any], Suppressed],
    class_names: Sequence[str] | None,
) -> Iterator[Detections]:
    """The objects in each image, whatever its size.

    Args:
        data: Single images.
        square: What they become.
        batch_size: Images at once.
        function: From a batch of squares to what is found in them.
        class_names: Of the labels.
    """
    check_kind(data.element_spec.dtype)

    def fit(image: Any) -> Any:
        size = tf.shape(image)[:2]
        with tf.control_dependencies(stop_at_wrong_values(image, square.value_range, "images")):
            made = square.image(image)
        return made, tf.tile(size[::-1], [2]), tf.tile(square.scale(size), [2])

    batches = data.map(fit, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size)
    with own_words(data):
        for images, all_edges, scales in batches:
            found = Suppressed(*(part.numpy() for part in function(images)))
            for place, (edges, scale) in enumerate(zip(all_edges.numpy(), scales.numpy())):
                count = int(found.counts[place])
                boxes = np.clip(found.boxes[place, :count] / scale, 0.0, edges).astype("float32")
                # What lies in the space beside an image is nothing.
                kept = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
                labels = found.labels[place, :count][kept].astype("int64")
                names = None if class_names is None else [class_names[each] for each in labels]
                yield Detections(boxes[kept], labels, found.scores[place, :count][kept], names)


def precision_on(
    batches: tf.data.Dataset, function: Callable[[Any], Suppressed]
) -> MeanAveragePrecision:
    """How well objects are found in images whose objects are known.

    Args:
        batches: As `objects.padded_batches` returns them, with the images' scales: objects are
            small or large in their own image.
        function: From a batch of images to what is found in them.
    """
    truth: list[dict[str, np.ndarray]] = []
    found: list[dict[str, np.ndarray]] = []
    for images, objects in batches:
        for each, made in (
            (truth, {name: objects[name] for name in ("boxes", "labels")}),
            (found, function(images)._asdict()),
        ):
            own = tf.cast(made["boxes"], tf.float32) / tf.tile(objects["scale"], [1, 2])[:, None]
            own = tf.minimum(own, tf.tile(objects["edges"], [1, 2])[:, None])
            # As in `found_in`: what lies in the space beside an image is nothing.
            kept = tf.reduce_all(own[..., 2:] > own[..., :2], axis=-1)
            labels = tf.where(kept, made["labels"], -tf.ones_like(made["labels"]))
            each += _by_image({**made, "boxes": own, "labels": labels})
    return mean_average_precision(truth, found)


def _by_image(batch: Mapping[str, Any]) -> list[dict[str, np.ndarray]]:
    """A batch of padded arrays, one image after the other."""
    arrays = {name: value.numpy() for name, value in batch.items() if name != "counts"}
    count = len(arrays["boxes"])
    return [{name: values[place] for name, values in arrays.items()} for place in range(count)]
