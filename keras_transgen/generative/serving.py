"""What exported generative models answer: samples, latent codes, and images from images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import tensorflow as tf

from keras_transgen.generative.text_conditions import encodes_texts
from keras_transgen.training.batch_assertions import stop_at_wrong_labels
from keras_transgen.training.serving import Endpoint, fitting_specs, named_specs

COUNT = tf.TensorSpec([], tf.int32, "count")
SEED = tf.TensorSpec([], tf.int64, "seed")


class FromLatents(Protocol):
    """A model that makes examples of latent vectors."""

    latent_dim: int


class Conditioned(FromLatents, Protocol):
    """One that makes them for conditions."""

    num_classes: int | None


def generator_endpoints(
    model: FromLatents, generate: Callable[[tf.Tensor], tf.Tensor], input_signature: Any = None
) -> dict[str, Endpoint]:
    """`sample(count, seed)` and `decode(latents)` of a GAN, `samples` out.

    Args:
        model: The model.
        generate: Samples from latent vectors by the averaged generator.
        input_signature: Must be left out: both take what every GAN takes.

    Raises:
        ValueError: If there is an `input_signature`.
    """
    if input_signature is not None:
        raise ValueError(
            f"{type(model).__name__} knows what its signatures take: leave input_signature out. "
            f"Received: input_signature={input_signature}"
        )

    def decode(latents: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"samples": generate(latents)}

    def sample(count: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        return decode(_latents(model, count, seed))

    return {
        "sample": Endpoint(sample, (COUNT, SEED), draws_noise=True),
        "decode": Endpoint(decode, (latent_spec(model),)),
    }


def conditional_endpoints(
    model: Conditioned,
    encoder: Any,
    generate: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    condition: Any,
) -> dict[str, Endpoint]:
    """`sample(condition, seed)` and `decode(latents, condition)`, `samples` out.

    Args:
        model: The model.
        encoder: Its encoder of conditions, or `None`.
        generate: Samples from latent vectors and conditions by the averaged generator.
        condition: Shape and dtype of conditions.
    """

    def decode(latents: tf.Tensor, condition: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"samples": generate(latents, known_classes(condition, model.num_classes))}

    def sample(condition: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        return decode(_latents(model, tf.shape(condition)[0], seed), condition)

    conditions = named_specs(condition, "condition")
    resources = () if encoder is None else (encoder,)
    if encodes_texts(encoder):
        resources += encoder.graph_resources()
    return {
        "sample": Endpoint(sample, (*conditions, SEED), resources, draws_noise=True),
        "decode": Endpoint(decode, (latent_spec(model), *conditions), resources),
    }


def image_endpoint(
    image_shape: tuple[int | None, ...],
    function: Callable[[tf.Tensor], tf.Tensor],
    input_signature: Any = None,
) -> Endpoint:
    """Images in, `images` out.

    Args:
        image_shape: Of an image that goes in.
        function: Makes images of a batch of images.
        input_signature: Shape and dtype of the input. Defaults to float32 images of that shape.
    """

    def endpoint(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"images": function(inputs)}

    return Endpoint(endpoint, examples_spec(image_shape, input_signature))


def examples_spec(
    example_shape: tuple[int | None, ...], input_signature: Any = None
) -> tuple[Any, ...]:
    """A signature of one argument: examples, float32 in the model's range unless said otherwise."""
    known = tf.TensorSpec([None, *example_shape], tf.float32, "inputs")
    return (known,) if input_signature is None else fitting_specs(input_signature, known)


def known_classes(condition: Any, num_classes: int | None) -> Any:
    """Conditions that a SavedModel refuses where they are classes which the model does not have.

    Without this the model would answer as if no class had been asked for.
    TFLite drops the check.

    Args:
        condition: As the endpoint is asked.
        num_classes: How many classes there are, `None` where conditions are no classes.
    """
    if num_classes is None:
        return condition
    with tf.control_dependencies(stop_at_wrong_labels(condition, num_classes)):
        return tf.identity(condition)


def latent_spec(model: FromLatents) -> tf.TensorSpec:
    """The signature of latent vectors."""
    return tf.TensorSpec([None, model.latent_dim], tf.float32, "latents")


def _latents(model: FromLatents, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_normal([count, model.latent_dim], stateless_seed(seed))


def stateless_seed(seed: tf.Tensor) -> tf.Tensor:
    """The two halves of an int64 seed, lower first, as `sampling_seed` has them."""
    low = tf.cast(tf.bitwise.bitwise_and(seed, tf.constant(0xFFFFFFFF, tf.int64)), tf.uint32)
    high = tf.cast(tf.bitwise.right_shift(seed, tf.constant(32, tf.int64)), tf.int32)
    return tf.stack([tf.bitcast(low, tf.int32), high])
