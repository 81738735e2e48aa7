"""Read images and boxes in the form of COCO, common objects in context."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.datasets.boxed_images import BoxedImage, boxed_dataset, number_or_nan
from keras_transgen.datasets.file_content import file_text
from keras_transgen.datasets.printable import printable

if TYPE_CHECKING:
    import tensorflow as tf

MAX_BYTES = 2**30


def coco_boxes(
    file: str | Path,
    folder: str | Path,
    image_size: int | tuple[int, int] | None = None,
    *,
    normalised: bool = False,
    skip_empty: bool = False,
    shuffle: bool = False,
    seed: int = 0,
    max_bytes: int = MAX_BYTES,
) -> tf.data.Dataset:
    """Images and boxes from a file of annotations in the form of COCO.

    Boxes `[x, y, width, height]` become edges; groups (`iscrowd`) are left out. Labels are the
    positions of the categories in the order of their ids.

    Args:
        file: The JSON file, such as `instances_val2017.json`, gzipped or not.
        folder: Where its images are.
        image_size: Height and width, or one number for both, that images are stretched to, and
            boxes with them. Defaults to each image's own size.
        normalised: Whether boxes are in parts of the width and height instead of pixels. Defaults
            to `False`.
        skip_empty: Leave out boxes without an area in their image, of which COCO itself has some.
            Defaults to `False`, which refuses them.
        shuffle: Another order in every epoch. Defaults to `False`: as the file has them.
        seed: Of the shuffling. Defaults to 0.
        max_bytes: Most bytes of the JSON file, which takes several times as many while it is read.
            Defaults to 1 GiB.

    Returns:
        A `tf.data.Dataset` of `(image, {"boxes": boxes, "labels": labels})`, as `voc_boxes` gives
        it.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If the file is not of this form, an annotation means an image or category that
            is not there, an image is missing, cannot be read, or lies outside of the folder; or an
            argument is out of its range.

    Example:
        ```python no-run
        from keras_transgen.datasets import coco_boxes

        data = coco_boxes("instances_val2017.json", "val2017", image_size=256, skip_empty=True)
        ```

    Reference:
        Lin et al., Microsoft COCO: Common objects in context, 2014.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"Expected a folder of images. Received: {printable(root)}")
    content = _content(file, max_bytes)
    categories = _by_id(content["categories"], "category", file)
    order = {category: label for label, category in enumerate(sorted(categories))}
    entries = _by_id(content["images"], "image", file)
    boxes: dict[int, list[list[float]]] = {number: [] for number in entries}
    labels: dict[int, list[int]] = {number: [] for number in entries}
    for each in content["annotations"]:
        number: Any = each.get("image_id")
        category, box = each.get("category_id"), each.get("bbox")
        known = isinstance(number, int) and number in entries
        if not known or not isinstance(category, int) or category not in order:
            what = "category_id" if known else "image_id"
            raise ValueError(
                "Expected annotations of images and categories of the file. Received: "
                f"{what}={printable(each.get(what), 80)} in annotation "
                f"{printable(each.get('id'), 80)} of {printable(file)}"
            )
        if each.get("iscrowd") in (1, "1"):
            continue
        if not isinstance(box, list) or len(box) != 4:
            raise ValueError(
                "Expected a bbox [x, y, width, height] in each annotation. Received: annotation "
                f"{printable(each.get('id'), 80)} of {printable(file)} without"
            )
        boxes[number].append([number_or_nan(value) for value in box])
        labels[number].append(order[category])
    images = []
    for number, entry in entries.items():
        size = _size(entry, file)
        corners = np.array(boxes[number], "float64").reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        if normalised:
            corners *= [size[1], size[0], size[1], size[0]]
        path = _path(entry, root, file)
        images.append(BoxedImage(str(path), size, corners, np.array(labels[number], "int64")))
    absent = [image.path for image in images if not Path(image.path).is_file()]
    if absent:
        raise ValueError(
            "Expected every image of the file in the folder, which the second argument names. "
            "Received: "
            f"{len(absent)} of {len(images)} missing, the first {printable(absent[0])}"
        )
    names = [str(categories[category].get("name", category)) for category in sorted(categories)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(
            "Expected another name for each category. "
            f"Received: {printable(twice)!r} more than once in {printable(file)}"
        )
    return boxed_dataset(
        images, names, image_size, skip_empty=skip_empty, shuffle=shuffle, seed=seed
    )


def _content(file: str | Path, max_bytes: int) -> dict[str, list[dict[str, Any]]]:
    text = file_text(file, max_bytes, "coco_boxes")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"Expected annotations in JSON. Received: {printable(file)} ({error})"
        ) from error
    for key in ("images", "annotations", "categories"):
        value = content.get(key) if isinstance(content, dict) else None
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise ValueError(
                "Expected COCO's form, with the lists 'images', 'annotations' and 'categories'. "
                f"Received: {printable(file)} without a list {key!r}"
            )
    return content


def _by_id(entries: list[dict[str, Any]], kind: str, file: str | Path) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for each in entries:
        number = each.get("id")
        if not isinstance(number, int) or number in found:
            raise ValueError(
                f"Expected a whole number as the id of each {kind}, and another one for each. "
                f"Received: id={printable(number, 80)} in {printable(file)}"
            )
        found[number] = each
    return found


def _size(entry: dict[str, Any], file: str | Path) -> tuple[int, int]:
    height, width = (number_or_nan(entry.get(key)) for key in ("height", "width"))
    if not (1 <= height < 2**31 and 1 <= width < 2**31):
        raise ValueError(
            "Expected the height and width of each image in pixels. "
            f"Received: image {entry['id']} of {printable(file)} without"
        )
    return int(height), int(width)


def _path(entry: dict[str, Any], root: Path, file: str | Path) -> Path:
    name = PurePosixPath(str(entry.get("file_name", "")).replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or not name.parts or ":" in name.parts[0]:
        raise ValueError(
            "Expected file names below the folder of images. Received: "
            f"file_name={printable(name, 200)!r} of image {entry['id']} in {printable(file)}"
        )
    return root / name
