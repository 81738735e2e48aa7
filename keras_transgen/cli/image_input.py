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


def image_input(
    backbone: Any,
    image_size: int | None,
    images: str | Path | int = _LARGEST,
    preprocessing: str | None = None,
) -> ImageInput:
    """Read from a backbone's contract how its images must be read.

    Args:
        backbone: A backbone.
        image_size: Side in pixels, for a backbone that takes any; `None` for that of the data.
        images: The folder, whose first image says the size then: its shorter side, at most 224; or
            that size. Defaults to 224.
        preprocessing: What makes the backbone's values of 0 to 255, where something does.

    Raises:
        ValueError: If it does not take images, takes them in another size, or nobody knows the
            range of its values.
    """
    from keras_transgen.backbones.image_preprocessing import RAW_RANGE

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
    value_range = RAW_RANGE
    if preprocessing is None:
        refuse_unknown_range(
            backbone, ", or for a network of keras.applications --preprocessing caffe, torch or tf"
        )
        value_range = contract.value_range
    return ImageInput(size, "grayscale" if shape[-1] == 1 else "rgb", value_range)


def refuse_unknown_range(backbone: Any, more: str = "") -> None:
    """Refuse a backbone of which nobody knows the range of its values.

    Args:
        backbone: A backbone.
        more: What else can be given than the range.

    Raises:
        ValueError: Its contract does not say it.
    """
    contract = backbone.input_contract
    if getattr(contract, "value_range", None) is None:
        raise ValueError(
            "Nobody knows which range of values this network was trained on, and in another one "
            f"its features are poor: give --value-range 0,255 (or 0,1 or -1,1){more}. "
            f"Received: {backbone.name!r} with input {contract}"
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


def open_backbone(
    source: str,
    allow_unsafe_ops: bool,
    value_range: tuple[float, float] | None = None,
) -> Any:
    """Load a backbone; `allow_unsafe_ops` and the range reach it where they are given."""
    import keras_transgen as ktg

    options: dict[str, Any] = {"allow_unsafe_ops": True} if allow_unsafe_ops else {}
    if value_range is not None:
        options["value_range"] = value_range
    return ktg.load_backbone(source, **options)


def preceded(backbone: Any, preprocessing: str | None) -> Any:
    """The backbone with a way of `keras.applications` before it, frozen; itself without one.

    Args:
        backbone: A backbone that takes images.
        preprocessing: `"caffe"`, `"torch"`, `"tf"` or `None`.

    Raises:
        ValueError: It rescales its images itself, or takes no colour images.
    """
    if preprocessing is None:
        return backbone
    import keras

    from keras_transgen.backbones import ImagePreprocessing, KerasBackbone
    from keras_transgen.transfer.raw_input import refuse_second_rescaling

    layer = ImagePreprocessing(preprocessing)
    refuse_second_rescaling(backbone, layer)
    shape = getattr(backbone.input_contract, "shape", None)
    if shape is None:
        # It says itself that it takes no images.
        return backbone
    network = keras.Sequential([keras.Input(shape[1:]), layer, backbone], name=backbone.name)
    return KerasBackbone(network, name=backbone.name)
