"""Spoken digits of a speaker who was never heard: one of two trains, the other judges.

    python benchmarks/spoken_digits.py --epochs 60

The front end is part of the model; what augmentation and normalisation give is shown by leaving
them out. Epochs and rate were chosen on a fifth of one speaker's own recordings (`--choose`).
"""

import argparse
import time

import keras
import numpy as np
from report import publish, shared
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import keras_transgen as ktg
from keras_transgen.backbones import LogMelSpectrogram, RandomNoise, RandomTimeShift, SpecAugment

GOAL, LOGISTIC, RATE, BINS = 0.65, 0.445, 8000, 40
SPEAKERS = ("george", "jackson")


def recordings():
    found = ktg.datasets.audio_folder(
        shared("data", "spoken_digits"), RATE, pattern=r"(?P<label>\d)_.*\.wav"
    )
    speakers = np.array([path.rsplit("_", 2)[1] for path in found.file_paths])
    return found.waves, found.labels, speakers


def network(seed, hidden):
    """Two-dimensional convolutions, which know a word at another pitch and speed."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((None, BINS, 1))
    x = SpecAugment(2, 6, 2, 12, seed=seed)(inputs) if hidden else inputs
    for filters in (16, 32, 64):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling2D(2, padding="same")(x)
    return keras.Model(inputs, x)


def of_one_length(waves):
    return keras.utils.pad_sequences(
        waves, maxlen=RATE, padding="post", truncating="post", dtype="float32"
    )


def accuracy(waves, labels, train, tests, options, augmented, seed=0):
    front = LogMelSpectrogram(
        RATE, BINS, normalization="mean_and_variance" if augmented else "none", channels=1
    )
    varied = [RandomTimeShift(1600, seed=seed), RandomNoise((5.0, 30.0), seed=seed + 1)]
    model = ktg.TransferModel(
        ktg.load_backbone(network(seed, augmented), trainable=True, normalization="adapt"),
        10,
        preprocessing=front,
        augmentation=varied if augmented else None,
        dropout=0.3,
        seed=seed,
    )
    steps = options.epochs * -(-len(train) // 32)
    rate = keras.optimizers.schedules.CosineDecay(options.rate, steps)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), jit_compile=False)
    model.fit(waves[train], labels[train], epochs=options.epochs, batch_size=32, verbose=0)
    return float(np.mean(model.classify(waves[tests], verbose=0) == labels[tests]))


def by_logistic_regression(waves, labels, train, tests):
    rows = np.asarray(LogMelSpectrogram(RATE, BINS)(waves)).reshape(len(waves), 10, -1, BINS)
    rows = rows.mean(axis=2).reshape(len(waves), -1)
    found = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    return found.fit(rows[train], labels[train]).score(rows[tests], labels[tests])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--epochs", type=int, default=60)
    arguments.add_argument("--rate", type=float, default=2e-3)
    arguments.add_argument("--choose", action="store_true")
    arguments.add_argument("--each", type=int, default=None, help="fewer a speaker, for a trial")
    options = arguments.parse_args()
    waves, labels, speakers = recordings()
    waves = of_one_length(waves)
    of = {name: np.flatnonzero(speakers == name) for name in SPEAKERS}
    of = {
        name: np.random.default_rng(0).permutation(rows)[: options.each]
        for name, rows in of.items()
    }
    start = time.process_time()
    if options.choose:
        rows = of[SPEAKERS[0]]
        tests, train = np.split(rows, [len(rows) // 5])
        found = accuracy(waves, labels, train, tests, options, True)
        print(options, found, f"{time.process_time() - start:.0f} CPU s")
        return
    pairs = [SPEAKERS, SPEAKERS[::-1]]
    found = {}
    for train, tests in pairs:
        where = of[train], of[tests]
        found[train] = (
            accuracy(waves, labels, *where, options, True),
            accuracy(waves, labels, *where, options, False),
            by_logistic_regression(waves, labels, *where),
        )
        print(train, found[train], flush=True)
    seconds = time.process_time() - start
    if options.each:
        print(f"trial, {seconds:.0f} CPU s")
        return
    mean = np.mean(list(found.values()), axis=0)
    methods = (
        "augmentation and normalised bands",
        "neither",
        "log-mel spectrogram, logistic regression",
    )
    publish(
        "Spoken digits of a speaker never heard",
        f"at least {GOAL}; logistic regression on log-mel spectrograms had {LOGISTIC}",
        [
            ("method", "mean accuracy", *(f"{a} trains, {b} judges" for a, b in pairs)),
            *(
                (name, f"{mean[place]:.3f}", *(f"{found[a][place]:.3f}" for a, _ in pairs))
                for place, name in enumerate(methods)
            ),
        ],
        f"{'Reached' if mean[0] >= GOAL else 'Missed'}. 500 recordings train and 500 judge each "
        f"way; a network of 23,000 parameters, {options.epochs} epochs; {seconds:.0f} CPU seconds.",
        __file__,
    )


if __name__ == "__main__":
    main()
