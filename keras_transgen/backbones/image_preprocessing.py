"""The three ways in which networks of `keras.applications` were fed ImageNet's photographs."""

from __future__ import annotations

from typing import Any

import keras

from keras_transgen.backbones.input_contract import InputContract

CONVENTIONS = ("caffe", "tf", "torch")
# What all three take.
RAW_RANGE = (0.0, 255.0)
_BLUE_GREEN_RED_MEANS = (103.939, 116.779, 123.68)
_MEANS = (0.485, 0.456, 0.406)
_DEVIATIONS = (0.229, 0.224, 0.225)


@keras.saving.register_keras_serializable(package="keras_transgen")
class ImagePreprocessing(keras.layers.Layer):
    """`preprocess_input` of a network of `keras.applications`, as a layer that a file keeps.

    | convention | what it makes of values from 0 to 255 | networks |
    | --- | --- | --- |
    | `"caffe"` | BGR, ImageNet's mean subtracted | VGG, ResNet |
    | `"torch"` | divided by 255, then ImageNet's mean and deviation to 0 and 1 | DenseNet |
    | `"tf"` | divided by 127.5, 1 subtracted | MobileNet, MobileNetV2, Inception, ResNetV2 |

    EfficientNet, MobileNetV3 and ConvNeXt rescale their images themselves, and need none.

    Args:
        convention: `"caffe"`, `"torch"` or `"tf"`.
        **kwargs: `name` and `dtype` (float32 by default: images keep their precision).

    Input shape:
        Images `[batch, height, width, 3]`, any numbers from 0 to 255; for `"tf"` of any channels.

    Output shape:
        The same, in float32.

    Raises:
        ValueError: There is no such convention, or the images are not of three channels.

    Example:
        ```python
        import numpy as np
        from keras_transgen.backbones import ImagePreprocessing

        white = np.full((1, 2, 2, 3), 255, "uint8")
        assert float(ImagePreprocessing("tf")(white)[0, 0, 0, 0]) == 1.0
        ```
    """

    def __init__(self, convention: str, **kwargs: Any) -> None:
        if convention not in CONVENTIONS:
            raise ValueError(
                f"The convention must be one of {list(CONVENTIONS)}. Received: {convention!r}"
            )
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.convention = convention

    def build(self, input_shape: Any) -> None:
        """Nothing to build; looks at the number of channels."""
        if self.convention != "tf" and input_shape[-1] != 3:
            raise ValueError(
                f"The convention {self.convention!r} is for colour images [batch, height, width, "
                "3]. Repeat grey images with keras.ops.repeat(x, 3, axis=-1), or use 'tf'. "
                f"Received: images of shape {tuple(input_shape)}"
            )
        self.built = True

    def call(self, images: Any) -> Any:
        images = keras.ops.cast(images, self.compute_dtype)
        if self.convention == "tf":
            return images / 127.5 - 1.0
        if self.convention == "torch":
            return (images / 255.0 - self._row(_MEANS)) / self._row(_DEVIATIONS)
        return images[..., ::-1] - self._row(_BLUE_GREEN_RED_MEANS)

    def _row(self, values: tuple[float, ...]) -> Any:
        return keras.ops.convert_to_tensor(values, self.compute_dtype)

    def raw_contract(self, contract: InputContract) -> InputContract:
        """What goes in, for a backbone that takes what comes out.

        Args:
            contract: That of the backbone.
        """
        return InputContract(contract.shape, "float32", RAW_RANGE)

    def check_inputs(self, images: Any, name: str = "x") -> None:
        """Warn of raw images that are not in 0 to 255; see `Backbone.check_inputs`.

        Args:
            images: Raw images.
            name: What to call them in messages.

        Raises:
            ValueError: They are no numbers, or not finite.
        """
        InputContract(None, "float32", RAW_RANGE).check(images, name)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the layer from."""
        return {**super().get_config(), "convention": self.convention}
