"""The discriminator on a frozen backbone's random mixtures: by NumPy, and inside GANs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.fusion import ProjectedDiscriminator
from keras_transgen.fusion.generator_transfer import transfer_gan
from keras_transgen.fusion.projected_discriminator import RandomConvolution
from keras_transgen.generative.networks.spectral_normalization import SpectralNormalization
from tests.fusion.small_networks import small_backbone
from tests.generative.adversarial.adversarial_models import (
    IMAGES,
    LABELS,
    FixedNoiseGAN,
)
from tests.harness import (
    ModelCase,
    check_config_round_trip,
    check_file_in_new_process,
    check_frozen_between_fits,
    check_mixed_bfloat16,
    check_mixed_float16,
    check_two_replicas,
    check_validation_logs,
)


def discriminator(**kwargs):
    return ProjectedDiscriminator(small_backbone(), (8, 8, 1), channels=2, **kwargs)


def test_a_logit_for_each_place_of_each_scale_whatever_the_neighbours():
    network = discriminator()
    logits = np.asarray(network(IMAGES))
    # Maps of 4x4 and 2x2 places.
    assert logits.shape == (24, 20)
    assert network.logits_per_example == 20
    assert (logits.std(axis=0) > 0.0).all()
    np.testing.assert_allclose(network(IMAGES[3:5]), logits[3:5], atol=1e-5)


def test_losses_are_means_over_all_places_and_an_image_has_one_probability():
    network = discriminator()
    gan = ktg.GAN((8, 8, 1), 4, filters=2, discriminator=network, loss="hinge")
    logits = np.asarray(network(IMAGES))
    judgement = gan.judge(tf.constant(IMAGES), (), {}, training=False)
    loss = float(gan.adversarial_loss(judgement.logits, judgement.logits).discriminator)
    by_place = np.maximum(0.0, 1.0 - logits) + np.maximum(0.0, 1.0 + logits)
    np.testing.assert_allclose(loss, by_place.mean(), rtol=1e-5)
    probabilities = gan.discriminate(IMAGES)
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-logits.mean(axis=1))), rtol=1e-4)


def test_optimizers_of_a_gan_that_is_told_none():
    """The generator is the quicker one, and what the user says counts more."""

    def settings(gan):
        players = (gan.generator_optimizer, gan.discriminator_optimizer)
        return [(float(each.learning_rate), each.beta_1) for each in players]

    gan = ktg.GAN((8, 8, 1), 4, filters=2, discriminator=discriminator())
    gan.compile()
    assert settings(gan) == [(pytest.approx(8e-4), 0.0), (pytest.approx(6e-4), 0.0)]
    gan.compile(keras.optimizers.Adam(1e-3))
    assert settings(gan) == [(pytest.approx(1e-3), 0.9), (pytest.approx(6e-4), 0.0)]
    plain = ktg.GAN((8, 8, 1), 4, filters=2)
    plain.compile()
    assert settings(plain) == [(pytest.approx(2e-4), 0.5), (pytest.approx(4e-4), 0.5)]


@pytest.mark.slow
def test_half_precision_and_xla():
    """Gradients by the images, compiled or not, and logits in float32 whatever the policy."""
    network = discriminator()

    def slope(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            total = tf.reduce_sum(network(images, training=False))
        return tape.gradient(total, images)

    plain, compiled = (
        tf.function(slope, jit_compile=jit)(tf.constant(IMAGES[:4])) for jit in (False, True)
    )
    assert np.abs(plain).max() > 1e-3
    np.testing.assert_allclose(compiled, plain, rtol=1e-3, atol=1e-5)
    keras.config.set_dtype_policy("mixed_float16")
    assert discriminator()(IMAGES[:4]).dtype == "float32"


def test_random_convolution_by_numpy():
    layer = RandomConvolution(5, 1, seed=0)
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 4)).astype("float32")
    made = layer(x)
    np.testing.assert_allclose(made, np.einsum("bhwi,io->bhwo", x, layer.kernel[0, 0]), atol=1e-5)
    assert not layer.trainable_weights
    other, same = RandomConvolution(5, 1, seed=1), RandomConvolution(5, 1, seed=0)
    np.testing.assert_array_equal(same(x), made)
    assert not np.allclose(other(x), made)


def test_mixtures_from_coarse_to_fine_by_numpy():
    """Each head's input: a 3x3 mixture of its own scale plus the coarser mixture, doubled."""
    network = discriminator()
    parts = [network.get_layer(f"scales_{scale}").output for scale in (0, 1)]
    fine, coarse = map(np.asarray, keras.Model(network.inputs[0], parts)(IMAGES[:2]))
    maps = [np.asarray(each) for each in network.features(IMAGES[:2])]
    kernels = {
        name: network.get_layer(name).kernel.numpy()
        for name in ("channels_0", "channels_1", "scales_0", "scales_1")
    }

    def convolved(x, kernel):
        padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        return np.einsum("bhwiuv,uvio->bhwo", windows, kernel)

    expected = convolved(maps[1] @ kernels["channels_1"][0, 0], kernels["scales_1"])
    np.testing.assert_allclose(coarse, expected, rtol=1e-3, atol=1e-4)
    doubled = np.asarray(keras.ops.image.resize(coarse, (4, 4), interpolation="bilinear"))
    expected = convolved(maps[0] @ kernels["channels_0"][0, 0] + doubled, kernels["scales_0"])
    np.testing.assert_allclose(fine, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_heads_are_spectrally_normalised():
    """After training passes, the largest singular value of each convolution's matrix is 1."""
    network = discriminator()
    for _ in range(30):
        network(IMAGES[:2], training=True)
    norms = [
        np.linalg.svd(layer.normalized_kernel().numpy().reshape(-1, layer.layer.filters))[1][0]
        for layer in network.layers
        if isinstance(layer, SpectralNormalization)
    ]
    np.testing.assert_allclose(norms, 1.0, rtol=0.02)
    # A convolution and one to the logits in each of two heads.
    assert len(norms) == 4


@pytest.mark.slow
def test_only_the_heads_move_in_a_gan():
    """The shipped backbone and the random mixtures stay bit for bit, set trainable or not."""
    network = ProjectedDiscriminator("digits", (8, 8, 1), channels=4)
    gan = ktg.GAN((8, 8, 1), 4, filters=2, discriminator=network, loss="hinge", seed=0)
    gan.compile(run_eagerly=True, jit_compile=False)
    # What somebody does who thaws a whole model.
    network.trainable = False
    network.trainable = True
    frozen = [
        weight
        for layer in network.layers
        if layer is network.features or isinstance(layer, RandomConvolution)
        for weight in layer.weights
    ]
    before = [weight.numpy() for weight in frozen]
    heads = [weight.numpy() for weight in network.trainable_weights]
    images = 2.0 * ktg.datasets.load_digits()[0][:32] - 1.0
    gan.fit(images, batch_size=16, verbose=0)
    assert len(before) > 20
    for old, weight in zip(before, frozen, strict=True):
        np.testing.assert_array_equal(old, weight.numpy(), err_msg=weight.path)
    for old, weight in zip(heads, network.trainable_weights, strict=True):
        assert not np.array_equal(old, weight.numpy()), weight.path


@pytest.mark.slow
def test_a_condition_enters_each_head():
    network = discriminator(embedding_dim=3)
    embedding = np.random.default_rng(1).normal(size=(24, 3)).astype("float32")
    logits = network([IMAGES, embedding])
    assert logits.shape == (24, 20)
    # The inner product is linear in the embedding.
    none, double = network([IMAGES, 0 * embedding]), network([IMAGES, 2 * embedding])
    np.testing.assert_allclose(double - none, 2 * (logits - none), atol=1e-4)
    assert np.abs(logits - none).max() > 1e-3
    gan = ktg.ConditionalGAN(
        num_classes=3,
        image_shape=(8, 8, 1),
        latent_dim=4,
        filters=2,
        embedding_dim=3,
        discriminator=network,
        seed=0,
    )
    gan.compile(run_eagerly=True, jit_compile=False)
    heads = [weight.numpy() for weight in network.trainable_weights]
    table = gan.discriminator_embedding.weights[0].numpy()
    gan.fit(IMAGES, LABELS, batch_size=12, verbose=0)
    for old, weight in zip(heads, network.trainable_weights, strict=True):
        assert not np.array_equal(old, weight.numpy()), weight.path
    assert not np.array_equal(table, gan.discriminator_embedding.weights[0])


def test_a_gan_that_sees_through_it_is_transferred():
    gan = ktg.GAN((8, 8, 1), 4, filters=2, discriminator=discriminator(), loss="hinge")
    copy = transfer_gan(gan, "freeze_d")
    assert isinstance(copy.discriminator, ProjectedDiscriminator)
    np.testing.assert_allclose(copy.discriminate(IMAGES), gan.discriminate(IMAGES), atol=1e-5)


def quick_to_trace():
    """One scale and a generator of one layer."""
    layers = [
        keras.Input((4,)),
        keras.layers.Dense(64, "tanh"),
        keras.layers.Reshape((8, 8, 1)),
    ]
    return FixedNoiseGAN(
        (8, 8, 1),
        4,
        generator=keras.Sequential(layers),
        discriminator=discriminator(layers=["quarter"]),
        step="shared",
    )


CASE = ModelCase(
    make=quick_to_trace,
    data=(IMAGES,),
    compile=lambda model, **kwargs: model.compile(
        keras.optimizers.SGD(0.05), keras.optimizers.SGD(0.05), **kwargs
    ),
    outputs=("sample", (5, 0), {}),
    imports=("tests.generative.adversarial.adversarial_models", "keras_transgen.fusion"),
    tolerance=None,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "check",
    [
        check_config_round_trip,
        check_file_in_new_process,
        check_mixed_bfloat16,
        check_mixed_float16,
        check_frozen_between_fits,
        check_validation_logs,
        check_two_replicas,
    ],
)
def test_model(check, tools):
    check(CASE, tools)


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"Did you mean one of \['quarter'"):
        discriminator(layers=["quater"])
    with pytest.raises(ValueError, match=r"image_shape must be.*Received: image_shape=\(8, 8\)"):
        ProjectedDiscriminator(small_backbone(), (8, 8))
