"""Scores of a discriminator that run away are told, once, and not those of a Wasserstein critic."""

import warnings

import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.generative.adversarial.score_warning import ScoreWarning

IMAGES = np.linspace(-1.0, 1.0, 4 * 64, dtype="float32").reshape(4, 8, 8, 1)


@pytest.mark.parametrize("logs", [{"real_score": 15.1}, {"fake_score": -64.0, "real_score": 1.0}])
def test_a_score_that_runs_away_is_told_once(logs):
    watch = ScoreWarning("hinge")
    with pytest.warns(UserWarning, match=r"gradient_penalty='r1'.*Epoch 3: real_score") as told:
        watch.on_epoch_end(2, logs)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watch.on_epoch_end(3, logs)


@pytest.mark.parametrize(
    ("loss", "score"), [("hinge", 14.9), ("wasserstein", 1e3), (lambda real, fake: None, 1e3)]
)
def test_scores_that_may_be_are_not(loss, score):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ScoreWarning(loss).on_epoch_end(0, {"real_score": score})
        ScoreWarning(loss).on_epoch_end(0, None)


@pytest.mark.slow
def test_fit_tells_it():
    gan = ktg.GAN(IMAGES.shape[1:], filters=2, latent_dim=2)
    gan.compile(jit_compile=False)
    *_, bias = gan.discriminator.weights
    bias.assign(np.full(bias.shape, 40.0))
    with pytest.warns(UserWarning, match="scores run away"):
        gan.fit(IMAGES, batch_size=4, epochs=1, verbose=0)
