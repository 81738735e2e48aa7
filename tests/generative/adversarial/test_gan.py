"""GAN: the harness, its public methods, what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.adversarial.augmentation import DifferentiableAugmentation
from keras_transgen.generative.adversarial.gan import GAN
from keras_transgen.training import NonFiniteLossError
from tests.generative.adversarial.adversarial_models import (
    IMAGES,
    IMPORTS,
    VECTORS,
    FixedNoiseGAN,
    plain_generator,
    tiny_gan,
)
from tests.harness import (
    ModelCase,
    check_config_round_trip,
    check_file_in_new_process,
    check_replicas,
    check_right_weights_move,
    every_check,
)
from tests.training.test_nan_guard import Poison

SETTINGS = {"image_shape": (8, 8, 1), "latent_dim": 4, "filters": 2}


def case(make, data, **kwargs) -> ModelCase:
    return ModelCase(
        make=make,
        data=(data,),
        compile=compile_with_steady_optimizers,
        outputs=("sample", (5, 0), {}),
        imports=IMPORTS,
        may_move=lambda path: any(part in path for part in ("moving", "average", "augmentation")),
        **kwargs,
    )


def compile_with_steady_optimizers(model, **kwargs):
    # Adam divides by the gradient's size, which turns rounding into whole steps where it is zero.
    model.compile(keras.optimizers.SGD(0.05, 0.5), keras.optimizers.SGD(0.05, 0.5), **kwargs)


def everything() -> FixedNoiseGAN:
    return FixedNoiseGAN(
        **SETTINGS,
        generator=plain_generator(),
        step="shared",
        loss="least_squares",
        label_smoothing=0.1,
        gradient_penalty="r1",
        gradient_penalty_weight=0.5,
        instance_noise=0.05,
        discriminator_steps=2,
        augmentation=DifferentiableAugmentation(
            "color,translation,cutout", target=0.5, adjustment_images=40
        ),
    )


CASES = {
    "shared": case(lambda: FixedNoiseGAN(**SETTINGS, generator=plain_generator()), IMAGES),
    "everything, shared": case(everything, IMAGES),
    "vectors, two-stage": case(
        lambda: FixedNoiseGAN((5,), 4, filters=2, value_range=None, step="two_stage"), VECTORS
    ),
    "batch normalization": case(lambda: tiny_gan(), IMAGES, tolerance=None),
}


@pytest.mark.parametrize(
    ("name", "check"), every_check([name for name in CASES if name != "everything, shared"])
)
def test_model(name, check, tools):
    check(CASES[name], tools)


@pytest.mark.slow
@pytest.mark.parametrize(
    "check", [check_config_round_trip, check_right_weights_move, check_file_in_new_process]
)
def test_everything_together(check, tools):
    check(CASES["everything, shared"], tools)


@pytest.mark.slow
@pytest.mark.long
def test_everything_together_on_replicas(tools):
    check_replicas(CASES["everything, shared"], tools)


@pytest.mark.slow
def test_learns_a_gaussian():
    """Mean and spread of the samples come near the data's, from 0 and about 1."""
    rng = np.random.default_rng(1)
    data = (rng.normal(size=(512, 2)) * [0.3, 0.6] + [2.0, -1.0]).astype("float32")
    gan = GAN((2,), 4, filters=8, value_range=None, ema_decay=0.95, seed=0)
    adams = [keras.optimizers.Adam(4e-3, beta_1=0.5) for _ in range(2)]
    gan.compile(*adams, jit_compile=False)
    gan.fit(data, batch_size=64, epochs=60, verbose=0)
    samples = gan.sample(2000, seed=1)
    np.testing.assert_allclose(samples.mean(0), [2.0, -1.0], atol=0.2)
    np.testing.assert_allclose(samples.std(0), [0.3, 0.6], atol=0.25)


def test_samples_by_seed():
    gan = tiny_gan(value_range=(0.0, 1.0))
    samples = gan.sample(5, seed=3)
    assert samples.shape == (5, 8, 8, 1)
    assert samples.dtype == np.float32
    assert samples.min() >= 0.0
    assert samples.max() <= 1.0
    np.testing.assert_allclose(samples, gan.sample(5, seed=3, batch_size=2), atol=1e-6)
    assert not np.allclose(samples, gan.sample(5, seed=4))
    assert not np.allclose(gan.sample(5), gan.sample(5))


@pytest.mark.slow
def test_bytes_are_scaled_on_the_device():
    pixels = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1)).astype("uint8")
    scaled = pixels.astype("float32") / 127.5 - 1.0
    models = [tiny_gan(seed=0) for _ in range(2)]
    models[1].set_weights(models[0].get_weights())
    for model, data in zip(models, (pixels, scaled)):
        model.fit(data, batch_size=8, verbose=0)
    np.testing.assert_allclose(models[0].sample(2, 0), models[1].sample(2, 0), atol=1e-4)
    np.testing.assert_allclose(
        models[0].discriminate(pixels), models[0].discriminate(scaled), atol=1e-5
    )


def test_discriminate_is_the_sigmoid_of_the_logit():
    gan = tiny_gan()
    logits = gan.discriminator(IMAGES)[:, 0].numpy()
    probabilities = gan.discriminate(IMAGES, batch_size=7)
    assert probabilities.shape == (24,)
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_logs_of_an_untrained_step():
    """Both losses at the start, computed by NumPy from the logits of the same noise."""
    gan = FixedNoiseGAN(**SETTINGS, generator=plain_generator())
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0))
    images = IMAGES[:8]
    latent = gan.draw_noise((tf.constant(images),), tf.constant([0, 0]), True)[0]["latent"]
    real = gan.discriminator(images).numpy()
    fake = gan.discriminator(gan.generator(latent)).numpy()
    logs = gan.fit(images, batch_size=8, shuffle=False, verbose=0).history
    assert logs["real_score"][0] == pytest.approx(real.mean(), abs=1e-5)
    assert logs["fake_score"][0] == pytest.approx(fake.mean(), abs=1e-5)
    expected = np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean()
    assert logs["discriminator_loss"][0] == pytest.approx(expected, abs=1e-5)
    assert logs["generator_loss"][0] == pytest.approx(np.log1p(np.exp(-fake)).mean(), abs=1e-5)
    assert logs["generator_gradient_norm"][0] > 0
    assert logs["discriminator_gradient_norm"][0] > 0


def test_evaluate_gives_the_losses_of_held_out_data():
    gan = tiny_gan()
    gan.fit(IMAGES, batch_size=8, verbose=0, validation_data=(IMAGES[:8],))
    logs = gan.evaluate(IMAGES, return_dict=True, verbose=0)
    logits = gan.discriminator(IMAGES).numpy()
    assert logs["real_score"] == pytest.approx(logits.mean(), abs=1e-5)
    assert set(logs) == {"generator_loss", "discriminator_loss", "real_score", "fake_score"}


def test_the_averaged_generator_is_the_one_that_samples():
    gan = tiny_gan(ema_decay=0.5)
    gan.fit(IMAGES, batch_size=8, epochs=3, verbose=0)
    latent = np.random.default_rng(0).normal(size=(4, 4)).astype("float32")
    averaged = gan.averaged_generator()
    np.testing.assert_allclose(gan(latent), averaged(latent), atol=1e-5)
    assert np.abs(gan(latent) - gan.generator(latent)).max() > 1e-4
    without = tiny_gan(ema_decay=None)
    np.testing.assert_array_equal(without(latent), without.generator(latent))


def test_latent_vectors_and_shape_follow_the_networks_handed_in():
    generator = keras.Sequential([keras.Input((7,)), keras.layers.Dense(3)])
    discriminator = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    gan = GAN(generator=generator, discriminator=discriminator, value_range=None)
    assert (gan.latent_dim, gan.example_shape) == (7, (3,))
    assert gan.sample(2, seed=0).shape == (2, 3)
    lazy = GAN((3,), 7, generator=keras.Sequential([keras.layers.Dense(3)]), value_range=None)
    assert lazy.sample(2, seed=0).shape == (2, 3)


@pytest.mark.slow
def test_regularization_losses_count():
    def trained(step, regularizer):
        keras.utils.set_random_seed(0)
        dense = keras.layers.Dense(5, kernel_regularizer=regularizer)
        generator = keras.Sequential([keras.Input((4,)), dense])
        model = FixedNoiseGAN(
            (5,), generator=generator, filters=2, value_range=None, step=step, ema_decay=None
        )
        model.compile(keras.optimizers.SGD(1.0), keras.optimizers.SGD(0.0), jit_compile=False)
        before = dense.kernel.numpy()
        model.fit(VECTORS, batch_size=24, verbose=0)
        return before, dense.kernel.numpy()

    for step in ("shared", "two_stage"):
        before, plain = trained(step, None)
        _, regularized = trained(step, keras.regularizers.L2(0.1))
        # d/dw of 0.1 w^2 at a learning rate of one.
        np.testing.assert_allclose(regularized, plain - 0.2 * before, atol=1e-5)


@pytest.mark.parametrize("size", [8, 28, 32])
def test_default_networks_play_at_this_size(size):
    gan = GAN((size, size, 3), 4, filters=2)
    gan.fit(np.zeros((4, size, size, 3), "uint8"), batch_size=4, verbose=0)
    assert gan.sample(1).shape == (1, size, size, 3)


def dense(*layers, shape=(5,)) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *layers])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GAN((9, 9, 1)), "halved at least once.*Received: image_shape=\\(9, 9, 1\\)"),
        (lambda: GAN((8, 6, 1)), "square"),
        (
            lambda: GAN((5,), 4, generator=dense(keras.layers.Dense(6), shape=(4,))),
            r"discriminator takes: \[batch, 5\].*Received.*\(None, 6\)",
        ),
        (
            lambda: GAN((5,), 4, discriminator=dense(keras.layers.Dense(1), shape=(6,))),
            "discriminator must take inputs of shape",
        ),
        (
            lambda: GAN((5,), 4, discriminator=dense(keras.layers.Dense(2))),
            r"logits of shape \[batch, 1\].*\(None, 2\)",
        ),
        (
            lambda: GAN((5,), discriminator=dense(keras.layers.Dense(1, activation="sigmoid"))),
            "logits, not probabilities",
        ),
        (lambda: tiny_gan(loss="hinged"), "loss='hinged'"),
        (lambda: tiny_gan(loss="hinge", label_smoothing=0.1), "label_smoothing needs"),
        (lambda: tiny_gan(label_smoothing=1.0), "label_smoothing=1.0"),
        (lambda: tiny_gan(gradient_penalty="r3"), "gradient_penalty='r3'"),
        (lambda: tiny_gan(augmentation="color,rotation"), "rotation"),
        (lambda: GAN((5,), augmentation="color"), "transforms images"),
        (lambda: tiny_gan(step="both"), "'both'"),
        (lambda: tiny_gan(ema_decay=1.0), "ema_decay=1.0"),
        (lambda: tiny_gan(discriminator_steps=0), "discriminator_steps=0"),
        (lambda: tiny_gan(instance_noise=-1.0), "instance_noise=-1.0"),
    ],
)
def test_what_cannot_be_made_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (IMAGES * 127.5 + 127.5, "uint8 images, which it scales itself"),
        (IMAGES[:, :4], r"\[batch, 8, 8, 1\]"),
        (np.where(IMAGES > 0.9, np.nan, IMAGES), "finite"),
    ],
)
def test_wrong_images_are_refused_before_training(data, message):
    gan = tiny_gan()
    with pytest.raises(ValueError, match=message):
        gan.fit(data, verbose=0)
    assert int(gan.progress.step.numpy()) == 0


@pytest.mark.parametrize("form", ["arrays", "data set", "sequence", "generator", "held out"])
def test_labels_are_refused_with_the_model_that_takes_them(form):
    labels = np.arange(24) % 3
    pairs = tf.data.Dataset.from_tensor_slices((IMAGES, labels)).batch(8)
    given = {
        "arrays": ((IMAGES, labels), {}),
        "data set": ((pairs,), {}),
        "sequence": ((Pairs(),), {}),
        "generator": (((batch for batch in [(IMAGES, labels)]),), {"steps_per_epoch": 1}),
        "held out": ((IMAGES,), {"validation_data": (IMAGES, labels)}),
    }
    args, kwargs = given[form]
    gan = tiny_gan()
    with pytest.raises(ValueError, match="Use ConditionalGAN to learn from labels"):
        gan.fit(*args, verbose=0, **kwargs)
    assert int(gan.progress.step.numpy()) == 0


class Pairs(keras.utils.PyDataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return IMAGES, np.arange(24) % 3


def test_sample_weights_are_refused():
    with pytest.raises(ValueError, match="does not weigh examples"):
        tiny_gan().fit(IMAGES, sample_weight=np.ones(24), verbose=0)


def test_a_batch_too_small_for_the_replicas_is_refused(two_replicas):
    with two_replicas.scope():
        gan = tiny_gan()
    with pytest.raises(ValueError, match=r"at least 2.*Received: 1 examples"):
        gan.fit(IMAGES, batch_size=1, verbose=0)


def test_one_optimizer_given_twice_is_refused():
    adam = keras.optimizers.Adam()
    with pytest.raises(ValueError, match=r"same instance 'adam.*' twice"):
        tiny_gan().compile(adam, adam)


def test_wrong_counts_and_images_of_public_methods():
    gan = tiny_gan()
    with pytest.raises(ValueError, match="count=0"):
        gan.sample(0)
    with pytest.raises(ValueError, match="expects images of shape"):
        gan.discriminate(IMAGES[0])


def test_weights_of_another_architecture_are_refused(tmp_path):
    tiny_gan().save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match="of another architecture"):
        tiny_gan(filters=3).load_weights(tmp_path / "a.weights.h5")


def test_a_diverged_run_stops_and_names_the_step():
    gan = tiny_gan(loss="wasserstein")
    gan.compile(keras.optimizers.SGD(1e30), keras.optimizers.SGD(1e30))
    with pytest.raises(NonFiniteLossError, match="step"):
        gan.fit(IMAGES, batch_size=8, epochs=3, verbose=0)


def test_a_diverged_run_names_the_last_good_checkpoint(tmp_path):
    gan = tiny_gan()
    gan.compile(jit_compile=False)
    checkpoint = keras.callbacks.ModelCheckpoint(
        str(tmp_path / "at_{epoch}.weights.h5"), save_weights_only=True, save_freq=1
    )
    with pytest.raises(NonFiniteLossError, match=r"step 2 .*at_1\.weights\.h5") as caught:
        gan.fit(IMAGES, batch_size=8, verbose=0, callbacks=[checkpoint, Poison(1)])
    fresh = tiny_gan()
    fresh.load_weights(caught.value.checkpoint)
    assert np.isfinite(fresh.sample(4, seed=0)).all()


@pytest.mark.slow
def test_a_file_loads_where_nothing_of_it_was_imported(tools):
    gan = tiny_gan()
    gan.save(tools.folder / "gan.keras")
    gan.averaged_generator().save(tools.folder / "generator.keras")
    latent = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    samples = tools.fresh_process.call(tools.folder / "generator.keras", "__call__", latent)
    np.testing.assert_allclose(samples, gan(latent), atol=1e-5)
    samples = tools.fresh_process.call(tools.folder / "gan.keras", "sample", 3, 0)
    np.testing.assert_allclose(samples, gan.sample(3, 0), atol=1e-5)


@pytest.mark.slow
def test_noise_differs_between_replicas(two_replicas):
    with two_replicas.scope():
        gan = tiny_gan()
    drawn = two_replicas.run(
        lambda: gan.draw_noise((tf.zeros([2, 8, 8, 1]),), replica_seed_of(gan), training=True)[0][
            "latent"
        ]
    )
    first, second = two_replicas.experimental_local_results(drawn)
    assert not np.allclose(first, second)


def replica_seed_of(gan):
    from keras_transgen.training.replica_noise import replica_seed

    return replica_seed(gan.progress.seed.value, gan.progress.step.value)


@pytest.mark.slow
@pytest.mark.long
def test_a_replica_without_examples_spoils_nothing(two_replicas):
    """Batches of 23 and 1; batch normalization, its moving average and the adaptive share."""
    with two_replicas.scope():
        gan = tiny_gan(augmentation=DifferentiableAugmentation("color", 0.5, 100))
    # Without XLA, oneDNN's convolutions fail on no examples (see refuse_lost_convolutions).
    gan.compile(jit_compile=True)
    gan.fit(IMAGES, batch_size=23, epochs=2, verbose=0)
    for weight in gan.weights:
        for copy in weight.value.values:
            assert np.isfinite(copy.numpy()).all(), weight.path
    assert np.isfinite(gan.sample(4, seed=0)).all()
