"""The kernel in force has norm one by NumPy's SVD; the one that trains is the optimizer's alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.generative.networks.sngan import sngan_discriminator, sngan_generator
from keras_transgen.generative.networks.spectral_normalization import SpectralNormalization
from keras_transgen.training.compilation import flat_layers

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (16, 8, 8, 1)).astype("float32")
LABELS = np.arange(16) % 4
LAYERS = {
    "dense": (lambda: keras.layers.Dense(5), (7,)),
    "convolution": (lambda: keras.layers.Conv2D(3, 3), (6, 6, 2)),
    "transposed": (lambda: keras.layers.Conv2DTranspose(3, 3), (4, 4, 2)),
    "depthwise": (lambda: keras.layers.DepthwiseConv2D(2, depth_multiplier=2), (4, 4, 2)),
    "one axis": (lambda: keras.layers.Conv1D(3, 3, use_bias=False), (6, 2)),
    "embedding": (lambda: keras.layers.Embedding(9, 4), (3,)),
}


def norm(kernel):
    matrix = np.asarray(kernel, "float64").reshape(-1, kernel.shape[-1])
    return np.linalg.svd(matrix, compute_uv=False)[0]


def settled(name, passes=60):
    make, shape = LAYERS[name]
    keras.utils.set_random_seed(0)
    layer = SpectralNormalization(make())
    inputs = (
        RNG.integers(0, 9, (2, *shape)) if name == "embedding" else RNG.normal(size=(2, *shape))
    )
    inputs = inputs.astype("int32" if name == "embedding" else "float32")
    for _ in range(passes):
        layer(inputs, training=True)
    return layer, inputs


@pytest.mark.parametrize("name", LAYERS)
def test_the_layer_computes_with_its_kernel_over_the_largest_singular_value(name):
    layer, inputs = settled(name)
    kernel = layer.kernel.numpy()
    plain = LAYERS[name][0]()
    plain.build((2, *inputs.shape[1:]))
    weights = layer.layer.get_weights()
    plain.set_weights([kernel / norm(kernel), *weights[1:]])
    np.testing.assert_allclose(layer(inputs), plain(inputs), rtol=1e-3, atol=1e-4)
    assert norm(layer.normalized_kernel()) == pytest.approx(1.0, abs=1e-3)


def test_the_kernel_is_left_alone_and_gradients_are_those_of_the_quotient():
    """d(sum of W c / |W|) / dW by differences of NumPy's SVD."""
    layer, inputs = settled("dense")
    before = layer.kernel.numpy()
    weights = RNG.normal(size=(2, 5)).astype("float32")
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(weights * layer(inputs, training=True))
    (found,) = tape.gradient(value, [layer.kernel.value])
    np.testing.assert_array_equal(layer.kernel.numpy(), before)

    def loss(kernel):
        return float((weights * (inputs @ (kernel / norm(kernel)))).sum())

    for place in [(0, 0), (3, 2), (6, 4)]:
        step = np.zeros(before.shape)
        step[place] = 1e-4
        expected = (loss(before + step) - loss(before - step)) / 2e-4
        assert float(found[place]) == pytest.approx(expected, rel=2e-2, abs=2e-3)


@pytest.mark.parametrize("freeze", ["wrapper", "layer"])
def test_nothing_of_a_frozen_layer_moves(freeze):
    layer, inputs = settled("convolution", passes=1)
    (layer if freeze == "wrapper" else layer.layer).trainable = False
    before = [weight.numpy() for weight in layer.weights]
    layer(inputs, training=True)
    for old, weight in zip(before, layer.weights):
        np.testing.assert_array_equal(old, weight.numpy())


@pytest.mark.parametrize("training", [False, True])
def test_its_vector_moves_in_training_only(training):
    layer, inputs = settled("dense", passes=1)
    before = layer.vector.numpy()
    layer(inputs, training=training)
    assert np.array_equal(layer.vector.numpy(), before) != training


def test_file(tmp_path):
    layer, inputs = settled("convolution")
    model = keras.Sequential([keras.Input(inputs.shape[1:]), layer])
    model.save(tmp_path / "model.keras")
    loaded = ktg.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(inputs), model(inputs), atol=1e-6)
    assert loaded.layers[0].power_iterations == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpectralNormalization(keras.layers.Dense(2), 0), "power_iterations=0"),
        (
            lambda: SpectralNormalization(keras.layers.SeparableConv2D(2, 3)).build((1, 5, 5, 2)),
            "with the weights",
        ),
        (lambda: SpectralNormalization(keras.layers.ReLU()).build((1, 5)), "with the weights"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def pair(**arguments):
    size = {"embedding_dim": 16}
    generator = sngan_generator((8, 8, 1), 8, 4, **size)
    discriminator = sngan_discriminator((8, 8, 1), 4, auxiliary_classes=4, **size)
    return ktg.ConditionalGAN(
        4, (8, 8, 1), latent_dim=8, generator=generator, discriminator=discriminator, seed=0,
        auxiliary_classifier=True, loss="hinge", **size, **arguments,
    )  # fmt: skip


def normalized_kernels(gan):
    layers = flat_layers(gan.discriminator)
    kernels = [e.normalized_kernel() for e in layers if isinstance(e, SpectralNormalization)]
    table = gan.discriminator_embedding
    inputs = np.arange(4)
    return [*kernels, table(inputs)]


@pytest.mark.parametrize(
    "policy",
    [
        "float32",
        *(
            pytest.param(each, marks=pytest.mark.long)
            for each in ("mixed_float16", "mixed_bfloat16")
        ),
    ],
)
@pytest.mark.slow
def test_all_layers_of_a_conditional_discriminator(policy):
    """Norms of what is in force are one; what trains lies on no half-precision grid."""
    keras.config.set_dtype_policy(policy)
    try:
        keras.utils.set_random_seed(0)
        gan = pair()
    finally:
        keras.config.set_dtype_policy("float32")
    gan.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3), jit_compile=False)
    gan.fit(IMAGES, LABELS, batch_size=8, epochs=10, verbose=0)
    found = [norm(np.asarray(kernel, "float32")) for kernel in normalized_kernels(gan)]
    # Convolutions, the logit, the projection's map, the classifier; the embedding.
    assert len(found) == 6 + 3 + 1
    np.testing.assert_allclose(found, 1.0, atol=0.05)
    for weight in gan.discriminator_variables:
        values = weight.numpy().astype("float32")
        half = values.astype("float16").astype("float32")
        if weight.name == "kernel":
            assert np.mean(values == half) < 0.2, weight.path


@pytest.mark.slow
@pytest.mark.long
def test_frozen_layers_of_a_transferred_discriminator_stay():
    gan = ktg.GAN(
        (8, 8, 1), 4, generator=sngan_generator((8, 8, 1), 4, 2), loss="hinge", seed=0,
        discriminator=sngan_discriminator((8, 8, 1), 2),
    )  # fmt: skip
    other = ktg.fusion.transfer_gan(gan, "freeze_d")
    frozen = [
        weight
        for layer in other.discriminator.layers
        if not layer.trainable
        for weight in layer.weights
    ]
    before = [weight.numpy() for weight in frozen]
    assert before
    other.compile(jit_compile=False)
    other.fit(IMAGES, batch_size=8, epochs=2, verbose=0)
    for old, weight in zip(before, frozen):
        np.testing.assert_array_equal(old, weight.numpy())
