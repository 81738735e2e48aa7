"""The one-stage gradients against those of two passes at the same point; when they are refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.adversarial_losses import ADVERSARIAL_LOSSES
from keras_transgen.generative.adversarial_steps import discriminator_objective, generator_objective
from keras_transgen.generative.gan import GAN
from keras_transgen.generative.one_stage import one_stage_gradients, why_batch_coupled
from tests.generative.adversarial_models import IMAGES, LABELS, tiny_conditional_gan, tiny_gan

ONE = tf.constant(1.0)


def spread_out(gan) -> None:
    """Give the discriminator logits of several units, where slopes differ from sample to sample."""
    rng = np.random.default_rng(3)
    for weight in gan.discriminator.trainable_weights:
        weight.assign(rng.normal(size=weight.shape) * 0.7)


def largest_relative_difference(actual, expected) -> float:
    assert len(actual) == len(expected)
    largest = 0.0
    for one, other in zip(actual, expected):
        assert (one is None) == (other is None)
        if other is not None:
            scale = float(tf.reduce_max(tf.abs(other)))
            assert scale > 0
            largest = max(largest, float(tf.reduce_max(tf.abs(one - other))) / scale)
    return largest


def compared(gan, y=None, weights=(ONE, ONE)) -> tuple[float, float]:
    """Differences of both players' one-stage gradients from two separate backward passes."""
    spread_out(gan)
    real = tf.constant(IMAGES)
    phase = gan.draw_noise((real,), tf.constant([1, 2]), training=True)[-1]
    first, second, _ = one_stage_gradients(gan, real, y, phase, *weights)
    condition = gan.condition_for(y, phase)
    with tf.GradientTape() as tape:
        fake = gan.generate(phase["latent"], condition, training=True)
        loss, _ = discriminator_objective(gan, real, fake, condition, phase)
        loss *= weights[0]
    expected_first = tape.gradient(loss, [v.value for v in gan.discriminator_variables])
    with tf.GradientTape() as tape:
        fake = gan.generate(phase["latent"], condition, training=True)
        loss, _ = generator_objective(gan, real, fake, condition, phase)
        loss *= weights[1]
    expected_second = tape.gradient(loss, [v.value for v in gan.generator_variables])
    return (
        largest_relative_difference(first, expected_first),
        largest_relative_difference(second, expected_second),
    )


@pytest.mark.parametrize("loss", ADVERSARIAL_LOSSES)
def test_gradients_equal_those_of_two_stages(loss):
    assert max(compared(tiny_gan(loss=loss, step="one_stage"))) < 1e-5


@pytest.mark.parametrize("penalty", ["wgan_gp", "r1", "r2"])
def test_with_penalties(penalty):
    assert max(compared(tiny_gan(gradient_penalty=penalty, step="one_stage"))) < 1e-5


def test_with_augmentation_noise_and_smoothing():
    gan = tiny_gan(
        augmentation="color,translation", instance_noise=0.2, label_smoothing=0.1, step="one_stage"
    )
    assert max(compared(gan)) < 1e-5


@pytest.mark.parametrize("conditioning", ["projection", "concatenation"])
def test_of_a_conditional_model(conditioning):
    cgan = tiny_conditional_gan(
        discriminator_conditioning=conditioning, unlabelled_probability=0.3, step="one_stage"
    )
    assert max(compared(cgan, tf.constant(LABELS))) < 1e-5


def test_of_a_custom_loss():
    def squared(real, fake):
        return tf.reduce_mean(real**2) + tf.reduce_mean(tf.exp(fake)), tf.reduce_mean(tf.cos(fake))

    assert max(compared(tiny_gan(loss=squared, step="one_stage"))) < 1e-5


def test_different_weights_of_the_players():
    """Two loss scales, as two `LossScaleOptimizer`s have."""
    weights = (tf.constant(256.0), tf.constant(8.0))
    assert max(compared(tiny_gan(step="one_stage"), weights=weights)) < 1e-5


def test_samples_beyond_the_hinge_still_teach_the_generator():
    """There the discriminator's loss is flat: its slope says nothing about the sample."""
    gan = tiny_gan(loss="hinge", step="one_stage")
    logit = gan.discriminator.get_layer("logit")
    spread_out(gan)
    logit.bias.assign([-100.0])
    real = tf.constant(IMAGES)
    phase = gan.draw_noise((real,), tf.constant([1, 2]), training=True)[-1]
    _, gradients, _ = one_stage_gradients(gan, real, None, phase, ONE, ONE)
    with tf.GradientTape() as tape:
        loss, _ = generator_objective(
            gan, real, gan.generate(phase["latent"], (), training=True), (), phase
        )
    expected = tape.gradient(loss, [v.value for v in gan.generator_variables])
    assert largest_relative_difference(gradients, expected) < 1e-5


@keras.saving.register_keras_serializable(package="tests")
class MinibatchMean(keras.layers.Layer):
    """Adds the batch's mean to every example, as minibatch discrimination does in spirit."""

    def call(self, inputs):
        return inputs + keras.ops.mean(inputs, axis=0, keepdims=True)


def discriminator(*layers) -> keras.Model:
    return keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), *layers, keras.layers.Dense(1)]
    )


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (keras.layers.BatchNormalization, "BatchNormalization"),
        (MinibatchMean, "depend on the other examples"),
    ],
)
def test_batch_coupled_discriminators_are_refused_with_the_reason(layer, message):
    with pytest.raises(ValueError, match=message):
        tiny_gan(discriminator=discriminator(layer()), step="one_stage")
    gan = tiny_gan(discriminator=discriminator(layer()), step="auto")
    assert gan.step_kind == "shared"
    gan.fit(IMAGES, batch_size=8, verbose=0)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: keras.layers.Dropout(0.5),
        lambda: keras.layers.LayerNormalization(),
        lambda: keras.layers.BatchNormalization(trainable=False),
        lambda: keras.layers.SpectralNormalization(keras.layers.Dense(4)),
    ],
)
def test_layers_that_look_at_one_example_are_taken(layer):
    gan = tiny_gan(discriminator=discriminator(layer()), step="one_stage")
    assert gan.step_kind == "one_stage"


def test_looking_for_coupling_changes_nothing():
    network = discriminator(keras.layers.BatchNormalization(), keras.layers.Dropout(0.5))
    before = [variable.numpy() for variable in network.variables]
    gan = tiny_gan(discriminator=network)
    assert why_batch_coupled(gan)
    for old, variable in zip(before, network.variables):
        np.testing.assert_array_equal(old, variable.numpy())


def test_simultaneous_updates_differ_from_turns():
    """After one step the discriminators agree; the generators saw another discriminator."""
    models = {}
    for step in ("one_stage", "shared"):
        keras.utils.set_random_seed(0)
        gan = tiny_gan(step=step)
        gan.compile(keras.optimizers.SGD(0.5), keras.optimizers.SGD(0.5), jit_compile=False)
        gan.fit(IMAGES, batch_size=24, shuffle=False, verbose=0)
        models[step] = gan
    one, shared = models.values()
    for a, b in zip(one.discriminator.weights, shared.discriminator.weights):
        np.testing.assert_allclose(a, b, atol=1e-6)
    largest = max(
        np.abs(a.numpy() - b.numpy()).max()
        for a, b in zip(one.generator.trainable_weights, shared.generator.trainable_weights)
    )
    assert largest > 1e-4


def test_frozen_networks_do_not_move():
    gan = GAN((5,), 4, filters=2, value_range=None, step="one_stage")
    gan.discriminator.trainable = False
    gan.compile(jit_compile=False)
    before = gan.discriminator.get_weights()
    gan.fit(np.zeros((8, 5), "float32"), verbose=0)
    for old, new in zip(before, gan.discriminator.get_weights()):
        np.testing.assert_array_equal(old, new)
