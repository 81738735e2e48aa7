"""What a model of two players does around its step: average, share, logs, validation, compile."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.adversarial.augmentation import DifferentiableAugmentation
from keras_transgen.generative.adversarial.gan import GAN
from tests.generative.adversarial.adversarial_models import (
    IMAGES,
    FixedNoiseGAN,
    plain_generator,
    tiny_gan,
)

SETTINGS = {"image_shape": (8, 8, 1), "latent_dim": 4, "filters": 2}


def test_the_average_moves_after_the_players():
    """The first decay is 1/10: nine tenths of the weights as they are after the step."""
    gan = tiny_gan(generator=plain_generator(), ema_decay=0.999)
    gan.compile(keras.optimizers.SGD(0.5), keras.optimizers.SGD(0.5), jit_compile=False)
    before = [weight.numpy() for weight in gan.generator.trainable_weights]
    gan.fit(IMAGES, batch_size=24, verbose=0)
    after = [weight.numpy() for weight in gan.generator.trainable_weights]
    averages = [value.numpy() for value in gan.average.of(gan.generator.trainable_weights)]
    assert max(np.abs(new - old).max() for new, old in zip(after, before)) > 1e-3
    for old, new, average in zip(before, after, averages):
        np.testing.assert_allclose(average, 0.1 * old + 0.9 * new, atol=1e-6)


def with_offset(gan, offset: float) -> None:
    """Make all logits about one number: nothing of an image is left in them."""
    logit = gan.discriminator.get_layer("logit")
    logit.kernel.assign(tf.zeros_like(logit.kernel))
    logit.bias.assign([offset])


@pytest.mark.parametrize(("offset", "expected"), [(5.0, 0.24), (-5.0, 0.0)])
def test_the_share_of_augmented_images_follows_the_sign_of_real_ones(offset, expected):
    """24 images of 100 in which it may go from 0 to 1; the players stand still."""
    gan = tiny_gan(augmentation=DifferentiableAugmentation("color", 0.5, 100))
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0), jit_compile=False)
    with_offset(gan, offset)
    # After four batches.
    gan.fit(IMAGES, batch_size=6, verbose=0)
    assert float(gan.augmentation.probability) == pytest.approx(expected)


def test_the_share_falls_where_real_images_look_false_though_samples_look_real():
    """One pixel decides: bright in the samples, dark in the real images."""
    bright = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(64, kernel_initializer="zeros", bias_initializer="ones"),
            keras.layers.Reshape((8, 8, 1)),
        ]
    )
    judge = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(1, kernel_initializer="ones", use_bias=False),
        ]
    )
    adaptive = DifferentiableAugmentation("cutout", 0.0, 100)
    gan = GAN((8, 8, 1), 4, generator=bright, discriminator=judge, augmentation=adaptive)
    gan.augmentation.probability.assign(0.5)
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0), jit_compile=False)
    gan.fit(np.full((12, 8, 8, 1), -1.0, "float32"), batch_size=3, verbose=0)
    assert float(gan.augmentation.probability) == pytest.approx(0.5 - 0.12)


def test_validation_judges_the_generator_as_it_is_and_not_its_average():
    gan = FixedNoiseGAN(**SETTINGS, generator=plain_generator())
    gan.compile(jit_compile=False)
    rng = np.random.default_rng(0)
    for average in gan.average.averages:
        average.assign(rng.normal(size=average.shape))
    logs = gan.evaluate(IMAGES, batch_size=24, verbose=0, return_dict=True)
    noise = gan.draw_noise((tf.constant(IMAGES),), tf.constant([0, 0]), training=False)
    latent = noise[0]["latent"]
    fake = gan.discriminator(gan.generator(latent)).numpy()
    by_average = gan.discriminator(gan(latent)).numpy()
    assert abs(fake.mean() - by_average.mean()) > 1e-4
    assert logs["fake_score"] == pytest.approx(fake.mean(), abs=1e-6)
    assert logs["generator_loss"] == pytest.approx(np.log1p(np.exp(-fake)).mean(), abs=1e-6)


def test_logs_are_means_over_examples_and_not_over_batches():
    """Batches of 16 and 8 count two to one."""
    gan = FixedNoiseGAN(**SETTINGS, generator=plain_generator())
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0), jit_compile=False)
    logs = gan.fit(IMAGES, batch_size=16, verbose=0).history
    logits = gan.discriminator(IMAGES).numpy()
    assert logs["real_score"] == [pytest.approx(logits.mean(), abs=1e-6)]


def test_compile_without_optimizers_takes_those_that_the_discriminator_proposes():
    class Proposing(keras.Sequential):
        def default_optimizers(self):
            return keras.optimizers.SGD(0.25), keras.optimizers.SGD(0.75)

    judge = Proposing([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    gan = tiny_gan(discriminator=judge)
    gan.compile()
    assert float(gan.generator_optimizer.learning_rate) == 0.25
    assert float(gan.discriminator_optimizer.learning_rate) == 0.75
    gan = tiny_gan(discriminator=judge)
    gan.compile(keras.optimizers.SGD(0.5))
    assert float(gan.generator_optimizer.learning_rate) == 0.5
    assert float(gan.discriminator_optimizer.learning_rate) == 0.75


def test_frozen_networks_do_not_move():
    gan = GAN((5,), 4, filters=2, value_range=None)
    gan.discriminator.trainable = False
    gan.compile(jit_compile=False)
    before = gan.discriminator.get_weights()
    gan.fit(np.zeros((8, 5), "float32"), verbose=0)
    for old, new in zip(before, gan.discriminator.get_weights()):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    "wrong", [{"loss": "hinge"}, {"metrics": ["mae"]}, {"optimizer": "adam"}, {"loss_weights": [1]}]
)
@pytest.mark.parametrize("kind", ["GAN", "Pix2Pix", "CycleGAN"])
def test_compile_names_what_two_networks_take(kind, wrong):
    import keras_transgen as ktg

    model = getattr(ktg, kind)((8, 8, 1), filters=2)
    with pytest.raises(ValueError, match=f"generator_optimizer=.*Received: {next(iter(wrong))}"):
        model.compile(**wrong)
