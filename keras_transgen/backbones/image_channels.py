"""Grey and colour images for networks that take one or the other."""

from __future__ import annotations

from typing import Any

import keras


def with_channels(images: Any, channels: int | None) -> Any:
    """Images with the number of channels that a network takes.

    Returns:
        Grey images repeated, or colour ones made grey, where the network needs it.
    """
    received = images.shape[-1]
    if channels in (None, received):
        return images
    if received == 1:
        return keras.ops.repeat(images, channels, axis=-1)
    if received == 3 and channels == 1:
        return keras.ops.image.rgb_to_grayscale(images)
    raise ValueError(
        f"The backbone takes images of {channels} channels, or grey ones, which are repeated (or "
        f"colour ones, where it takes 1). Received: images of shape {tuple(images.shape)}"
    )
