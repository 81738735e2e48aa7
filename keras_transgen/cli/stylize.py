"""`keras-transgen stylize`: one image in the style of another, as a PNG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from keras_transgen.cli.options import (
    OldSize,
    UnsafeOps,
    ValueRange,
    loading_console,
    one_size,
    range_of,
    refuse_output,
    seed_option,
)

if TYPE_CHECKING:
    import numpy as np

DEFAULT_STEPS = 300
DEFAULT_STYLE_WEIGHT = 10.0


def run_stylize(
    content: Annotated[Path, typer.Argument(help="The image to paint.", show_default=False)],
    style: Annotated[
        Path, typer.Argument(help="The image whose style it shall have.", show_default=False)
    ],
    output: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("stylized.png"),
    backbone: Annotated[
        str,
        typer.Option(
            help="Network that sees content and style: 'vgg19' or 'vgg16' (Keras downloads 80 MB), "
            "a handle, archive or folder of a SavedModel, a .keras file, or 'digits', which comes "
            "with the package, is small and knows only grey."
        ),
    ] = "digits",
    image_size: Annotated[
        int | None,
        typer.Option(
            min=8, help="Longer side of the result in pixels.", show_default="the content's"
        ),
    ] = None,
    size: OldSize = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the optimizer.")] = DEFAULT_STEPS,
    content_weight: Annotated[float, typer.Option(min=0.0, help="How much content counts.")] = 1.0,
    style_weight: Annotated[
        float, typer.Option(min=0.0, help="How much style counts.")
    ] = DEFAULT_STYLE_WEIGHT,
    content_layer: Annotated[
        list[str] | None,
        typer.Option(help="Layer that sees the content; repeat for several."),
    ] = None,
    style_layer: Annotated[
        list[str] | None,
        typer.Option(help="Layer that sees the style; repeat for several."),
    ] = None,
    start: Annotated[
        Literal["content", "noise"], typer.Option(help="Image to begin with.")
    ] = "content",
    seed: Annotated[int, seed_option("Of the noise.")] = 0,
    value_range: ValueRange = None,
    allow_unsafe_ops: UnsafeOps = False,
) -> Any:
    """Paint an image in the style of another."""
    if output.suffix.lower() != ".png":
        raise ValueError(f"The result is a PNG file: give --output a name.png. Received: {output}")
    values = range_of(value_range)
    refuse_output(output, folder=False)
    console = loading_console()
    photograph = read_image(content, one_size(console, image_size, size))
    painting = read_image(style, None)
    from keras_transgen.generative.translation import stylize
    from keras_transgen.training import write_whole

    made = stylize(
        photograph,
        painting,
        _opened(backbone, allow_unsafe_ops, values),
        content_layer or None,
        style_layer or None,
        steps=steps,
        content_weight=content_weight,
        style_weight=style_weight,
        start=start,
        seed=seed,
    )
    from PIL import Image

    write_whole(str(output), Image.fromarray(made).save)
    console.print(f"{made.shape[1]}x{made.shape[0]} pixels: {output}")
    return made


def read_image(path: Path, size: int | None) -> np.ndarray:
    """An image file as uint8 `[height, width, 3]`; `size` is its longer side, if not its own."""
    import numpy as np
    from PIL import Image

    from keras_transgen.datasets import read_image as read_file

    pixels = read_file(path)
    if size is not None:
        image = Image.fromarray(pixels)
        scale = size / max(image.size)
        width, height = (max(1, round(side * scale)) for side in image.size)
        pixels = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    return pixels


def _opened(backbone: str, allow_unsafe_ops: bool, value_range: tuple[float, float] | None) -> Any:
    if backbone in ("vgg16", "vgg19"):
        from keras_transgen.generative.translation import vgg_backbone

        return vgg_backbone(int(backbone.removeprefix("vgg")), weights="imagenet")
    from keras_transgen.cli.image_input import open_backbone, refuse_unknown_range

    opened = open_backbone(backbone, allow_unsafe_ops, value_range)
    refuse_unknown_range(opened)
    return opened
