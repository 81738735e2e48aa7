"""Both steps against plain gradients of separate passes, taken one player after the other."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.adversarial.gan import GAN
from keras_transgen.generative.adversarial.gradient_penalties import GRADIENT_PENALTIES
from keras_transgen.generative.adversarial.losses import ADVERSARIAL_LOSSES
from keras_transgen.generative.adversarial.steps import STEPS, gradient_norm
from tests.generative.adversarial.adversarial_models import (
    IMAGES,
    LABELS,
    tiny_conditional_gan,
    tiny_gan,
)

RATE = 0.5


def spread_out(gan) -> None:
    """Give the discriminator logits of several units, where slopes differ from sample to sample."""
    rng = np.random.default_rng(3)
    for weight in gan.discriminator.trainable_weights:
        weight.assign(rng.normal(size=weight.shape) * 0.5)


def judged(gan, real, fake, condition, phase):
    """Logits of both, each in a pass of its own."""
    return (
        gan.judge(real, condition, phase["real"], True),
        gan.judge(fake, condition, phase["fake"], True),
    )


def discriminator_loss(gan, losses, penalty, real, y, fake, phase):
    condition = gan.condition_for(y, phase)
    on_real, on_fake = judged(gan, real, fake, condition, phase)
    loss = losses(on_real.logits, on_fake.logits)[0] + gan.class_loss(on_real, condition)
    if penalty is not None:
        value = penalty(
            lambda x: gan.judge(x, condition, phase["real"], True).logits,
            real,
            fake,
            phase["position"],
        )
        loss += gan.gradient_penalty_weight * value
    return loss


def generator_loss(gan, losses, real, y, fake, phase):
    condition = gan.condition_for(y, phase)
    on_real, on_fake = judged(gan, real, fake, condition, phase)
    return losses(on_real.logits, on_fake.logits)[1] + gan.class_loss(on_fake, condition)


def descend(variables, loss_function) -> float:
    """A step of plain gradient descent."""
    with tf.GradientTape() as tape:
        loss = loss_function()
    for variable, gradient in zip(variables, tape.gradient(loss, [v.value for v in variables])):
        variable.assign_sub(RATE * gradient)
    return float(loss)


def expected_weights(gan, losses, penalty, real, y, phases):
    """The weights after a step in turns, and both losses; the model's weights are put back."""
    layers = [*gan.generator_layers, *gan.discriminator_layers]
    before = [layer.get_weights() for layer in layers]
    found = {}
    # The last turn of the discriminator is on the generator's own samples in the shared step.
    turns = phases if gan.step_kind == "shared" else phases[:-1]
    for phase in turns:
        fake = gan.generate(phase["latent"], gan.condition_for(y, phase), training=True)
        found["discriminator_loss"] = descend(
            gan.discriminator_variables,
            lambda fake=fake, phase=phase: discriminator_loss(
                gan, losses, penalty, real, y, tf.stop_gradient(fake), phase
            ),
        )

    def of_generator():
        phase = phases[-1]
        fake = gan.generate(phase["latent"], gan.condition_for(y, phase), training=True)
        return generator_loss(gan, losses, real, y, fake, phase)

    found["generator_loss"] = descend(gan.generator_variables, of_generator)
    after = [variable.numpy() for variable in trained(gan)]
    for layer, values in zip(layers, before):
        layer.set_weights(values)
    return after, found


def trained(gan):
    return [*gan.generator_variables, *gan.discriminator_variables]


def check_step(gan, losses, penalty=None, y=None) -> None:
    spread_out(gan)
    gan.compile(keras.optimizers.SGD(RATE), keras.optimizers.SGD(RATE), jit_compile=False)
    real = tf.constant(IMAGES)
    phases = gan.draw_noise((real,), tf.constant([1, 2]), training=True)
    expected, logs = expected_weights(gan, losses, penalty, real, y, phases)
    before = [variable.numpy() for variable in trained(gan)]
    found = STEPS[gan.step_kind](gan, real, y, phases)
    for start, value, variable in zip(before, expected, trained(gan)):
        moved, wanted = variable.numpy() - start, value - start
        # Weights are of size one, of which their differences keep six digits.
        np.testing.assert_allclose(moved, wanted, atol=1e-6 + 5e-5 * np.abs(wanted).max())
    for name, value in logs.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("loss", ADVERSARIAL_LOSSES)
def test_every_loss(step, loss):
    check_step(tiny_gan(loss=loss, step=step), ADVERSARIAL_LOSSES[loss])


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("penalty", GRADIENT_PENALTIES)
def test_every_penalty(step, penalty):
    gan = tiny_gan(gradient_penalty=penalty, gradient_penalty_weight=0.3, step=step)
    check_step(gan, ADVERSARIAL_LOSSES["non_saturating"], GRADIENT_PENALTIES[penalty])


@pytest.mark.parametrize("step", STEPS)
def test_several_moves_of_the_discriminator_with_augmentation_and_noise(step):
    gan = tiny_gan(
        augmentation="color,translation", instance_noise=0.2, discriminator_steps=2, step=step
    )
    check_step(gan, ADVERSARIAL_LOSSES["non_saturating"])


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("conditioning", ["projection", "concatenation"])
def test_of_a_conditional_model(step, conditioning):
    cgan = tiny_conditional_gan(
        discriminator_conditioning=conditioning, unlabelled_probability=0.3, step=step
    )
    check_step(cgan, ADVERSARIAL_LOSSES["non_saturating"], y=tf.constant(LABELS))


def test_with_an_auxiliary_classifier():
    cgan = tiny_conditional_gan(auxiliary_classifier=True)
    check_step(cgan, ADVERSARIAL_LOSSES["non_saturating"], y=tf.constant(LABELS))


def test_of_a_custom_loss():
    def squared(real, fake):
        return tf.reduce_mean(real**2) + tf.reduce_mean(tf.exp(fake)), tf.reduce_mean(tf.cos(fake))

    check_step(tiny_gan(loss=squared), squared)


def dropping_discriminator() -> keras.Model:
    """Judges by a sum of inputs of which training drops half: its slope tells the mode."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5, seed=1),
            keras.layers.Dense(1, kernel_initializer="ones"),
        ]
    )


def test_penalties_see_the_discriminator_as_it_trains():
    """Of 64 inputs with weight one, dropout of a half leaves some with weight two: 128, not 64."""
    gan = tiny_gan(discriminator=dropping_discriminator(), gradient_penalty="r1")
    real = tf.constant(IMAGES)
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0), jit_compile=False)
    noise = gan.draw_noise((real,), tf.constant([1, 2]), training=True)
    logs = STEPS["shared"](gan, real, None, noise)
    # Half the squared slope is 2 times the inputs that stay, 32 of 64 on the average; it would be
    # 32 exactly in inference mode.
    kept = float(logs["gradient_penalty"]) / 2.0
    assert kept == pytest.approx(32.0, abs=4.0)
    assert float(logs["gradient_penalty"]) != 32.0


def test_the_sign_that_adaptive_augmentation_goes_by_is_that_of_real_images():
    gan = tiny_gan()
    real = tf.constant(IMAGES)
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0), jit_compile=False)
    noise = gan.draw_noise((real,), tf.constant([1, 2]), training=True)
    logit = gan.discriminator.get_layer("logit")
    fake = gan.generate(noise[0]["latent"], (), training=True)
    # Between the two: some real images above, all samples on one side.
    logits = gan.discriminator(real, training=True).numpy()[:, 0]
    logit.bias.assign([-np.quantile(logits, 0.25)])
    on_real = np.sign(gan.discriminator(real, training=True).numpy()).mean()
    on_fake = np.sign(gan.discriminator(fake, training=True).numpy()).mean()
    assert on_real == pytest.approx(0.5, abs=0.1)
    assert abs(on_fake - on_real) > 0.2
    logs = STEPS["shared"](gan, real, None, noise)
    assert float(logs["real_sign"]) == pytest.approx(on_real, abs=1e-6)


@pytest.mark.parametrize("step", STEPS)
def test_an_encoder_of_conditions_learns_through_the_generator_alone(step):
    """A generator that ignores the condition teaches its encoder nothing, whoever judges."""
    encoder = keras.layers.Dense(3, name="encoder")
    inputs = [keras.Input((4,)), keras.Input((3,))]
    made = keras.layers.Reshape((8, 8, 1))(keras.layers.Dense(64)(inputs[0]))
    cgan = tiny_conditional_gan(
        num_classes=None,
        condition_shape=(2,),
        condition_encoder=encoder,
        generator=keras.Model(inputs, made),
        step=step,
        ema_decay=None,
    )
    spread_out(cgan)
    cgan.compile(keras.optimizers.SGD(1.0), keras.optimizers.SGD(1.0), jit_compile=False)
    before = [weight.numpy() for weight in (*encoder.weights, *cgan.generator.weights)]
    conditions = np.random.default_rng(0).normal(size=(24, 2)).astype("float32")
    cgan.fit(IMAGES, conditions, batch_size=24, verbose=0)
    moved = [
        np.abs(weight.numpy() - old).max()
        for weight, old in zip((*encoder.weights, *cgan.generator.weights), before)
    ]
    assert moved[:2] == [0.0, 0.0]
    assert min(moved[2:]) > 0.0


def test_the_norm_is_that_of_the_gradients_without_their_weight():
    gradients = [tf.constant([3.0, 0.0]) * 8, None, tf.constant(4.0) * 8]
    assert float(gradient_norm(gradients, tf.constant(8.0))) == pytest.approx(5.0)
    assert float(gradient_norm(gradients, tf.constant(0.0))) == 0.0


def test_a_step_that_was_removed_says_what_to_use():
    with pytest.raises(ValueError, match=r"one_stage.*was removed: 'shared'"):
        tiny_gan(step="one_stage")


def test_a_file_with_a_step_that_was_removed_goes_on_with_the_default():
    config = {**tiny_gan().get_config(), "step": "one_stage"}
    with pytest.warns(UserWarning, match="goes on with 'shared'"):
        gan = GAN.from_config(config)
    assert (gan.step_setting, gan.step_kind) == ("shared", "shared")
