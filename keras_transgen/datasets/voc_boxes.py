"""Read images and boxes in the form of the PASCAL visual object classes (VOC)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

import numpy as np

from keras_transgen.datasets.boxed_images import BoxedImage, boxed_dataset, number_or_nan
from keras_transgen.datasets.file_content import file_content, file_text
from keras_transgen.datasets.file_suffixes import IMAGE_SUFFIXES
from keras_transgen.datasets.image_file import height_and_width
from keras_transgen.datasets.named_labels import number_labels, sorted_names
from keras_transgen.datasets.printable import printable

if TYPE_CHECKING:
    import tensorflow as tf

MAX_BYTES = 2**24
_EDGES = ("xmin", "ymin", "xmax", "ymax")


def voc_boxes(
    folder: str | Path,
    split: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    *,
    class_names: Sequence[str] | None = None,
    one_based: bool = True,
    skip_difficult: bool = False,
    skip_empty: bool = False,
    shuffle: bool = False,
    seed: int = 0,
    max_bytes: int = MAX_BYTES,
) -> tf.data.Dataset:
    """Images and boxes from a folder in the form of PASCAL VOC.

    XML files are in `Annotations/`, images of the same names in `JPEGImages/` or `images/`, and
    lists of names in `ImageSets/Main/`; or XML files and images lie in the folder itself.

    Args:
        folder: The folder.
        split: Name of a list in `ImageSets/Main/`, such as `"train"`; `None`, the default, takes
            every annotation.
        image_size: Height and width, or one number for both, that images are stretched to, and
            boxes with them. Defaults to each image's own size.
        class_names: The classes in the order of their labels, and no others. Defaults to those of
            all annotations in the folder, sorted, which are the same for every split.
        one_based: Whether pixels are counted from 1, and the last one belongs to a box, as in VOC:
            `xmin` and `ymin` become one less, and a box from 1 to the width spans the image.
            Defaults to `True`; `False` takes the numbers as edges counted from 0.
        skip_difficult: Leave out objects that are marked as difficult. Defaults to `False`.
        skip_empty: Leave out boxes without an area in their image. Defaults to `False`, which
            refuses them.
        shuffle: Another order in every epoch. Defaults to `False`: by name, or as the list has it.
        seed: Of the shuffling. Defaults to 0.
        max_bytes: Most bytes of each XML file and of the list. Defaults to 16 MiB.

    Returns:
        A `tf.data.Dataset` of `(image, {"boxes": boxes, "labels": labels})`: uint8
        `[height, width, 3]`; float32 `[count, 4]`, the left, top, right and bottom edge in pixels;
        int64 `[count]`. Images without objects have boxes `[0, 4]`. With the attributes
        `class_names` and `file_paths`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are no annotations, or no such split; an annotation is broken, has a
            document type declaration (which may hold bombs), or no image; an image cannot be
            read or has another size than its annotation says; or an argument is out of its range.

    Example:
        ```python no-run
        from keras_transgen.datasets import voc_boxes

        test = voc_boxes("../shared/data/bccd_400", split="test")
        for image, objects in test.take(1):
            print(image.shape, objects["boxes"], [test.class_names[i] for i in objects["labels"]])
        ```

    Reference:
        Everingham, Van Gool, Williams, Winn and Zisserman, The PASCAL visual object classes (VOC)
        challenge, 2010.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"Expected a folder with annotations. Received: {printable(root)}")
    files = {file.stem: file for file in _files(_part(root, "annotations"), (".xml",))}
    if not files:
        raise ValueError(f"Expected annotations (.xml). Received: none in {printable(root)}")
    wanted = list(files) if split is None else _listed(root, split, files, max_bytes)
    everything = wanted if class_names is not None else files
    annotations = {stem: _read(files[stem], max_bytes) for stem in everything}
    if class_names is None:
        names = [each.name for found in annotations.values() for each in found.objects]
        class_names = sorted_names(names)
    image_paths = _images(root, wanted, annotations)
    images = []
    for stem, path in zip(wanted, image_paths):
        found = annotations[stem]
        objects = [each for each in found.objects if not (skip_difficult and each.difficult)]
        labels = _labels(objects, class_names, files[stem])
        boxes = np.array([each.edges for each in objects], "float64").reshape(-1, 4)
        boxes[:, :2] -= one_based
        size = found.size
        if size is None:
            size = height_and_width(path)
        images.append(BoxedImage(str(path), size, boxes, labels))
    return boxed_dataset(
        images, class_names, image_size, skip_empty=skip_empty, shuffle=shuffle, seed=seed
    )


class _Object(NamedTuple):
    name: str
    edges: tuple[float, ...]
    difficult: bool


class _Annotation(NamedTuple):
    file_name: str
    size: tuple[int, int] | None
    objects: list[_Object]


def _labels(objects: list[_Object], class_names: Sequence[str], file: Path) -> np.ndarray:
    names = [each.name for each in objects]
    return number_labels(
        names, class_names, lambda number: f"object {number} of {printable(file)}"
    )[0]


class _Plain(ElementTree.TreeBuilder):
    """A tree of a document that declares nothing, such as entities that stand for gigabytes."""

    def doctype(self, *declaration: object) -> None:
        raise ValueError("a document type declaration")


def _read(file: Path, max_bytes: int) -> _Annotation:
    content = file_content(file, max_bytes, "voc_boxes")
    parser = ElementTree.XMLParser(target=_Plain())
    try:
        parser.feed(content)
        root = parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ValueError(
            "Expected an annotation in XML, without a document type declaration. "
            f"Received: {printable(file)} ({printable(error)})"
        ) from error
    if root.tag != "annotation":
        raise ValueError(
            "Expected an <annotation> of PASCAL VOC, without a namespace. "
            f"Received: {printable(file)} (<{printable(root.tag)}>)"
        )
    width, height = (number_or_nan(root.findtext(f"size/{side}")) for side in ("width", "height"))
    # Some programs leave the size out, or zero.
    size = (int(height), int(width)) if 1 <= width < 2**31 and 1 <= height < 2**31 else None
    objects = []
    for number, each in enumerate(root.findall("object")):
        name = (each.findtext("name") or "").strip()
        edges = tuple(number_or_nan(each.findtext(f"bndbox/{edge}")) for edge in _EDGES)
        if not name or not np.isfinite(edges).all():
            raise ValueError(
                "Expected a name and a bndbox of four numbers (xmin, ymin, xmax, ymax) in each "
                f"object. Received: object {number} of {printable(file)} without"
            )
        difficult = (each.findtext("difficult") or "0").strip().lower() in ("1", "true")
        objects.append(_Object(name, edges, difficult))
    return _Annotation((root.findtext("filename") or "").strip(), size, objects)


def _part(root: Path, *names: str) -> Path:
    """The folder of one of these names in whatever letters, or the folder itself."""
    found = [each for each in sorted(root.iterdir()) if each.name.lower() in names]
    return next((each for each in found if each.is_dir()), root)


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return [
        each
        for each in sorted(folder.iterdir())
        if each.name.lower().endswith(suffixes) and not each.name.startswith(".")
    ]


def _listed(root: Path, split: str, files: dict[str, Path], max_bytes: int) -> list[str]:
    lists = _part(_part(root, "imagesets"), "main")
    known = {each.stem: each for each in _files(lists, (".txt",))}
    if split not in known:
        raise ValueError(
            f"Expected split among the lists {sorted(known)}, in ImageSets/Main. "
            f"Received: split={split!r} for {printable(root)}"
        )
    text = file_text(known[split], max_bytes, "voc_boxes")
    stems = [line.strip() for line in text.splitlines() if line.strip()]
    if not stems:
        raise ValueError(f"Expected names in a list. Received: none in {printable(known[split])}")
    for number, stem in enumerate(stems, 1):
        if stem not in files:
            raise ValueError(
                "Expected a list of annotations' names, one a line. Received: "
                f"{printable(stem)!r}, name {number} of {printable(known[split])}, without an "
                "annotation"
            )
    return stems


def _images(root: Path, wanted: list[str], annotations: dict[str, _Annotation]) -> list[Path]:
    folder = _part(root, "jpegimages", "images")
    by_stem = defaultdict(list)
    for file in _files(folder, IMAGE_SUFFIXES):
        by_stem[file.stem].append(file)
    found, absent = [], []
    for stem in wanted:
        # Of the annotation's name, or of the one that it says: never out of the folder.
        said = annotations[stem].file_name
        choices = by_stem[stem] or by_stem.get(Path(said).stem, [])
        named = [file for file in choices if file.name == said]
        if named or len(choices) == 1:
            found.append((named or choices)[0])
        else:
            absent.append(stem)
    if absent:
        raise ValueError(
            f"Expected an image ({', '.join(IMAGE_SUFFIXES)}) for each annotation. Received: "
            f"{len(absent)} of {len(wanted)} annotations without one in {printable(folder)}, the "
            f"first {printable(absent[0])!r}"
        )
    return found
