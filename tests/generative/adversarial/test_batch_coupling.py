"""Which discriminators let the examples of a batch see each other."""

import keras
import numpy as np
import pytest

from tests.generative.adversarial.adversarial_models import IMAGES, tiny_gan


@keras.saving.register_keras_serializable(package="tests")
class MinibatchMean(keras.layers.Layer):
    """Adds the batch's mean to every example, as minibatch discrimination does in spirit."""

    def call(self, inputs):
        return inputs + keras.ops.mean(inputs, axis=0, keepdims=True)


def discriminator(*layers) -> keras.Model:
    return keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), *layers, keras.layers.Dense(1)]
    )


@pytest.mark.parametrize("layer", [keras.layers.BatchNormalization, MinibatchMean])
def test_layers_that_look_at_the_batch_are_found(layer):
    gan = tiny_gan(discriminator=discriminator(layer()))
    assert gan._batch_coupled
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
def test_layers_that_look_at_one_example_are_not(layer):
    assert not tiny_gan(discriminator=discriminator(layer()))._batch_coupled


def test_looking_for_coupling_changes_nothing():
    network = discriminator(keras.layers.BatchNormalization(), keras.layers.Dropout(0.5))
    before = [variable.numpy() for variable in network.variables]
    tiny_gan(discriminator=network)
    for old, variable in zip(before, network.variables):
        np.testing.assert_array_equal(old, variable.numpy())


@pytest.mark.parametrize("coupled", [False, True])
def test_real_and_made_images_share_a_pass_only_where_they_cannot_meet(coupled):
    """With the batch's mean added, a shared pass would mix the mean of both."""
    layers = [MinibatchMean()] if coupled else []
    gan = tiny_gan(discriminator=discriminator(*layers))
    real, fake = IMAGES[:4], IMAGES[4:8] + 3.0
    phase = {"real": {}, "fake": {}}
    together = gan.judge_both(real, fake, (), phase, training=True)
    for images, judgement in zip((real, fake), together):
        alone = gan.judge(images, (), {}, training=True)
        np.testing.assert_allclose(judgement.logits, alone.logits, atol=1e-5)
