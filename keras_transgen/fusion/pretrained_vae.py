"""A variational autoencoder that starts from a pretrained network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_transgen.fusion.decoding_by_scale import scale_decoder
from keras_transgen.fusion.pretrained_encoder import PretrainedEncoder
from keras_transgen.generative.likelihoods import get_likelihood
from keras_transgen.generative.vae import VAE, VAE_PARTS
from keras_transgen.training.config_from_file import arguments_from_file
from keras_transgen.transfer.deltas import DELTAS, DeltaSet, ParameterDelta
from keras_transgen.transfer.deltas.delta import arguments_of, check_from_file, plain_methods
from keras_transgen.transfer.deltas.delta_training import DeltaTraining
from keras_transgen.transfer.deltas.group_delta import GroupDelta

TRANSFERS = ("feature", "parameter", "structure")


@keras.saving.register_keras_serializable(package="keras_transgen")
class PretrainedVAE(DeltaTraining, VAE):
    """A `VAE` whose encoder is a pretrained network, and whose decoder grows from its scales.

    | transfer | what trains of the network |
    | --- | --- |
    | `"feature"` | nothing |
    | `"parameter"` | all parameters, or with `freeze_to` those after a group |
    | `"structure"` | a delta: one of the methods of `StructureTransfer` |

    The decoder, the 1x1 convolutions on the network's scales and the heads for the posterior's mean
    and scale always train. Statistics of the network's normalisation stay. All kinds serve
    SavedModels as well as Keras models.

    Args:
        backbone: A backbone, or anything `keras_transgen.load_backbone` takes, which is copied; or
            a `PretrainedEncoder`, which is taken as it is.
        input_shape: `(height, width, channels)` of the images; grey ones are repeated to the
            network's channels. Defaults to `(28, 28, 1)`.
        latent_dim: Number of latent units. Defaults to 32.
        likelihood: As in `VAE`.
        decoder: As in `VAE`. Defaults to a `scale_decoder` through the sizes of the network's maps.
        transfer: See the table. Defaults to `"feature"`.
        freeze_to: See `PretrainedEncoder`; only for `"parameter"`.
        method: For `"structure"`: `"lora"` (the default) or another method of `StructureTransfer`
            that changes parameters of one network (neither `"adapter"` nor `"copy"`).
        rank: For LoRA. Defaults to 8.
        delta_arguments: Further arguments of the method, by name, as in `StructureTransfer`:
            `{"targets": "block3"}`, `{"groups": 2}`.
        layers: Names of layers. See `PretrainedEncoder`.
        image_size: `(height, width)` at which the network sees the images. Defaults to their own
            size. A larger one costs its square, and gives features nearer to those that the network
            was trained for.
        **kwargs: Further arguments of `VAE`.

    Raises:
        ValueError: As `VAE` and `PretrainedEncoder`, or arguments that do not go together.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.fusion import PretrainedVAE

        images, _ = ktg.datasets.load_digits()
        vae = PretrainedVAE("digits", (8, 8, 1), latent_dim=4, transfer="structure", rank=2)
        vae.fit(images[:64], epochs=1, verbose=0)
        assert vae.sample(3, seed=0).shape == (3, 8, 8, 1)
        ```

    Reference:
        Kingma and Welling, Auto-Encoding Variational Bayes, 2013; Hu et al., LoRA: Low-Rank
        Adaptation of Large Language Models, 2021.
    """

    def __init__(
        self,
        backbone: Any,
        input_shape: Sequence[int] = (28, 28, 1),
        latent_dim: int = 32,
        likelihood: Any = "bernoulli",
        decoder: keras.layers.Layer | None = None,
        transfer: str = "feature",
        freeze_to: int | str | None = None,
        method: str = "lora",
        rank: int = 8,
        layers: Sequence[str] | None = None,
        image_size: tuple[int, int] | None = None,
        delta_arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        shape = tuple(input_shape)
        _check_arguments(shape, transfer, freeze_to, method, delta_arguments)
        in_place = transfer == "structure" and issubclass(DELTAS[method], GroupDelta)
        trainable = transfer == "parameter" or in_place
        if isinstance(backbone, PretrainedEncoder):
            encoder = _as_it_is(backbone, trainable, freeze_to, layers, image_size)
        else:
            size = (shape[0], shape[1]) if image_size is None else image_size
            encoder = PretrainedEncoder(
                backbone,
                layers,
                size,
                trainable=trainable,
                freeze_to=freeze_to,
                name="encoder",
            )
        likelihood = get_likelihood(likelihood)
        if decoder is None:
            likelihood.prepare(shape)
            made = likelihood.parameter_shape() or shape
            decoder = scale_decoder(latent_dim, made, encoder_shapes(encoder, shape))
        super().__init__(shape, latent_dim, likelihood, encoder, decoder, **kwargs)
        self.transfer = transfer
        self.method = method
        self.rank = rank
        self.delta_set: DeltaSet | None = None
        if transfer == "structure":
            self.delta_set = DeltaSet(encoder.backbone, list)
            sized = {"rank": rank} if "rank" in arguments_of(method) else {}
            self.delta_set.add(method, method, {**sized, **(delta_arguments or {})})
            self.delta_set.activate(method)

    # Saving

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["backbone"] = config.pop("encoder")
        delta = None if self.delta_set is None else self.delta_set.in_force()
        return {
            **config,
            "transfer": self.transfer,
            "method": self.method,
            "rank": self.rank,
            "delta_arguments": None if delta is None else delta.arguments(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PretrainedVAE:
        if config.get("delta_arguments") is not None:
            check_from_file(config.get("method"), config["delta_arguments"])
        parts = dict(VAE_PARTS)
        parts["backbone"] = parts.pop("encoder")
        return cls(**arguments_from_file(cls, config, **parts))


def encoder_shapes(encoder: PretrainedEncoder, image_shape: tuple[int, ...]) -> list[tuple]:
    """Shapes of an encoder's feature maps for images of a shape; builds it."""
    if not encoder.built:
        encoder.build((None, *image_shape))
    return encoder.feature_shapes


def _as_it_is(
    encoder: PretrainedEncoder, trainable: bool, freeze_to: Any, layers: Any, image_size: Any
) -> PretrainedEncoder:
    given = {"freeze_to": freeze_to, "layers": layers, "image_size": image_size}
    said = [name for name, value in given.items() if value is not None]
    made_trainable = encoder.features.get_config()["trainable"]
    if said or made_trainable != trainable:
        raise ValueError(
            "A PretrainedEncoder holds these settings already: leave freeze_to, layers and "
            "image_size away, and give one with trainable=True for transfer='parameter' and for "
            "methods that train whole groups, and with trainable=False for the others. Received: "
            f"{said or ''} an encoder with trainable={made_trainable}"
        )
    return encoder


def _check_arguments(
    shape: tuple, transfer: str, freeze_to: Any, method: str, delta_arguments: Any
) -> None:
    if transfer not in TRANSFERS:
        raise ValueError(f"transfer must be one of {TRANSFERS}. Received: transfer={transfer!r}")
    if len(shape) != 3:
        raise ValueError(
            "A PretrainedVAE is for images: input_shape must be (height, width, channels). "
            f"Received: input_shape={shape}"
        )
    if freeze_to is not None and transfer != "parameter":
        raise ValueError(
            "freeze_to goes with transfer='parameter'; the others freeze all parameters. "
            f"Received: freeze_to={freeze_to!r}, transfer={transfer!r}"
        )
    if delta_arguments and transfer != "structure":
        raise ValueError(
            "delta_arguments are for transfer='structure'. "
            f"Received: delta_arguments={dict(delta_arguments)}, transfer={transfer!r}"
        )
    if method not in _methods():
        raise ValueError(f"method must be one of {_methods()}. Received: method={method!r}")


def _methods() -> list[str]:
    """The methods of `StructureTransfer` that serve here: those that change parameters.

    Adapters stand outside of the network, which a copy of the encoder would lose; `"copy"` is for
    `TransferModel`, and `transfer="parameter"` after `copy_parameters` is the same here.
    """
    return [
        name for name in plain_methods() if issubclass(DELTAS[name], (GroupDelta, ParameterDelta))
    ]
