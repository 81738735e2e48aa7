"""Which images a backbone wants, for the commands that read folders of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

# Sides of images for a backbone that takes any: those of the data, within reason.
_SMALLEST, _LARGEST = 8, 224


@dataclasses.dataclass(frozen=True)
class ImageInput:
    """How images must be read.

    Attributes:
        size: Height and width in pixels.
        color_mode: `"rgb"` or `"grayscale"`.
        value_range: Lowest and highest value.
    """

    size: tuple[int, int]
    color_mode: str
    value_range: tuple[float, float]

    def options(self) -> dict[str, Any]:
        """Keyword arguments for `keras_transgen.datasets.image_folder`.

        Photographs are cropped rather than stretched: networks have seen the world in proportion.
        """
        return {
            "image_size": self.size,
            "color_mode": self.color_mode,
            "value_range": self.value_range,
            "crop_to_aspect_ratio": True,
        }


def image_input(backbone: Any, image_size: int | None, images: str | Path | int) -> ImageInput:
    """Read from a backbone's contract how its images must be read.

    Args:
        backbone: A backbone.
        image_size: Side in pixels, for a backbone that takes any; `None` for that of the data.
        images: The folder, whose first image says the size then: its shorter side, at most 224; or
            that size.

    Raises:
        ValueError: If it does not take images, or takes them in another size.
    """
    contract = backbone.input_contract
    shape = getattr(contract, "shape", None)
    if shape is None or len(shape) != 4 or shape[-1] not in (1, 3, None):
        raise ValueError(
            "This command needs a backbone that takes images [batch, height, width, 1 or 3]. "
            f"Received: {backbone.name!r} with input {contract}"
        )
    side: Any = image_size
    if side is None and None in shape[1:3]:
        side = images if isinstance(images, int) else side_of_data(images)
    size = (shape[1] or side, shape[2] or side)
    if image_size is not None and size != (image_size, image_size):
        raise ValueError(
            f"This backbone takes images of {size[0]}x{size[1]} pixels only; leave out "
            f"--image-size. Received: {image_size}"
        )
    return ImageInput(
        size, "grayscale" if shape[-1] == 1 else "rgb", contract.value_range or (0.0, 1.0)
    )


def side_of_data(images: str | Path) -> int:
    """The shorter side of a folder's first image that can be opened, from 8 to 224 pixels."""
    from keras_transgen.datasets import index_images
    from keras_transgen.datasets.image_file import height_and_width

    for path in index_images(images, labelled=False).paths:
        try:
            return max(_SMALLEST, min(_LARGEST, *height_and_width(path)))
        except (OSError, ValueError):
            # Whether it may be left out, and what is wrong with it, is said where it is read.
            continue
    return _LARGEST


def open_backbone(source: str, allow_unsafe_ops: bool) -> Any:
    """Load a backbone; `allow_unsafe_ops` reaches those that ask for it."""
    import keras_transgen as ktg

    options = {"allow_unsafe_ops": True} if allow_unsafe_ops else {}
    return ktg.load_backbone(source, **options)
