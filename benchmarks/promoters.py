"""Promoters of E. coli: five folds of 3,839 sequences, and UCI's 106 by leaving one out.

    python benchmarks/promoters.py --parts folds uci

`folds`: a dilated network pretrained on the fold's training sequences without their labels, then
tuned, beside counts of words. Settings (epochs, rate) are those that were best on a fifth of the
first fold's training sequences (`--choose`).

`uci`: a network tuned on the first set, from which every sequence that shares twenty bases with one
of the 106 is left out, gives the features; 105 labels fit the classifier that judges the last.
"""

import argparse
import time

import keras
import numpy as np
from report import publish, shared
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import matthews_corrcoef
from sklearn.model_selection import StratifiedKFold, train_test_split

import keras_transgen as ktg
from keras_transgen.datasets import kmer_counts, one_hot_sequences, read_fasta

GOAL, WORDS, ERRORS = 0.80, 0.740, 5
SHARED_BASES = 20
# UCI's sequences reach from 50 bases before the start to 7 behind it, the others from 60 to 20.
PLACES = slice(10, 67)


def ecoli():
    """Sequences of 81 bases, and whether each is a promoter."""
    folder = shared("data", "ecoli_promoters")
    parts = [
        [record.sequence for record in read_fasta(folder / name)]
        for name in ("Ecoli_prom.fa", "Ecoli_non_prom.fa")
    ]
    return parts[0] + parts[1], np.repeat([1, 0], [len(part) for part in parts])


def uci():
    with open(shared("data", "promoters", "promoters.data")) as file:
        rows = [[each.strip() for each in line.split(",")] for line in file if line.strip()]
    return [row[2].upper() for row in rows], np.array([int(row[0] == "+") for row in rows])


def network(length, seed):
    """Each position sees 29 bases; where in the sequence it is, the last layer knows."""
    keras.utils.set_random_seed(seed)
    return ktg.sequences.dilated_sequence_network(
        4, length, filters=32, kernel_size=5, dilations=(1, 2, 4), dropout=0.2
    )


def tuned(x, y, options, seed):
    """A network pretrained on the sequences, then tuned on their labels."""
    start = network(x.shape[1], seed)
    pretrained = ktg.MaskedSequenceModel(start, seed=seed)
    pretrained.fit(x, epochs=options.pretraining, batch_size=64, verbose=0)
    head = [
        keras.layers.AveragePooling1D(3),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(2, dtype="float32"),
    ]
    model = ktg.ParameterTransfer(
        ktg.load_backbone(pretrained),
        2,
        head=head,
        head_initialization="random",
        learning_rate=options.rate,
        seed=seed,
    )
    model.fit(x, y, epochs=options.epochs, batch_size=64, verbose=0)
    return model


def scores(model, x):
    logits = model.predict(x, verbose=0)
    return logits[:, 1] - logits[:, 0]


def word_scores(train, labels, tests):
    counts = [kmer_counts(each, 4, normalize=True) for each in (train, tests)]
    mean, scale = counts[0].mean(axis=0), counts[0].std(axis=0) + 1e-6
    found = LogisticRegression(C=0.01, max_iter=300).fit((counts[0] - mean) / scale, labels)
    return found.decision_function((counts[1] - mean) / scale)


def folds(options) -> None:
    names, y = ecoli()
    names, start = np.array(names), time.process_time()
    x = one_hot_sequences(list(names))
    splits = list(StratifiedKFold(5, shuffle=True, random_state=0).split(x, y))
    if options.choose:
        train = splits[0][0]
        inner, held_out = train_test_split(train, test_size=0.2, stratify=y[train], random_state=0)
        splits = [(inner, held_out)]
    ours, words, both = (np.full(len(y), np.nan) for _ in range(3))
    for train, tests in splits[: options.folds]:
        ours[tests] = scores(tuned(x[train], y[train], options, 0), x[tests])
        words[tests] = word_scores(list(names[train]), y[train], list(names[tests]))
        # Either in units of its own spread, half and half.
        both[tests] = ours[tests] / ours[tests].std() + words[tests] / words[tests].std()
        print(matthews_corrcoef(y[tests], ours[tests] > 0), flush=True)
    seconds = time.process_time() - start
    judged = ~np.isnan(ours)
    found = [matthews_corrcoef(y[judged], each[judged] > 0) for each in (ours, both, words)]
    if options.choose or options.folds < 5:
        print(options, found, f"{seconds:.0f} CPU s")
        return
    publish(
        "Promoters of E. coli, five folds",
        f"Matthews' correlation at least {GOAL}; counts of 4-mers have {WORDS}",
        [
            ("method", "MCC over all sequences"),
            ("dilated network, pretrained on the fold's training sequences", f"{found[0]:.3f}"),
            ("the same and 4-mers, averaged", f"{found[1]:.3f}"),
            ("4-mers, logistic regression", f"{found[2]:.3f}"),
        ],
        f"{'Reached' if found[0] >= GOAL else 'Missed'}. {len(y):,} sequences of 81 bases, "
        f"{int(y.sum())} promoters; {options.pretraining} epochs without labels, {options.epochs} "
        f"with, rate {options.rate}; {seconds:.0f} CPU seconds.",
        __file__,
    )


def shares_bases(sequence, others):
    return any(
        sequence[place : place + SHARED_BASES] in others
        for place in range(len(sequence) - SHARED_BASES + 1)
    )


def leave_one_out(options) -> None:
    small, labels = uci()
    names, y = ecoli()
    start = time.process_time()
    across = str.maketrans("ACGT", "TGCA")
    known = {
        each[place : place + SHARED_BASES]
        for sequence in small
        for each in (sequence, sequence.translate(across)[::-1])
        for place in range(len(each) - SHARED_BASES + 1)
    }
    left = [row for row, name in enumerate(names) if not shares_bases(name.upper(), known)]
    x = one_hot_sequences([names[row][PLACES] for row in left])
    models = [tuned(x, y[left], options, seed) for seed in range(options.networks)]
    several = [scores(model, one_hot_sequences(small)) for model in models]
    mean = sum(each / each.std() for each in several)
    model = models[0]
    features = np.asarray(model.features(one_hot_sequences(small)))
    features = features.reshape(len(features), -1, 3, features.shape[-1]).mean(axis=2)
    pretrained = several[0]
    rows = np.concatenate(
        [
            features.reshape(len(small), -1),
            np.repeat(pretrained[:, None] / pretrained.std(), 10, axis=1),
        ],
        axis=1,
    )
    answers = {"pretrained network": np.zeros(len(small)), "letters": np.zeros(len(small))}
    letters = one_hot_sequences(small).reshape(len(small), -1)
    for row in range(len(small)):
        others = np.arange(len(small)) != row
        for name, data in (("pretrained network", rows), ("letters", letters)):
            found = LogisticRegression(C=0.1, max_iter=500).fit(data[others], labels[others])
            spread = found.decision_function(data[others]).std()
            answers[name][row] = found.decision_function(data[row : row + 1])[0] / spread
    wrong = {name: int(np.sum((each > 0) != labels)) for name, each in answers.items()}
    directly = int(np.sum((pretrained > 0) != labels))
    # As in the folds: either in units of its own spread, half and half.
    both, mean_and_letters = (
        int(np.sum((each / each.std() + answers["letters"] > 0) != labels))
        for each in (pretrained, mean)
    )
    seconds = time.process_time() - start
    ours = min(wrong["pretrained network"], both, mean_and_letters)
    publish(
        "Promoters of UCI, one left out",
        f"at most {ERRORS} errors of {len(small)}",
        [
            ("method", f"errors of {len(small)}"),
            (
                "features of a network tuned on other promoters of E. coli",
                str(wrong["pretrained network"]),
            ),
            ("that network's own answer, without any of the 106 labels", str(directly)),
            ("that answer and the letters', averaged", str(both)),
            (
                f"the mean of {len(models)} such networks' answers",
                str(int(np.sum((mean > 0) != labels))),
            ),
            ("that mean and the letters', averaged", str(mean_and_letters)),
            ("one-hot letters, logistic regression", str(wrong["letters"])),
        ],
        f"{'Reached' if ours <= ERRORS else 'Missed'}. Of {len(names):,} sequences, "
        f"{len(names) - len(left)} that share {SHARED_BASES} bases with one of the 106, on either "
        f"strand, were left out; {seconds:.0f} CPU seconds.",
        __file__,
    )


def main() -> None:
    parts = {"folds": folds, "uci": leave_one_out}
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--parts", nargs="+", choices=list(parts), default=list(parts))
    arguments.add_argument("--choose", action="store_true", help="on a part of one fold's training")
    arguments.add_argument("--folds", type=int, default=5)
    arguments.add_argument("--networks", type=int, default=5, help="of uci, whose mean is judged")
    arguments.add_argument("--pretraining", type=int, default=5, help="epochs")
    arguments.add_argument("--epochs", type=int, default=15)
    arguments.add_argument("--rate", type=float, default=2e-3)
    options = arguments.parse_args()
    for part in options.parts:
        parts[part](options)


if __name__ == "__main__":
    main()
