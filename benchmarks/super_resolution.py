"""Twice the resolution for photographs of flowers, by an Enhancer and by bicubic.

The photographs (96x96) are made smaller by antialiased bicubic; both sides get the 48x48 and are
held to the original by PSNR and SSIM, on photographs that training has not seen. The Enhancer is
trained on crops and, by `for_size`, used on the whole. A picture and the model go to
runs/super_resolution.

    python benchmarks/super_resolution.py --minutes 8
    python benchmarks/super_resolution.py --minutes 0.2 --filters 8 --blocks 1 --no-publish
"""

import argparse
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from report import publish, shared
from time_budget import TimeBudget

import keras_transgen as ktg
from keras_transgen.generative.translation import Downscaling, Enhancer
from keras_transgen.plotting import save_figure
from keras_transgen.plotting.translations import plot_translations

FOLDER = Path(__file__).parents[1] / "runs" / "super_resolution"
SIZE = 96
RATE = 1e-3
SHOWN = 8


class FallingRate(TimeBudget):
    """Ends training in time; the learning rate falls to zero over the second half."""

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        left = 1.0 - self.spent / self.seconds
        self.model.generator_optimizer.learning_rate = RATE * min(1.0, max(0.01, 2.0 * left))


def flowers() -> np.ndarray:
    """All photographs as bytes, in an order of chance."""
    data = ktg.datasets.image_folder(
        shared("data", "flowers5_96"), SIZE, 256, labelled=False, check="none"
    )
    images = np.concatenate([np.asarray(batch) for batch in data])
    pixels = np.round(255 * np.clip(images, 0.0, 1.0)).astype("uint8")
    return pixels[np.random.default_rng(0).permutation(len(pixels))]


def measures(clean: np.ndarray, made: np.ndarray) -> dict[str, np.ndarray]:
    """PSNR in decibels and SSIM of each image, as written to a file: in whole steps of 1/255."""
    written = np.round(255.0 * np.clip(made, 0.0, 1.0)).astype("uint8")
    pairs = [(clean[i : i + 64], written[i : i + 64]) for i in range(0, len(clean), 64)]
    return {
        "psnr": np.concatenate([tf.image.psnr(*pair, 255) for pair in pairs]),
        "ssim": np.concatenate([tf.image.ssim(*map(tf.constant, pair), 255) for pair in pairs]),
    }


def of_both(values: np.ndarray, digits: int) -> str:
    error = values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.{digits}f} ± {error:.{digits}f}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=8.0, help="of training")
    arguments.add_argument("--factor", type=int, default=2)
    arguments.add_argument("--crop", type=int, default=48)
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--filters", type=int, default=32)
    arguments.add_argument("--blocks", type=int, default=4)
    arguments.add_argument("--held-out", type=int, default=400)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--no-publish", action="store_true")
    options = arguments.parse_args()
    keras.utils.set_random_seed(options.seed)
    images = flowers()
    clean, train = images[: options.held_out], images[options.held_out :]
    degradation = Downscaling(options.factor)
    model = Enhancer(
        (options.crop, options.crop, 3),
        degradation,
        filters=options.filters,
        blocks=options.blocks,
        seed=options.seed,
    )

    def varied(image: tf.Tensor) -> tf.Tensor:
        cropped = tf.image.random_crop(image, (options.crop, options.crop, 3))
        return tf.image.random_flip_left_right(cropped)

    data = (
        tf.data.Dataset.from_tensor_slices(train)
        .shuffle(len(train), seed=options.seed)
        .map(varied, num_parallel_calls=1)
        .batch(options.batch, drop_remainder=True)
        .prefetch(2)
    )
    budget = FallingRate(60.0 * options.minutes)
    model.compile(keras.optimizers.Adam(RATE))
    model.fit(data, epochs=10_000, verbose=0, callbacks=[budget])

    small = np.concatenate(
        [degradation(clean[i : i + 64]).numpy() for i in range(0, len(clean), 64)]
    )
    bicubic = np.asarray(tf.image.resize(small, (SIZE, SIZE), method="bicubic"))
    whole = model.for_size(SIZE, SIZE)
    made = whole.enhance(small)
    sides = {"bicubic": measures(clean, bicubic), "Enhancer": measures(clean, made)}
    gain = sides["Enhancer"]["psnr"] - sides["bicubic"]["psnr"]
    similar = sides["Enhancer"]["ssim"] - sides["bicubic"]["ssim"]
    better = 100.0 * np.mean(gain > 0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    whole.save(FOLDER / "model.keras")
    rows = {"small": small, "bicubic": bicubic, "enhanced": made, "clean": clean / 255.0}
    picture = plot_translations({name: np.asarray(row)[:SHOWN] for name, row in rows.items()})
    save_figure(picture, FOLDER / "enhanced.png")
    table = [("side", "PSNR, dB", "SSIM")]
    table += [
        (name, of_both(values["psnr"], 2), of_both(values["ssim"], 4))
        for name, values in sides.items()
    ]
    table.append(("gain, image by image", of_both(gain, 2), of_both(similar, 4)))
    for row in table:
        print(*row, sep=" | ", flush=True)
    if options.no_publish:
        return
    reached = gain.mean() > 0 and similar.mean() > 0
    publish(
        f"Super-resolution of flowers, {options.factor} times",
        f"PSNR and SSIM above bicubic's on held-out photographs after {options.minutes:g} minutes",
        table,
        ("Reached. " if reached else "Missed. ")
        + f"Means and standard errors over {len(clean)} photographs of 96x96; PSNR is higher for "
        f"{better:.0f} % of them. {options.filters} filters, {options.blocks} blocks "
        f"({model.generator.count_params():,} parameters), {budget.steps} steps of "
        f"{options.batch} crops of {options.crop}x{options.crop} in {budget.spent / 60:.1f} "
        "minutes. Picture: runs/super_resolution/.",
        __file__,
    )


if __name__ == "__main__":
    main()
