"""Promoters of E. coli that a GAN designs: are they words of real ones, and promoters to a judge?

Half of the promoters train the GAN and, with half of the other sequences, the judge; the other half
is held out. As many sequences are designed as were trained on. Their spectrum of words is compared
with that of the training half, from which the held-out half is itself away (goal), and with that
of the held-out half. With `--choose` everything is done within the training half.
"""

import argparse
import time

import keras
import numpy as np
from promoters import ecoli as promoters_and_others
from promoters import scores, tuned
from report import publish
from scipy.spatial.distance import jensenshannon
from sklearn.model_selection import train_test_split
from time_budget import FallingRates, TimeBudget

import keras_transgen as ktg
from keras_transgen.datasets import kmer_counts, one_hot_sequences

GOAL_DISTANCE, GOAL_CALLED, BUDGET = 1.2, 0.8, 900
WORDS = (4, 6)
LETTERS = np.array(list("ACGT"))


def halves(sequences, seed=0):
    return train_test_split(np.array(sequences), test_size=0.5, random_state=seed)


def spectrum_distance(some, others, length):
    """Jensen-Shannon distance, in base 2, of how often each word occurs."""
    counts = [kmer_counts(list(each), length).sum(axis=0) for each in (some, others)]
    return float(jensenshannon(*counts, base=2))


class Judge:
    """A dilated network that knows promoters from others; calls by odds without the prior."""

    def __init__(self, promoters, others):
        self.prior = np.log(len(promoters) / len(others))
        labels = np.repeat([1, 0], [len(promoters), len(others)])
        x = one_hot_sequences([*promoters, *others])
        settings = argparse.Namespace(pretraining=5, epochs=15, rate=2e-3)
        self.model = tuned(x, labels, settings, seed=0)

    def called(self, sequences):
        """The share that is called promoters."""
        return float(np.mean(scores(self.model, one_hot_sequences(list(sequences))) > self.prior))


def nearest(sequences, others, apart=False):
    """Letters that differ from the nearest of others, for each."""
    a, b = (np.array([list(each) for each in rows]) for rows in (sequences, others))
    differing = np.stack([(row != b).sum(axis=1) for row in a])
    if apart:
        np.fill_diagonal(differing, a.shape[1])
    return differing.min(axis=1)


def designed(model, count, drawn, seed=0):
    """Sequences of the likeliest letters, or of letters drawn by their probabilities."""
    p = model.sample(count, seed=seed)
    if drawn:
        # The largest of logarithms plus Gumbel noise is a draw.
        p = np.log(p + 1e-9) + np.random.default_rng(seed).gumbel(size=p.shape)
    return np.array(["".join(row) for row in LETTERS[np.argmax(p, axis=-1)]])


def trained(promoters, options, look=None):
    keras.utils.set_random_seed(options.seed)
    model = ktg.GAN(
        example_shape=(len(promoters[0]), 4),
        latent_dim=options.latent,
        filters=options.filters,
        discriminator_steps=options.critic_steps,
        ema_decay=options.average,
        seed=options.seed,
    )
    model.compile(
        keras.optimizers.Adam(options.rate, beta_1=0.5, beta_2=0.9),
        keras.optimizers.Adam(options.critic_rate, beta_1=0.5, beta_2=0.9),
    )
    clock = TimeBudget(
        options.seconds,
        look and (lambda epoch: look(model, epoch)),
        range(options.every, 100_000, options.every),
        time.process_time,
    )
    x = one_hot_sequences(list(promoters))
    model.fit(
        x,
        batch_size=options.rows,
        epochs=100_000,
        verbose=0,
        callbacks=[FallingRates(clock), clock],
    )
    return model, clock


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--choose", action="store_true", help="within the training half")
    arguments.add_argument("--seconds", type=float, default=BUDGET, help="CPU seconds")
    arguments.add_argument("--filters", type=int, default=32)
    arguments.add_argument("--latent", type=int, default=64)
    arguments.add_argument("--critic-steps", type=int, default=1)
    arguments.add_argument("--rate", type=float, default=5e-4)
    arguments.add_argument("--critic-rate", type=float, default=1e-3)
    arguments.add_argument("--average", type=float, default=0.998)
    arguments.add_argument("--drawn", action="store_true", help="letters by their probabilities")
    arguments.add_argument("--rows", type=int, default=64)
    arguments.add_argument("--every", type=int, default=40, help="epochs between looks")
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    sequences, labels = promoters_and_others()
    sequences = np.array(sequences)
    train, held_out = halves(sequences[labels == 1])
    others, held_out_others = halves(sequences[labels == 0])
    if options.choose:
        (train, held_out), (others, held_out_others) = halves(train), halves(others)
    judge = Judge(train, others)
    own = {length: spectrum_distance(held_out, train, length) for length in WORDS}

    def measures(model, drawn):
        made = designed(model, len(train), drawn)
        found = {k: spectrum_distance(made, train, k) / own[k] for k in WORDS}
        apart = {k: spectrum_distance(made, held_out, k) / own[k] for k in WORDS}
        return made, found, apart, judge.called(made)

    def look(model, epoch):
        for drawn in (False, True):
            _, found, apart, called = measures(model, drawn)
            told = [round(each, 2) for each in (*found.values(), *apart.values(), called)]
            print(f"epoch {epoch}, drawn {drawn}: {told}", flush=True)

    known = judge.called(held_out), judge.called(held_out_others)
    print(f"judge: {known[0]:.3f} of held-out promoters, {known[1]:.3f} of others", flush=True)
    model, clock = trained(train, options, look if options.choose else None)
    made, found, apart, called = measures(model, options.drawn)
    copied = int(np.isin(made, train).sum())
    rows = [("what", "designed", "held-out promoters", "goal")]
    for k in WORDS:
        goal = f"at most {GOAL_DISTANCE} times"
        name = f"{k}-mers, distance to the training half"
        value = f"{found[k] * own[k]:.3f} ({found[k]:.2f} times)"
        rows.append((name, value, f"{own[k]:.3f}", goal))
    for k in WORDS:
        name = f"{k}-mers, distance to the held-out half"
        rows.append((name, f"{apart[k] * own[k]:.3f} ({apart[k]:.2f} times)", "", ""))
    at_least = f"at least {GOAL_CALLED}"
    rows.append(("called promoters", f"{called:.3f}", f"{known[0]:.3f}", at_least))
    rows.append(("copied from training", str(copied), str(np.isin(held_out, train).sum()), "0"))
    for name, to, alone in (("training half", train, False), ("other of its own kind", None, True)):
        pair = [
            f"{np.median(nearest(each, each if alone else to, alone)):.0f}"
            for each in (made, held_out)
        ]
        rows.append((f"bases that differ from the nearest {name}, median", *pair, ""))
    for row in rows[1:]:
        print(row, flush=True)
    if options.choose or options.seconds < BUDGET:
        return
    reached = max(found.values()) <= GOAL_DISTANCE and called >= GOAL_CALLED and not copied
    publish(
        "Promoters of E. coli, designed by a GAN",
        f"distance of 4-mer and 6-mer spectra to real at most {GOAL_DISTANCE} times that of a "
        f"held-out real half; a classifier trained on real calls at least {GOAL_CALLED} of them "
        "promoters; none copied",
        rows,
        f"{'Reached' if reached else 'Missed'}. {len(train)} promoters of {len(train[0])} bases "
        f"trained on, as many designed, {clock.steps:,} steps in {clock.spent:,.0f} CPU seconds, "
        f"{model.count_params():,} parameters, one seed; Jensen-Shannon distances. The judge calls "
        f"{known[1]:.3f} of held-out sequences that are none promoters.",
        __file__,
    )


if __name__ == "__main__":
    main()
