"""Splice junctions of primates (UCI) by 100 labels, from SpliceAI's features; other species.

    python benchmarks/splice_junctions.py --draws 5

The network was trained on human genes of GENCODE, and may have seen the genes of these sequences:
that is what a pretrained network is for, and it is no measure of what it would do with new ones.
"""

import argparse
import csv
import time

import keras
import numpy as np
from report import publish, shared
from sklearn.linear_model import LogisticRegression

import keras_transgen as ktg

CLASSES = ("N", "EI", "IE")
LABELS, GOAL, TESTS = 100, 0.975, 638
# Where the 60 bases are cut: the junction lies in the middle.
MARGIN = 28


def sequences():
    """Bases one-hot `[count, 60, 4]`, classes, and the first letters of each GenBank entry."""
    with open(shared("data", "splice_junctions", "splice.data")) as file:
        rows = [[each.strip() for each in row] for row in csv.reader(file) if row]
    x = ktg.datasets.one_hot_sequences([bases for _, _, bases in rows])
    return x, np.array([CLASSES.index(name) for name, _, _ in rows]), [row[1][:3] for row in rows]


def network():
    """SpliceAI up to its last sum, for 60 bases; the vectors of the middle four.

    Four and not ten, nor with the network's own answers, by other draws of the training rows.
    """
    whole = keras.models.load_model(shared("networks", "spliceai1.h5"), compile=False)
    whole = keras.Model(whole.inputs[0], whole.get_layer("add_20").output)
    cut = keras.models.clone_model(whole, input_tensors=keras.Input((60, 4)))
    cut.set_weights(whole.get_weights())
    middle = keras.layers.Cropping1D((MARGIN, MARGIN))(cut.output)
    return ktg.load_backbone(keras.Model(cut.inputs[0], keras.layers.Flatten()(middle)))


def by_letters(x, y):
    return LogisticRegression(C=0.1, max_iter=300).fit(x.reshape(len(x), -1), y)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--draws", type=int, default=5)
    arguments.add_argument("--tests", type=int, default=TESTS)
    options = arguments.parse_args()
    x, y, species = sequences()
    backbone, start = network(), time.process_time()
    order = np.random.default_rng(0).permutation(len(y))
    training, tests = order[:-TESTS], order[-TESTS:][: options.tests]

    def ours(rows, others, seed):
        model = ktg.FeatureTransfer(backbone, 3, seed=seed)
        model.fit(x[rows], y[rows], verbose=0)
        return float(np.mean(model.classify(x[others], verbose=0) == y[others]))

    def letters(rows, others):
        found = by_letters(x[rows], y[rows]).predict(x[others].reshape(len(others), -1))
        return float(np.mean(found == y[others]))

    pairs = []
    for seed in range(options.draws):
        drawn = np.random.default_rng(seed).permutation(training)[:LABELS]
        pairs.append((ours(drawn, tests, seed), letters(drawn, tests)))
        print(seed, pairs[-1], flush=True)
    human = np.array([each == "HUM" for each in species])
    few = np.random.default_rng(0).permutation(np.flatnonzero(human))[:LABELS]
    other = np.flatnonzero(~human)
    pairs_of_species = ours(few, other, 0), letters(few, other)
    seconds = time.process_time() - start
    if options.draws < 5 or len(tests) < TESTS:
        print(f"trial: {pairs}, other primates {pairs_of_species}, {seconds:.0f} CPU s")
        return
    mean = np.mean(pairs, axis=0)

    def row(name, place):
        each = ", ".join(f"{pair[place]:.3f}" for pair in pairs)
        return name, f"{mean[place]:.3f}", each, f"{pairs_of_species[place]:.3f}"

    publish(
        f"Splice junctions by {LABELS} labels",
        f"FeatureTransfer from SpliceAI at least {GOAL}",
        [
            ("method", "mean accuracy", f"{options.draws} draws", "other primates"),
            row("FeatureTransfer from SpliceAI, by its defaults", 0),
            row("one-hot letters, logistic regression", 1),
        ],
        f"{'Reached' if mean[0] >= GOAL else 'Missed'}. Judged on {len(tests)} other sequences; "
        f"{seconds:.0f} CPU seconds. SpliceAI may have seen the genes of these sequences. Other "
        f"primates: {LABELS} human sequences train, {len(other)} of other primates (by the first "
        "letters of their GenBank entries) judge; genes that they share with humans may be among "
        "those that trained.",
        __file__,
    )


if __name__ == "__main__":
    main()
