"""Adversarial losses at fixed logits, against values worked out by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.adversarial.losses import (
    ADVERSARIAL_LOSSES,
    adversarial_loss,
    generator_sees_real,
)
from keras_transgen.training.registry import Registry

# sigmoid(log 3) = 3/4, sigmoid(-log 3) = 1/4, sigmoid(0) = 1/2.
LOG3 = math.log(3.0)
REAL, FAKE = [LOG3, 0.0], [-LOG3, 0.0]
LOG = math.log

HAND = {
    # Discriminator: mean -log D(real) + mean -log(1 - D(fake)), each of 3/4 and 1/2.
    "minimax": (-2 * (LOG(0.75) + LOG(0.5)) / 2, (LOG(0.75) + LOG(0.5)) / 2),
    "non_saturating": (-2 * (LOG(0.75) + LOG(0.5)) / 2, -(LOG(0.25) + LOG(0.5)) / 2),
    "least_squares": (
        0.5 * (((LOG3 - 1) ** 2 + 1) / 2 + LOG3**2 / 2),
        0.5 * ((LOG3 + 1) ** 2 + 1) / 2,
    ),
    # log 3 is beyond the margin of 1, so only the zeros cost.
    "hinge": (0.5 + 0.5, LOG3 / 2),
    "wasserstein": (-LOG3 / 2 - LOG3 / 2, LOG3 / 2),
    # Real minus the mean fake: 1.5 log 3 and 0.5 log 3; fake minus the mean real the negatives.
    "relativistic_average": (
        (LOG(1 + 3**-1.5) + LOG(1 + 3**-0.5)),
        (LOG(1 + 3**1.5) + LOG(1 + 3**0.5)),
    ),
}


def test_every_loss_has_its_numbers():
    assert HAND.keys() == ADVERSARIAL_LOSSES.keys()


@pytest.mark.parametrize("name", HAND)
def test_values(name):
    losses = adversarial_loss(name)(tf.constant(REAL), tf.constant(FAKE))
    np.testing.assert_allclose(losses, HAND[name], rtol=1e-5)


@pytest.mark.parametrize("name", ["minimax", "non_saturating"])
def test_smoothing_mixes_the_two_labels(name):
    """At label 0.9: 0.9 of the loss for "real" and 0.1 of the loss for "fake"."""
    losses = adversarial_loss(name, 0.1)(tf.constant([LOG3]), tf.constant([0.0]))
    expected = -0.9 * LOG(0.75) - 0.1 * LOG(0.25) - LOG(0.5)
    assert float(losses.discriminator) == pytest.approx(expected, rel=1e-5)
    plain = adversarial_loss(name)(tf.constant([LOG3]), tf.constant([0.0]))
    assert float(losses.generator) == float(plain.generator)


def test_smoothing_moves_the_least_squares_target():
    losses = adversarial_loss("least_squares", 0.2)(tf.constant([1.0]), tf.constant([0.0]))
    assert float(losses.discriminator) == pytest.approx(0.5 * 0.2**2)


def test_smoothing_of_relativistic_labels():
    losses = adversarial_loss("relativistic_average", 0.1)(tf.constant([LOG3]), tf.constant([0.0]))
    # Both differences are log 3 and -log 3.
    expected = -0.9 * LOG(0.75) - 0.1 * LOG(0.25) - LOG(0.75)
    assert float(losses.discriminator) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", HAND)
def test_large_logits_stay_finite(name):
    real, fake = tf.constant([1e4, -1e4]), tf.constant([-1e4, 1e4])
    with tf.GradientTape() as tape:
        tape.watch([real, fake])
        losses = adversarial_loss(name)(real, fake)
        total = losses.discriminator + losses.generator
    assert all(np.isfinite(value) for value in losses)
    assert all(np.isfinite(g).all() for g in tape.gradient(total, [real, fake]) if g is not None)


@pytest.mark.parametrize("name", HAND)
def test_whether_the_generator_sees_real_logits(name):
    real = tf.constant(REAL)
    with tf.GradientTape() as tape:
        tape.watch(real)
        loss = adversarial_loss(name)(real, tf.constant(FAKE)).generator
    assert (tape.gradient(loss, real) is not None) == generator_sees_real(name)


def test_custom_losses_pass_through():
    def swapped(real, fake):
        return tf.reduce_mean(fake), 2 * tf.reduce_mean(real)

    losses = adversarial_loss(swapped)(tf.constant([1.0]), tf.constant([5.0]))
    assert (float(losses.discriminator), float(losses.generator)) == (5.0, 2.0)
    assert generator_sees_real(swapped)


@pytest.mark.parametrize("loss", ["hing", 3])
def test_unknown_losses(loss):
    with pytest.raises(ValueError, match="Received: loss="):
        adversarial_loss(loss)


def test_a_loss_of_ones_own_is_known_by_its_name(monkeypatch):
    """In the constructor, with its smoothing, as a plain pair; and it may look at real logits."""
    monkeypatch.setattr(
        "keras_transgen.generative.adversarial.losses.ADVERSARIAL_LOSSES",
        registry := Registry("loss"),
    )

    @registry.register("distance")
    def distance(real, fake, label_smoothing=0.0):
        gap = tf.reduce_mean(real) - tf.reduce_mean(fake)
        return label_smoothing - gap, gap

    losses = adversarial_loss("distance", 0.25)(tf.constant([1.0, 3.0]), tf.constant([0.5]))
    assert float(losses.discriminator) == pytest.approx(0.25 - 1.5)
    assert float(losses.generator) == pytest.approx(1.5)
    assert generator_sees_real("distance")
    with pytest.raises(ValueError, match=r"one of \['distance'\]"):
        adversarial_loss("hinge")


@pytest.mark.parametrize(
    "loss",
    [
        lambda real, fake: (tf.nn.softplus(-real), tf.nn.softplus(fake)),
        lambda real, fake: tf.reduce_mean(real - fake),
        lambda real, fake: (tf.reduce_mean(real),) * 3,
    ],
)
def test_a_loss_that_returns_no_two_means_is_refused(loss):
    import keras_transgen as ktg

    gan = ktg.GAN((6,), 4, filters=4, loss=loss)
    with pytest.raises(ValueError, match="two means over the examples"):
        gan.fit(np.zeros((8, 6), "float32") - 0.5, verbose=0)
