"""Adversarial losses: pure functions of the discriminator's logits, in a registry."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf

from keras_transgen.training.registry import Registry


class AdversarialLosses(NamedTuple):
    """What both players minimise, means over the batch.

    Attributes:
        discriminator: Float scalar.
        generator: Float scalar.
    """

    discriminator: tf.Tensor
    generator: tf.Tensor


AdversarialLoss = Callable[..., AdversarialLosses]

# Functions of real and fake logits; one that takes `label_smoothing` can be smoothed.
ADVERSARIAL_LOSSES = Registry("loss")


def _cross_entropy(logits: tf.Tensor, label: float) -> tf.Tensor:
    """Mean binary cross-entropy of logits against one label."""
    # softplus(l) - label * l, the stable form of -label log s - (1 - label) log(1 - s).
    return tf.reduce_mean(tf.nn.softplus(logits) - label * logits)


@ADVERSARIAL_LOSSES.register("minimax")
def minimax(real: tf.Tensor, fake: tf.Tensor, label_smoothing: float = 0.0) -> AdversarialLosses:
    """The zero-sum game: the generator minimises `log(1 - D(fake))`.

    Its slope vanishes where the discriminator is sure of the samples, as it is at the start.

    Args:
        real: Logits of real examples `[batch]`.
        fake: Logits of samples `[batch]`.
        label_smoothing: The real label is `1 - label_smoothing`.

    Returns:
        Both losses.

    Example:
        ```python
        import tensorflow as tf
        from keras_transgen.generative.adversarial.losses import minimax

        losses = minimax(tf.zeros([4]), tf.zeros([4]))
        assert abs(float(losses.discriminator) - 1.386294) < 1e-5
        ```

    Reference:
        Goodfellow et al., Generative adversarial nets, 2014.
    """
    return AdversarialLosses(
        _cross_entropy(real, 1.0 - label_smoothing) + _cross_entropy(fake, 0.0),
        -_cross_entropy(fake, 0.0),
    )


@ADVERSARIAL_LOSSES.register("non_saturating")
def non_saturating(
    real: tf.Tensor, fake: tf.Tensor, label_smoothing: float = 0.0
) -> AdversarialLosses:
    """Cross-entropy with the generator's labels flipped: it minimises `-log D(fake)`.

    Args:
        real: Logits of real examples `[batch]`.
        fake: Logits of samples `[batch]`.
        label_smoothing: The real label is `1 - label_smoothing`.

    Returns:
        Both losses.

    Reference:
        Goodfellow et al., Generative adversarial nets, 2014; one-sided smoothing: Salimans et al.,
        Improved techniques for training GANs, 2016.
    """
    return AdversarialLosses(
        _cross_entropy(real, 1.0 - label_smoothing) + _cross_entropy(fake, 0.0),
        _cross_entropy(fake, 1.0),
    )


@ADVERSARIAL_LOSSES.register("least_squares")
def least_squares(
    real: tf.Tensor, fake: tf.Tensor, label_smoothing: float = 0.0
) -> AdversarialLosses:
    """Half the squared distance of the logits to 1 for real and 0 for samples.

    Args:
        real: Logits of real examples `[batch]`.
        fake: Logits of samples `[batch]`.
        label_smoothing: The real target is `1 - label_smoothing`.

    Returns:
        Both losses.

    Reference:
        Mao et al., Least squares generative adversarial networks, 2017.
    """
    target = 1.0 - label_smoothing
    return AdversarialLosses(
        0.5 * (tf.reduce_mean((real - target) ** 2) + tf.reduce_mean(fake**2)),
        0.5 * tf.reduce_mean((fake - 1.0) ** 2),
    )


@ADVERSARIAL_LOSSES.register("hinge")
def hinge(real: tf.Tensor, fake: tf.Tensor) -> AdversarialLosses:
    """Margins for the discriminator; the generator raises its logit.

    Args:
        real: Logits of real examples `[batch]`.
        fake: Logits of samples `[batch]`.

    Returns:
        Both losses.

    Reference:
        Lim and Ye, Geometric GAN, 2017.
    """
    return AdversarialLosses(
        tf.reduce_mean(tf.nn.relu(1.0 - real)) + tf.reduce_mean(tf.nn.relu(1.0 + fake)),
        -tf.reduce_mean(fake),
    )


@ADVERSARIAL_LOSSES.register("wasserstein")
def wasserstein(real: tf.Tensor, fake: tf.Tensor) -> AdversarialLosses:
    """The critic's difference of means; to be used with a gradient penalty.

    Args:
        real: Logits of real examples `[batch]`.
        fake: Logits of samples `[batch]`.

    Returns:
        Both losses.

    Reference:
        Arjovsky, Chintala and Bottou, Wasserstein GAN, 2017.
    """
    return AdversarialLosses(tf.reduce_mean(fake) - tf.reduce_mean(real), -tf.reduce_mean(fake))


@ADVERSARIAL_LOSSES.register("relativistic_average")
def relativistic_average(
    real: tf.Tensor, fake: tf.Tensor, label_smoothing: float = 0.0
) -> AdversarialLosses:
    """How much more real than the average of the other kind an example looks.

    The averages are taken over the examples of one replica.

    Args:
        real: Logits of real examples `[batch]`.
        fake: Logits of samples `[batch]`.
        label_smoothing: The discriminator's label of real examples is `1 - label_smoothing`.

    Returns:
        Both losses.

    Reference:
        Jolicoeur-Martineau, The relativistic discriminator, 2018.
    """
    real_above = real - tf.reduce_mean(fake)
    fake_above = fake - tf.reduce_mean(real)
    return AdversarialLosses(
        _cross_entropy(real_above, 1.0 - label_smoothing) + _cross_entropy(fake_above, 0.0),
        _cross_entropy(real_above, 0.0) + _cross_entropy(fake_above, 1.0),
    )


# Whose generator needs no pass over real examples.
_GENERATOR_BLIND_TO_REAL = (minimax, non_saturating, least_squares, hinge, wasserstein)
_OR_A_CALLABLE = " or a callable of real and fake logits that returns both players' losses"


def adversarial_loss(loss: str | AdversarialLoss, label_smoothing: float = 0.0) -> AdversarialLoss:
    """Find a loss by name, or take a callable, with its label smoothing.

    Args:
        loss: A name of the registry or a callable `(real_logits, fake_logits)` that returns the
            discriminator's and the generator's mean loss.
        label_smoothing: At least 0 and below 1; how far the real label lies below 1.

    Returns:
        A function of the two logits.

    Raises:
        ValueError: If the name is unknown or the loss has no labels to be smoothed.
    """
    function = loss if callable(loss) else ADVERSARIAL_LOSSES.find(loss, _OR_A_CALLABLE)
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(
            "label_smoothing must be at least 0 and below 1. "
            f"Received: label_smoothing={label_smoothing}"
        )
    if not label_smoothing:
        return _in_pairs(function)
    if callable(loss) or "label_smoothing" not in inspect.signature(function).parameters:
        raise ValueError(
            "label_smoothing needs a loss with a real label, which takes it as an argument: "
            f"{', '.join(_with_labels())}. "
            f"Received: loss={loss!r}, label_smoothing={label_smoothing}"
        )
    return _in_pairs(functools.partial(function, label_smoothing=label_smoothing))


def _with_labels() -> list[str]:
    return [
        name
        for name, function in ADVERSARIAL_LOSSES.items()
        if "label_smoothing" in inspect.signature(function).parameters
    ]


def _in_pairs(function: AdversarialLoss) -> AdversarialLoss:
    """A user's function may return any pair of means."""

    def losses(real: tf.Tensor, fake: tf.Tensor) -> AdversarialLosses:
        found = function(real, fake)
        shapes = [tuple(each.shape) for each in keras.tree.flatten(found)]
        if len(shapes) != 2 or any(shapes):
            raise ValueError(
                "A loss must return two means over the examples, scalars: the discriminator's and "
                "the generator's. Take tf.reduce_mean of each. Received: a loss that returns "
                f"{len(shapes)} values of shapes {shapes}"
            )
        return AdversarialLosses(*found)

    return losses


def border_at_zero(loss: object) -> bool:
    """Whether a logit's sign is what the discriminator takes an example for."""
    return loss in ("non_saturating", "minimax", "hinge")


def generator_sees_real(loss: str | AdversarialLoss) -> bool:
    """Whether the generator's loss depends on the logits of real examples (or may)."""
    function = ADVERSARIAL_LOSSES[loss] if isinstance(loss, str) else loss
    return function not in _GENERATOR_BLIND_TO_REAL
