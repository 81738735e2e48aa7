"""The U-Net of flows and diffusion models: residual blocks, attention where maps are small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_transgen.generative.networks.adaptive_normalization import AdaptiveNormalization
from keras_transgen.generative.networks.group_normalization import group_normalization
from keras_transgen.generative.networks.time_embedding import flow_inputs, flow_network

_MULTIPLES = (1, 2, 3, 4)
_SMALLEST_SIDE = 7
_LARGE_SIDE = 48
_EMBEDDING_PER_WIDTH = 4
_CHANNELS_PER_HEAD = 32


def flow_unet(
    example_shape: Sequence[int],
    width: int = 32,
    embedding_dim: int | None = None,
    blocks: int = 1,
    attention_side: int = 8,
    patch: int | None = None,
) -> keras.Model:
    """A U-Net from images and times to images of the same size.

    The maps are halved while both sides are even and at least 14, three times at most; their
    channels are 1, 2, 3 and 4 times `width`. Time and condition enter every residual block by the
    scale and offset of its second normalization. With the default sizes it has

    | images | maps | parameters |
    | --- | --- | --- |
    | 28x28x1 | 28, 14, 7 | 1.8 million |
    | 64x64x3 | 32, 16, 8 (patches of 2) | 1.8 million |

    Args:
        example_shape: `(height, width, channels)`.
        width: Channels of the largest maps. Defaults to 32.
        embedding_dim: Length of a condition's vector; `None` without conditions.
        blocks: Residual blocks a level on the way down; one more on the way up. Defaults to 1.
        attention_side: Maps with sides up to this have self-attention too. Defaults to 8.
        patch: Side of the patches that the first convolution makes one place of, which must divide
            the image's sides. Defaults to 2 for even sides from 48 on, else 1.

    Returns:
        A model from `[examples, time [batch]]`, and `condition [batch, embedding_dim]` besides, to
        `[batch, *example_shape]`, float32; zero at the start.

    Raises:
        ValueError: If these are no images, or the patches do not divide them.

    Example:
        ```python
        from keras_transgen.generative.networks.flow_unet import flow_unet

        network = flow_unet((8, 8, 1), width=4, embedding_dim=4)
        assert network.output_shape == (None, 8, 8, 1)
        ```

    Reference:
        Ho, Jain and Abbeel, Denoising diffusion probabilistic models, 2020; Dhariwal and Nichol,
        Diffusion models beat GANs on image synthesis, 2021.
    """
    patch = _checked_patch(tuple(example_shape), patch)
    inputs, x, embedding = flow_inputs(example_shape, embedding_dim, _EMBEDDING_PER_WIDTH * width)
    widths = [width * multiple for multiple in _MULTIPLES[: _levels(example_shape, patch)]]

    def block(x: Any, channels: int, name: str) -> Any:
        x = _residual(x, channels, embedding, name)
        return _attended(x, name) if max(x.shape[1:3]) <= attention_side else x

    def convolution(x: Any, channels: int, size: int, name: str, strides: int = 1) -> Any:
        return keras.layers.Conv2D(channels, size, strides, padding="same", name=name)(x)

    x = convolution(x, widths[0], max(3, patch), "first", patch)
    bridges = [x]
    for level, channels in enumerate(widths):
        for place in range(blocks):
            x = block(x, channels, f"down_{level}_{place}")
            bridges.append(x)
        if channels != widths[-1]:
            x = convolution(x, widths[level + 1], 3, f"halved_{level}", 2)
            bridges.append(x)
    x = block(x, widths[-1], "middle")
    for level, channels in reversed(list(enumerate(widths))):
        for place in range(blocks + 1):
            name = f"up_{level}_{place}"
            x = keras.layers.Concatenate(name=f"{name}_bridge")([x, bridges.pop()])
            x = block(x, channels, name)
        if level:
            x = keras.layers.UpSampling2D(name=f"doubled_{level}")(x)
            x = convolution(x, widths[level - 1], 3, f"doubled_{level}_map")
    x = group_normalization(widths[0], name="last_normalization")(x)
    x = keras.layers.Activation("swish", name="last_activation")(x)
    return flow_network(inputs, _predicted(x, example_shape[-1], patch))


def _residual(x: Any, channels: int, embedding: Any, name: str) -> Any:
    """Two convolutions beside a bridge; the second starts at zero, and the block as its bridge."""
    bridge = x
    if x.shape[-1] != channels:
        bridge = keras.layers.Conv2D(channels, 1, name=f"{name}_map")(x)
    x = group_normalization(x.shape[-1], name=f"{name}_normalization")(x)
    x = keras.layers.Activation("swish", name=f"{name}_activation_0")(x)
    x = keras.layers.Conv2D(channels, 3, padding="same", name=f"{name}_convolution_0")(x)
    x = AdaptiveNormalization(name=f"{name}_adaptive")([x, embedding])
    x = keras.layers.Activation("swish", name=f"{name}_activation_1")(x)
    x = keras.layers.Conv2D(
        channels, 3, padding="same", kernel_initializer="zeros", name=f"{name}_convolution_1"
    )(x)
    return keras.layers.Add(name=name)([bridge, x])


def _attended(x: Any, name: str) -> Any:
    """Self-attention between all places of a map, added to it."""
    height, width, channels = x.shape[1:]
    y = group_normalization(channels, name=f"{name}_attention_normalization")(x)
    y = keras.layers.Reshape((height * width, channels), name=f"{name}_tokens")(y)
    heads = max(1, channels // _CHANNELS_PER_HEAD)
    attention = keras.layers.MultiHeadAttention(
        heads, max(1, channels // heads), name=f"{name}_attention"
    )
    y = keras.layers.Reshape((height, width, channels), name=f"{name}_places")(attention(y, y))
    return keras.layers.Add(name=f"{name}_attended")([x, y])


def _predicted(x: Any, channels: int, patch: int) -> Any:
    options: dict[str, Any] = {
        "kernel_initializer": "zeros",
        "dtype": "float32",
        "name": "predicted",
    }
    if patch == 1:
        return keras.layers.Conv2D(channels, 3, padding="same", **options)(x)
    return keras.layers.Conv2DTranspose(channels, patch, strides=patch, **options)(x)


def _levels(example_shape: Sequence[int], patch: int) -> int:
    height, width = (side // patch for side in example_shape[:2])
    levels = 1
    while (
        levels < len(_MULTIPLES)
        and height % 2 == width % 2 == 0
        and min(height, width) // 2 >= _SMALLEST_SIDE
    ):
        height, width, levels = height // 2, width // 2, levels + 1
    return levels


def _checked_patch(example_shape: tuple[int, ...], patch: int | None) -> int:
    if len(example_shape) != 3:
        raise ValueError(
            "A U-Net is for images (height, width, channels). "
            f"Received: example_shape={example_shape}"
        )
    sides = example_shape[:2]
    if patch is None:
        large = min(sides) >= _LARGE_SIDE and all(side % 2 == 0 for side in sides)
        return 2 if large else 1
    if patch < 1 or any(side % patch for side in sides):
        raise ValueError(
            "Patches must divide both sides of the images. "
            f"Received: patch={patch}, example_shape={example_shape}"
        )
    return patch
