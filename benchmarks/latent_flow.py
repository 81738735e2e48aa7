"""Flowers at 64x64 by a flow in an autoencoder's latents: the autoencoder's own gate, and the race.

Three parts, each judged on two networks, of which MobileNetV1 0.25 took no part in training:

    python benchmarks/latent_flow.py autoencoder      # held-out reconstructions after 300 CPU s
    python benchmarks/latent_flow.py flow --seconds 900   # latent flow, pixel flow, plain GAN
    python benchmarks/latent_flow.py align            # with and without alignment, by steps

The last 1,000 photographs are held out. The autoencoder learns from the others; settings were
chosen on 500 of these (`--choose`). Seconds are those of the CPU, for the autoencoder and the flow
together; judging does not count. Mirrored photographs are seen in training, and each learning rate
falls in the second half.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from report import publish, shared
from time_budget import FallingRates, TimeBudget

import keras_transgen as ktg
from keras_transgen.backbones.multi_scale_features import MultiScaleFeatures
from keras_transgen.evaluation import SampleQuality
from keras_transgen.fusion import LatentAutoencoder, LatentFlow, PerceptualLoss
from keras_transgen.generative.networks.flow_unet import flow_unet
from keras_transgen.plotting import plot_sample_grid, save_figure

MODULE = "mobilenet_v2_100_224_feature_vector"
OTHER = "mobilenet_v1_025_224_feature_vector"
ROOT = Path(__file__).parents[1]
SIZE, HELD_OUT, CHOSEN_ON = 64, 1000, 500
GOAL, BUDGET = 0.25, 300
RACE, SHARE, JUDGED = 900, 0.6, 600
MEASURES = ("kernel_distance", "frechet_distance", "precision", "recall", "coverage")


def flowers() -> tuple[np.ndarray, np.ndarray]:
    """All photographs as bytes and their classes, in an order of chance; kept between runs."""
    kept = ROOT / ".bench" / f"flowers_{SIZE}.npz"
    if not kept.exists():
        folder = shared("data", "flowers5_96")
        data = ktg.datasets.image_folder(folder, SIZE, 256, shuffle=False, check="none")
        images, labels = (np.concatenate(part) for part in zip(*data.as_numpy_iterator()))
        order = np.random.default_rng(0).permutation(len(images))
        pixels = np.round(255 * np.clip(images, 0.0, 1.0)).astype("uint8")
        kept.parent.mkdir(exist_ok=True)
        np.savez(kept, images=pixels[order], labels=labels[order])
    with np.load(kept) as file:
        return file["images"], file["labels"]


class Judges:
    """Metrics on the features of both networks against the same real photographs."""

    def __init__(self, real: np.ndarray, name: str):
        self.by_module = {}
        for module in (MODULE, OTHER):
            backbone = ktg.load_backbone(str(shared("hub", module)))
            quality = SampleQuality(backbone, value_range=(-1.0, 1.0))
            file = ROOT / ".bench" / f"latent_flow_{module}_{name}_{len(real)}.npz"
            try:
                quality.load_reference(file)
            except (FileNotFoundError, ValueError):
                quality.update_real(real)
                quality.save_reference(file)
            self.by_module[module] = quality

    def __call__(self, what: str, images: np.ndarray) -> dict:
        found = {}
        for module, quality in self.by_module.items():
            quality.reset_generated()
            quality.update_generated(images)
            found[module] = dataclasses.asdict(quality.result())
            shown = {name: f"{found[module][name]:.4g}" for name in MEASURES}
            print(what, module, shown, flush=True)
        return found


def batches(images: np.ndarray, options: argparse.Namespace, *more: np.ndarray) -> tf.data.Dataset:
    """Shuffled, mirrored at random."""

    def mirrored(image: tf.Tensor, *rest: tf.Tensor) -> tuple:
        return (tf.image.random_flip_left_right(image), *rest)

    data = tf.data.Dataset.from_tensor_slices((images, *more))
    data = data.shuffle(len(images), seed=options.seed).map(mirrored, num_parallel_calls=1)
    return data.batch(options.batch, drop_remainder=True).prefetch(2)


def trained(model: keras.Model, seconds: float, *data, **kwargs) -> TimeBudget:
    """A model trained for CPU seconds that hold the tracing of its step."""
    clock = TimeBudget(seconds, clock=time.process_time)
    callbacks = [FallingRates(clock), clock]
    model.fit(*data, epochs=100_000, verbose=0, callbacks=callbacks, **kwargs)
    return clock


def autoencoder(options: argparse.Namespace) -> LatentAutoencoder:
    side = options.perceptual_size
    layers = options.layers.split(",") if options.layers else None
    loss = PerceptualLoss(str(shared("hub", MODULE)), layers, image_size=(side, side))
    return LatentAutoencoder(
        (SIZE, SIZE, 3),
        loss,
        latent_channels=options.channels,
        width=options.width,
        perceptual_weight=options.perceptual,
        kl_weight=options.kl,
        levels=options.levels,
        adversarial_weight=options.adversarial,
        adversarial_start=options.start,
        ema_decay=options.ema,
        seed=options.seed,
    )


def run_autoencoder(options: argparse.Namespace) -> None:
    images, _ = flowers()
    training, held_out = images[:-HELD_OUT], images[-HELD_OUT:]
    name = "held_out"
    if options.choose:
        training, held_out, name = training[:-CHOSEN_ON], training[-CHOSEN_ON:], "chosen_on"
    judge = Judges(held_out, name)
    keras.utils.set_random_seed(options.seed)
    model = autoencoder(options)
    model.compile(keras.optimizers.Adam(options.rate))
    clock = trained(model, options.seconds or BUDGET, batches(training, options))
    made = model.reconstruct(held_out)
    found = judge("reconstructions", made)
    real = held_out / 127.5 - 1.0
    error = float(np.mean((made - real) ** 2))
    told = f"PSNR {10 * np.log10(4.0 / error):.1f} dB, {clock.steps} steps, {clock.spent:.0f} CPU s"
    print(told, flush=True)
    options.output.mkdir(parents=True, exist_ok=True)
    model.save(options.output / "autoencoder.keras")
    save_figure(model.reconstruction_grid(held_out[:8]), options.output / "reconstructions.png")
    (options.output / "autoencoder.json").write_text(json.dumps(found))
    if options.choose or options.no_publish:
        return
    kid = found[MODULE]["kernel_distance"]
    rows = [("measure", MODULE, OTHER)]
    for measure in MEASURES:
        values = (f"{found[module][measure]:.4g}" for module in (MODULE, OTHER))
        rows.append((measure.replace("_", " "), *values))
    publish(
        "Latent autoencoder on flowers at 64x64",
        f"{BUDGET} CPU seconds: kernel distance of reconstructions of {HELD_OUT:,} held-out "
        f"photographs to these at most {GOAL}",
        rows,
        f"{kid:.2f}: {'reached' if kid <= GOAL else 'missed'}. {told}, latents of shape "
        f"{model.latent_shape}, {model.codec.count_params():,} parameters, perceptual loss of "
        f"{MODULE} at {options.perceptual_size} pixels with weight {options.perceptual:g}, "
        f"adversarial weight {options.adversarial:g} from step {options.start}, KL weight "
        f"{options.kl:g}, batch {options.batch}, rate {options.rate:g}, seed {options.seed}. "
        f"Settings were chosen on {CHOSEN_ON} of the training photographs.",
        __file__,
    )


def unet(shape: tuple[int, ...], options: argparse.Namespace) -> keras.Model:
    """Of the latents: patches of 2, as wide as it is small."""
    return flow_unet(shape, options.flow_width, embedding_dim=128, patch=2)


def latent_side(images, labels, options: argparse.Namespace) -> tuple:
    """The autoencoder's seconds are part of the side's."""
    if options.autoencoder is None:
        model = autoencoder(options)
        model.compile(keras.optimizers.Adam(options.rate))
        trained(model, options.autoencoder_seconds, batches(images, options))
    else:
        model = ktg.load_model(options.autoencoder)
    # Encoding is in the clock's time: it begins before the first step.
    start = time.process_time()
    flow = latent_flow(model, options)
    latents_known = time.process_time() - start
    left = (options.seconds or RACE) - options.autoencoder_seconds - latents_known
    clock = trained(flow, left, images, labels, batch_size=options.flow_batch)
    return flow, f"{int(model.progress.step.numpy()):,} and {clock.steps:,}"


def latent_flow(model: LatentAutoencoder, options: argparse.Namespace, **kwargs) -> LatentFlow:
    keras.utils.set_random_seed(options.seed)
    flow = LatentFlow(
        model,
        num_classes=5,
        mirrored=True,
        network=unet(model.latent_shape, options),
        ema_decay=options.flow_ema,
        seed=options.seed,
        **kwargs,
    )
    flow.compile(keras.optimizers.AdamW(options.flow_rate, weight_decay=0.01))
    return flow


def pixel_side(images, labels, options: argparse.Namespace) -> tuple:
    flow = ktg.FlowMatching(
        (SIZE, SIZE, 3), num_classes=5, ema_decay=options.flow_ema, seed=options.seed
    )
    flow.compile(keras.optimizers.AdamW(options.pixel_rate, weight_decay=0.01))
    data = batches(images, argparse.Namespace(seed=options.seed, batch=32), labels)
    clock = trained(flow, options.seconds or RACE, data)
    return flow, f"{clock.steps:,}"


def gan_side(images, labels, options: argparse.Namespace) -> tuple:
    gan = ktg.GAN((SIZE, SIZE, 3), augmentation="color,translation,cutout", seed=options.seed)
    clock = trained(gan, options.seconds or RACE, batches(images, options))
    return gan, f"{clock.steps:,}"


def run_flow(options: argparse.Namespace) -> None:
    images, labels = flowers()
    images, labels = images[:-HELD_OUT], labels[:-HELD_OUT]
    judge = Judges(images[:2000], "training")
    options.output.mkdir(parents=True, exist_ok=True)
    sides = {"latent flow": latent_side, "pixel flow": pixel_side, "plain GAN": gan_side}
    asked = np.random.default_rng(0).choice(labels, JUDGED)
    for side in options.sides:
        keras.utils.set_random_seed(options.seed)
        name = side.replace(" ", "_")
        kept = options.output / f"{name}.keras"
        if options.judge_again:
            model = ktg.load_model(kept)
            steps = json.loads((options.output / f"{name}.json").read_text())["steps"]
        else:
            model, steps = sides[side](images, labels, options)
            model.save(kept)
        seed = options.sample_seed
        if side == "plain GAN":
            samples = model.sample(JUDGED, seed=seed)
            shown = {"images": samples[:50]}
        else:
            solver = {"steps": 10, "seed": seed, "guidance": options.guidance}
            samples = model.sample(asked, **solver)
            of_each = np.repeat(np.arange(5), 10)
            shown = {"images": model.sample(of_each, **solver), "columns": 10}
        found = {"measures": judge(side, samples), "steps": steps}
        found["seconds"] = options.seconds or RACE
        (options.output / f"{name}.json").write_text(json.dumps(found))
        figure = plot_sample_grid(shown.pop("images"), value_range=(-1.0, 1.0), **shown)
        save_figure(figure, options.output / f"{name}.png")
        print(side, steps, flush=True)
    if options.no_publish:
        return
    known = {}
    for side in sides:
        file = options.output / f"{side.replace(' ', '_')}.json"
        if file.exists():
            known[side] = json.loads(file.read_text())
    kid = {
        module: {side: each["measures"][module]["kernel_distance"] for side, each in known.items()}
        for module in (MODULE, OTHER)
    }
    share = {
        module: each["latent flow"] / min(each[side] for side in each if side != "latent flow")
        for module, each in kid.items()
    }
    rows = [("measure", *known)]
    for module in (MODULE, OTHER):
        for measure in MEASURES:
            values = [f"{each['measures'][module][measure]:.3g}" for each in known.values()]
            rows.append((f"{measure.replace('_', ' ')}, {module}", *values))
    rows.append(("steps", *(each["steps"] for each in known.values())))
    reached = max(share.values()) <= SHARE
    publish(
        f"Latent flow on flowers at 64x64, {known['latent flow']['seconds']:,g} CPU seconds",
        f"equal CPU time: kernel distance at most {SHARE} of the better of the other sides, on "
        "both networks",
        rows,
        f"{share[MODULE]:.2f} on {MODULE} (which the autoencoder's perceptual loss has seen) and "
        f"{share[OTHER]:.2f} on {OTHER} (which took no part): "
        f"{'reached' if reached else 'missed'}. {known['latent flow']['seconds']:g} CPU seconds "
        f"a side, of which {options.autoencoder_seconds:g} are the autoencoder's; {JUDGED} samples "
        f"against 2,000 training photographs; flows of 5 classes by 10 Heun steps, guidance "
        f"{options.guidance:g}, the GAN without classes; the latent flow by batches of "
        f"{options.flow_batch} at a rate of {options.flow_rate:g}; seed {options.seed}.",
        __file__,
    )


def run_align(options: argparse.Namespace) -> None:
    """The same autoencoder and start; what differs is the alignment."""
    if options.autoencoder is None:
        raise SystemExit("Give --autoencoder: the model.keras file of the part 'autoencoder'.")
    images, labels = flowers()
    images, labels = images[:-HELD_OUT], labels[:-HELD_OUT]
    judge = Judges(images[:2000], "training")
    asked = np.random.default_rng(0).choice(labels, options.judged)
    model = ktg.load_model(options.autoencoder)
    found: dict[str, dict] = {}
    for side in ("plain", "aligned"):
        kwargs = {}
        if side == "aligned":
            network = str(shared("hub", MODULE))
            size = (options.align_size, options.align_size)
            kwargs["align_with"] = MultiScaleFeatures(network, image_size=size, scales=1)
        flow = latent_flow(model, options, **kwargs)
        found[side] = {}

        def look(epoch: int, side: str = side, flow: LatentFlow = flow) -> None:
            samples = flow.sample(asked, steps=10, seed=0)
            steps = int(flow.progress.step.numpy())
            found[side][steps] = judge(f"{side}, {steps} steps", samples)

        clock = TimeBudget(float("inf"), look, options.looks, time.process_time)
        settings = {"batch_size": options.flow_batch, "epochs": max(options.looks), "verbose": 0}
        flow.fit(images, labels, callbacks=[clock], **settings)
        print(side, f"{clock.spent:.0f} CPU s", flush=True)
        found[side]["seconds"] = clock.spent
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "align.json").write_text(json.dumps(found))
    if options.no_publish:
        return
    seconds = {side: each.pop("seconds") for side, each in found.items()}
    rows = [("steps", *(f"{side}, {m}" for m in (MODULE, OTHER) for side in found))]
    for steps in found["plain"]:
        values = (
            f"{found[side][steps][module]['kernel_distance']:.2f}"
            for module in (MODULE, OTHER)
            for side in found
        )
        rows.append((f"{steps:,}", *values))
    needed = {module: share_of_steps(found, module) for module in (MODULE, OTHER)}
    told = {module: "none" if n is None else f"{n:.2f}" for module, n in needed.items()}
    reached = all(each is not None and each <= SHARE for each in needed.values())
    publish(
        "A latent flow aligned with a backbone, flowers at 64x64",
        f"the same kernel distance in {SHARE} of the steps, on both networks",
        rows,
        "The share of the steps after which the aligned flow, between two looks by a straight "
        f"line, has the plain one's last kernel distance: {told[MODULE]} on {MODULE}, with which "
        f"it is aligned and on which the autoencoder was trained; {told[OTHER]} on {OTHER}, which "
        f"took no part: {'reached' if reached else 'missed'}. CPU seconds: "
        f"{seconds['plain']:.0f} plain, {seconds['aligned']:.0f} aligned, features of the "
        f"photographs included. {options.judged} samples against 2,000 training photographs, "
        f"the network sees {options.align_size} pixels, weight 0.5, seed {options.seed}.",
        __file__,
    )


def share_of_steps(found: dict, module: str) -> float | None:
    """Of the steps that the aligned flow needs for the plain one's last kernel distance."""
    plain, aligned = (
        [(steps, each[module]["kernel_distance"]) for steps, each in found[side].items()]
        for side in ("plain", "aligned")
    )
    last, wanted = plain[-1]
    before = aligned[0]
    for steps, distance in aligned:
        if distance <= wanted:
            if before[1] <= wanted:
                return steps / last
            way = (before[1] - wanted) / (before[1] - distance)
            return (before[0] + way * (steps - before[0])) / last
        before = (steps, distance)
    return None


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("part", choices=["autoencoder", "flow", "align"])
    arguments.add_argument("--seconds", type=float, default=None, help="of the CPU")
    arguments.add_argument("--autoencoder-seconds", type=float, default=BUDGET, help="of a flow's")
    arguments.add_argument("--channels", type=int, default=8, help="of the latents")
    arguments.add_argument("--width", type=int, default=48)
    arguments.add_argument("--perceptual", type=float, default=2.0)
    arguments.add_argument("--perceptual-size", type=int, default=64)
    arguments.add_argument("--layers", default=None, help="of the perceptual loss")
    arguments.add_argument("--kl", type=float, default=1e-4)
    arguments.add_argument("--levels", type=int, default=None, help="of quantised latents")
    arguments.add_argument("--adversarial", type=float, default=0.0)
    arguments.add_argument("--start", type=int, default=500)
    arguments.add_argument("--ema", type=float, default=0.995)
    arguments.add_argument("--rate", type=float, default=1e-3)
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--flow-width", type=int, default=96)
    arguments.add_argument("--flow-rate", type=float, default=2e-3)
    arguments.add_argument("--pixel-rate", type=float, default=1e-3)
    arguments.add_argument("--flow-batch", type=int, default=64)
    arguments.add_argument("--flow-ema", type=float, default=0.995)
    arguments.add_argument("--guidance", type=float, default=1.0)
    arguments.add_argument(
        "--autoencoder", type=Path, default=None, help="a file of the first part, instead of anew"
    )
    arguments.add_argument("--align-size", type=int, default=128)
    arguments.add_argument("--looks", type=int, nargs="+", default=[2, 4, 6, 8], help="epochs")
    arguments.add_argument("--judged", type=int, default=JUDGED, help="samples of the part align")
    sides = ["latent flow", "pixel flow", "plain GAN"]
    arguments.add_argument("--sides", nargs="*", choices=sides, default=sides)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--sample-seed", type=int, default=0, help="of the samples judged")
    arguments.add_argument(
        "--judge-again", action="store_true", help="sides that were trained: samples anew"
    )
    arguments.add_argument("--choose", action="store_true", help="on training photographs")
    arguments.add_argument("--output", type=Path, default=ROOT / "runs" / "latent_flow")
    arguments.add_argument("--no-publish", action="store_true")
    options = arguments.parse_args()
    parts = {"autoencoder": run_autoencoder, "flow": run_flow, "align": run_align}
    parts[options.part](options)


if __name__ == "__main__":
    main()
