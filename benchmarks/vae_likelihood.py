"""Test log-likelihood of a dense VAE on statically binarised MNIST, within a time budget.

The binarisation is the static one, `RandomState(0).rand(*x.shape) < x` of the training and of the
test images. The learning rate falls with the time that has passed, so that a slower machine trains
fewer epochs but ends as calmly. The number is the mean over all 10,000 test images of the
importance-weighted estimate with 500 samples.
"""

import argparse
import math
import time

import keras
import numpy as np
from report import publish, shared

import keras_transgen as ktg
from keras_transgen.generative.beta_schedules import LinearWarmup
from keras_transgen.generative.networks import dense_decoder, dense_encoder
from keras_transgen.generative.priors import Mixture

SHAPE, LATENT, BATCH, SAMPLES = (28, 28, 1), 40, 128, 500
GOAL = 89.0
# The rest of the budget is for the estimate.
TRAINING_SHARE = 0.75


def binarised(images: np.ndarray) -> np.ndarray:
    return (np.random.RandomState(0).rand(*images.shape) < images).astype("float32")


class TimedCosine(keras.callbacks.Callback):
    """Lets the learning rate fall along a cosine of the time passed, and ends when it is over."""

    def __init__(self, peak: float, seconds: float):
        super().__init__()
        self.peak = peak
        self.seconds = seconds

    def on_train_begin(self, logs=None):
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        passed = (time.perf_counter() - self.start) / self.seconds
        rate = 0.5 * self.peak * (1.0 + math.cos(math.pi * min(1.0, passed)))
        self.model.optimizer.learning_rate.assign(max(rate, 1e-6))
        self.model.stop_training = passed >= 1.0

    def on_epoch_end(self, epoch, logs=None):
        if epoch % 10 == 0:
            shown = {name: round(float(value), 2) for name, value in logs.items()}
            print(f"{time.perf_counter() - self.start:.0f} s, epoch {epoch}: {shown}", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=15.0, help="budget, estimate included")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--components", type=int, default=100, help="of the prior; 0 for N(0,I)")
    arguments.add_argument("--width", type=int, default=512)
    arguments.add_argument("--activation", default="relu")
    arguments.add_argument("--rate", type=float, default=2e-3, help="largest learning rate")
    options = arguments.parse_args()
    keras.utils.set_random_seed(options.seed)
    (train, _), (test, _) = ktg.datasets.load_idx_folder(shared("data", "mnist"), (0.0, 1.0))
    train, test = binarised(train), binarised(test)
    start = time.perf_counter()
    hidden = (options.width, options.width)
    vae = ktg.generative.VAE(
        SHAPE,
        LATENT,
        encoder=dense_encoder(SHAPE, hidden, options.activation),
        decoder=dense_decoder(LATENT, SHAPE, hidden, options.activation),
        prior=Mixture(options.components) if options.components else "standard_normal",
        beta=LinearWarmup(2000, start=0.1),
        seed=options.seed,
    )
    schedule = TimedCosine(options.rate, 60.0 * options.minutes * TRAINING_SHARE)
    history = vae.fit(
        train, batch_size=BATCH, epochs=10_000, verbose=0, callbacks=[schedule]
    ).history
    trained = time.perf_counter() - start
    logs = vae.evaluate(test, batch_size=1000, verbose=0, return_dict=True)
    print(f"trained {trained:.0f} s, {len(history['loss'])} epochs; test {logs}", flush=True)
    nats = np.asarray(vae.log_likelihood(test, num_samples=SAMPLES, seed=options.seed))
    total = time.perf_counter() - start
    value, error = -float(nats.mean()), float(nats.std() / math.sqrt(len(nats)))
    rows = [
        ("what", "value"),
        (f"negative log-likelihood, {SAMPLES} samples, {len(nats):,} test images", f"{value:.2f}"),
        ("its standard error over images", f"{error:.2f}"),
        ("-ELBO, test", f"{logs['loss']:.2f}"),
        ("-ELBO, training, last epoch", f"{history['loss'][-1]:.2f}"),
        ("active units", f"{logs['active_units']:.0f} of {LATENT}"),
        ("seconds of training (epochs)", f"{trained:.0f} ({len(history['loss'])})"),
        ("seconds of training and estimate", f"{total:.0f}"),
    ]
    verdict = "reached" if value <= GOAL and total <= 900 else "missed"
    publish(
        "VAE: test log-likelihood",
        f"dense VAE, statically binarised MNIST, at most {GOAL} nats within 15 minutes on 2 cores",
        rows,
        f"{value:.2f} nats in {total / 60:.1f} minutes: {verdict}. Dense {options.width}-"
        f"{options.width} ({options.activation}), {LATENT} latents, prior a mixture of "
        f"{options.components} normals, warm-up of beta over 2,000 steps, Adam from "
        f"{options.rate:g} along a cosine, seed {options.seed}.",
        __file__,
    )


if __name__ == "__main__":
    main()
