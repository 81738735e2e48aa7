"""What a logit of the discriminator of patches sees."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.networks.patch_discriminator import patch_discriminator


def test_a_logit_sees_70_pixels_as_in_the_paper():
    network = patch_discriminator((128, 128, 1), filters=1, normalization=None)
    assert network.output_shape == (None, 16, 16, 1)
    for weight in network.weights:
        # Positive, so that no two ways of a pixel to the logit cancel.
        weight.assign(tf.ones_like(weight))
    image = tf.ones((1, 128, 128, 1))
    with tf.GradientTape() as tape:
        tape.watch(image)
        logit = network(image)[0, 8, 8, 0]
    seen = tape.gradient(logit, image).numpy()[0, :, :, 0] != 0
    assert seen.any(axis=0).sum() == seen.any(axis=1).sum() == 70
    assert seen.sum() == 70 * 70


@pytest.mark.parametrize(
    ("side", "logits", "widths"),
    [(256, 32, [2, 4, 8, 16]), (32, 4, [2, 4, 8, 16]), (16, 4, [2, 4, 8]), (8, 4, [2, 4])],
)
def test_small_images_are_halved_less_often(side, logits, widths):
    network = patch_discriminator((side, side, 3), (side, side, 1), filters=2)
    assert network.output_shape == (None, logits, logits, 1)
    kernels = [weight for weight in network.weights if len(weight.shape) == 4]
    assert kernels[0].shape[2] == 3 + 1
    assert [kernel.shape[3] for kernel in kernels] == [*widths, 1]


def test_refuses_images_without_patches():
    with pytest.raises(ValueError, match=r"at least 8 pixels.*Received: image_shape=\(4, 8, 1\)"):
        patch_discriminator((4, 8, 1))


def test_patches_are_judged_alone_without_normalization():
    """A change in one corner leaves the logits of the other as they were."""
    network = patch_discriminator((128, 128, 1), filters=1, normalization=None)
    image = np.random.default_rng(0).normal(size=(1, 128, 128, 1)).astype("float32")
    other = image.copy()
    other[:, :20, :20] += 1.0
    one, two = network(image).numpy()[0, :, :, 0], network(other).numpy()[0, :, :, 0]
    assert one[0, 0] != two[0, 0]
    np.testing.assert_array_equal(one[12:, 12:], two[12:, 12:])
