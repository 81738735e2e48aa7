"""`keras-transgen detect apply`: pictures with boxes, a table and a COCO file of what is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_transgen.cli.answers import write_answers
from keras_transgen.cli.coco_objects import CocoObjects, class_of
from keras_transgen.cli.one_at_a_time import one_at_a_time
from keras_transgen.cli.options import (
    BatchSize,
    Check,
    SkipBroken,
    UnsafeOps,
    loading_console,
    model_in,
    progress_bar,
    refuse_output,
    say_written,
)

if TYPE_CHECKING:
    import numpy as np

_PICTURES = "pictures"
_COLUMNS = ["file", "class", "score", "left", "top", "right", "bottom"]
_OF_CLASSIFIER = ["classified", "probability"]


@one_at_a_time
def run_detect_apply(
    model_file: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="The .keras file that train wrote.", show_default=False
        ),
    ],
    images: Annotated[
        Path, typer.Argument(help="An image, or a folder of them.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option(help="Folder for objects.csv, coco.json and the pictures.")
    ] = Path("runs/detected"),
    score: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.999, help="Objects of which the model is no surer are left out."
        ),
    ] = 0.3,
    iou: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, help="Boxes of one class that overlap by more are one object."
        ),
    ] = 0.5,
    classifier: Annotated[
        Path | None,
        typer.Option(
            help="A classifier of images that `transfer` wrote: tells what is in each box.",
            show_default="none",
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Of a classifier: how much of a box's longer side it sees around the box.",
            show_default="0.1",
        ),
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Whether pictures are written.")
    ] = True,
    batch_size: BatchSize = 16,
    check: Check = "quick",
    skip_broken: SkipBroken = False,
    allow_unsafe_ops: UnsafeOps = False,
) -> Path:
    """Find objects in images: a table, a file in the form of COCO, and pictures with boxes."""
    refuse_output(output)
    if margin is not None and classifier is None:
        raise ValueError(
            "--margin is an option of a classifier: leave it out, or give --classifier. "
            f"Received: --margin {margin:g} alone"
        )
    console = loading_console()
    from keras_transgen.datasets import ImageIndex, read_image
    from keras_transgen.datasets.image_file import MAX_PIXELS
    from keras_transgen.datasets.readable_images import readable_images
    from keras_transgen.datasets.whole_file import refuse_links_below, write_whole_json

    model = _detector(model_file, allow_unsafe_ops)
    second = None if classifier is None else _classifier(classifier, allow_unsafe_ops)
    folder, files = _files(images)
    if pictures and images.is_dir() and output.resolve().is_relative_to(images.resolve()):
        raise ValueError(
            "The pictures would be taken for images by the next run: give an --output beside the "
            f"folder of images. Received: --output {output} in {images}"
        )
    index = ImageIndex(tuple(files), None, None)
    found = readable_images(index, check, skip_broken, MAX_PIXELS, "detect apply")
    paths = [Path(path) for path in found.index.paths]
    names = [path.relative_to(folder).as_posix() for path in paths]
    targets = _targets(names, output) if pictures else []
    for target in targets:
        refuse_links_below(output, target)
    output.mkdir(parents=True, exist_ok=True)
    coco = CocoObjects(model.class_names or [str(label) for label in range(model.num_classes)])

    def rows() -> Iterator[list[Any]]:
        with progress_bar(console) as bar:
            task = bar.add_task("detecting", total=len(paths))
            for start in range(0, len(paths), batch_size):
                part = slice(start, start + batch_size)
                pixels = [read_image(path) for path in paths[part]]
                objects = model.detect(pixels, score, iou, batch_size)
                told = [None] * len(pixels)
                if second is not None:
                    told = _classified(second, pixels, objects, 0.1 if margin is None else margin)
                for place, (image, each, classes) in enumerate(zip(pixels, objects, told)):
                    yield from coco.add(names[start + place], image.shape, each, classes)
                    if pictures:
                        _write_picture(targets[start + place], image, each, classes, coco.names)
                bar.advance(task, len(pixels))

    header = [*_COLUMNS, *([] if second is None else _OF_CLASSIFIER)]
    write_answers(output / "objects.csv", header, rows())
    write_whole_json(output / "coco.json", coco.content())
    console.print(f"{len(coco.annotations):,} objects in {len(paths):,} images")
    say_written(console, output)
    return output


def _detector(file: Path, allow_unsafe_ops: bool) -> Any:
    import keras_transgen as ktg

    model = ktg.load_model(model_in(file), compile=False, allow_unsafe_ops=allow_unsafe_ops)
    if not isinstance(model, ktg.Detector):
        raise ValueError(
            "This file holds no detector (a model that `keras-transgen detect train` wrote). "
            f"Received: {type(model).__name__} in {file}"
        )
    return model


def _classifier(file: Path, allow_unsafe_ops: bool) -> Any:
    import keras_transgen as ktg

    model = ktg.load_model(model_in(file), compile=False, allow_unsafe_ops=allow_unsafe_ops)
    if getattr(model, "task", None) != "classification":
        raise ValueError(
            "--classifier must be a classifier of images (a model that `keras-transgen transfer` "
            f"wrote). Received: {type(model).__name__} in {file}"
        )
    return model


def _files(images: Path) -> tuple[Path, list[str]]:
    """A folder, and the images in it."""
    from keras_transgen.cli.data_kinds import IMAGES, files_in, refuse_missing, refuse_other_kind

    given = images.expanduser()
    refuse_missing([given])
    refuse_other_kind([given], IMAGES)
    return (given if given.is_dir() else given.parent), files_in([given], IMAGES)


def _targets(names: list[str], output: Path) -> list[Path]:
    targets = [output / _PICTURES / Path(name).with_suffix(".png") for name in names]
    if len(set(targets)) < len(targets):
        again = next(target for target in targets if targets.count(target) > 1)
        raise ValueError(
            "Two images differ in their suffix only, and would be written to one file. Rename "
            f"one of them, or give --no-pictures. Received: two images for {str(again)!r}"
        )
    return targets


def _classified(
    classifier: Any, pixels: list[np.ndarray], objects: list[Any], margin: float
) -> Any:
    from keras_transgen.transfer.detection import classify_boxes

    return classify_boxes(classifier, pixels, objects, margin)


def _write_picture(
    target: Path, pixels: np.ndarray, found: Any, told: Any, names: list[str]
) -> None:
    """The image with its boxes, each with what it is, and how sure that is."""
    from keras_transgen.cli.box_pictures import boxed_picture
    from keras_transgen.datasets.whole_file import write_whole

    shown = found if told is None else told
    texts = [
        f"{names[label] if told is None else class_of(told, place)} {score:.2f}"
        for place, (label, score) in enumerate(zip(found.labels, shown.scores))
    ]
    picture = boxed_picture(pixels, found.boxes, found.labels, texts)
    write_whole(str(target), picture.save)
