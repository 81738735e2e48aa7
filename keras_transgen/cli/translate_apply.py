"""Applying a model for `keras-transgen translate apply`: a folder of images into another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_transgen.cli.options import (
    Check,
    SkipBroken,
    loading_console,
    model_in,
    refuse_output,
    seed_option,
)

if TYPE_CHECKING:
    import numpy as np


def run_apply(
    model_file: Annotated[
        Path, typer.Argument(help="The .keras file that train wrote.", show_default=False)
    ],
    images: Annotated[
        Path,
        typer.Argument(
            help="A folder of images. A model that fills holes fills transparent pixels.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder for the PNG files.")] = Path(
        "runs/translated"
    ),
    backwards: Annotated[
        bool, typer.Option("--backwards", help="For a CycleGAN: from B to A.")
    ] = False,
    seed: Annotated[int | None, seed_option("Makes the noise of a Pix2Pix reproducible.")] = None,
    check: Check = "quick",
    skip_broken: SkipBroken = False,
) -> list[Path]:
    """Turn every image of a folder into what the model makes of it."""
    refuse_output(output)
    console = loading_console()
    import keras
    import numpy as np

    import keras_transgen as ktg
    from keras_transgen.datasets.image_file import MAX_PIXELS, height_and_width
    from keras_transgen.datasets.image_index import list_images
    from keras_transgen.datasets.readable_images import readable_images
    from keras_transgen.datasets.whole_file import refuse_links_below, write_whole

    model = ktg.load_model(model_in(model_file))
    apply = _application(model, model_file, backwards, seed)
    low, high = model.value_range or (0.0, 1.0)
    index = list_images(images, False, "translate apply")
    found = readable_images(index, check, skip_broken, MAX_PIXELS, "translate apply")
    paths = [Path(path) for path in found.index.paths]
    sizes = [height_and_width(path) for path in paths]
    if all(width == 2 * height for height, width in sizes):
        console.print(
            "All images are twice as wide as high, as pairs side by side are. Each is taken as a "
            "whole: give the halves that the model shall change"
        )
    targets = _targets(paths, Path(images).expanduser(), output)
    for target in targets:
        refuse_links_below(output, target)
    for path, target in zip(paths, targets):
        pixels = np.clip((apply(path) - low) / (high - low), 0.0, 1.0) * 255.0
        refuse_links_below(output, target)
        write_whole(str(target), keras.utils.array_to_img(pixels, scale=False).save)
    console.print(f"{len(targets)} images: {output}")
    return targets


def _application(
    model: Any, model_file: Path, backwards: bool, seed: int | None
) -> Callable[[Path], np.ndarray]:
    """From a file to an image in the model's value range."""
    if backwards and not hasattr(model, "b_to_a"):
        raise ValueError(
            "Only a CycleGAN goes both ways; leave out --backwards. "
            f"Received: --backwards for a {type(model).__name__}"
        )
    if hasattr(model, "enhance"):
        return _enhancing(model)
    if hasattr(model, "a_to_b"):
        made = model.b_to_a if backwards else model.a_to_b
        shape = model.target_shape if backwards else model.example_shape
        return lambda path: made(_resized(path, shape)[None])[0]
    if hasattr(model, "translate"):
        return lambda path: model.translate(_resized(path, model.example_shape)[None], seed=seed)[0]
    raise ValueError(
        "This file holds no model from images to images. "
        f"Received: {type(model).__name__} in {model_file}"
    )


def _enhancing(model: Any) -> Callable[[Path], np.ndarray]:
    """Every image at its own size; models for the sizes that have been met are kept."""
    import numpy as np

    marks_holes = model.degradation.marks_holes
    height, width, channels = model.target_shape
    factor = height // model.example_shape[0]
    models = {(height, width): model}

    def enhanced(path: Path) -> np.ndarray:
        image, missing = _pixels(path, channels)
        size = (image.shape[0] * factor, image.shape[1] * factor)
        if size not in models:
            models[size] = model.for_size(*size)
        given: Any = image[None]
        if marks_holes:
            low, high = model.value_range
            # The last step of what it was trained on; a pipeline ends with its holes.
            holes = getattr(model.degradation, "steps", [model.degradation])[-1]
            given = low + (high - low) * np.asarray(holes.cut(given, missing[None]))
        return models[size].enhance(given)[0]

    return enhanced


def _pixels(path: Path, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 `[height, width, channels]`, and where pixels are transparent `[height, width, 1]`."""
    import numpy as np
    from PIL import Image

    from keras_transgen.datasets.viewed_image import image_and_alpha

    colours, alpha = image_and_alpha(path)
    if channels == 1:
        colours = np.asarray(Image.fromarray(colours).convert("L"))[..., None]
    return colours, alpha[..., None] == 0


def _resized(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The image at a model's size, uint8, as training reads it."""
    import numpy as np
    import tensorflow as tf

    image, _ = _pixels(path, shape[2])
    resized = tf.image.resize(image, shape[:2], antialias=True)
    return np.asarray(tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8))


def _targets(paths: list[Path], folder: Path, output: Path) -> list[Path]:
    targets = [output / path.relative_to(folder).with_suffix(".png") for path in paths]
    if len(set(targets)) < len(targets):
        again = next(target for target in targets if targets.count(target) > 1)
        raise ValueError(
            "Two images differ in their suffix only, and would be written to one file. Rename "
            f"one of them. Received: two images for {str(again)!r}"
        )
    return targets
