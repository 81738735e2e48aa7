"""What `keras-transgen detect train` reads: images with boxes, in the form of VOC or of COCO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

HELD_OUT = 5


@dataclass(frozen=True)
class BoxedPart:
    """Where some images with boxes are.

    Attributes:
        data: A folder in the form of VOC, or a JSON file in that of COCO.
        images: The folder of a JSON file's images; `None` for the one that it lies in.
        split: A list of a VOC folder; `None` for all of it.
    """

    data: Path
    images: Path | None = None
    split: str | None = None


@dataclass(frozen=True)
class Boxed:
    """Images with boxes, single ones, to train on and held out.

    Attributes:
        train: To train on.
        held_out: To measure on.
        count: Images to train on.
        held_out_count: Images held out.
        class_names: In the order of the labels.
    """

    train: tf.data.Dataset
    held_out: tf.data.Dataset
    count: int
    held_out_count: int
    class_names: list[str]


def boxed_data(
    part: BoxedPart,
    validation: BoxedPart | None,
    skip_difficult: bool = False,
    skip_empty: bool = False,
) -> Boxed:
    """Read what to train on and what to hold out: every fifth image where nothing else is said.

    Args:
        part: What to train on.
        validation: What to hold out, of the same classes.
        skip_difficult: As in `datasets.voc_boxes`.
        skip_empty: As in `datasets.voc_boxes`.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: They cannot be read so, have other classes, or are too few to hold some out.
    """
    skipped = {"skip_difficult": skip_difficult, "skip_empty": skip_empty}
    train = _read(part, None, skipped)
    names, count = list(train.class_names), len(train.file_paths)
    if validation is not None:
        held_out = _read(validation, names, skipped)
        return Boxed(train, held_out, count, len(held_out.file_paths), names)
    if count < 2:
        raise ValueError(
            "One image is held out, so there must be two at least; or give --validation. "
            f"Received: {count} image in {part.data}"
        )
    held = -(-count // HELD_OUT)
    held_out = train.shard(HELD_OUT, 0)
    rest = train.enumerate().filter(lambda number, _: number % HELD_OUT != 0)
    rest = rest.map(lambda _, item: item)
    # A filter does not say how much it leaves.
    rest = rest.apply(_cardinality(count - held))
    return Boxed(rest, held_out, count - held, held, names)


def _cardinality(count: int) -> Any:
    import tensorflow as tf

    return tf.data.experimental.assert_cardinality(count)


def _read(part: BoxedPart, names: Sequence[str] | None, skipped: dict[str, bool]) -> Any:
    from keras_transgen.datasets import coco_boxes, voc_boxes

    if not part.data.exists():
        raise FileNotFoundError(
            "Expected a folder with annotations (VOC), or a JSON file of them (COCO). "
            f"Received: {part.data} (nothing there)"
        )
    if part.data.is_dir():
        if part.images is not None:
            raise ValueError(
                "Only a JSON file (COCO) says nothing of where its images are: leave out the "
                f"folder of images. Received: {part.images} for the folder {part.data}"
            )
        return voc_boxes(part.data, part.split, class_names=names, **skipped)
    if part.split is not None or skipped["skip_difficult"]:
        option = "--skip-difficult" if part.split is None else f"the list {part.split!r}"
        raise ValueError(
            "Lists of images and difficult objects are of folders in the form of VOC; leave them "
            f"out. Received: {option} for the file {part.data}"
        )
    folder = part.data.parent if part.images is None else part.images
    data = coco_boxes(part.data, folder, skip_empty=skipped["skip_empty"])
    if names is not None and list(data.class_names) != list(names):
        raise ValueError(
            "Expected the categories of the training data, in the order of their ids: "
            f"{', '.join(names)}. Received: {', '.join(data.class_names)} in {part.data}"
        )
    return data


def first_examples(data: tf.data.Dataset, count: int) -> tuple[list[Any], list[dict[str, Any]]]:
    """The first images and the objects in them, as arrays."""
    examples = list(data.take(count).as_numpy_iterator())
    return [image for image, _ in examples], [objects for _, objects in examples]


def counted_objects(data: tf.data.Dataset, classes: int) -> list[int]:
    """How many objects of each class there are."""
    import numpy as np

    total = np.zeros(classes, "int64")
    for labels in data.map(lambda _, objects: objects["labels"]).as_numpy_iterator():
        total += np.bincount(labels, minlength=classes)
    return total.tolist()
