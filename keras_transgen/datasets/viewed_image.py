"""An image file as a viewer shows it: the one reading of images for all entrances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.datasets.image_file import (
    MAX_PIXELS,
    ImageSource,
    opened_image,
    orientation,
)

if TYPE_CHECKING:
    from PIL.Image import Image

Background = tuple[int, int, int]
WHITE: Background = (255, 255, 255)
# Pillow's words for the eight ways to turn and mirror an image back.
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
# Of a PNG's grey of less than 8 bits.
_HIGHEST = {"1": 1, "L;2": 3, "L;4": 15}
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0


def read_image(
    source: ImageSource,
    background: Sequence[int] = WHITE,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
) -> np.ndarray:
    """An image file as a viewer shows it, in colour.

    Every command and data set of the package reads images so: turned as the camera held them
    (the orientation of Exif or XMP, all eight), what is transparent laid over `background`,
    palettes looked up, 1 to 16 bits a channel brought to 8 (16-bit grey divided by 257), grey and
    CMYK as colour; of a GIF, WEBP or TIFF the first frame or page. Colour profiles are not applied.

    Args:
        source: A path, or the bytes of a file: BMP, GIF, JPEG, PNG, TIFF or WEBP.
        background: Red, green and blue from 0 to 255 behind what is transparent. Defaults to
            white.
        max_pixels: Most pixels; more are refused by the header, before they are decoded.
            Defaults to 67 million (2^26); above 178 million Pillow's own limit holds.
        name: What errors call the image. Defaults to the path.

    Returns:
        uint8 `[height, width, 3]`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no image, damaged, no plain file, too large, or of floats or 32-bit
            integers, whose range nobody knows; or `background` is no colour.

    Example:
        ```python
        import io
        from PIL import Image
        from keras_transgen.datasets import read_image

        file = io.BytesIO()
        Image.new("LA", (8, 4), (0, 0)).save(file, "PNG")
        assert read_image(file.getvalue()).shape == (4, 8, 3)
        assert read_image(file.getvalue(), background=(9, 8, 7))[0, 0].tolist() == [9, 8, 7]
        ```
    """
    colour = checked_background(background)
    with opened_image(source, max_pixels, name) as image:
        return np.array(_over(_upright(image), colour))


def image_and_alpha(source: ImageSource) -> tuple[np.ndarray, np.ndarray]:
    """`read_image`, and uint8 `[height, width]`: 0 where only the background is seen."""
    with opened_image(source) as image:
        seen = _upright(image)
        alpha = np.asarray(seen.convert("RGBA").getchannel("A"))
        return np.asarray(_over(seen, WHITE)), alpha


def checked_background(background: Sequence[int]) -> Background:
    """The colour as a tuple.

    Raises:
        ValueError: It is not three whole numbers from 0 to 255.
    """
    numbers = tuple(background) if isinstance(background, Sequence | np.ndarray) else ()
    if len(numbers) != 3 or not all(
        isinstance(each, int | np.integer) and 0 <= each <= 255 for each in numbers
    ):
        raise ValueError(
            "Expected background as red, green and blue, whole numbers from 0 to 255. "
            f"Received: background={background!r}"
        )
    red, green, blue = (int(each) for each in numbers)
    return red, green, blue


def _over(image: Image, background: Background) -> Image:
    from PIL import Image as pillow

    if image.mode == "RGB":
        return image
    behind = pillow.new("RGBA", image.size, (*background, 255))
    return pillow.alpha_composite(behind, image).convert("RGB")


def _upright(image: Image) -> Image:
    """RGB, or RGBA where something may be transparent, turned as it is shown."""
    from PIL.Image import Transpose

    tiles: Any = getattr(image, "tile", None)
    rawmode = str(tiles[0][3]) if image.format == "PNG" and tiles else ""
    tags: Any = getattr(image, "tag_v2", {})
    bits, photometric = tags.get(_BITS_PER_SAMPLE), tags.get(_PHOTOMETRIC)
    image.load()
    _correct_transparency(image, rawmode)
    turned = _UPRIGHT.get(orientation(image))
    seen = (
        _sixteen_bits(image, bits, photometric)
        if image.mode.startswith("I")
        else _eight_bits(image)
    )
    return seen if turned is None else seen.transpose(Transpose[turned])


def _eight_bits(image: Image) -> Image:
    palette = getattr(image.palette, "mode", "")
    transparent = (
        image.mode in ("LA", "La", "PA", "RGBA", "RGBa")
        or "transparency" in image.info
        or palette.endswith("A")
    )
    if image.mode == "La":
        image = image.convert("LA")
    return image.convert("RGBA" if transparent else "RGB")


def _sixteen_bits(image: Image, bits: Any, photometric: Any) -> Image:
    """Grey of up to 16 bits, which Pillow would cut off at 255."""
    from PIL import Image as pillow

    numbers = np.asarray(image)
    highest = 4095 if bits == (12,) else 65535
    table = np.rint(np.minimum(np.arange(2**16) * (255.0 / highest), 255.0)).astype("uint8")
    if photometric == _WHITE_IS_ZERO:
        table = 255 - table
    grey = pillow.fromarray(table[np.clip(numbers, 0, 65535)])
    transparent = image.info.get("transparency")
    if transparent is None:
        return grey.convert("RGB")
    alpha = pillow.fromarray(np.where(numbers == transparent, 0, 255).astype("uint8"))
    return pillow.merge("LA", (grey, alpha)).convert("RGBA")


def _correct_transparency(image: Image, rawmode: str) -> None:
    """A PNG's transparent colour in the bits of the file: Pillow keeps it so, and scales pixels."""
    found = image.info.get("transparency")
    if isinstance(found, int) and rawmode in _HIGHEST:
        image.info["transparency"] = min(found, _HIGHEST[rawmode]) * 255 // _HIGHEST[rawmode]
    elif isinstance(found, tuple) and rawmode == "RGB;16B":
        image.info["transparency"] = tuple(each >> 8 for each in found)
