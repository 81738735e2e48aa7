"""Drawn images of bright and dark rectangles on grey, with boxes as VOC and COCO keep them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 32
CLASSES = ("bright", "dark")


def scene(random: np.random.Generator) -> tuple[np.ndarray, list[list[int]], list[int]]:
    """An image `[32, 32, 3]` with one rectangle in each of two quarters, and their boxes."""
    pixels = np.full((SIZE, SIZE, 3), 128, "uint8")
    boxes, labels = [], []
    for quarter in random.permutation(4)[:2]:
        corner = np.array([quarter % 2, quarter // 2]) * SIZE // 2
        start = corner + random.integers(0, 5, 2)
        end = start + random.integers(7, 11, 2)
        label = int(random.integers(0, 2))
        pixels[start[1] : end[1], start[0] : end[0]] = 0 if label else 255
        boxes.append([*map(int, start), *map(int, end)])
        labels.append(label)
    return pixels, boxes, labels


def save_voc(folder: Path, count: int = 20, seed: int = 0) -> list[tuple[list, list]]:
    """A VOC folder with the lists `train` and `test`; the boxes and labels by file."""
    random = np.random.default_rng(seed)
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    written = []
    for number in range(count):
        pixels, boxes, labels = scene(random)
        Image.fromarray(pixels).save(folder / "JPEGImages" / f"{number:03}.png")
        objects = "".join(
            f"<object><name>{CLASSES[label]}</name><bndbox><xmin>{left + 1}</xmin>"
            f"<ymin>{top + 1}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
            for (left, top, right, bottom), label in zip(boxes, labels)
        )
        size = f"<size><width>{SIZE}</width><height>{SIZE}</height></size>"
        text = f"<annotation><filename>{number:03}.png</filename>{size}{objects}</annotation>"
        (folder / "Annotations" / f"{number:03}.xml").write_text(text)
        written.append((boxes, labels))
    held = max(1, count // 4)
    names = [f"{number:03}\n" for number in range(count)]
    (folder / "ImageSets/Main/train.txt").write_text("".join(names[held:]))
    (folder / "ImageSets/Main/test.txt").write_text("".join(names[:held]))
    return written


def save_coco(file: Path, voc: Path, written: list[tuple[list, list]]) -> Path:
    """The same images and boxes as a JSON file."""
    images = [
        {"id": number, "file_name": f"{number:03}.png", "width": SIZE, "height": SIZE}
        for number in range(len(written))
    ]
    annotations = []
    for number, (boxes, labels) in enumerate(written):
        for (left, top, right, bottom), label in zip(boxes, labels):
            box = [left, top, right - left, bottom - top]
            entry = {"id": len(annotations), "image_id": number, "category_id": label + 1}
            annotations.append({**entry, "bbox": box, "iscrowd": 0})
    categories = [{"id": place + 1, "name": name} for place, name in enumerate(CLASSES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    file.write_text(json.dumps(content))
    return file
