"""Images with boxes in any form, as the squares and padded boxes that a detector trains on."""

from __future__ import annotations

import math
import types
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training.batch_assertions import own_words, stop_at_wrong_values, stop_unless
from keras_transgen.transfer.detection.square import Square, check_kind

# Images that together take more bytes are not brought into memory.
LARGEST_IN_MEMORY = 2**31
_READ_AT_ONCE = 64
_PADDING = {"boxes": 0.0, "labels": -1}


def objects_dataset(x: Any, y: Any = None) -> tf.data.Dataset:
    """Images and the objects in them, one by one, from whatever form people keep them in.

    Args:
        x: A `tf.data.Dataset` of `(image, objects)`, of single images or of batches; a
            `keras.utils.PyDataset` or a Python generator of batches; or images: an array `[count,
            height, width, channels]` or a list of arrays `[height, width, channels]` of any sizes.
        y: With images: `{"boxes": ..., "labels": ...}`, lists of `[n, 4]` and `[n]` or padded
            arrays, or a list of such dicts, one an image.

    Returns:
        Elements `(image, {"boxes": float32 [n, 4], "labels": int64 [n]})`.

    Raises:
        ValueError: If they have another form, or boxes and labels do not go together.
    """
    if isinstance(x, tf.data.Dataset):
        if y is not None:
            raise ValueError(
                "A data set brings its own boxes: leave y out. Received: a data set and y"
            )
        return _one_by_one(x)
    if isinstance(x, (keras.utils.PyDataset, types.GeneratorType)):
        elements = [each for batch in _batches(x) for each in _elements(*_pair(batch))]
    else:
        elements = list(_elements(x, y))
    if not elements:
        raise ValueError("The data are empty: there must be at least one image. Received: none")
    images = [image for image, _, _ in elements]
    kind = np.result_type(*{image.dtype for image in images})
    channels = {image.shape[-1] if image.ndim == 3 else None for image in images}
    if channels & {None, 0} or len(channels) > 1:
        raise ValueError(
            "Expected images [height, width, channels], all of the same channels. Received: images "
            f"of shapes {sorted({image.shape for image in images})[:3]}"
        )
    specification = (
        tf.TensorSpec([None, None, channels.pop()], kind),
        {"boxes": tf.TensorSpec([None, 4]), "labels": tf.TensorSpec([None], tf.int64)},
    )

    def listed() -> Iterator[Any]:
        for image, boxes, labels in elements:
            yield image.astype(kind, copy=False), {"boxes": boxes, "labels": labels}

    data = tf.data.Dataset.from_generator(listed, output_signature=specification)
    return data.apply(tf.data.experimental.assert_cardinality(len(elements)))


def fitted(
    data: tf.data.Dataset,
    square: Square,
    num_classes: int,
    max_boxes: int,
    sizes: bool = False,
) -> tf.data.Dataset:
    """Images as squares, and their boxes with them; what is wrong with one is an error.

    Padding (label -1) is taken out; boxes end at the edges of their image.

    Args:
        data: As `objects_dataset` returns it.
        square: What images become.
        num_classes: Labels are below it.
        max_boxes: Most objects an image may have.
        sizes: Whether each image's scale, as `Square.scale` gives it, and its width and height go
            with its objects.

    Returns:
        Elements `(image [side, side, channels], {"boxes": [n, 4], "labels": [n]})`, and `"scale"`
        and `"edges"` `[2]` if wanted; uint8 images stay so. Reading them raises a `ValueError`
        (within `own_words`) for boxes that are not finite, have no area or have swapped corners,
        for labels outside of the classes, for values outside of the range, for too many objects.
    """
    check_kind(data.element_spec[0].dtype)

    def fit(image: Any, objects: Any) -> Any:
        boxes, labels = tf.cast(objects["boxes"], tf.float32), tf.cast(objects["labels"], tf.int64)
        boxes, labels = boxes[labels != -1], labels[labels != -1]
        size = tf.shape(image)[:2]
        edges = tf.cast(tf.tile(size[::-1], [2]), tf.float32)
        checks = [
            *stop_at_wrong_values(image, square.value_range, "images"),
            *_box_checks(boxes, labels, edges, num_classes, max_boxes),
        ]
        with tf.control_dependencies(checks):
            scale = tf.cast(square.scale(size), tf.float32)
            boxes = tf.clip_by_value(boxes, 0.0, edges) * tf.tile(scale, [2])
        made = {"boxes": boxes, "labels": labels}
        own = {"scale": scale, "edges": edges[:2]} if sizes else {}
        return square.image(image), {**made, **own}

    return data.map(fit, num_parallel_calls=tf.data.AUTOTUNE)


def padded_batches(
    data: tf.data.Dataset, batch_size: int, objects: int | None = None
) -> tf.data.Dataset:
    """Batches of fitted images, their boxes padded to one number: zeros, with label -1.

    Args:
        data: As `fitted` returns it.
        batch_size: Images a batch.
        objects: The number. Defaults to the largest one of each batch.
    """
    image, found = data.element_spec
    shapes = {"boxes": [objects, 4], "labels": [objects], "scale": [2], "edges": [2]}
    padding = {"boxes": 0.0, "labels": tf.constant(-1, tf.int64)}
    padding |= {"scale": 0.0, "edges": 0.0}
    return data.padded_batch(
        batch_size,
        (image.shape, {name: shapes[name] for name in found}),
        (tf.zeros([], image.dtype), {name: padding[name] for name in found}),
    ).prefetch(tf.data.AUTOTUNE)


def may_fit_in_memory(data: tf.data.Dataset) -> bool:
    """Whether fitted images may be few enough to be held in memory; reading them tells for sure."""
    count = int(data.cardinality())
    # Where only reading would tell the number, such as behind `unbatch`, it is below zero.
    return count != tf.data.INFINITE_CARDINALITY and count * _image_bytes(data) <= LARGEST_IN_MEMORY


def as_arrays(
    data: tf.data.Dataset, *given: Any
) -> tuple[np.ndarray, dict[str, np.ndarray]] | None:
    """Fitted images as arrays: `[count, size, size, channels]`, and padded boxes and labels.

    Args:
        data: As `fitted` returns it.
        *given: The data sets that it was made of, for messages about damaged files.

    Returns:
        The arrays; `None` if they would take more than 2 GiB.
    """
    images, boxes, labels = [], [], []
    most_images = LARGEST_IN_MEMORY // _image_bytes(data)
    with own_words(*given):
        for image, objects in padded_batches(data, _READ_AT_ONCE):
            images.append(image.numpy())
            boxes.append(objects["boxes"].numpy())
            labels.append(objects["labels"].numpy())
            if len(images) * _READ_AT_ONCE > most_images:
                return None
    if not images:
        raise ValueError("The data are empty: there must be at least one image. Received: none")
    most = max(1, *(each.shape[1] for each in labels))
    return np.concatenate(images), {
        "boxes": np.concatenate([_filled(each, most, 0.0) for each in boxes]),
        "labels": np.concatenate([_filled(each, most, -1) for each in labels]),
    }


def _image_bytes(data: tf.data.Dataset) -> int:
    image = data.element_spec[0]
    return math.prod(image.shape) * image.dtype.size


def _filled(values: np.ndarray, length: int, padding: float) -> np.ndarray:
    missing = [(0, 0), (0, length - values.shape[1]), *[(0, 0)] * (values.ndim - 2)]
    return np.pad(values, missing, constant_values=padding)


def _box_checks(boxes: Any, labels: Any, edges: Any, num_classes: int, most: int) -> list:
    inside = tf.clip_by_value(boxes, 0.0, edges)
    is_good = tf.reduce_all(tf.math.is_finite(boxes), axis=-1)
    is_good &= tf.reduce_all(inside[:, 2:] > inside[:, :2], axis=-1)
    # The first bad one; where all are good, whichever it is is not shown.
    place = tf.argmin(tf.concat([tf.cast(is_good, tf.int32), [1]], axis=0))
    shown = tf.concat([boxes, tf.zeros([1, 4])], axis=0)[place]
    return [
        *stop_unless(
            tf.reduce_all(is_good),
            "Expected boxes [left, top, right, bottom] in pixels that are finite and have an area "
            "in their image, the left edge before the right and the upper before the lower one. "
            "Received: the box {} in an image of {} x {} pixels",
            shown,
            edges[0],
            edges[1],
        ),
        *stop_unless(
            # One pixel of all is hardly an object; one of a single pixel is a whole image.
            tf.reduce_any(boxes > 1.0) | (tf.shape(boxes)[0] == 0) | tf.reduce_any(edges <= 1.0),
            "Expected boxes in pixels. Received: boxes that all lie in the first pixel of an image "
            "of {} x {}, such as {}: edges in parts of the image? Multiply left and right by the "
            "width, top and bottom by the height",
            edges[0],
            edges[1],
            tf.concat([boxes, tf.zeros([1, 4])], axis=0)[0],
        ),
        *stop_unless(
            tf.reduce_all((labels >= 0) & (labels < num_classes)),
            f"Expected labels of objects as integers from 0 to {num_classes - 1} "
            f"(num_classes={num_classes}), or -1 for padding. Received: the labels {{}}",
            labels,
        ),
        *stop_unless(
            tf.shape(boxes)[0] <= most,
            "Expected no more objects in an image than max_boxes; raise it in the constructor. "
            f"Received: {{}} objects, max_boxes={most}",
            tf.shape(boxes)[0],
        ),
    ]


def _one_by_one(data: tf.data.Dataset) -> tf.data.Dataset:
    """A data set of single images, from one of single ones or of batches."""
    spec = data.element_spec
    objects = spec[1] if isinstance(spec, tuple) and len(spec) == 2 else None
    has_objects = isinstance(objects, dict) and {"boxes", "labels"} <= set(objects)
    image: Any = spec[0] if has_objects else None
    rank = getattr(getattr(image, "shape", None), "rank", None)
    if rank not in (3, 4) or image.shape[-1] is None:
        raise ValueError(
            'Expected a data set of (image, {"boxes": [n, 4], "labels": [n]}), as '
            "datasets.voc_boxes gives it, with images [height, width, channels] of known channels, "
            f"or batches of such. Received: a data set of {spec}"
        )
    chosen = data.map(lambda image, found: (image, {key: found[key] for key in _PADDING}))
    if rank == 3:
        return chosen

    def dense(images: Any, found: Any) -> Any:
        filled = {
            key: found[key].to_tensor(padding) if _is_ragged(found[key]) else found[key]
            for key, padding in _PADDING.items()
        }
        return images, filled

    return chosen.map(dense).unbatch().map(lambda image, found: (as_dense(image), found))


def as_dense(image: Any) -> tf.Tensor:
    """One image of a ragged batch, all of whose rows are of one length, or any other as it is."""
    return image.to_tensor() if _is_ragged(image) else image


def _is_ragged(values: Any) -> bool:
    return isinstance(values, tf.RaggedTensor)


def _batches(data: Any) -> Iterator[Any]:
    if isinstance(data, types.GeneratorType):
        return data
    return (data[place] for place in range(data.num_batches))


def _pair(batch: Any) -> tuple[Any, Any]:
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise ValueError(
            "Expected batches of (images, objects). Received: a batch of type "
            f"{type(batch).__name__}"
        )
    return batch[0], batch[1]


def _elements(x: Any, y: Any) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    images = [np.asarray(image) for image in x]
    if isinstance(y, dict) and {"boxes", "labels"} <= set(y):
        listed = list(zip(_rows(y["boxes"]), _rows(y["labels"])))
    elif isinstance(y, (list, tuple)) and all(
        isinstance(each, dict) and {"boxes", "labels"} <= set(each) for each in y
    ):
        listed = [(each["boxes"], each["labels"]) for each in y]
    else:
        raise ValueError(
            'Expected objects as {"boxes": ..., "labels": ...}, with the boxes [n, 4] and labels '
            f"[n] of each image, or a list of such dicts. Received: {_described(y)}"
        )
    if len(images) != len(listed):
        raise ValueError(
            f"Expected boxes for each image. Received: {len(images)} images, boxes of {len(listed)}"
        )
    for place, (image, (boxes, labels)) in enumerate(zip(images, listed)):
        boxes = np.asarray([] if boxes is None else boxes, "float32")
        labels = np.asarray([] if labels is None else labels)
        if boxes.size == 0:
            boxes = boxes.reshape(0, 4)
        whole = labels.dtype.kind in "iuf" and np.array_equal(labels, np.floor(labels))
        if boxes.ndim != 2 or boxes.shape != (len(labels), 4) or labels.ndim != 1 or not whole:
            raise ValueError(
                "Expected boxes [n, 4] and as many labels, integers, of each image. Received: "
                f"boxes of shape {boxes.shape}, labels of shape {labels.shape} and type "
                f"{labels.dtype}, of image {place}"
            )
        yield image, boxes, labels.astype("int64")


def _described(y: Any) -> str:
    items = list(y) if isinstance(y, (list, tuple)) else [y]
    dicts = [each for each in items if isinstance(each, dict)]
    other = next((each for each in dicts if not {"boxes", "labels"} <= set(each)), None)
    keys = "" if other is None else f", with the keys {sorted(map(str, other))}"
    return f"y of type {type(y).__name__}{keys}"


def _rows(values: Any) -> list[Any]:
    if isinstance(values, tf.RaggedTensor):
        return [each.numpy() for each in values]
    return list(values.numpy() if isinstance(values, tf.Tensor) else values)
