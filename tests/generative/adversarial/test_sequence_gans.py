"""GANs on sequences: the harness, which networks are built, what is refused."""

import dataclasses

import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.generative.networks.phase_shuffle import shuffled_phases
from keras_transgen.generative.networks.spectrogram_discriminator import spectrogram_discriminator
from tests.generative.adversarial.adversarial_models import (
    LABELS,
    FixedNoiseConditionalGAN,
    FixedNoiseGAN,
)
from tests.generative.adversarial.test_conditional_gan import case as conditional_case
from tests.generative.adversarial.test_gan import case
from tests.harness import every_check

RNG = np.random.default_rng(1)
WAVES = RNG.uniform(-1, 1, (24, 256, 1)).astype("float32")
SYMBOLS = np.eye(4, dtype="float32")[RNG.integers(0, 4, (24, 6))]
SIZE = {"latent_dim": 3, "filters": 2}


def without_border(case):
    """The case of a Wasserstein loss, a difference of means, in which the last bias cancels."""
    moves = case.may_move
    return dataclasses.replace(
        case, may_move=lambda path: path.endswith("logit/bias") or moves(path)
    )


CASES = {
    "waveforms": case(lambda: FixedNoiseGAN((256, 1), **SIZE), WAVES),
    # By its own weight, 10, the first step in half precision is one that its loss scale skips.
    "symbols": without_border(
        case(lambda: FixedNoiseGAN((6, 4), gradient_penalty_weight=0.1, **SIZE), SYMBOLS)
    ),
    "waveforms of classes": conditional_case(
        lambda: FixedNoiseConditionalGAN(3, (64, 1), embedding_dim=3, **SIZE),
        (WAVES[:, :64], LABELS),
        LABELS[:5],
    ),
    "waveforms of classes, by spectrograms": conditional_case(
        lambda: FixedNoiseConditionalGAN(
            3,
            (64, 1),
            embedding_dim=3,
            discriminator=spectrogram_discriminator(
                (64, 1), 1600, 2, embedding_dim=3, auxiliary_classes=3
            ),
            auxiliary_classifier=True,
            **SIZE,
        ),
        (WAVES[:, :64], LABELS),
        LABELS[:5],
    ),
    "symbols of classes, normalization": without_border(
        conditional_case(
            lambda: ktg.ConditionalGAN(
                3,
                (6, 4),
                embedding_dim=3,
                generator_conditioning="normalization",
                gradient_penalty_weight=0.1,
                **SIZE,
            ),
            (SYMBOLS, LABELS),
            LABELS[:5],
            tolerance=None,
        )
    ),
}


@pytest.mark.parametrize(("name", "check"), every_check(list(CASES)))
def test_model(name, check, tools):
    check(CASES[name], tools)


def test_one_channel_is_a_waveform_and_several_are_symbols():
    waves = ktg.GAN(example_shape=(256, 1), **SIZE)
    assert waves.loss_setting == "non_saturating"
    assert waves.penalty is None
    assert waves.value_range == (-1.0, 1.0)
    assert shuffled_phases(waves.discriminator) == 1
    symbols = ktg.GAN(example_shape=(6, 4), **SIZE)
    assert symbols.loss_setting == "wasserstein"
    assert symbols.penalty_setting == "wgan_gp"
    np.testing.assert_allclose(symbols.sample(3, seed=0).sum(-1), 1.0, rtol=1e-6)
    stereo = ktg.GAN((256, 2), networks="wavegan", **SIZE)
    assert stereo.value_range == (-1.0, 1.0)
    assert stereo.sample(2).shape == (2, 256, 2)


def test_phases_differ_by_example_and_step_and_rest_in_use():
    gan = ktg.GAN((256, 1), **SIZE, seed=0)
    drawn = [gan.draw_noise(WAVES, np.array([0, step]), True)[0] for step in (1, 2)]
    numbers = np.stack([phase[side]["shuffle"] for phase in drawn for side in ("real", "fake")])
    assert numbers.shape == (4, 24, 1)
    assert len(np.unique(numbers)) == 96
    assert not gan.draw_noise(WAVES, np.array([0, 1]), False)[0]["real"]
    np.testing.assert_array_equal(gan.discriminate(WAVES), gan.discriminate(WAVES))
    moved = gan.judge(WAVES, (), drawn[0]["real"], True).of_examples()
    still = gan.judge(WAVES, (), {}, True).of_examples()
    assert np.abs(moved - still).max() > 1e-6


def test_both_names_of_the_shape():
    old = ktg.GAN(image_shape=(6, 4), **SIZE)
    assert old.example_shape == (6, 4)
    config = old.get_config()
    config["image_shape"] = config.pop("example_shape")  # A file from before.
    assert ktg.GAN.from_config(config).example_shape == (6, 4)
    assert ktg.GAN((6, 4), image_shape=(6, 4), **SIZE).example_shape == (6, 4)
    with pytest.raises(ValueError, match="another name of example_shape"):
        ktg.GAN((6, 4), image_shape=(8, 8, 1))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(256, 1), (6, 4)])
@pytest.mark.parametrize("conditioning", ["projection", "concatenation"])
def test_conditions_reach_samples_and_logits(shape, conditioning):
    gan = FixedNoiseConditionalGAN(
        3, shape, embedding_dim=3, discriminator_conditioning=conditioning, **SIZE
    )
    data = WAVES if shape[1] == 1 else SYMBOLS
    gan.compile(jit_compile=False)
    gan.fit(data, LABELS, batch_size=12, epochs=1, verbose=0)
    one, other = (gan.sample(np.full(4, label), seed=0) for label in (0, 1))
    assert one.shape == (4, *shape)
    assert np.abs(one - other).max() > 0
    judged = [gan.discriminate(data[:4], np.full(4, label)) for label in (0, 1)]
    assert np.abs(judged[0] - judged[1]).max() > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"example_shape": (1022, 1)}, "strides of 4"),
        ({"example_shape": (64, 0)}, "positive|at least two|strides"),
        ({"example_shape": (2, 2, 2, 2)}, "vectors.*sequences.*images"),
        ({"example_shape": (5,), "networks": "wavegan"}, "are for sequences"),
        ({"example_shape": (64, 1), "networks": "residual_1d"}, "at least two symbols"),
        ({"example_shape": (64, 1), "networks": "sngan"}, "'auto', 'wavegan' or 'residual_1d'"),
        ({"example_shape": (6, 4), "value_range": (-1.0, 1.0)}, "value_range is \\(0, 1\\)"),
        ({"example_shape": (6, 4), "augmentation": "color"}, "example_shape=\\(6, 4\\)"),
    ],
)
def test_refused_before_training(arguments, message):
    with pytest.raises(ValueError, match=message):
        ktg.GAN(**arguments)


def test_refused_data():
    gan = ktg.GAN((6, 4), **SIZE)
    wrong = SYMBOLS.copy()
    wrong[2, 1] = 0.0
    with pytest.raises(ValueError, match=r"row \(2, 1\) sums to 0"):
        gan.fit(wrong, verbose=0)
    with pytest.raises(ValueError, match="Cast them to float32"):
        gan.fit(SYMBOLS.astype("uint8"), verbose=0)
    waves = ktg.GAN((256, 1), **SIZE)
    with pytest.raises(ValueError, match=r"in \[-1, 1\]\. Scale the data"):
        waves.fit(2 * WAVES, verbose=0)
    with pytest.raises(ValueError, match="expects sequences of shape"):
        waves.discriminate(WAVES[:, :64])
    by_class = ktg.ConditionalGAN(3, (64, 1), **SIZE)
    with pytest.raises(ValueError, match=r"every example\. Received: 24 sequences, 5 cond"):
        by_class.discriminate(WAVES[:, :64], LABELS[:5])
