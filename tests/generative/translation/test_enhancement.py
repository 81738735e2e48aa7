"""Enhancer against bicubic, TensorFlow's measures, and the harness."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.generative.networks.residual_enhancer import BicubicUpscaling
from keras_transgen.generative.translation import Downscaling, Enhancer, Holes, Noise
from keras_transgen.generative.translation.degradations import DegradationPipeline
from tests.harness import MODEL_CHECKS, ModelCase

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0.2, 0.8, (8, 16, 16, 1)).astype("float32")


def digits() -> tuple[np.ndarray, np.ndarray]:
    images, _ = ktg.datasets.load_digits()
    return images[:1500], images[1500:]


@pytest.mark.parametrize("factor", [2, 4])
def test_untrained_it_is_bicubic(factor):
    model = Enhancer((16, 16, 1), Downscaling(factor), filters=4, blocks=1, seed=0)
    small = model.degrade(IMAGES)
    expected = tf.clip_by_value(tf.image.resize(small, (16, 16), method="bicubic"), 0.0, 1.0)
    np.testing.assert_allclose(model.enhance(small), expected, atol=1e-5)
    np.testing.assert_allclose(
        BicubicUpscaling(factor)(small),
        tf.image.resize(small, (16, 16), method="bicubic"),
        atol=1e-5,
    )


def test_untrained_it_leaves_noise_and_holes():
    for degradation in (Noise(0.1), Holes(size=0.5)):
        model = Enhancer((16, 16, 1), degradation, filters=4, blocks=1, seed=0)
        spoilt = model.degrade(IMAGES, seed=1)
        np.testing.assert_allclose(model.enhance(spoilt), spoilt[..., :1], atol=1e-6)


def test_measures_are_tensorflows():
    model = Enhancer((16, 16, 1), Noise(0.1), filters=4, blocks=1, value_range=(-1.0, 1.0), seed=0)
    clean = 2 * IMAGES - 1
    spoilt = model.degrade(clean, seed=0)
    logs = model._compared(tf.constant(clean), tf.constant(spoilt))
    psnr = 10 * np.log10(4.0 / np.mean((clean - spoilt) ** 2, axis=(1, 2, 3)))
    assert float(logs["psnr"]) == pytest.approx(psnr.mean(), abs=1e-3)
    ssim = tf.image.ssim((clean + 1) / 2, (spoilt + 1) / 2, 1.0, filter_size=11)
    assert float(logs["ssim"]) == pytest.approx(float(np.mean(ssim)), abs=1e-4)
    # Validation spoils in the same way every time.
    once, twice = (model.evaluate(clean, return_dict=True, verbose=0) for _ in range(2))
    assert once["psnr"] == pytest.approx(twice["psnr"], abs=1e-4)
    assert once["psnr"] == pytest.approx(20 * np.log10(1 / 0.1), abs=0.7)


@pytest.mark.slow
@pytest.mark.long
def test_learns_to_remove_noise():
    train, held_out = digits()
    model = Enhancer((8, 8, 1), Noise(0.2), filters=16, blocks=1, seed=0)
    before = model.evaluate(held_out, return_dict=True, verbose=0)
    history = model.fit(train, batch_size=32, epochs=6, validation_data=held_out, verbose=0)
    # On held-out digits it gained 4 dB; bicubic's or the noisy image is where it starts.
    assert history.history["val_psnr"][-1] > before["psnr"] + 2.5
    assert history.history["val_ssim"][-1] > before["ssim"]


@pytest.mark.slow
def test_super_resolution_gains_on_bicubic():
    """On held-out digits of 4x4 pixels; in trials it gained 4 dB."""
    train, held_out = digits()
    model = Enhancer((8, 8, 1), Downscaling(2), filters=16, blocks=1, seed=0)
    model.fit(train, batch_size=32, epochs=6, verbose=0)
    small = model.degrade(held_out)
    bicubic = tf.clip_by_value(tf.image.resize(small, (8, 8), method="bicubic"), 0.0, 1.0)
    errors = [np.mean((made - held_out) ** 2) for made in (bicubic, model.enhance(small))]
    assert 10 * np.log10(errors[0] / errors[1]) > 2.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("degradation", "gain"), [(Holes(size=0.5), 2.0), (Downscaling(4), 2.5)], ids=["holes", "4x"]
)
def test_learns_to_fill_holes_and_to_enlarge_by_four(degradation, gain):
    """Held-out digits against the mean colour in the hole, and bicubic: 3.2 and 3.9 dB in a try."""
    train, held_out = digits()
    model = Enhancer((8, 8, 1), degradation, filters=16, blocks=1, seed=0)
    before = model.evaluate(held_out, return_dict=True, verbose=0)
    model.fit(train, batch_size=32, epochs=3, verbose=0)
    after = model.evaluate(held_out, return_dict=True, verbose=0)
    assert after["psnr"] > before["psnr"] + gain
    assert after["ssim"] > before["ssim"]


def test_holes_are_filled_and_nothing_else_is_touched():
    """Where the holes lie in black nothing is wrong, and the mean of the measures stays finite."""
    images = np.zeros((8, 16, 16, 1), "float32")
    images[:, :, 8:] = 0.7
    model = Enhancer((16, 16, 1), Holes(size=0.25), filters=4, blocks=1, ema_decay=None, seed=0)
    history = model.fit(images, batch_size=4, epochs=2, validation_data=images, verbose=0).history
    assert np.isfinite(history["val_psnr"]).all()
    spoilt = model.degrade(images, seed=0)
    change = np.abs(model.enhance(spoilt) - spoilt[..., :1])
    missing = spoilt[..., 1:] == 1
    assert change[~missing].max() == 0.0
    assert change[missing].max() > 1e-3


def test_where_all_is_spoilt_all_may_change():
    """Holes after something else leave no pixel as it was, so the mask limits nothing."""
    pipeline = DegradationPipeline([Downscaling(2), Noise(0.05), Holes(size=0.5)])
    model = Enhancer((16, 16, 1), pipeline, filters=4, blocks=1, ema_decay=None, seed=0)
    spoilt = model.degrade(IMAGES, seed=0)
    assert spoilt.shape == (8, 8, 8, 2)
    untrained = model.enhance(spoilt)
    bicubic = tf.image.resize(spoilt[..., :1], (16, 16), method="bicubic")
    np.testing.assert_allclose(untrained, tf.clip_by_value(bicubic, 0.0, 1.0), atol=1e-5)
    model.fit(IMAGES, batch_size=4, epochs=1, verbose=0)
    assert (model.enhance(spoilt) != untrained).mean() > 0.99


@pytest.mark.slow
def test_an_adversarial_loss_brings_a_discriminator():
    judge = [keras.Input((16, 16, 1)), keras.layers.Conv2D(1, 4, strides=4)]
    model = Enhancer(
        (16, 16, 1),
        Downscaling(2),
        discriminator=keras.Sequential(judge),
        filters=2,
        blocks=1,
        adversarial_weight=0.01,
        seed=0,
    )
    before = model.discriminator.get_weights()
    data = tf.data.Dataset.from_tensor_slices((IMAGES, np.arange(8))).batch(4)  # Labels are idle.
    logs = model.fit(data, verbose=0).history
    assert {"l1", "real_score", "fake_score"} <= set(logs)
    assert not np.array_equal(before[0], model.discriminator.get_weights()[0])
    assert model.for_size(32, 32).discriminator is None


def test_other_sizes_after_training():
    model = Enhancer((16, 16, 1), Downscaling(2), filters=4, blocks=1, seed=0)
    model.fit(IMAGES, batch_size=4, epochs=1, verbose=0)
    larger = model.for_size(32, 24)
    made = larger.enhance(np.tile(model.degrade(IMAGES[:1]), (1, 2, 2, 1))[:, :, :12])
    assert made.shape == (1, 32, 24, 1)
    # Far from the seams it is what the smaller model makes.
    np.testing.assert_allclose(
        made[0, :6, :6], model.enhance(model.degrade(IMAGES[:1]))[0, :6, :6], atol=0.05
    )


CASE = ModelCase(
    make=lambda: Enhancer((16, 16, 1), Downscaling(2), filters=4, blocks=1, ema_decay=None, seed=0),
    data=(IMAGES,),
    compile=lambda model, **kwargs: model.compile(**kwargs),
    outputs=("enhance", (IMAGES[:, ::2, ::2],), {}),
    imports=("keras_transgen.generative.translation.enhancement",),
    # The last layer starts at zero, so the others have no gradient in the first step.
    fit={"epochs": 2},
)


@pytest.mark.parametrize("check", MODEL_CHECKS)
def test_model(check, tools):
    check(CASE, tools)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Enhancer((15, 16, 1), Downscaling(2)), "divisible by factor=2"),
        (lambda: Enhancer((16, 16, 1), "noise"), "degradation"),
        (
            lambda: Enhancer((16, 16, 1), Noise(), filters=4, blocks=1).fit(IMAGES[:, :8]),
            "clean images",
        ),
        (
            lambda: Enhancer((16, 16, 1), Noise(), filters=4, blocks=1).fit(IMAGES * 255),
            "255|range",
        ),
        (
            lambda: Enhancer((16, 16, 1), Downscaling(2), filters=4, blocks=1).enhance(IMAGES),
            "Received",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
