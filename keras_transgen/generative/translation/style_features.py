"""The layers of a pretrained network that see content and style."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence, Set
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.backbones import Backbone, MultiScaleFeatures, load_backbone
from keras_transgen.backbones.layer_scales import layers_by_scale
from keras_transgen.generative.translation.style_losses import gram_matrix

# Gatys et al. take the content from VGG's fourth block, at an eighth of the image's size, and the
# style from a layer of each scale down to a sixteenth.
_CONTENT_REDUCTION = 8
_STYLE_REDUCTION = 16
_SMALLEST_MAP = 2
# What styles are measured by does not change, whatever a caller or a file says.
_FROZEN = {"trainable": False}


@keras.saving.register_keras_serializable(package="keras_transgen")
class StyleFeatures(MultiScaleFeatures):
    """Images through a pretrained network, to features for content and Gram matrices for style.

    Two lists: `[batch, height, width, channels]` for each content layer, float32
    `[batch, channels, channels]` for each style layer.

    The network is a copy and stays frozen, in inference mode, whatever the model around says;
    gradients flow through it to the images. Images are brought to what it takes: their values to
    its range, grey ones repeated to its channels, colour ones made grey where it knows only grey
    (the colours of the content then stay as they are).

    Args:
        backbone: A backbone, or anything `keras_transgen.load_backbone` takes.
        content_layers: Names of layers (`backbone.layer_names()` lists them). Defaults to the last
            layer at an eighth of the image's size, or at the nearest size above it.
        style_layers: Names of layers. Defaults to the last layer of each scale, from a half to a
            sixteenth.
        value_range: `(low, high)` of the images.
        image_size: `(height, width)` of the images. Defaults to the size that the network was made
            for.
        **kwargs: Passed to `keras.layers.Layer`.

    Raises:
        ValueError: There is no such layer (near names are told), or the images are too small for
            the deepest one.
    """

    def __init__(
        self,
        backbone: Any,
        content_layers: Sequence[str] | None = None,
        style_layers: Sequence[str] | None = None,
        value_range: tuple[float, float] = (0.0, 1.0),
        image_size: tuple[int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        whole = load_backbone(backbone)
        contents = _names(content_layers, "content_layers", whole, _CONTENT_REDUCTION)
        contents = contents[-1:] if content_layers is None else contents
        styles = _names(style_layers, "style_layers", whole, _STYLE_REDUCTION)
        layers = list(dict.fromkeys([*contents, *styles]))
        with _telling_of_small_images(set(layers) - set(whole.layer_names()), image_size):
            super().__init__(whole, layers, value_range, image_size, **{**kwargs, **_FROZEN})
        self.content_layers, self.style_layers = contents, styles
        shape = self.backbone.input_contract.shape or (None,) * 4
        self._sides = self.image_size or tuple(shape[1:3])
        outputs = self.backbone.compute_output_shape((1, *self._sides, shape[3]))
        self._style_shapes = [tuple(outputs[layers.index(name)]) for name in styles]
        self._check_size()
        self.style_channels = [each[-1] for each in self._style_shapes]

    def check_style(self, height: int, width: int) -> None:
        """Refuse a style image in which the deepest style layer would see a single place."""
        reductions = (
            max(side / own for side, own in zip(self._sides, shape[1:3]))
            for shape in self._style_shapes
            if None not in (*self._sides, *shape[1:3])
        )
        deepest = max(reductions, default=1.0)
        if min(height, width) < _SMALLEST_MAP * deepest:
            raise ValueError(
                f"The style image is too small: the deepest of style_layers={self.style_layers} "
                f"sees one place in {deepest:g} pixels, and a style is how places differ. Give an "
                f"image of at least {math.ceil(_SMALLEST_MAP * deepest)} pixels a side, or name "
                f"layers nearer to the input. Received: a style image of {height}x{width}"
            )

    def _check_size(self) -> None:
        for shape in self._style_shapes:
            if len(shape) != 4:
                raise ValueError(
                    "A style is seen in feature maps [batch, height, width, channels]. Name layers "
                    f"that make them. Received: style_layers={self.style_layers}, one of them with "
                    f"output {shape}"
                )
            if min(side or _SMALLEST_MAP for side in shape[1:3]) < _SMALLEST_MAP:
                raise ValueError(
                    "The images are too small for the deepest of "
                    f"style_layers={self.style_layers}, which would see {shape[1]}x{shape[2]} "
                    "places in them. Give larger images, or name layers nearer to the input. "
                    f"Received: images of {self._sides[0]}x{self._sides[1]}"
                )

    def call(self, images: Any, training: bool | None = None) -> Any:
        contents, styles = self._parted(super().call(images))
        return [tf.cast(each, tf.float32) for each in contents], [gram_matrix(s) for s in styles]

    def compute_output_spec(self, images: Any, training: bool | None = None) -> Any:
        contents, styles = self._parted(super().compute_output_spec(images))
        grams = [(each.shape[0], each.shape[-1], each.shape[-1]) for each in styles]
        return tuple(
            [keras.KerasTensor(shape, "float32") for shape in shapes]
            for shapes in ([each.shape for each in contents], grams)
        )

    def _parted(self, maps: list[Any]) -> tuple[list[Any], list[Any]]:
        """The outputs of the layers for content, and of those for style."""
        by_name = dict(zip(self.layer_names, maps, strict=True))
        return [by_name[n] for n in self.content_layers], [by_name[n] for n in self.style_layers]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("layers", "trainable"):
            config.pop(name)
        return {
            **config,
            "content_layers": self.content_layers,
            "style_layers": self.style_layers,
        }


def _names(given: Sequence[str] | None, argument: str, backbone: Backbone, reduction: int) -> list:
    """The layers given, or the last of each scale down to a reduction."""
    if given is None:
        found = backbone.layer_reductions()
        by_scale = {found[name]: name for name in layers_by_scale(found)}
        scales = sorted(each for each in by_scale if each <= reduction) or [min(by_scale)]
        return [by_scale[each] for each in scales]
    names = [given] if isinstance(given, str) else list(given)
    if not names:
        raise ValueError(f"{argument} must name at least one layer. Received: {argument}=[]")
    return names


@contextlib.contextmanager
def _telling_of_small_images(unknown: Set[str], image_size: Any) -> Iterator[None]:
    """Where layers are known and an image's size is given, it is the size that does not fit."""
    try:
        yield
    except ValueError as error:
        if unknown or image_size is None:
            raise
        raise ValueError(
            f"The network cannot see images of {image_size[0]}x{image_size[1]} down to these "
            "layers. Give larger images, or name layers nearer to the input. Received: "
            f"image_size={image_size} ({str(error).splitlines()[0]})"
        ) from error
