"""What a conditional GAN refuses before its networks are made."""

from __future__ import annotations

from typing import Any

from keras_transgen.generative.condition_values import check_condition_kind

_GENERATOR = ("concatenation", "normalization")
_DISCRIMINATOR = ("projection", "concatenation", None)


def check_condition_arguments(
    num_classes: int | None,
    condition_shape: tuple[int, ...] | None,
    condition_encoder: Any,
    generator_conditioning: str,
    discriminator_conditioning: str | None,
    auxiliary_classifier: bool,
    unlabelled_probability: float,
) -> None:
    """Refuse arguments of `ConditionalGAN` that leave open what a condition is or where it goes.

    Raises:
        ValueError: With what to change.
    """
    if num_classes is None and condition_shape is None and condition_encoder is None:
        raise ValueError(
            "Say what a condition is: num_classes=10 for class labels, condition_shape=(5,) for "
            "vectors, or condition_encoder= for a Keras layer. Received: none of them"
        )
    check_condition_kind(num_classes, condition_shape, condition_encoder, unlabelled_probability)
    if generator_conditioning not in _GENERATOR:
        raise ValueError(
            f"generator_conditioning must be one of {_GENERATOR}. "
            f"Received: generator_conditioning={generator_conditioning!r}"
        )
    if discriminator_conditioning not in _DISCRIMINATOR:
        raise ValueError(
            f"discriminator_conditioning must be one of {_DISCRIMINATOR}. "
            f"Received: discriminator_conditioning={discriminator_conditioning!r}"
        )
    if auxiliary_classifier and num_classes is None:
        raise ValueError(
            "auxiliary_classifier tells classes apart and needs num_classes. "
            "Received: num_classes=None"
        )
    if discriminator_conditioning is None and not auxiliary_classifier:
        raise ValueError(
            "Without a condition the discriminator must classify, or the generator would learn "
            "nothing about conditions: pass auxiliary_classifier=True. "
            "Received: discriminator_conditioning=None, auxiliary_classifier=False"
        )
