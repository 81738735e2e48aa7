"""The perceptual loss against NumPy, and as a VAE's likelihood."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.fusion import PerceptualLikelihood, PerceptualLoss
from tests.backbones import tiny_modules
from tests.fusion.small_networks import small_backbone
from tests.harness import MODEL_CHECKS, ModelCase

RNG = np.random.default_rng(0)
ONE, OTHER = RNG.uniform(0.05, 0.95, (2, 3, 8, 8, 1)).astype("float32")


def loss(**kwargs):
    return PerceptualLoss(small_backbone(), ["half", "quarter"], **kwargs)


def distance(one, other):
    """Of two feature maps, by the formula in the class."""
    units = [each / np.sqrt((each**2).sum(-1, keepdims=True) + 1e-6) for each in (one, other)]
    return ((units[0] - units[1]) ** 2).sum(-1).mean((1, 2))


def test_by_hand():
    """Images of one grey: unit features known in closed form."""
    network = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Conv2D(2, 1, name="conv")])
    # Features (a, 1 - a) of grey a.
    network.set_weights([np.array([[[[1.0, -1.0]]]], "float32"), np.array([0.0, 1.0], "float32")])
    images = [np.full((1, 2, 2, 1), grey, "float32") for grey in (0.0, 1.0, 0.5)]
    found = PerceptualLoss(network, ["conv"], value_range=(0.0, 1.0))
    # (0, 1) and (1, 0): squared distance 2; (0, 1) and (1, 1)/sqrt 2: 2 - sqrt 2.
    assert float(found(images[0], images[1])) == pytest.approx(2.0, abs=1e-4)
    assert float(found(images[0], images[2])) == pytest.approx(2.0 - 2.0**0.5, abs=1e-4)


def test_value_by_numpy():
    backbone = small_backbone()
    found = PerceptualLoss(backbone, ["half", "quarter"], [3.0, 1.0], value_range=(-1.0, 1.0))
    layers = {layer.name: layer for layer in backbone.network.layers}
    halves = [layers["half"](each) for each in (ONE, OTHER)]
    quarters = [layers["quarter"](each) for each in halves]
    expected = (3.0 * distance(*map(np.asarray, halves)) + distance(*map(np.asarray, quarters))) / 4
    each = found.call(2.0 * ONE - 1.0, 2.0 * OTHER - 1.0)
    np.testing.assert_allclose(each, expected, rtol=1e-4)
    assert float(found(2.0 * ONE - 1.0, 2.0 * OTHER - 1.0)) == pytest.approx(
        expected.mean(), rel=1e-4
    )


def test_equal_images_and_symmetry():
    found = loss(value_range=(0.0, 1.0))
    assert float(found(ONE, ONE)) == 0.0
    assert float(found(ONE, OTHER)) == pytest.approx(float(found(OTHER, ONE)), rel=1e-5)
    assert float(found(ONE, OTHER)) > 0.0


def test_gradient_by_central_differences():
    found = loss(value_range=(0.0, 1.0))
    x = tf.constant(OTHER)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = found(ONE, x)
    gradient = tape.gradient(value, x).numpy()
    for direction in RNG.normal(size=(3, *OTHER.shape)).astype("float32"):
        step = 1e-2 * direction
        slope = (float(found(ONE, OTHER + step)) - float(found(ONE, OTHER - step))) / 2e-2
        assert float((gradient * direction).sum()) == pytest.approx(slope, rel=2e-2, abs=1e-4)


def test_grey_images_and_sizes():
    """Three equal channels at the network's size are what grey images of double size become."""
    backbone = small_backbone(channels=3)
    found = PerceptualLoss(backbone, ["half"], value_range=(0.0, 1.0))
    small = [np.repeat(each, 3, axis=-1) for each in (ONE, OTHER)]
    large = [each.repeat(2, axis=1).repeat(2, axis=2) for each in (ONE, OTHER)]
    np.testing.assert_allclose(found.call(*large), found.call(*small), rtol=1e-4)


def test_config_and_weights_of_the_network():
    found = loss(weights=[1.0, 0.5], value_range=(0.0, 1.0))
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(found)))
    again = keras.saving.deserialize_keras_object(config)
    # What of it a file would hold; object numbers and shared names do not count.
    assert again.features.layer_names == ["half", "quarter"]
    assert (again.weights, again.value_range) == ([1.0, 0.5], (0.0, 1.0))
    again.features.set_weights(found.features.get_weights())
    np.testing.assert_allclose(again(ONE, OTHER), found(ONE, OTHER), rtol=1e-6)


def test_a_file_carries_the_network(tmp_path):
    """Of a plain Keras model compiled with it: the loss goes on with the very same weights."""
    layers = [keras.Input((8, 8, 1)), keras.layers.Conv2D(1, 1, activation="tanh")]
    model = keras.Sequential(layers)
    model.compile(loss=loss(value_range=(0.0, 1.0)), run_eagerly=True)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.loss(ONE, OTHER), model.loss(ONE, OTHER), rtol=1e-6)


def test_layers_of_a_saved_model(tmp_path):
    folder = tiny_modules.convolution_module(tmp_path / "module")
    found = PerceptualLoss(folder, ["Relu"], value_range=(0.0, 1.0))
    maps = [np.asarray(each) for each in (found.features(ONE)[0], found.features(OTHER)[0])]
    assert maps[0].min() == 0.0
    assert maps[0].shape == (3, 6, 6, 4)
    np.testing.assert_allclose(found.call(ONE, OTHER), distance(*maps), rtol=1e-4)
    with pytest.raises(ValueError, match=r"Did you mean.*'Relu'.*Received: 'Rleu'"):
        PerceptualLoss(folder, ["Rleu"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"layers": ["halve"]}, r"Did you mean one of \['half'\].*Received: \['halve'\]"),
        ({"layers": ["half"], "weights": [1.0, 2.0]}, "one number for each layer"),
        ({"layers": ["half"], "weights": [0.0]}, "not all zero"),
        ({"layers": ["half"], "weights": [float("nan")]}, "none negative"),
        ({"layers": ["half"], "weights": -1.0}, r"weights=\[-1.0\]"),
        ({"layers": ["half"], "value_range": (1.0, 0.0)}, "low < high"),
    ],
)
def test_wrong_arguments(settings, said):
    with pytest.raises(ValueError, match=said):
        PerceptualLoss(small_backbone(), **settings)


def test_images_of_other_channels():
    with pytest.raises(ValueError, match=r"3 channels, or grey ones.*\(1, 8, 8, 2\)"):
        PerceptualLoss(small_backbone(3), ["half"]).call(*np.zeros((2, 1, 8, 8, 2), "float32"))


# As a likelihood


def vae(**kwargs):
    likelihood = PerceptualLikelihood(loss(value_range=(0.0, 1.0)), **kwargs)
    dense = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)]
    back = [keras.Input((2,)), keras.layers.Dense(64), keras.layers.Reshape((8, 8, 1))]
    return ktg.VAE(
        (8, 8, 1),
        latent_dim=2,
        likelihood=likelihood,
        encoder=keras.Sequential(dense),
        decoder=keras.Sequential(back),
        seed=0,
    )


def test_the_energy_is_that_of_the_class():
    model = vae(weight=5.0, pixel_weight=2.0)
    logits = RNG.normal(size=(3, 8, 8, 1)).astype("float32")
    made = 1.0 / (1.0 + np.exp(-logits))
    distances = np.asarray(model.likelihood.loss.call(ONE, made))
    expected = 5.0 * distances + 2.0 * ((ONE - made) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(model.likelihood.log_prob(logits, ONE), -expected, rtol=1e-4)
    # Several samples of each example.
    both = model.likelihood.log_prob(np.stack([logits, logits]), ONE)
    np.testing.assert_allclose(both, np.stack([-expected, -expected]), rtol=1e-4)
    assert float(vae().likelihood.log_prob(logits, ONE)[0]) == pytest.approx(
        -64 * distances[0] - ((ONE - made) ** 2).sum((1, 2, 3))[0], rel=1e-4
    )


@pytest.mark.slow
def test_a_vae_learns_with_it_and_leaves_the_network():
    model = vae()
    model.compile(keras.optimizers.Adam(0.02), jit_compile=False)
    before = [weight.numpy() for weight in model.likelihood.features.weights]
    images = np.tile(ONE, (8, 1, 1, 1))
    logs = model.fit(images, batch_size=8, epochs=8, verbose=0).history
    assert logs["reconstruction"][-1] < 0.8 * logs["reconstruction"][0]
    for old, new in zip(before, model.likelihood.features.weights, strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.sample(2, seed=0).shape == (2, 8, 8, 1)


def test_what_is_no_density_says_so():
    model = vae()
    with pytest.raises(ValueError, match="only up to a factor"):
        model.log_likelihood(ONE)
    with pytest.raises(ValueError, match="without its normalising constant"):
        model.decode(np.zeros((1, 2), "float32"))
    with pytest.raises(ValueError, match=r"values in \[0, 1\].*from -1"):
        model.fit(2.0 * np.round(ONE) - 1.0, verbose=0)
    with pytest.raises(ValueError, match=r"value_range=\(0.0, 1.0\)"):
        PerceptualLikelihood(loss())
    with pytest.raises(ValueError, match="from 0 up"):
        vae(weight=-1.0)


CASE = ModelCase(
    make=vae,
    data=(np.tile(ONE, (24 // len(ONE), 1, 1, 1)),),
    # Adam divides by the gradient's size, which turns rounding into whole steps where it is zero.
    compile=lambda model, **kwargs: model.compile(keras.optimizers.SGD(1e-3), **kwargs),
    outputs=("reconstruct", (ONE,), {}),
    imports=("keras_transgen.fusion",),
    # Each replica draws noise of its own.
    tolerance=None,
)


@pytest.mark.parametrize("check", MODEL_CHECKS)
def test_model(check, tools):
    check(CASE, tools)
