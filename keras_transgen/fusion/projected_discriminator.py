"""A GAN's discriminator that sees images through a pretrained network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_transgen.backbones.multi_scale_features import MultiScaleFeatures
from keras_transgen.generative.networks.conditioning import Projection
from keras_transgen.generative.networks.spectral_normalization import SpectralNormalization
from keras_transgen.training.config_from_file import Nested, arguments_from_file

_SMALLEST = 4
_WIDEST = 4
_SLOPE = 0.2
_GENERATOR_RATE = 8e-4
_HEADS_RATE = 6e-4


@keras.saving.register_keras_serializable(package="keras_transgen")
class RandomConvolution(keras.layers.Layer):
    """A convolution whose kernel was drawn once and never trains; it is saved as a weight."""

    def __init__(
        self, filters: int, kernel_size: int, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.kernel_size, self.kernel_size, input_shape[-1], self.filters),
            initializer=keras.initializers.HeNormal(seed=self.seed),
            trainable=False,
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        return keras.ops.conv(inputs, self.kernel, padding="same")

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package="keras_transgen")
class ProjectedDiscriminator(keras.Model):
    """The discriminator of a projected GAN: small heads on a frozen backbone's random mixtures.

    The backbone's feature maps at several scales are mixed across channels by fixed random 1x1
    convolutions, and across scales, from coarse to fine, by fixed random 3x3 convolutions of the
    sum with the coarser mixture, doubled in size. On the mixture at each scale stands a head of its
    own, spectrally normalised. Only the heads train.

    Each head judges every place of its map by a logit of its own, and the losses are means over all
    of them, as in the paper: what each head says counts, however sure another one is. The heads
    have no batch normalization, so that no logit depends on other examples of the batch.

    Heads on features that are good from the start are ahead of the generator from the first step,
    so it needs the larger learning rate. `GAN.compile` without optimizers takes those of
    `default_optimizers`.

    The backbone computes in inference mode, never trains and is saved once; the random kernels are
    weights, saved with it.

    Args:
        backbone: A backbone, or anything `keras_transgen.load_backbone` takes. It is copied.
        image_shape: `(height, width, channels)` of the images; grey ones are repeated.
        layers: Names of the backbone's layers to look at, from fine to coarse. Defaults to the
            last layer of each of the four coarsest scales.
        channels: Channels of the finest mixture, doubled at each coarser one. Defaults to 64.
        value_range: `(low, high)` of the images. Defaults to `(-1.0, 1.0)`, as of `GAN`.
        image_size: `(height, width)` at which the backbone sees the images. Defaults to their own
            size. A larger one gives features nearer to what the backbone was trained on, and costs
            its square: of flowers at 64x64 in four minutes, 96x96 did better than 64x64 or 128x128.
        embedding_dim: Length of a condition's embedding, for `ConditionalGAN` with
            `discriminator_conditioning="projection"`: each head then adds the inner product of its
            features with the condition. `None` for an unconditional one.
        seed: Of the random mixtures. Defaults to 0.
        **kwargs: `name`, as in `keras.Model`.

    Call arguments:
        images: `[batch, *image_shape]`, or a list of them and `[batch, embedding_dim]`.

    Output shape:
        Logits `[batch, logits_per_example]`, float32: the places of all heads.

    Raises:
        ValueError: There is no such layer, or the backbone has no feature maps whose sizes are
            known.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.fusion.projected_discriminator import ProjectedDiscriminator

        discriminator = ProjectedDiscriminator("digits", (8, 8, 1), channels=8)
        gan = ktg.GAN((8, 8, 1), filters=8, discriminator=discriminator, loss="hinge")
        gan.compile()
        ```

    Reference:
        Sauer et al., Projected GANs converge faster, 2021.
    """

    def __init__(
        self,
        backbone: Any,
        image_shape: tuple[int, int, int],
        layers: Sequence[str] | None = None,
        channels: int = 64,
        value_range: tuple[float, float] = (-1.0, 1.0),
        image_size: tuple[int, int] | None = None,
        embedding_dim: int | None = None,
        seed: int = 0,
        name: str = "discriminator",
        **kwargs: Any,
    ) -> None:
        if len(image_shape) != 3 or channels < 1:
            raise ValueError(
                "image_shape must be (height, width, channels), and channels at least 1. "
                f"Received: image_shape={image_shape}, channels={channels}"
            )
        size = (image_shape[0], image_shape[1]) if image_size is None else image_size
        features = MultiScaleFeatures(
            backbone, layers, value_range, size, scales=_WIDEST, name="features"
        )
        image = keras.Input(tuple(image_shape), name="image")
        embedding = keras.Input((embedding_dim,), name="condition") if embedding_dim else None
        mixtures = _mixed(features(image), channels, seed)
        logits = [
            _head(mixture, channels, embedding, f"head_{scale}")
            for scale, mixture in enumerate(mixtures)
        ]
        logit = logits[0] if len(logits) == 1 else keras.layers.Concatenate(dtype="float32")(logits)
        inputs = image if embedding is None else [image, embedding]
        super().__init__(inputs=inputs, outputs=logit, name=name, **kwargs)
        self.features = features
        self._settings = {
            "image_shape": tuple(image_shape),
            "layers": list(features.layer_names),
            "channels": channels,
            "value_range": features.value_range,
            "image_size": None if image_size is None else tuple(image_size),
            "embedding_dim": embedding_dim,
            "seed": seed,
        }

    @property
    def logits_per_example(self) -> int:
        """How many logits the heads give of an image."""
        return self.output_shape[-1]

    def default_optimizers(
        self,
    ) -> tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]:
        """The generator's and the heads' optimizers where `GAN.compile` is told none.

        Adam with `beta_1=0`, as in the paper, at 8e-4 and 6e-4: on flowers at 64x64 these learnt in
        a quarter of an hour what 2e-4 each took off with only at its end
        (`benchmarks/projected_gan.py`).
        """
        return (
            keras.optimizers.Adam(_GENERATOR_RATE, beta_1=0.0),
            keras.optimizers.Adam(_HEADS_RATE, beta_1=0.0),
        )

    def get_config(self) -> dict[str, Any]:
        backbone = keras.saving.serialize_keras_object(self.features.backbone)
        return {"name": self.name, "backbone": backbone, **self._settings}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make the network again from what `get_config` returned."""
        with keras.saving.custom_object_scope(custom_objects or {}):
            arguments = arguments_from_file(cls, config, backbone=Nested(keras.layers.Layer))
        return cls(**arguments)


def _mixed(features: Sequence[Any], channels: int, seed: int) -> list[Any]:
    """The random mixtures across channels and scales, from fine to coarse."""
    widths = [channels * 2**scale for scale in range(len(features))]
    mixtures: list[Any] = []
    for scale in reversed(range(len(features))):
        x = RandomConvolution(widths[scale], 1, seed=seed + 2 * scale, name=f"channels_{scale}")(
            features[scale]
        )
        if mixtures:
            coarser = mixtures[0]
            size = x.shape[1:3]
            if coarser.shape[1:3] != size:
                coarser = keras.layers.Resizing(*size, interpolation="bilinear")(coarser)
            x = keras.layers.Add()([x, coarser])
        # As wide as the next finer one, to be added there.
        width = widths[max(scale - 1, 0)]
        x = RandomConvolution(width, 3, seed=seed + 2 * scale + 1, name=f"scales_{scale}")(x)
        mixtures.insert(0, x)
    return mixtures


def _head(x: Any, channels: int, embedding: Any, name: str) -> Any:
    """Logits from one scale: halved down to a few places, each judged."""

    def convolved(
        x: Any, filters: int, kernel: int, strides: int, layer: str, **kwargs: Any
    ) -> Any:
        convolution = keras.layers.Conv2D(
            filters, kernel, strides=strides, padding="same", **kwargs
        )
        return SpectralNormalization(convolution, name=f"{name}_{layer}", **kwargs)(x)

    step = 0
    while min(x.shape[1:3]) > _SMALLEST:
        filters = channels * min(2**step, _WIDEST)
        x = keras.layers.LeakyReLU(_SLOPE)(convolved(x, filters, 4, 2, f"halved_{step}"))
        step += 1
    width = channels * min(2**step, _WIDEST)
    x = keras.layers.LeakyReLU(_SLOPE)(convolved(x, width, 3, 1, "last"))
    logits = keras.layers.Flatten(dtype="float32")(convolved(x, 1, 1, 1, "logits", dtype="float32"))
    if embedding is None:
        return logits
    pooled = keras.layers.GlobalAveragePooling2D(dtype="float32")(x)
    inner = Projection(dtype="float32", name=f"{name}_projection")([pooled, embedding])
    # The same of all places, since a condition is one of the whole image.
    return keras.layers.Add(dtype="float32")([logits, inner])
