"""A picture with boxes around what was found in it, at its own size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

# Of the shorter side.
_LINE, _LETTERS = 0.006, 0.035
_SMALLEST_LETTERS = 10


def boxed_picture(
    pixels: np.ndarray, boxes: np.ndarray, labels: Sequence[int], texts: Sequence[str]
) -> Image:
    """Draw boxes in the colours of their classes, and a text at each.

    Args:
        pixels: uint8 `[height, width, 3]`.
        boxes: `[n, 4]`: left, top, right and bottom edge in pixels.
        labels: Which class each is of.
        texts: What stands at each.

    Returns:
        A picture of Pillow, of the same size. Lines lie within their boxes.
    """
    from PIL import Image, ImageDraw, ImageFont

    from keras_transgen.plotting.appearance import CLASS_COLOURS

    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    side = min(picture.size)
    width = max(1, round(_LINE * side))
    font = ImageFont.load_default(max(_SMALLEST_LETTERS, round(_LETTERS * side)))
    # What is surest is drawn last, over the others.
    for (left, top, right, bottom), label, text in reversed(list(zip(boxes, labels, texts))):
        colour = CLASS_COLOURS[label % len(CLASS_COLOURS)]
        # Pillow's edges are pixels that belong to the box.
        corners = [round(left), round(top)]
        corners += [max(corners[0], round(right) - 1), max(corners[1], round(bottom) - 1)]
        draw.rectangle(corners, outline=colour, width=width)
        edges = draw.textbbox((0, 0), text, font=font)
        place = (corners[0], max(0, corners[1] - edges[3] - 1))
        ends = (place[0] + edges[2] + 1, place[1] + edges[3] + 1)
        draw.rectangle([*place, *ends], fill=colour)
        draw.text((place[0] + 1, place[1]), text, fill="white", font=font)
    return picture
