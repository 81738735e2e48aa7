"""What trains is what `trainable` and `freeze_to` say at the time of each fit."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.transfer import FeatureTransfer, ParameterTransfer, TransferModel
from tests.transfer.tiny import IMAGES, LABELS, backbone


def _moved(model, **kwargs):
    """Whether each of the backbone's variables, and of the head's, moves in a fit."""
    variables = [*model.backbone.weights, *model.head.weights]
    before = [variable.numpy() for variable in variables]
    model.fit(IMAGES, LABELS, verbose=0, **kwargs)
    moved = [not np.array_equal(a, b.numpy()) for a, b in zip(before, variables, strict=True)]
    trainable = {id(variable) for variable in model.trainable_variables}
    assert moved == [id(variable) in trainable for variable in variables]
    return sum(moved)


@pytest.mark.slow
@pytest.mark.parametrize("by_user", [False, True])
def test_transfer_model_unfrozen_and_frozen(by_user):
    model = TransferModel(backbone(), 3, seed=0)
    if by_user:
        optimizer = keras.optimizers.Adam(1e-3)
        model.compile(optimizer)
    assert _moved(model) == 2
    model.backbone.trainable = True
    assert _moved(model) == 9
    model.backbone.freeze_to("block_1")
    count = _moved(model)
    assert 2 < count < 9
    model.backbone.trainable = False
    assert _moved(model) == 2
    model.head.trainable = False
    model.backbone.trainable = True
    assert _moved(model) >= 2
    if by_user:
        assert model.optimizer is optimizer
        assert int(optimizer.iterations) == 5


def test_unfrozen_after_compile_and_before_the_first_fit():
    model = TransferModel(backbone(), 3, seed=0)
    model.compile(keras.optimizers.Adam(1e-3))
    model.backbone.trainable = True
    assert _moved(model) == 9


def test_parameter_transfer_frozen_between():
    model = ParameterTransfer(backbone(), 3, head_initialization="random", learning_rate=1e-2)
    assert _moved(model) == 9
    model.backbone.trainable = False
    assert _moved(model) == 2


def test_one_batch_at_a_time():
    model = TransferModel(backbone(), 3, seed=0)
    model.compile(keras.optimizers.SGD(0.1))
    model.train_on_batch(IMAGES, LABELS)
    model.backbone.trainable = True
    before = model.backbone.trainable_variables[0].numpy()
    model.train_on_batch(IMAGES, LABELS)
    assert not np.array_equal(before, model.backbone.trainable_variables[0].numpy())


def test_half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = TransferModel(backbone(), 3, seed=0)
        model.compile(keras.optimizers.SGD(0.1))
        model.fit(IMAGES, LABELS, verbose=0)
        model.backbone.trainable = True
        before = model.backbone.trainable_variables[-2].numpy()
        # The first steps of a loss scale may overflow.
        model.fit(IMAGES, LABELS, epochs=10, verbose=0)
        assert not np.array_equal(before, model.backbone.trainable_variables[-2].numpy())
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.slow
def test_two_replicas(two_replicas):
    with two_replicas.scope():
        model = TransferModel(backbone(), 3, seed=0)
        model.compile(keras.optimizers.Adam(1e-3))
    assert _moved(model) == 2
    model.backbone.trainable = True
    assert _moved(model) == 9


def test_saved_after_unfreezing(tmp_path):
    model = TransferModel(backbone(), 3, seed=0)
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(IMAGES, LABELS, verbose=0)
    model.backbone.trainable = True
    model.fit(IMAGES, LABELS, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = ktg.load_model(tmp_path / "model.keras")
    assert int(loaded.optimizer.iterations) == 2
    for ours, theirs in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-6)


@pytest.mark.slow
def test_a_gan_trains_what_is_trainable_now():
    gan = ktg.GAN(image_shape=(8, 8, 1), latent_dim=4, seed=0)
    images = IMAGES * 2 - 1
    gan.fit(images, verbose=0)
    gan.generator.trainable = False
    frozen = [variable.numpy() for variable in gan.generator.weights]
    judge = gan.discriminator.trainable_variables[0].numpy()
    gan.fit(images, verbose=0)
    for before, variable in zip(frozen, gan.generator.weights, strict=True):
        if "moving" not in variable.path:
            np.testing.assert_array_equal(before, variable.numpy())
    assert not np.array_equal(judge, gan.discriminator.trainable_variables[0].numpy())


def test_feature_transfer_refuses_what_it_never_does():
    model = FeatureTransfer(backbone(), 3)
    with pytest.raises(ValueError, match=r"solver='sgd'.*Received: epochs=5"):
        model.fit(IMAGES, LABELS, epochs=5, verbose=0)
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(8)
    with pytest.raises(ValueError, match=r"take\(steps\).*Received: validation_steps=2"):
        model.fit(data, validation_data=data, validation_steps=2, verbose=0)
    model.backbone.trainable = True
    with pytest.raises(ValueError, match=r"ParameterTransfer.*Received: a backbone"):
        model.fit(IMAGES, LABELS, verbose=0)


def _vae(network):
    return ktg.VAE((8, 8, 1), 2, encoder=network)


def _gan(network):
    layers = [keras.Input((8, 8, 1)), network, keras.layers.Flatten(), keras.layers.Dense(1)]
    return ktg.GAN((8, 8, 1), 4, discriminator=keras.Sequential(layers), filters=2)


@pytest.mark.slow
@pytest.mark.parametrize("make", [_vae, _gan])
def test_a_backbone_within_a_generative_model(make):
    """Frozen up to a block, wholly and not at all, it trains what it says, at each fit."""
    network = backbone(trainable=True)
    model = make(network)
    data = IMAGES if make is _vae else IMAGES * 2 - 1
    model.compile()
    optimizer = model.optimized()[-1][0]

    def moved():
        before = [weight.numpy() for weight in network.weights]
        trains = {id(weight) for weight in model.trainable_variables}
        model.fit(data, batch_size=8, verbose=0)
        found = [not np.array_equal(a, b.numpy()) for a, b in zip(before, network.weights)]
        assert found == [id(weight) in trains for weight in network.weights]
        return sum(found)

    assert moved() == 7
    network.freeze_to("block_1")
    assert moved() == 2
    network.trainable = False
    assert moved() == 0
    network.trainable = True
    assert moved() == 2
    network.freeze_to("stem")
    assert moved() == 4
    assert model.optimized()[-1][0] is optimizer
    assert int(optimizer.iterations) == 5 * 3
