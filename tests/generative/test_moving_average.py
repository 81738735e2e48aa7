"""The moving average of weights against the recursion written out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.moving_average import MovingAverage


def layer() -> keras.layers.Layer:
    dense = keras.layers.Dense(1, kernel_initializer="ones")
    dense.build((None, 2))
    return dense


def test_follows_the_recursion_with_its_warm_up():
    dense = layer()
    average = MovingAverage([dense], decay=0.3)
    expected = 1.0
    for step, value in enumerate([5.0, -2.0, 3.0, 0.5, 7.0]):
        dense.kernel.assign([[value]] * 2)
        average.update(tf.constant(step))
        decay = min(0.3, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
        np.testing.assert_allclose(average.averages[0], [[expected]] * 2, rtol=1e-6)


def test_computes_with_the_averages_and_leaves_the_weights():
    dense = layer()
    average = MovingAverage([dense])
    dense.kernel.assign([[4.0], [4.0]])
    with average.in_place():
        assert float(dense(np.ones((1, 2)))[0, 0]) == 2.0
    assert float(dense(np.ones((1, 2)))[0, 0]) == 8.0


def test_moving_statistics_are_followed_and_shared_weights_once():
    dense, normalization = layer(), keras.layers.BatchNormalization()
    normalization.build((None, 2))
    average = MovingAverage([dense, normalization, dense])
    assert len(average.averages) == 2 + 4
    assert not average.trainable_weights
    assert len(average.weights) == 6
    other = keras.Variable(1.0)
    found = average.of([normalization.moving_mean, other])
    assert found[0] is average.averages[4]
    assert found[1] is other


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_wrong_decay(decay):
    with pytest.raises(ValueError, match="ema_decay"):
        MovingAverage([layer()], decay)


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("how", ["load_weights", "set_weights", "assign"])
@pytest.mark.parametrize("model", ["gan", "pix2pix", "cyclegan"])
@pytest.mark.long
def test_weights_that_are_given_to_a_generator_are_what_is_sampled(model, how, loaded, tmp_path):
    import keras_transgen as ktg

    shape = (8, 8, 1)
    images = np.random.default_rng(0).uniform(-1, 1, (4, *shape)).astype("float32")

    def made(seed):
        keras.utils.set_random_seed(seed)
        if model == "gan":
            return ktg.GAN(shape, 4, filters=2, seed=0)
        kind = ktg.Pix2Pix if model == "pix2pix" else ktg.CycleGAN
        return kind(shape, filters=2, seed=0, **({} if model == "pix2pix" else {"blocks": 1}))

    def network(of):
        return of.generator_ab if model == "cyclegan" else of.generator

    def outputs(of):
        if model == "gan":
            return of.sample(4, seed=0)
        return of.a_to_b(images) if model == "cyclegan" else of.translate(images, seed=0)

    trained, new = made(1), made(2)
    if loaded:
        new.save(tmp_path / "new.keras")
        new = ktg.load_model(tmp_path / "new.keras")
    before = outputs(made(2))
    if how == "load_weights":
        network(trained).save_weights(tmp_path / "g.weights.h5")
        network(new).load_weights(tmp_path / "g.weights.h5")
    elif how == "set_weights":
        network(new).set_weights(network(trained).get_weights())
    else:
        for weight, value in zip(network(new).weights, network(trained).weights):
            weight.assign(value)
    found = outputs(new)
    np.testing.assert_allclose(found, outputs(trained), atol=1e-5)
    assert np.abs(found - before).max() > 1e-3


def test_weights_given_to_a_generator_are_what_predicts_and_is_exported(tmp_path):
    import tensorflow as tf

    import keras_transgen as ktg

    latent = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    gans = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        gans.append(ktg.GAN((8, 8, 1), 4, filters=2, seed=0))
    trained, new = gans
    expected = trained.predict(latent, verbose=0)
    new.generator.set_weights(trained.generator.get_weights())
    np.testing.assert_allclose(new.predict(latent, verbose=0), expected, atol=1e-6)
    for weight, value in zip(new.generator.weights, made_up := trained.generator.get_weights()):
        weight.assign(2.0 * value)
    new.export(tmp_path / "exported")
    exported = tf.saved_model.load(str(tmp_path / "exported")).signatures["decode"]
    trained.generator.set_weights([2.0 * value for value in made_up])
    found = next(iter(exported(tf.constant(latent)).values()))
    np.testing.assert_allclose(found, trained.predict(latent, verbose=0), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_averages_stay_where_training_moved_the_weights(jit_compile, tmp_path):
    import keras_transgen as ktg

    images = np.random.default_rng(0).uniform(-1, 1, (16, 6)).astype("float32")
    gan = ktg.GAN((6,), 4, filters=4, ema_decay=0.9, seed=0)
    gan.compile(jit_compile=jit_compile)
    gan.fit(images, batch_size=4, epochs=3, verbose=0)
    averages = [np.asarray(average) for average in gan.average.averages]
    gan.sample(3, seed=0)
    gan.save(tmp_path / "gan.keras")
    loaded = ktg.load_model(tmp_path / "gan.keras")
    loaded.sample(3, seed=0)
    for each in (gan, loaded):
        for old, average in zip(averages, each.average.averages):
            np.testing.assert_array_equal(old, np.asarray(average))
    assert np.abs(averages[0] - gan.generator.weights[0].numpy()).max() > 0.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_in_half_precision_are_averaged_in_float32(dtype):
    """A thousandth of the way is less than half precision can tell from nothing."""
    dense = keras.layers.Dense(1, kernel_initializer="ones", dtype=dtype)
    dense.build((None, 2))
    average = MovingAverage([dense], decay=0.999)
    dense.kernel.assign([[1.25]] * 2)
    expected = 1.0
    for _ in range(20):
        average.update(tf.constant(100000))
        expected = 0.999 * expected + 0.001 * 1.25
    np.testing.assert_allclose(average.averages[0], [[expected]] * 2, rtol=1e-6)
    with average.in_place():
        assert keras.backend.standardize_dtype(dense(np.ones((1, 2))).dtype) == dtype
    average.restart()
    np.testing.assert_array_equal(average.averages[0], [[1.25]] * 2)
