"""A backbone as the encoder of a translator."""

import keras
import numpy as np
import pytest

from keras_transgen.fusion import backbone_generator
from keras_transgen.generative.translation import Pix2Pix
from tests.fusion.small_networks import small_backbone

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (8, 8, 8, 1)).astype("float32")


def test_shapes_range_and_masks():
    network = backbone_generator(small_backbone(), (8, 8, 1), (16, 16, 3), filters=2)
    image, mask = network.inputs
    assert image.shape == (None, 8, 8, 1)
    # The one bridge between the two scales of this backbone.
    assert mask.shape == (None, 4, 4, 2)
    ones = np.ones((8, 4, 4, 2), "float32")
    made = np.asarray(network([IMAGES, ones]))
    assert made.shape == (8, 16, 16, 3)
    assert np.abs(made).max() <= 1.0
    assert not np.allclose(made, network([IMAGES, 0 * ones]))
    quiet = backbone_generator(small_backbone(), (8, 8, 1), filters=2, noise=False)
    assert quiet(IMAGES).shape == (8, 8, 8, 1)


def test_every_scale_and_the_image_itself_reach_the_output():
    """Each bridge's values change what is made: gradients by a layer's output are not zero."""
    network = backbone_generator(small_backbone(), (8, 8, 1), filters=2, noise=False)
    bridges = [
        layer
        for layer in network.layers
        if isinstance(layer, keras.layers.Conv2D) and layer.activation is keras.activations.relu
    ]
    # From the fine scale, and from the image.
    assert sorted(layer.kernel.shape[2] for layer in bridges) == [1, 3]
    made = np.asarray(network(IMAGES))
    for layer in bridges:
        kernel = layer.kernel.numpy()
        layer.kernel.assign(kernel + 0.5)
        assert not np.allclose(network(IMAGES), made, atol=1e-4), layer.name
        layer.kernel.assign(kernel)


@pytest.mark.slow
def test_a_translator_with_it(tmp_path):
    network = backbone_generator(small_backbone(), (8, 8, 1), filters=2, trainable=True)
    model = Pix2Pix(generator=network, filters=2, adversarial_weight=0.0, ema_decay=None, seed=0)
    model.compile(keras.optimizers.Adam(0.02), run_eagerly=True, jit_compile=False)
    backbone = network.get_layer("backbone")
    before = {weight.path: weight.numpy() for weight in backbone.weights}
    logs = model.fit(IMAGES, -IMAGES, batch_size=8, epochs=10, verbose=0).history
    assert logs["l1"][-1] < 0.8 * logs["l1"][0]
    for weight in backbone.weights:
        moved = not np.array_equal(before[weight.path], weight.numpy())
        assert moved == ("moving" not in weight.path), weight.path
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        again.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0), atol=1e-6
    )


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"from fine to coarse. Received: layers=\['quarter'"):
        backbone_generator(small_backbone(), (8, 8, 1), layers=["quarter", "half"])
    with pytest.raises(ValueError, match="a whole number of times larger"):
        backbone_generator(small_backbone(), (8, 8, 1), (12, 12, 1))
    with pytest.raises(ValueError, match=r"Received: image_shape=\(8, 8\)"):
        backbone_generator(small_backbone(), (8, 8))
