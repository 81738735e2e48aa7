"""CycleGAN on the facades with the pairing thrown away, labels to photographs and back.

The labels of one half of the training pairs and the photographs of the other half: no image has its
partner in the training set. The validation pairs tell how well each direction does all the same:
L1 to the true partner, how often the true partner is nearer to the made image than another image of
its kind (0.5 by chance), and the kernel distance on a pretrained network's features.

    python benchmarks/cyclegan_facades.py --minutes 30
    python benchmarks/cyclegan_facades.py --minutes 0.5 --size 32 --filters 4 --no-publish
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np
from report import publish, shared

import keras_transgen as ktg
from keras_transgen.datasets.image_pairs import image_pairs
from keras_transgen.generative.translation import CycleGAN
from keras_transgen.plotting import save_figure
from keras_transgen.plotting.translations import plot_translations

FOLDER = Path(__file__).parents[1] / "runs" / "cyclegan_facades"
RATE = 2e-4
SHOWN = 8
# Of 100 images that all look alike, half would be nearer to their own partner.
BETTER_THAN_CHANCE = 0.55


class TimeBudget(keras.callbacks.Callback):
    """Ends training in time; the learning rates fall to zero over the second half."""

    def __init__(self, seconds: float, look) -> None:
        super().__init__()
        self.seconds, self.look, self.start = seconds, look, time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        left = 1.0 - (time.perf_counter() - self.start) / self.seconds
        for optimizer in (self.model.generator_optimizer, self.model.discriminator_optimizer):
            optimizer.learning_rate = RATE * min(1.0, max(0.01, 2.0 * left))
        if left <= 0.0:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            began = time.perf_counter()
            self.look()
            self.start += time.perf_counter() - began


def stacked(part: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and photographs of a part, pair by pair."""
    folder = shared("data", "facades_pairs_128") / part
    data = image_pairs(folder, size, batch_size=50, direction="right_to_left")
    labels, photographs = zip(*[(x.numpy(), y.numpy()) for x, y in data])
    return np.concatenate(labels), np.concatenate(photographs)


def mirrored(images: np.ndarray) -> np.ndarray:
    return np.concatenate([images, images[:, :, ::-1]])


def nearest_share(made: np.ndarray, targets: np.ndarray) -> float:
    """How often an image's own target is nearer to what was made of it than another one."""
    distances = np.stack([np.abs(image - targets).mean(axis=(1, 2, 3)) for image in made])
    own = np.diag(distances)[:, None]
    others = ~np.eye(len(made), dtype=bool)
    return float((own < distances)[others].mean())


def kernel_distance(extractor, real: np.ndarray, made: np.ndarray) -> float:
    features = [
        np.concatenate(list(extractor.batches(np.clip(images, -1.0, 1.0), (-1.0, 1.0))))
        for images in (real, made)
    ]
    return float(ktg.evaluation.kernel_distance(*features))


def scores(made: np.ndarray, targets: np.ndarray, extractor) -> tuple[float, float, float]:
    return (
        float(np.abs(made - targets).mean()),
        nearest_share(made, targets),
        kernel_distance(extractor, targets, made),
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=30.0, help="of training")
    arguments.add_argument("--size", type=int, default=128)
    arguments.add_argument("--filters", type=int, default=32)
    arguments.add_argument("--blocks", type=int, default=6)
    arguments.add_argument("--batch", type=int, default=2)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--no-publish", action="store_true")
    options = arguments.parse_args()
    module = shared("hub", "mobilenet_v1_025_224_feature_vector")
    extractor = ktg.evaluation.FeatureExtractor(ktg.load_backbone(str(module)), "mobilenet_v1_025")
    keras.utils.set_random_seed(options.seed)
    labels, photographs = stacked("train", options.size)
    half = len(labels) // 2
    held_labels, held_photographs = stacked("val", options.size)
    model = CycleGAN(
        (options.size, options.size, 3),
        filters=options.filters,
        blocks=options.blocks,
        seed=options.seed,
    )
    early = {}

    def look() -> None:
        early["label to photo"] = model.a_to_b(held_labels)
        early["photo to label"] = model.b_to_a(held_photographs)

    budget = TimeBudget(options.minutes * 60.0, look)
    history = model.fit(
        mirrored(labels[:half]),
        mirrored(photographs[half:]),
        batch_size=options.batch,
        epochs=10_000,
        verbose=2,
        callbacks=[budget],
    )
    minutes = (time.perf_counter() - budget.start) / 60.0
    print("last epoch:", {name: round(values[-1], 4) for name, values in history.history.items()})
    FOLDER.mkdir(parents=True, exist_ok=True)
    model.save(FOLDER / "model.keras")
    rows = [
        (
            "direction",
            "",
            "L1 to the true partner",
            "true partner nearer than another",
            "kernel distance",
        )
    ]
    reached = True
    sides = {
        "label to photo": (held_labels, model.a_to_b, model.b_to_a, held_photographs),
        "photo to label": (held_photographs, model.b_to_a, model.a_to_b, held_labels),
    }
    for name, (inputs, there, back, targets) in sides.items():
        made = there(inputs)
        found = {
            "input itself": scores(inputs, targets, extractor),
            "after epoch 1": scores(early[name], targets, extractor),
            "at the end": scores(made, targets, extractor),
        }
        for when, (l1, share, distance) in found.items():
            rows.append((name, when, f"{l1:.3f}", f"{share:.2f}", f"{distance:.3f}"))
            print(*rows[-1], sep=" | ", flush=True)
        reached &= found["at the end"][1] > BETTER_THAN_CHANCE
        reached &= found["at the end"][2] < found["after epoch 1"][2]
        picture = plot_translations(
            {
                "input": inputs[:SHOWN],
                "epoch 1": early[name][:SHOWN],
                "made": made[:SHOWN],
                "back": back(made[:SHOWN]),
                "partner": targets[:SHOWN],
            },
            value_range=(-1.0, 1.0),
            title=f"{name}, validation, {len(history.epoch)} epochs, no pairs",
        )
        save_figure(picture, FOLDER / f"{name.replace(' ', '_')}.png")
    if options.no_publish:
        return
    publish(
        f"CycleGAN on facades, {options.size}x{options.size}, without pairs",
        "in both directions the true partner, never seen, is nearer to the made image than another "
        f"one in {BETTER_THAN_CHANCE} of cases (0.5 by chance), and the kernel distance is below "
        f"that after the first epoch, within {options.minutes:g} minutes on 2 cores",
        rows,
        ("Reached. " if reached else "Missed. ")
        + f"{len(history.epoch)} epochs in {minutes:.1f} minutes, batch {options.batch}, "
        f"{options.filters} filters, {options.blocks} residual blocks, mirrored images. Labels of "
        "one half of the training pairs, photographs of the other half. 100 validation pairs; the "
        "kernel distance is on the features of the MobileNetV1 0.25 module, so read the order, not "
        "the digits. Pictures: runs/cyclegan_facades/.",
        __file__,
    )


if __name__ == "__main__":
    main()
