"""Objects found in images, as rows of a table and in the form of COCO."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


class CocoObjects:
    """Collects what is found, and says it as COCO's files of annotations do.

    A `score` stands beside each object, and what a classifier says of it under `"attributes"`.

    Args:
        names: Of the detector's classes.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add(
        self, file: str, shape: Sequence[int], found: Any, told: Any = None
    ) -> Iterator[list[Any]]:
        """An image and its objects.

        Args:
            file: What the image is called.
            shape: `(height, width, channels)`.
            found: `Detections`.
            told: `Detections` of the same boxes by a classifier; `None` for none.

        Returns:
            Rows: the file, the class, its score, the four edges in pixels, and of a classifier its
            class and probability.
        """
        number = len(self.images) + 1
        self.images.append(
            {"id": number, "file_name": file, "height": int(shape[0]), "width": int(shape[1])}
        )
        for place, (box, label, score) in enumerate(zip(found.boxes, found.labels, found.scores)):
            left, top, right, bottom = map(float, box)
            entry: dict[str, Any] = {
                "id": len(self.annotations) + 1,
                "image_id": number,
                "category_id": int(label) + 1,
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "iscrowd": 0,
                "score": float(score),
            }
            row = [file, self.names[label], float(score), left, top, right, bottom]
            if told is not None:
                finer, probability = class_of(told, place), float(told.scores[place])
                entry["attributes"] = {"classified": finer, "probability": probability}
                row += [finer, probability]
            self.annotations.append(entry)
            yield row

    def content(self) -> dict[str, Any]:
        """What the file holds."""
        categories = [{"id": label + 1, "name": name} for label, name in enumerate(self.names)]
        return {
            "images": self.images,
            "annotations": self.annotations,
            "categories": categories,
        }


def class_of(told: Any, place: int) -> str:
    """What a classifier calls the thing in a box."""
    return str(told.labels[place] if told.names is None else told.names[place])
