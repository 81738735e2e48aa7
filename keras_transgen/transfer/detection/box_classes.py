"""Recognition of what is in the boxes of a detector, by a classifier of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_transgen.backbones.image_channels import with_channels
from keras_transgen.backbones.image_preprocessing import RAW_RANGE, ImagePreprocessing
from keras_transgen.transfer.detection.box_crops import MARGIN, crop_boxes
from keras_transgen.transfer.detection.detections import Detections


def classify_boxes(
    classifier: Any,
    images: Sequence[Any],
    objects: Sequence[Any],
    margin: float = MARGIN,
    *,
    image_size: int | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    batch_size: int = 32,
) -> list[Detections]:
    """Tell what is in boxes: each is cut out of its image and goes through a classifier.

    A detector of animals needs many boxes, a classifier of species a few labelled crops
    (`crop_boxes`): the two together tell species.

    Args:
        classifier: A `TransferModel` of images: `FeatureTransfer`, `ParameterTransfer` or
            `StructureTransfer`. How its images are made is what its `data_kind` says, else what its
            backbone takes.
        images: `[height, width, channels]` each, of any sizes: uint8, or floats in `value_range`.
        objects: Boxes in them, as in `crop_boxes`: what `Detector.detect` returned.
        margin: As in `crop_boxes`. Defaults to 0.1.
        image_size: Height and width of the crops, where neither `data_kind` nor the backbone says.
        value_range: `(low, high)` of float images. Defaults to `(0.0, 1.0)`, the detector's.
        batch_size: Crops at once. Defaults to 32.

    Returns:
        For each image the same boxes in the same order, with the classifier's most probable class
        as their `labels` and `names`, and its probability as `scores`.

    Raises:
        ValueError: The model tells no single class of images, or not how its images are made; or
            as in `crop_boxes`.

    Example:
        ```python
        import numpy as np
        import keras_transgen as ktg
        from keras_transgen.transfer.detection import classify_boxes, crop_boxes

        images = np.random.default_rng(0).random((4, 16, 16, 1)).astype("float32")
        objects = [{"boxes": [[2, 2, 10, 10]], "labels": [0]}] * 4
        species = ktg.FeatureTransfer("digits", class_names=["wren", "robin"])
        species.fit(crop_boxes(images, objects, 8), np.array([0, 1, 0, 1]))
        told = classify_boxes(species, images, objects, image_size=8)
        assert told[0].names[0] in ("wren", "robin")
        ```
    """
    if getattr(classifier, "task", None) != "classification":
        raise ValueError(
            "Expected a classifier of images, a TransferModel with task='classification'. "
            f"Received: {type(classifier).__name__}"
            f" with task={getattr(classifier, 'task', None)!r}"
        )
    size, channels, target = _input(classifier, image_size)
    pictures = [np.asarray(image) for image in images]
    crops = crop_boxes(pictures, objects, size, margin)
    probabilities = np.zeros([0, classifier.num_classes], "float32")
    if len(crops):
        source = RAW_RANGE if np.issubdtype(crops.dtype, np.integer) else value_range
        low, high = source
        scaled = (crops.astype("float32") - low) / (high - low)
        scaled = scaled * (target[1] - target[0]) + target[0]
        inputs = np.asarray(with_channels(scaled, channels))
        probabilities = classifier.predict_probabilities(inputs, batch_size=batch_size, verbose=0)
    kept = [_kept(each) for each in objects]
    ends = np.cumsum([len(each) for each in kept])[:-1]
    return [
        _told(boxes, found, classifier.class_names)
        for boxes, found in zip(kept, np.split(probabilities, ends))
    ]


def _told(boxes: np.ndarray, probabilities: np.ndarray, class_names: Any) -> Detections:
    labels = probabilities.argmax(axis=1).astype("int64")
    scores = probabilities.max(axis=1).astype("float32") if len(labels) else np.zeros(0, "float32")
    names = None if class_names is None else [class_names[label] for label in labels]
    return Detections(boxes, labels, scores, names)


def _kept(objects: Any) -> np.ndarray:
    """The boxes that are no padding."""
    boxes, labels = (
        objects[name] if isinstance(objects, dict) else getattr(objects, name)
        for name in ("boxes", "labels")
    )
    boxes = np.asarray(boxes, "float32").reshape(-1, 4)
    return boxes[np.asarray(labels, int) >= 0]


def _input(classifier: Any, image_size: int | None) -> tuple[int, int | None, tuple[float, float]]:
    """Side, channels and range of what the classifier takes."""
    record = classifier.data_kind or {}
    contract = classifier.backbone.input_contract
    shape = getattr(contract, "shape", None)
    if record.get("kind", "images") != "images" or shape is None or len(shape) != 4:
        raise ValueError(
            "Expected a classifier of images [batch, height, width, channels]. "
            f"Received: {classifier.name!r} with input {contract}"
        )
    sides = record.get("size") or shape[1:3]
    side = image_size if None in sides else sides[0]
    if side is None:
        raise ValueError(
            "This classifier takes images of any size: give image_size, that of its training "
            "images. Received: image_size=None"
        )
    if image_size not in (None, side) or (None not in sides and sides[0] != sides[1]):
        raise ValueError(
            f"This classifier takes images of {sides[0]} x {sides[1]} pixels, and boxes are cut "
            f"out as squares. Received: image_size={image_size}"
        )
    first = classifier.preprocessing
    known = RAW_RANGE if isinstance(first, ImagePreprocessing) else None
    known = contract.value_range if first is None else known
    values = record.get("value_range") or known
    if values is None:
        raise ValueError(
            "Nobody knows which range of values this classifier takes: set its data_kind, such as "
            "{'kind': 'images', 'value_range': [0, 255]}. "
            f"Received: {classifier.name!r} with input {contract}"
        )
    channels = {"rgb": 3, "grayscale": 1}.get(record.get("color_mode", ""), shape[-1])
    return int(side), channels, (float(values[0]), float(values[1]))
