"""What is returned to be used alone gives what the model itself samples."""

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.fusion import FeatureGAN

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (16, 8, 8, 1)).astype("float32")
LABELS = np.arange(16) % 4
SIZE = {"image_shape": (8, 8, 1), "latent_dim": 4, "filters": 2, "embedding_dim": 8, "seed": 0}


def trained(kind):
    if kind == "labels":
        gan, conditions = ktg.ConditionalGAN(4, **SIZE), LABELS
    elif kind == "vectors":
        conditions = RNG.normal(size=(16, 3)).astype("float32")
        gan = ktg.ConditionalGAN(condition_shape=(3,), **SIZE)
    else:
        table = keras.layers.Embedding(4, 6)
        encoder = keras.Sequential(
            [keras.Input((1,), dtype="int64"), table, keras.layers.Flatten()]
        )
        gan, conditions = ktg.ConditionalGAN(condition_encoder=encoder, **SIZE), LABELS[:, None]
    gan.compile(jit_compile=False)
    gan.fit(IMAGES, conditions, batch_size=4, epochs=2, verbose=0)
    return gan, conditions


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["labels", "vectors", "encoder"])
def test_it_takes_conditions(kind, tmp_path):
    gan, conditions = trained(kind)
    alone = gan.averaged_generator()
    latent = np.asarray(gan._latent(16, 3))
    expected = gan.sample(conditions, seed=3)
    np.testing.assert_allclose(alone([latent, conditions]), expected, atol=1e-5)
    alone.save(tmp_path / "alone.keras")
    loaded = ktg.load_model(tmp_path / "alone.keras")
    np.testing.assert_allclose(loaded([latent, conditions]), expected, atol=1e-5)
    # A copy: it stays when the model goes on.
    gan.fit(IMAGES, conditions, batch_size=4, verbose=0)
    np.testing.assert_allclose(alone([latent, conditions]), expected, atol=1e-5)


@pytest.mark.slow
def test_features_come_in_their_own_scale():
    features = (RNG.normal(size=(64, 4)) * [1.0, 10.0, 100.0, 1000.0] + 5.0).astype("float32")
    gan = FeatureGAN(num_classes=2, feature_dim=4, latent_dim=4, filters=4, seed=0)
    gan.compile(jit_compile=False)
    labels = np.arange(64) % 2
    watch = ktg.callbacks.CollapseWarning(features, labels, threshold=1e-6)
    history = gan.fit(features, labels, epochs=1, verbose=0, callbacks=[watch]).history
    found = np.asarray(gan.averaged_generator()([np.asarray(gan._latent(64, 0)), labels]))
    samples = np.asarray(gan.sample(labels, seed=0))
    np.testing.assert_allclose(found, samples, rtol=1e-4, atol=1e-3)
    # By hand: the mean squared distance within classes, both in units of the features' deviation.
    unit = (features.std(0), features.mean(0))
    spread = [
        np.mean([np.var((rows[labels == c] - unit[1]) / unit[0], axis=0).sum() for c in (0, 1)])
        for rows in (samples, features)
    ]
    assert history["diversity_ratio"][-1] == pytest.approx((spread[0] / spread[1]) ** 0.5, rel=0.3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"latent_dim": 0}, {"latent_dim": 2.5}, {"discriminator_steps": 1.5}, {"filters": True},
        {"instance_noise": float("nan")}, {"gradient_penalty_weight": float("inf")},
    ],
)  # fmt: skip
def test_numbers_that_are_none(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
        ktg.GAN(**{"image_shape": (8, 8, 1), **wrong})


def test_the_class_loss_is_divided_by_the_examples_that_keep_their_class_on_average():
    import tensorflow as tf

    from keras_transgen.generative.adversarial.contract import Judgement

    gan = ktg.ConditionalGAN(4, auxiliary_classifier=True, unlabelled_probability=0.5, **SIZE)
    equal = Judgement(tf.zeros([4]), tf.zeros([4, 4]))
    half, one, none = [True, False] * 2, [True, True, True, False], [True] * 4
    for dropped, expected in [(half, np.log(4.0)), (one, np.log(4.0) / 2), (none, 0.0)]:
        loss = gan.class_loss(equal, (tf.zeros([4], tf.int32), tf.constant(dropped)))
        assert float(loss) == pytest.approx(expected, rel=1e-6)
