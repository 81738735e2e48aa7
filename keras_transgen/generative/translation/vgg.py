"""VGG for images in [0, 1], with the names of its layers: what style transfer was made on."""

from __future__ import annotations

from typing import Any

import keras

from keras_transgen.backbones import KerasBackbone

_NETWORKS = {16: "VGG16", 19: "VGG19"}
# Of ImageNet's training images, blue first; its weights are Caffe's.
_MEANS = (103.939, 116.779, 123.68)


@keras.saving.register_keras_serializable(package="keras_transgen")
class VGGInput(keras.layers.Layer):
    """Images in [0, 1], red first, as VGG takes them: 0 to 255, blue first, without the mean."""

    def call(self, images: Any) -> Any:
        means = keras.ops.convert_to_tensor(_MEANS, self.compute_dtype)
        return 255.0 * keras.ops.flip(images, axis=-1) - means

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def vgg_backbone(depth: int = 19, weights: Any = None, **kwargs: Any) -> KerasBackbone:
    """`keras.applications.VGG16` or `VGG19` without its classifier, for images of any size.

    Args:
        depth: 16 or 19.
        weights: `"imagenet"`, which Keras downloads (80 MB); a file of weights, as Keras publishes
            it (`vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5`); or `None` for random ones,
            which are of no use but to try.
        **kwargs: As in `KerasBackbone`.

    Returns:
        A backbone for images `[batch, height, width, 3]` in [0, 1] with layers `block1_conv1` to
        `block5_pool`.

    Raises:
        ValueError: If there is no such network.

    Example:
        ```python no-run
        from keras_transgen.generative.translation import stylize, vgg_backbone

        backbone = vgg_backbone(weights="imagenet")
        style_layers = [f"block{block}_conv1" for block in range(1, 6)]
        painted = stylize(photograph, painting, backbone, ["block4_conv2"], style_layers)
        ```

    Reference:
        Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition,
        2014.
    """
    if depth not in _NETWORKS:
        raise ValueError(f"depth must be one of {list(_NETWORKS)}. Received: depth={depth}")
    image = keras.Input((None, None, 3), name="image")
    network = getattr(keras.applications, _NETWORKS[depth])(
        include_top=False, weights=weights, input_tensor=VGGInput(name="vgg_input")(image)
    )
    # Keras would know the input as a list of one.
    network = keras.Model(image, network.output, name=network.name)
    return KerasBackbone(network, value_range=(0.0, 1.0), **kwargs)
