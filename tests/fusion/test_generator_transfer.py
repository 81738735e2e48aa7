"""transfer_gan: same samples at first, then only what each method lets train moves."""

import functools

import keras
import numpy as np
import pytest

from keras_transgen.fusion.generator_transfer import transfer_gan
from keras_transgen.generative.adversarial.gan import GAN
from tests.generative.adversarial.adversarial_models import (
    IMAGES,
    LABELS,
    plain_generator,
    tiny_conditional_gan,
    tiny_gan,
)
from tests.harness import MODEL_CHECKS, ModelCase

METHODS = ("all", "freeze_d", "statistics", "lora")


def trained():
    """A GAN whose averaged generator is not its generator; nothing changes it later."""
    return trained_under(keras.config.dtype_policy().name)


@functools.cache
def trained_under(policy):
    keras.utils.set_random_seed(1)
    gan = tiny_gan()
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    gan.fit(IMAGES, batch_size=8, verbose=0)
    return gan


@pytest.mark.parametrize("method", METHODS)
def test_starts_where_the_other_ended(method):
    gan = trained()
    before = [weight.numpy() for weight in gan.weights]
    new = transfer_gan(gan, method, rank=2)
    np.testing.assert_allclose(new.sample(4, seed=0), gan.sample(4, seed=0), atol=1e-5)
    np.testing.assert_allclose(new.discriminate(IMAGES), gan.discriminate(IMAGES), atol=1e-5)
    # The average starts at the generator, which starts at the other's average.
    for weight, average in zip(new.average._followed.weights, new.average.averages):
        np.testing.assert_array_equal(weight.numpy(), average.numpy())
    assert int(new.progress.step.numpy()) == 0
    for weight, value in zip(gan.weights, before):
        np.testing.assert_array_equal(weight.numpy(), value)


def moved(new, *data):
    before = {weight.path: weight.numpy() for weight in new.weights}
    new.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    new.fit(*data, batch_size=8, verbose=0)
    return {
        weight.path
        for weight in new.weights
        if not np.array_equal(before[weight.path], weight.numpy()) and "average" not in weight.path
    }


def paths(*layers):
    return {weight.path for layer in layers for weight in layer.weights}


def of_type(network, *types):
    return [layer for layer in network.layers if isinstance(layer, types)]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS[1:])
def test_what_moves(method):
    gan = trained()
    new = transfer_gan(gan, method, rank=2, ema_decay=0.5)
    generator, discriminator = new.generator, new.discriminator
    normalizations = paths(*of_type(generator, keras.layers.BatchNormalization))
    expected = paths(generator, discriminator)
    if method == "freeze_d":
        first = next(layer for layer in discriminator.layers if layer.weights)
        assert isinstance(first, keras.layers.Conv2D)
        expected -= paths(first)
    if method == "statistics":
        expected = normalizations | paths(discriminator)
    if method == "lora":
        from keras_transgen.fusion.low_rank import LowRank

        wrapped = of_type(generator, LowRank)
        assert len(wrapped) == 2
        additions = {w.path for layer in wrapped for w in layer.weights if w.name in ("down", "up")}
        assert len(additions) == 4
        expected = normalizations | additions | paths(discriminator)
        # B starts at zero, so that A has no gradient in the first step, and the second moves it.
    assert moved(new, IMAGES) == expected


def test_all_trains_after_less_of_it_did():
    frozen = transfer_gan(trained(), "freeze_d")
    new = transfer_gan(frozen, ema_decay=None)
    assert moved(new, IMAGES) == paths(new.generator, new.discriminator)
    assert not frozen.discriminator.layers[1].trainable


def test_a_frozen_gan_gives_one_that_trains():
    gan = trained()
    wanted = [weight.path for weight in transfer_gan(gan).trainable_variables]
    gan.trainable = False
    try:
        found = [weight.path for weight in transfer_gan(gan).trainable_variables]
    finally:
        gan.trainable = True
    assert len(found) == len(wanted) > 0


@pytest.mark.slow
def test_conditional():
    gan = tiny_conditional_gan(generator_conditioning="normalization")
    new = transfer_gan(gan, "statistics")
    labels = np.arange(3)
    np.testing.assert_allclose(new.sample(labels, seed=0), gan.sample(labels, seed=0), atol=1e-5)
    found = moved(new, IMAGES, LABELS)
    assert paths(new.generator_embedding, new.discriminator_embedding) <= found
    assert any("scale" in path and "conditional_normalization" in path for path in found)
    kernels = {
        layer.kernel.path
        for layer in of_type(new.generator, keras.layers.Dense, keras.layers.Conv2DTranspose)
    }
    assert not kernels & found


def test_other_classes_start_afresh():
    gan = tiny_conditional_gan()
    new = transfer_gan(gan, num_classes=5, augmentation="translation", ema_decay=None)
    assert new.generator_embedding.table.shape == (5, 3)
    assert new.average is None
    assert new.augmentation is not None
    for old, copied in zip(gan.average.of(gan.generator.weights), new.generator.weights):
        np.testing.assert_array_equal(old.numpy(), copied.numpy())


def test_number_of_frozen_layers():
    gan = trained()
    assert len([layer for layer in gan.discriminator.layers if layer.weights]) == 2
    with pytest.raises(ValueError, match=r"between 1 and 1. Received: frozen_layers=2"):
        transfer_gan(gan, "freeze_d", frozen_layers=2)


def adapted() -> GAN:
    """The same start whether the first model was there already or is trained now."""
    first = trained()
    keras.utils.set_random_seed(1)
    return transfer_gan(first, "lora", rank=2, name="other")


CASE = ModelCase(
    make=adapted,
    data=(IMAGES,),
    compile=lambda model, **kwargs: model.compile(
        keras.optimizers.SGD(0.05), keras.optimizers.SGD(0.05), **kwargs
    ),
    outputs=("sample", (5, 0), {}),
    may_move=lambda path: "moving" in path or "average" in path,
    # Each replica has statistics of its own.
    tolerance=None,
)


@pytest.mark.parametrize("check", MODEL_CHECKS)
def test_model(check, tools):
    check(CASE, tools)


@pytest.mark.parametrize("method", ["statistics", "freeze_d"])
def test_what_trains_is_the_same_after_loading(method, tmp_path):
    new = transfer_gan(trained(), method, rank=2)
    new.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert [w.shape for w in loaded.trainable_weights] == [w.shape for w in new.trainable_weights]
    np.testing.assert_allclose(loaded.sample(3, seed=0), new.sample(3, seed=0), atol=1e-6)


def test_refuses():
    gan = GAN((8, 8, 1), 4, generator=plain_generator(), filters=2)
    with pytest.raises(ValueError, match=r"method must be one of.*Received: method='half'"):
        transfer_gan(gan, "half")
    with pytest.raises(ValueError, match="normalisation layers, and this generator has none"):
        transfer_gan(gan, "statistics")
    with pytest.raises(ValueError, match="Received: gan of type Sequential"):
        transfer_gan(keras.Sequential())
