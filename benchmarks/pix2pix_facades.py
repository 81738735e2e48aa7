"""Pix2Pix on the facades, 128x128, label to photo and photo to label, within half an hour.

Each direction has half of the minutes, validation included. Against a copy of the mean target and
against the same model after its first epoch. The epoch with the least validation L1 is kept, as
users do; that of the last one and all figures of the test pairs, which chose nothing, are told too.
The kernel distance says how alike made and real images look to a network that neither was trained
on.

    python benchmarks/pix2pix_facades.py --minutes 30
    python benchmarks/pix2pix_facades.py --minutes 1 --size 64 --filters 8 --no-publish
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np
from report import publish, shared

import keras_transgen as ktg
from keras_transgen.datasets.image_pairs import image_pairs
from keras_transgen.generative.translation import Pix2Pix
from keras_transgen.plotting import save_figure
from keras_transgen.plotting.translations import plot_translations

FOLDER = Path(__file__).parents[1] / "runs" / "pix2pix_facades"
DIRECTIONS = {"label to photo": "right_to_left", "photo to label": "left_to_right"}
RATE = 2e-4
SHOWN = 8


class TimeBudget(keras.callbacks.Callback):
    """Ends training in time; the learning rates fall to zero over the second half."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.start = seconds, time.perf_counter()
        self.first_epoch: dict = {}
        self.after_first_epoch = None

    def left(self) -> float:
        return 1.0 - (time.perf_counter() - self.start) / self.seconds

    def on_train_batch_end(self, batch, logs=None):
        left = self.left()
        for optimizer in (self.model.generator_optimizer, self.model.discriminator_optimizer):
            optimizer.learning_rate = RATE * min(1.0, max(0.01, 2.0 * left))
        if left <= 0.0 and self.first_epoch:
            self.model.stop_training = True


class AfterFirstEpoch(keras.callbacks.Callback):
    """Keeps what the model made of held-out inputs after its first epoch."""

    def __init__(self, inputs: np.ndarray, test: np.ndarray, budget: TimeBudget) -> None:
        super().__init__()
        self.inputs, self.test, self.budget = inputs, test, budget

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            self.budget.first_epoch = dict(logs or {})
            made = made_of(self.model, self.inputs), made_of(self.model, self.test)
            self.budget.after_first_epoch = made


def made_of(model: Pix2Pix, inputs: np.ndarray) -> np.ndarray:
    return model.predict(inputs, batch_size=16, verbose=0)


def stacked(data) -> tuple[np.ndarray, np.ndarray]:
    inputs, targets = zip(*[(x.numpy(), y.numpy()) for x, y in data])
    return np.concatenate(inputs), np.concatenate(targets)


def kernel_distance(extractor, real: np.ndarray, made: np.ndarray) -> float:
    features = [
        np.concatenate(list(extractor.batches(np.clip(images, -1.0, 1.0), (-1.0, 1.0))))
        for images in (real, made)
    ]
    return float(ktg.evaluation.kernel_distance(*features))


def run(name: str, options: argparse.Namespace, extractor) -> dict:
    folder = shared("data", "facades_pairs_128")
    keras.utils.set_random_seed(options.seed)
    settings = {"image_size": options.size, "direction": DIRECTIONS[name]}
    train = image_pairs(
        folder / "train",
        batch_size=options.batch,
        flip=True,
        jitter=True,
        shuffle=True,
        seed=options.seed,
        **settings,
    )
    plain = stacked(image_pairs(folder / "train", batch_size=50, **settings))
    inputs, targets = stacked(image_pairs(folder / "val", batch_size=50, **settings))
    test_inputs, test_targets = stacked(image_pairs(folder / "test", batch_size=53, **settings))
    model = Pix2Pix((options.size, options.size, 3), filters=options.filters, seed=options.seed)
    budget = TimeBudget(options.minutes * 60.0 / len(DIRECTIONS))
    FOLDER.mkdir(parents=True, exist_ok=True)
    best = FOLDER / "best.weights.h5"
    keep = keras.callbacks.ModelCheckpoint(
        best, monitor="val_l1", mode="min", save_best_only=True, save_weights_only=True
    )
    history = model.fit(
        train,
        epochs=1000,
        verbose=2,
        validation_data=(inputs, targets),
        validation_batch_size=16,
        callbacks=[budget, AfterFirstEpoch(inputs, test_inputs, budget), keep],
    )
    minutes = (time.perf_counter() - budget.start) / 60.0
    made = {"last": (made_of(model, inputs), made_of(model, test_inputs))}
    model.load_weights(best)
    made["best"] = made_of(model, inputs), made_of(model, test_inputs)
    made["first"] = budget.after_first_epoch
    picture = plot_translations(
        {
            "input": inputs[:SHOWN],
            "epoch 1": made["first"][0][:SHOWN],
            "best epoch": made["best"][0][:SHOWN],
            "last epoch": made["last"][0][:SHOWN],
            "target": targets[:SHOWN],
        },
        value_range=(-1.0, 1.0),
        title=f"{name}, validation, {len(history.epoch)} epochs",
    )
    save_figure(picture, FOLDER / f"{name.replace(' ', '_')}.png")
    model.save(FOLDER / f"{name.replace(' ', '_')}.keras")
    return {
        "epochs": len(history.epoch),
        "minutes": minutes,
        "best epoch": int(np.argmin(history.history["val_l1"])) + 1,
        "mean": [distance(each, plain[1].mean(axis=0)) for each in (targets, test_targets)],
        **{
            which: [distance(each, real) for each, real in zip(pair, (targets, test_targets))]
            for which, pair in made.items()
        },
        "kernel distances": [
            kernel_distance(extractor, targets, each)
            for each in (inputs, made["first"][0], made["best"][0], made["last"][0])
        ],
    }


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference of the values."""
    return float(np.abs(one - other).mean())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=30.0, help="for both directions")
    arguments.add_argument("--size", type=int, default=128)
    arguments.add_argument("--filters", type=int, default=32)
    arguments.add_argument("--batch", type=int, default=4)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--no-publish", action="store_true")
    options = arguments.parse_args()
    module = shared("hub", "mobilenet_v1_025_224_feature_vector")
    extractor = ktg.evaluation.FeatureExtractor(ktg.load_backbone(str(module)), "mobilenet_v1_025")
    rows = [
        (
            "direction",
            "L1 of",
            "copy of the mean",
            "epoch 1",
            "best epoch",
            "last epoch",
            "epochs (best), minutes",
            "kernel distance: input itself, epoch 1, best, last",
        )
    ]
    reached = True
    for name in DIRECTIONS:
        result = run(name, options, extractor)
        reached &= result["best"][0] < min(result["mean"][0], result["first"][0])
        for part, pairs in enumerate(("100 validation pairs", "106 test pairs")):
            rows.append(
                (
                    name,
                    pairs,
                    *(f"{result[which][part]:.3f}" for which in ("mean", "first", "best", "last")),
                    f"{result['epochs']} ({result['best epoch']}), {result['minutes']:.1f}",
                    ", ".join(f"{each:.3f}" for each in result["kernel distances"]),
                )
            )
            print(*rows[-1], sep=" | ", flush=True)
    if options.no_publish:
        return
    publish(
        "Pix2Pix on facades, 128x128, both directions",
        "validation L1 below a copy of the mean target and below the same model after its first "
        f"epoch, within {options.minutes:g} minutes on 2 cores for both directions",
        rows,
        ("Reached. " if reached else "Missed. ")
        + "L1 is the mean absolute difference of values in [-1, 1], without dropout noise. U-Net "
        f"and PatchGAN of {options.filters} filters, batch {options.batch}, flips and jitter. The "
        "best epoch is that of the least validation L1: later ones look sharper and are further "
        "from the target. The kernel distance is to the real validation "
        "targets, on the features of the MobileNetV1 0.25 module (100 images each, so read the "
        "order, not the digits). Pictures: runs/pix2pix_facades/.",
        __file__,
    )


if __name__ == "__main__":
    main()
