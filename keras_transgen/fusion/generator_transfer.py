"""A trained GAN as the start of another one, on a small data set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_transgen.fusion.low_rank import ADAPTABLE, LowRank
from keras_transgen.fusion.network_copy import copied_network
from keras_transgen.generative import GAN
from keras_transgen.generative.networks.conditioning import ConditionalNormalization

_NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    ConditionalNormalization,
)
# What a model may have besides its networks that is worth taking over, as far as shapes agree.
_FURTHER = (
    "generator_embedding",
    "discriminator_embedding",
    "condition_encoder",
    "feature_scale",
)


def transfer_gan(
    gan: GAN,
    method: str = "all",
    *,
    frozen_layers: int | None = None,
    rank: int = 8,
    **settings: Any,
) -> GAN:
    """A new GAN that starts from a trained one and is ready to fit on other, fewer data.

    | method | generator | discriminator |
    | --- | --- | --- |
    | `"all"` | trains | trains |
    | `"freeze_d"` | trains | its first `frozen_layers` layers stay (FreezeD) |
    | `"statistics"` | scale and shift of its normalisation train | trains |
    | `"lora"` | low-rank additions to its kernels train, and scale and shift | trains |

    The new generator starts from the averaged weights, so that at first both models' samples are
    the same; the moving average starts there anew. Embeddings of conditions always train, since
    other data give the classes another meaning; with another `num_classes` they start afresh.

    "Statistics" is what Noguchi and Harada train; their loss without a discriminator is not used.
    Normalised layers that train use the batch's statistics, and their moving statistics follow.

    Args:
        gan: The trained model, a `GAN` or a subclass. It is left as it is.
        method: See the table. Defaults to `"all"`.
        frozen_layers: For `"freeze_d"`: how many of the discriminator's layers that have weights
            stay, from the input, as they are: the paper freezes the lower layers of a network that
            goes on with them, and so does this, statistics of normalisation included. Defaults to
            half of them.
        rank: For `"lora"`: rank of the additions. Defaults to 8.
        **settings: Arguments of the model that shall differ: `augmentation`, `ema_decay`,
            `gradient_penalty`, `num_classes`, `seed`, ...

    Returns:
        A model of the same class, not compiled. `fit` compiles it with its defaults.

    Raises:
        ValueError: If there is no such method, or the networks do not have what it trains or
            freezes.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.fusion.generator_transfer import transfer_gan

        images, labels = ktg.datasets.load_digits()
        gan = ktg.GAN(image_shape=(8, 8, 1), filters=8, value_range=(0.0, 1.0))
        gan.fit(images[labels < 5][:256], batch_size=64, epochs=1, verbose=0)
        other = transfer_gan(gan, "freeze_d", augmentation="translation")
        other.fit(images[labels >= 5][:100], batch_size=50, epochs=1, verbose=0)
        ```

    Reference:
        Wang et al., Transferring GANs: Generating Images from Limited Data, 2018; Mo, Cho and
        Shin, Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs, 2020; Noguchi and
        Harada, Image Generation from Small Datasets via Batch Statistics Adaptation, 2019.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {sorted(METHODS)}. Received: method={method!r}")
    if not isinstance(gan, GAN):
        raise ValueError(
            "transfer_gan takes a trained ktg.GAN or ktg.ConditionalGAN. "
            f"Received: gan of type {type(gan).__name__}"
        )
    gan.average_what_was_loaded()
    pairs: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []
    generator = _copy(gan.generator, pairs, _low_rank(rank) if method == "lora" else None)
    discriminator = _copy(gan.discriminator, pairs)
    for network in (generator, discriminator):
        network.trainable = True
    METHODS[method](generator, discriminator, frozen_layers)
    parts = {"generator": generator, "discriminator": discriminator}
    config = {**gan.get_config(), "trainable": True, **parts, **settings}
    # The method says what trains.
    del config["trains"]
    model = type(gan).from_config(config)
    pairs += [(getattr(gan, name, None), getattr(model, name, None)) for name in _FURTHER]
    for old, new in pairs:
        _take_over(gan, old, new)
    if model.average is not None:
        model.average.restart()
    return model


def _copy(
    network: keras.Model,
    pairs: list[tuple[keras.layers.Layer, keras.layers.Layer]],
    replace: Callable[[keras.layers.Layer], keras.layers.Layer] | None = None,
) -> keras.Model:
    """A copy of a network, of its layers or as a whole; what belongs together goes to `pairs`."""
    if replace is None:
        copy = copied_network(network)
        pairs.append((network, copy))
        return copy
    if getattr(network, "inputs", None) is None:
        raise ValueError(
            "method='lora' puts layers in place of others, which a functional or Sequential "
            "generator allows. Use another method. "
            f"Received: generator of type {type(network).__name__}"
        )

    def replaced(layer: keras.layers.Layer) -> keras.layers.Layer:
        own = type(layer).from_config(layer.get_config())
        pairs.append((layer, own))
        return replace(own)

    return keras.models.clone_model(network, clone_function=replaced)


def _take_over(gan: GAN, old: Any, new: Any) -> None:
    """Give a layer the averaged weights of another, unless they are of other shapes."""
    if old is None or new is None:
        return
    weights = old.weights if gan.average is None else gan.average.of(old.weights)
    if [tuple(each.shape) for each in weights] != [tuple(each.shape) for each in new.weights]:
        return
    for weight, value in zip(new.weights, weights):
        weight.assign(value)


def _low_rank(rank: int) -> Callable[[keras.layers.Layer], keras.layers.Layer]:
    def wrapped(layer: keras.layers.Layer) -> keras.layers.Layer:
        return LowRank(layer, rank, name=layer.name) if isinstance(layer, ADAPTABLE) else layer

    return wrapped


# What each method leaves to train


def _train_all(generator: keras.Model, discriminator: keras.Model, frozen: int | None) -> None:
    """Nothing is frozen."""


def _freeze_discriminator(
    generator: keras.Model, discriminator: keras.Model, frozen: int | None
) -> None:
    layers = [layer for layer in discriminator.layers if layer.weights]
    frozen = len(layers) // 2 if frozen is None else frozen
    if not 1 <= frozen < len(layers):
        raise ValueError(
            "frozen_layers must leave a layer of the discriminator to train and freeze one at "
            f"least: between 1 and {len(layers) - 1}. Received: frozen_layers={frozen}"
        )
    for layer in layers[:frozen]:
        layer.trainable = False


def _train_statistics(
    generator: keras.Model, discriminator: keras.Model, frozen: int | None
) -> None:
    _train_only(
        generator,
        _NORMALIZATIONS,
        "method='statistics' trains the scale and shift of the generator's normalisation layers",
    )


def _train_additions(
    generator: keras.Model, discriminator: keras.Model, frozen: int | None
) -> None:
    _train_only(
        generator, (LowRank,), "method='lora' adds to the kernels of dense layers and convolutions"
    )
    for layer in generator.layers:
        if isinstance(layer, LowRank):
            layer.layer.trainable = False
        elif isinstance(layer, _NORMALIZATIONS):
            layer.trainable = True


def _train_only(generator: keras.Model, kinds: tuple[type, ...], what: str) -> None:
    if not any(isinstance(layer, kinds) for layer in generator.layers):
        raise ValueError(
            f"{what}, and this generator has none on its first level. Use another method. "
            f"Received: layers {[type(layer).__name__ for layer in generator.layers]}"
        )
    for layer in generator.layers:
        layer.trainable = isinstance(layer, kinds)


METHODS: dict[str, Callable[[keras.Model, keras.Model, int | None], None]] = {
    "all": _train_all,
    "freeze_d": _freeze_discriminator,
    "statistics": _train_statistics,
    "lora": _train_additions,
}
