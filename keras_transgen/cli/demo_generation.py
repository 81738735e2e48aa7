"""The demo's second part: a VAE and a conditional GAN learn to write digits."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from keras_transgen.cli.options import progress_bar
from keras_transgen.datasets.screen import Screen

VAE_EPOCHS = 40
GAN_EPOCHS = 60
BATCH_SIZE = 64
PER_CLASS = 8


def run_generation(output: Path, console: Screen) -> None:
    """Train both on all of scikit-learn's digits; write models and real digits beside samples."""
    import keras

    import keras_transgen as ktg
    from keras_transgen.plotting import plot_sample_grid, save_figure

    keras.utils.set_random_seed(0)
    x, y = ktg.datasets.load_digits()
    vae = ktg.VAE(input_shape=x.shape[1:], latent_dim=16)
    seconds = fit_with_bar(console, "VAE", VAE_EPOCHS, vae, x)
    figure = plot_sample_grid(
        np.asarray(vae.sample(64, seed=0)), real=x[:64], title=f"VAE, {seconds:.0f} s"
    )
    save_figure(figure, output / "vae_samples.png")
    vae.save(output / "vae.keras")

    gan = ktg.ConditionalGAN(num_classes=10, image_shape=x.shape[1:], value_range=(0.0, 1.0))
    seconds = fit_with_bar(console, "conditional GAN", GAN_EPOCHS, gan, x, y)
    digits = np.repeat(np.arange(10), PER_CLASS)
    real = np.concatenate([np.flatnonzero(y == digit)[:PER_CLASS] for digit in range(10)])
    figure = plot_sample_grid(
        np.asarray(gan.sample(digits, seed=0)),
        labels=digits,
        real=x[real],
        real_labels=y[real],
        columns=PER_CLASS,
        title=f"conditional GAN, {seconds:.0f} s",
    )
    save_figure(figure, output / "conditional_gan_samples.png")
    gan.save(output / "conditional_gan.keras")
    files = [output / name for name in ("vae_samples.png", "conditional_gan_samples.png")]
    console.print(f"Real digits beside samples: {', '.join(map(str, files))}")


def fit_with_bar(
    console: Screen, name: str, epochs: int, model: Any, *data: Any, batch_size: int = BATCH_SIZE
) -> float:
    """Fit with a progress bar of epochs; return the seconds it took."""
    import keras

    start = time.perf_counter()
    with progress_bar(console) as progress:
        task = progress.add_task(f"{name}, epochs", total=epochs)
        advance = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: progress.advance(task)
        )
        model.fit(*data, epochs=epochs, batch_size=batch_size, verbose=0, callbacks=[advance])
    return time.perf_counter() - start
