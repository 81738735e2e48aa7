"""A GAN with a projected discriminator against a plain one: flowers at 64x64, equal wall time.

Both sides have the same generator, data, augmentation and batch; the projected one sees images
through a frozen MobileNetV2. Both have the package's default optimizers. They are judged on the
features of that network, which is favourable to it, and on those of another one that took no part
(MobileNetV1 0.25, trained on ImageNet too). The time of judging does not count as training.
`--sides plain` and `--sides projected` may run at the same time, a core each; `--sides` without a
value puts what both found together.

    python benchmarks/projected_gan.py --minutes 15
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from gan_flowers import flowers
from report import publish, shared
from time_budget import TimeBudget

import keras_transgen as ktg
from keras_transgen.evaluation import SampleQuality
from keras_transgen.fusion import ProjectedDiscriminator
from keras_transgen.plotting import plot_sample_grid, save_figure

MODULE = "mobilenet_v2_100_224_feature_vector"
OTHER = "mobilenet_v1_025_224_feature_vector"
ROOT = Path(__file__).parents[1]
GOAL = 0.7


def judge_of(module: str, real: np.ndarray) -> SampleQuality:
    """Metrics on a module's features; what is known of the real images is kept between runs."""
    backbone = ktg.load_backbone(str(shared("hub", module)))
    quality = SampleQuality(backbone, value_range=(-1.0, 1.0))
    file = ROOT / ".bench" / f"projected_gan_{module}_{len(real)}_{real.shape[1]}.npz"
    try:
        quality.load_reference(file)
    except (FileNotFoundError, ValueError):
        quality.update_real(real)
        file.parent.mkdir(exist_ok=True)
        quality.save_reference(file)
    return quality


def plain(options: argparse.Namespace, **settings) -> ktg.GAN:
    return ktg.GAN(
        (options.size, options.size, 3),
        filters=options.filters,
        augmentation=None if options.augmentation == "none" else options.augmentation,
        seed=options.seed,
        **settings,
    )


def projected(options: argparse.Namespace) -> ktg.GAN:
    discriminator = ProjectedDiscriminator(
        str(shared("hub", MODULE)),
        (options.size, options.size, 3),
        channels=options.channels,
        image_size=(options.image_size, options.image_size),
        seed=options.seed,
    )
    gan = plain(options, discriminator=discriminator, loss=options.loss)
    if options.rates:
        gan.compile(*(keras.optimizers.Adam(rate, beta_1=0.0) for rate in options.rates))
    return gan


def data_of(images: np.ndarray, options: argparse.Namespace) -> tf.data.Dataset:
    # A flower seen in a mirror is a flower.
    return (
        tf.data.Dataset.from_tensor_slices(images)
        .shuffle(len(images), seed=options.seed)
        .batch(options.batch, drop_remainder=True)
        .map(tf.image.random_flip_left_right, num_parallel_calls=1)
        .prefetch(2)
    )


def trained(gan: ktg.GAN, data: tf.data.Dataset, minutes: float) -> TimeBudget:
    """Trains for a time that holds the tracing of the step too, as a user waits for it."""
    budget = TimeBudget(60.0 * minutes)
    gan.fit(data, epochs=100_000, verbose=0, callbacks=[budget])
    return budget


def settings_of(options: argparse.Namespace) -> dict:
    """What both sides must have in common, besides the seed."""
    names = ("minutes", "size", "batch", "filters", "augmentation", "judged")
    return {name: getattr(options, name) for name in names}


def measured(
    side: str, make, images: np.ndarray, judges: dict, options: argparse.Namespace
) -> dict:
    """Trains a side, keeps its model and a picture, and judges its samples."""
    keras.utils.set_random_seed(options.seed)
    gan = make(options)
    start = time.perf_counter()
    budget = trained(gan, data_of(images, options), options.minutes)
    spent = time.perf_counter() - start
    samples = gan.sample(options.judged, seed=0)
    figure = plot_sample_grid(samples[:64], value_range=(-1.0, 1.0))
    save_figure(figure, options.output / f"{side}_{options.seed}.png")
    found: dict = {"settings": settings_of(options), "steps": budget.steps}
    found["ended"] = time.strftime("%Y-%m-%d %H:%M")
    for module, judge in judges.items():
        judge.reset_generated()
        judge.update_generated(samples)
        found[module] = dataclasses.asdict(judge.result())
        print(side, module, found[module], flush=True)
    print(f"{side}: {budget.steps} steps, {spent:.0f} s", flush=True)
    gan.save(options.output / f"{side}_{options.seed}.keras")
    del gan
    keras.backend.clear_session()
    return found


def read(known: Path, options: argparse.Namespace) -> dict:
    """What an earlier run found, if it was of the same settings."""
    found = json.loads(known.read_text())
    if found["settings"] != settings_of(options):
        raise SystemExit(f"{known} is of other settings: run that side, too. {found['settings']}")
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=15.0, help="of training, each side")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    arguments.add_argument("--size", type=int, default=64)
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--filters", type=int, default=64)
    arguments.add_argument("--channels", type=int, default=64, help="of the finest mixture")
    arguments.add_argument("--image-size", type=int, default=96, help="that the backbone sees")
    arguments.add_argument("--loss", default="hinge", help="of the projected side")
    arguments.add_argument(
        "--rates",
        type=float,
        nargs=2,
        metavar=("GENERATOR", "HEADS"),
        help="learning rates of the projected side, Adam with beta_1=0; default: the package's",
    )
    arguments.add_argument("--augmentation", default="color,translation,cutout", help="or none")
    arguments.add_argument("--judged", type=int, default=2000, help="images of each kind")
    arguments.add_argument(
        "--sides",
        nargs="*",
        choices=["plain", "projected"],
        default=["plain", "projected"],
        help="to run now; what is known of the other one is taken from an earlier run",
    )
    arguments.add_argument("--output", type=Path, default=ROOT / "runs" / "projected_gan")
    arguments.add_argument("--no-publish", action="store_true", help="only print and write files")
    options = arguments.parse_args()
    images = flowers(options.size)
    judges = {module: judge_of(module, images[: options.judged]) for module in (MODULE, OTHER)}
    options.output.mkdir(parents=True, exist_ok=True)
    makers = {"plain": plain, "projected": projected}
    for seed in options.seeds:
        of_seed = argparse.Namespace(**vars(options), seed=seed)
        for side in options.sides:
            result = measured(side, makers[side], images, judges, of_seed)
            (options.output / f"{side}_{seed}.json").write_text(json.dumps(result))
    found = {
        side: [read(options.output / f"{side}_{seed}.json", options) for seed in options.seeds]
        for side in makers
    }

    def mean(side: str, module: str, name: str) -> float:
        return float(np.mean([each[module][name] for each in found[side]]))

    def ratio(module: str, name: str = "kernel_distance") -> float:
        one, other = (mean(side, module, name) for side in ("projected", "plain"))
        return one / other if other else float("nan")

    def ratios(module: str) -> str:
        """That of each seed."""
        pairs = zip(found["projected"], found["plain"], strict=True)
        by_seed = (
            one[module]["kernel_distance"] / other[module]["kernel_distance"]
            for one, other in pairs
        )
        return ", ".join(f"{each:.2f}" for each in by_seed)

    rows = [("measure", "plain", "projected", "ratio")]
    for module in (MODULE, OTHER):
        for name in ("kernel_distance", "frechet_distance", "precision", "recall"):
            values = [mean(side, module, name) for side in makers]
            rows.append(
                (
                    f"{name.replace('_', ' ')}, {module}",
                    *(f"{value:.4g}" for value in values),
                    f"{ratio(module, name):.2f}",
                )
            )
    steps = [np.mean([each["steps"] for each in found[side]]) for side in makers]
    rows.append(("steps", *(f"{each:,.0f}" for each in steps), f"{steps[1] / steps[0]:.2f}"))
    reached = "reached" if ratio(MODULE) <= GOAL else "missed"
    verdict = (
        f"Kernel distance {ratio(MODULE):.2f} of the plain GAN's on {MODULE}: {reached} (by seed: "
        f"{ratios(MODULE)}). That network also discriminates, which favours the projected side; "
        f"on {OTHER}, which took no part, it is {ratio(OTHER):.2f} ({ratios(OTHER)}). By eye its "
        "samples have more of a flower's shape and fewer colours. "
        f"{options.minutes:g} minutes of training each, "
        f"{options.judged:,} images of each kind, batch {options.batch}, {options.filters} "
        f"filters, the backbone sees {options.image_size}x{options.image_size}, losses "
        f"'non_saturating' and {options.loss!r}, augmentation {options.augmentation!r}, mirrored "
        f"images, means of seeds {options.seeds}. Both sides have the package's default "
        "optimizers; those of the projected one, its loss and what the backbone sees were chosen "
        "by short runs of this script, of seed 0. The runs ended at "
        f"{', '.join(each['ended'] for side in makers for each in found[side])}."
    )
    if options.no_publish:
        print(*rows, verdict, sep="\n")
        return
    publish(
        "Projected GAN on flowers at 64x64",
        f"equal wall time on 2 cores: kernel distance at most {GOAL} of the plain GAN's",
        rows,
        verdict,
        __file__,
    )


if __name__ == "__main__":
    main()
