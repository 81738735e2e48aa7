"""Networks handed to a GAN, or built for the shape of its examples; checked against each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import keras

from keras_transgen.generative.network_calls import called
from keras_transgen.generative.networks.dcgan import dcgan_discriminator, dcgan_generator
from keras_transgen.generative.networks.dense_gan import dense_discriminator, dense_generator
from keras_transgen.generative.networks.residual_1d import (
    residual_1d_discriminator,
    residual_1d_generator,
)
from keras_transgen.generative.networks.wavegan import wavegan_discriminator, wavegan_generator
from keras_transgen.training.counts import is_count

_DENSE_UNITS_PER_FILTER = 4
_OF_SEQUENCES = ("wavegan", "residual_1d")


def networks_named(networks: str, example_shape: tuple[int, ...]) -> str:
    """The kind of networks that is built for examples of a shape.

    Args:
        networks: `"auto"`, or for sequences `"wavegan"` or `"residual_1d"`.
        example_shape: Of the examples.

    Returns:
        `"dense"` for vectors, `"dcgan"` for images; for sequences what was asked for, else
        `"wavegan"` for one channel and `"residual_1d"` for several, which are taken for symbols.

    Raises:
        ValueError: If the name is unknown, of sequences where there are none, or the shape is that
            of nothing that networks are built for.
    """
    if networks not in ("auto", *_OF_SEQUENCES):
        raise ValueError(
            "networks must be 'auto', 'wavegan' or 'residual_1d'; hand other ones in as generator= "
            f"and discriminator=. Received: networks={networks!r}"
        )
    rank = len(example_shape)
    if rank == 2:
        if networks == "auto":
            return "wavegan" if example_shape[1] == 1 else "residual_1d"
        return networks
    if networks != "auto":
        raise ValueError(
            f"networks={networks!r} are for sequences [length, channels]. "
            f"Received: example_shape={tuple(example_shape)}"
        )
    if rank not in (1, 3):
        raise ValueError(
            "Networks are built for vectors (features,), sequences (length, channels) and images "
            "(height, width, channels); hand in generator= and discriminator= for other examples. "
            f"Received: example_shape={tuple(example_shape)}"
        )
    return "dense" if rank == 1 else "dcgan"


def default_generator(
    example_shape: tuple[int, ...],
    latent_dim: int,
    filters: int,
    value_range: tuple[float, float] | None,
    networks: str = "auto",
    **conditioning: Any,
) -> keras.Model:
    """A generator of the kind that `networks_named` finds."""
    kind = networks_named(networks, example_shape)
    if kind == "wavegan":
        return wavegan_generator(
            example_shape, latent_dim, filters, value_range=value_range, **conditioning
        )
    if kind == "residual_1d":
        return residual_1d_generator(example_shape, latent_dim, filters, **conditioning)
    if len(example_shape) == 1:
        hidden = (filters * _DENSE_UNITS_PER_FILTER,) * 2
        return dense_generator(
            example_shape[0], latent_dim, hidden, value_range=value_range, **conditioning
        )
    return dcgan_generator(
        example_shape, latent_dim, filters, value_range=value_range, **conditioning
    )


def default_discriminator(
    example_shape: tuple[int, ...], filters: int, networks: str = "auto", **conditioning: Any
) -> keras.Model:
    """A discriminator of the kind that `networks_named` finds."""
    kind = networks_named(networks, example_shape)
    if kind == "wavegan":
        return wavegan_discriminator(example_shape, filters, **conditioning)
    if kind == "residual_1d":
        return residual_1d_discriminator(example_shape, filters, **conditioning)
    if len(example_shape) == 1:
        hidden = (filters * _DENSE_UNITS_PER_FILTER,) * 2
        return dense_discriminator(example_shape[0], hidden, **conditioning)
    return dcgan_discriminator(example_shape, filters, **conditioning)


def one_shape(
    example_shape: tuple[int, ...] | None, image_shape: tuple[int, ...] | None
) -> tuple[int, ...] | None:
    """The shape that was given by either of its names.

    Raises:
        ValueError: If both are given and differ.
    """
    if example_shape is None or image_shape is None:
        # Vectors may be said by their length.
        shape = example_shape or image_shape
        return (cast(int, shape),) if is_count(shape) else shape
    if tuple(example_shape) != tuple(image_shape):
        raise ValueError(
            "image_shape is another name of example_shape; give one of them. "
            f"Received: example_shape={tuple(example_shape)}, image_shape={tuple(image_shape)}"
        )
    return example_shape


def known_shape(network: Any, side: str) -> tuple[int, ...] | None:
    """The input or output shape of a network without its batch, where it says one."""
    shape = getattr(network, f"{side}_shape", None)
    if isinstance(shape, list):
        shape = shape[0]
    if not isinstance(shape, tuple) or None in shape[1:]:
        return None
    return tuple(shape[1:])


def known_latent_dim(generator: Any) -> int | None:
    """The length of the latent vectors that a generator takes, where it says so."""
    shape = known_shape(generator, "input")
    return shape[0] if shape is not None and len(shape) == 1 else None


def logits_per_example(discriminator: Any) -> int:
    """How many logits a discriminator gives of an example: what its attribute of that name says.

    Args:
        discriminator: Any network; most have no such attribute, and give one.
    """
    return getattr(discriminator, "logits_per_example", 1)


def check_networks(
    generator: Callable[..., Any],
    generator_inputs: Any,
    discriminator: Callable[..., Any],
    discriminator_inputs: Any,
    example_shape: tuple[int, ...],
    auxiliary_classes: int | None = None,
) -> None:
    """Build both networks symbolically and refuse a pair that cannot play.

    Args:
        generator: From latent vectors (and conditions) to examples.
        generator_inputs: Symbolic inputs.
        discriminator: From examples (and conditions) to logits: one an example, or as many as its
            attribute `logits_per_example` says.
        discriminator_inputs: Symbolic inputs.
        example_shape: Of the real examples.
        auxiliary_classes: Number of class logits that the discriminator must give besides.

    Raises:
        ValueError: If an output is not what the other network or the loss needs.
    """
    made = called(generator, generator_inputs, "generator")
    if not hasattr(made, "shape") or tuple(made.shape[1:]) != example_shape:
        raise ValueError(
            "The generator's output must have the shape of the real examples, which the "
            f"discriminator takes: [batch, {', '.join(map(str, example_shape))}]. "
            f"Received: a generator with output of shape {getattr(made, 'shape', made)}"
        )
    judged = called(discriminator, discriminator_inputs, "discriminator")
    outputs = judged if isinstance(judged, (list, tuple)) else [judged]
    views = logits_per_example(discriminator)
    widths = [views] if auxiliary_classes is None else [views, auxiliary_classes]
    found = [tuple(output.shape[1:]) for output in outputs]
    if found[:1] == [()]:
        found[0] = (1,)
    if found != [(width,) for width in widths]:
        expected = " and ".join(f"[batch, {width}]" for width in widths)
        raise ValueError(
            f"The discriminator must give logits of shape {expected}. "
            f"Received: outputs of shape {[tuple(output.shape) for output in outputs]}"
        )
