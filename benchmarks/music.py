"""Chorales of J. S. Bach in quarter notes, by the split that everybody judges by.

The pieces are those of Boulanger-Lewandowski et al. (2012), of which the set of pitches that sound
in each quarter is predicted after the quarters before. What is published is -log p of a frame in
nats, such as 6.27 of their RNN-RBM and 5.56 of the RNN-NADE, of which the first is an estimate;
here log p is exact. It is told both ways in which it can be meant: over all frames, and as the mean
over pieces of their means.

Both sides are in one key. The paper says of its data that "learning is facilitated if the sequences
are transposed in a common tonality (e.g. C major/minor) as preprocessing", and its page of data
that the piano-rolls were made "by transposing each sequence in C major or C minor" (both as quoted
in scripts/data/prepare_midi.py of github.com/JakobHavtorn/vseq, which reads them; paper and page
themselves were not read for this). So are the pieces read here: 214 of 229 to train on and 73 of 77
to test on end on a bass of C.

First in other keys, which is more music than there is, then in the one key that is asked for.
"""

import argparse
import json
import time

import keras
import numpy as np
from report import publish, shared

import keras_transgen as ktg

BUDGET, GOAL, BATCH = 1200, 5.1, 16


class CPUClock(keras.callbacks.Callback):
    """Lets the rate fall with what is left of a number of CPU seconds, and ends when none is."""

    def __init__(self, rate, seconds):
        super().__init__()
        self.rate, self.seconds, self.steps = rate, seconds, 0

    def on_train_begin(self, logs=None):
        self.start = time.process_time()

    def on_train_batch_begin(self, batch, logs=None):
        self.spent = time.process_time() - self.start
        share = min(1.0, self.spent / self.seconds)
        warm = min(1.0, (self.steps + 1) / 100)
        self.model.optimizer.learning_rate = (
            self.rate * warm * (0.02 + 0.49 * (1.0 + np.cos(np.pi * share)))
        )
        self.steps += 1

    def on_epoch_end(self, epoch, logs=None):
        if epoch % 10 == 0:
            print(f"{self.spent:.0f} s, {self.steps} steps, {logs}", flush=True)

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = self.spent >= self.seconds


def trained(pieces, options):
    keras.utils.set_random_seed(0)
    model = ktg.MusicModel(
        max_notes=4,
        context_length=64,
        model_dim=options.width,
        dropout=options.dropout,
        transpose=(-5, 6),
        seed=0,
    )
    for transpose, share, rate in (
        ((-5, 6), 1.0 - options.share, options.rate),
        (0, options.share, options.rate / 2 if options.share < 1.0 else options.rate),
    ):
        if not share:
            continue
        model.transpose = transpose
        model.compile(
            keras.optimizers.AdamW(rate, beta_2=0.99, weight_decay=0.1, global_clipnorm=1.0)
        )
        model.fit(
            pieces,
            batch_size=BATCH,
            epochs=100_000,
            verbose=0,
            callbacks=[CPUClock(rate, share * options.seconds)],
        )
    return model


def judged(model, pieces) -> tuple[float, float]:
    """Nats a frame over all frames, and as the mean over pieces."""
    of_pieces = -model.log_likelihood(pieces)
    return float(np.average(of_pieces, weights=[len(each) for each in pieces])), of_pieces.mean()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--choose", action="store_true", help="judge by the validation part")
    arguments.add_argument("--seconds", type=float, default=600, help="CPU seconds")
    arguments.add_argument("--share", type=float, default=0.25, help="of them in the one key")
    arguments.add_argument("--width", type=int, default=256)
    arguments.add_argument("--dropout", type=float, default=0.4)
    arguments.add_argument("--rate", type=float, default=2e-3)
    arguments.add_argument("--save", help="a .keras file")
    options = arguments.parse_args()
    data = json.loads((shared("data", "jsb_chorales") / "jsb-chorales-quarter.json").read_text())
    begun = time.process_time()
    model = trained(data["train"], options)
    spent = time.process_time() - begun
    if options.save:
        model.save(options.save)
    validation = judged(model, data["valid"])
    if options.choose:
        print(f"{validation[0]:.3f} nats a frame of the validation part, {options}")
        return
    test = judged(model, data["test"])
    rows = [
        ("part", "nats a frame, over all frames", "mean over pieces"),
        ("validation", *(f"{each:.3f}" for each in validation)),
        ("test", *(f"{each:.3f}" for each in test)),
    ]
    publish(
        "Chorales in quarter notes",
        f"at most {GOAL} nats a frame of the test part, in {BUDGET:,} CPU seconds",
        rows,
        f"{'Reached' if test[0] <= GOAL and spent <= BUDGET else 'Missed'}: {test[0]:.2f}, after "
        f"{spent:,.0f} CPU seconds. {model.count_params():,} parameters, one seed; settings by "
        "the validation part. Published: 6.27 (RNN-RBM, an estimate), 5.56 (RNN-NADE), on the same "
        "pieces and split, theirs transposed to C major or minor too.",
        __file__,
    )


if __name__ == "__main__":
    main()
