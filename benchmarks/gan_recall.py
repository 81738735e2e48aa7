"""Why is the recall of GANs of flowers 0? The judge, the number of images, or the samples?

Two parts, on the features of two networks, of which neither takes part in training:

    python benchmarks/gan_recall.py judge              # photographs, and photographs made worse
    python benchmarks/gan_recall.py run --seconds 3600   # a GAN, looked at on the way

Recall is the share of real photographs that lie no farther from some sample than the k-th nearest
other sample does (Kynkaanniemi et al. 2019). The last 1,000 photographs are held out: the GAN does
not see them. Seconds are those of the CPU; judging does not count.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np
from latent_flow import HELD_OUT, MODULE, OTHER, Judges, batches, flowers
from report import publish
from scipy.ndimage import gaussian_filter
from time_budget import TimeBudget

import keras_transgen as ktg
from keras_transgen.plotting import plot_sample_grid, save_figure

ROOT = Path(__file__).parents[1]
JUDGED = 2000
MEASURES = ("kernel_distance", "precision", "recall", "coverage")


def table(first: str, found: dict[str, dict]) -> list[tuple]:
    """A row for each set of images, the measures of both networks beside each other."""
    short = {MODULE: "MobileNetV2", OTHER: "MobileNetV1"}
    head = [f"{name.replace('_', ' ')}, {short[m]}" for m in short for name in MEASURES]
    rows: list[tuple] = [(first, *head)]
    for name, by_module in found.items():
        values = (f"{by_module[m][each]:.3g}" for m in short for each in MEASURES)
        rows.append((name, *values))
    return rows


def run_judge(options: argparse.Namespace) -> None:
    images, _ = flowers()
    real, others = images[:JUDGED], images[-HELD_OUT:] / 127.5 - 1.0
    judge = Judges(real, "recall")
    random = np.random.default_rng(0)
    few = random.permutation(len(others))[:20]
    shown: dict[str, np.ndarray] = {
        "held-out photographs": others,
        "400 of these": others[:400],
        "20 of these, again and again": others[np.resize(few, len(others))],
        **{
            f"blurred by {sigma:g} pixels": gaussian_filter(others, (0, sigma, sigma, 0))
            for sigma in (0.5, 0.75, 1.0, 1.5, 2.0)
        },
        **{
            f"with noise of {deviation:g}": np.clip(
                others + random.normal(0.0, deviation, others.shape), -1.0, 1.0
            )
            for deviation in (0.05, 0.1, 0.2)
        },
        "each half of another photograph": np.concatenate(
            [others[:, :, :32], np.roll(others, 1, axis=0)[:, :, 32:]], axis=2
        ),
    }
    found = {name: judge(name, made.astype("float32")) for name, made in shown.items()}
    blurred = found["blurred by 1 pixels"][MODULE]
    if options.dry:
        print(*table("images", found), sep="\n")
        return
    publish(
        "Recall of photographs of flowers that were made worse",
        "what the judges' recall says of a thousand different flowers that share a flaw",
        table("images", found),
        f"{JUDGED:,} training photographs are the real ones, k=5. Held-out photographs lose their "
        f"recall where they are blurred by one pixel of 64: {blurred['recall']:.2f} at a kernel "
        f"distance of {blurred['kernel_distance']:.2f}, though all 1,000 flowers are there.",
        __file__,
    )


def run_gan(options: argparse.Namespace) -> None:
    images, _ = flowers()
    judge = Judges(images[:JUDGED], "recall")
    keras.utils.set_random_seed(options.seed)
    gan = ktg.GAN(
        (64, 64, 3),
        augmentation=options.augmentation or None,
        gradient_penalty=options.penalty or "auto",
        seed=options.seed,
    )
    found: dict[str, dict] = {}
    scores: dict[str, str] = {}
    options.output.mkdir(parents=True, exist_ok=True)

    class Looks(keras.callbacks.Callback):
        """Judges when a part of the time is over; the clock of the budget stands meanwhile."""

        def on_epoch_end(self, epoch, logs=None):
            part = len(found) + 1
            if budget.spent < part * options.seconds / options.looks or part > options.looks:
                return
            name = f"{budget.spent:.0f}"
            samples = gan.sample(JUDGED, seed=0)
            found[name] = judge(name, samples)
            scores[name] = f"{logs['real_score']:.1f}, {logs['fake_score']:.1f}"
            figure = plot_sample_grid(samples[:64], value_range=(-1.0, 1.0))
            save_figure(figure, options.output / f"{name}.png")
            (options.output / "found.json").write_text(json.dumps(found))
            budget.start = budget.clock()

    budget = TimeBudget(options.seconds * 1.05, clock=time.process_time)
    data = batches(images[:-HELD_OUT], options)
    gan.fit(data, epochs=100_000, verbose=0, callbacks=[budget, Looks()])
    gan.save(options.output / "model.keras")
    rows = table("CPU seconds", found)
    rows = [(*row, scores.get(row[0], "scores of real, generated")) for row in rows]
    if options.dry:
        print(*rows, sep="\n")
        return
    last = list(found.values())[-1]
    publish(
        "A GAN of flowers at 64x64 for an hour",
        "why recall is 0, by its pictures and figures on the way",
        rows,
        f"Recall {last[MODULE]['recall']:.3g} and {last[OTHER]['recall']:.3g} at the end. "
        f"{budget.steps:,} steps of batches of {options.batch}, "
        f"augmentation {gan.augmentation and options.augmentation!r}, gradient_penalty="
        f"{options.penalty or None!r}, {JUDGED:,} samples against {JUDGED:,} training photographs, "
        f"seed {options.seed}.",
        __file__,
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("part", choices=["judge", "run"], nargs="?", default="judge")
    arguments.add_argument("--seconds", type=float, default=3600)
    arguments.add_argument("--looks", type=int, default=6)
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--penalty", default="")
    arguments.add_argument("--augmentation", default="color,translation,cutout")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--output", type=Path, default=ROOT / "runs" / "gan_recall")
    arguments.add_argument("--dry", action="store_true", help="print, do not publish")
    options = arguments.parse_args()
    {"judge": run_judge, "run": run_gan}[options.part](options)


if __name__ == "__main__":
    main()
