"""Conditional GAN on MNIST: do samples show what was asked for, and can they teach it?

Default settings. A digit classifier of at least 0.99 (that of gan_quality.py) judges 10,000
samples; a classifier trained on samples alone is judged on the real test images; and the samples of
a class are held against real ones in their differences from each other. Only training is on the
clock.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from gan_quality import judge, mnist
from report import publish
from time_budget import TimeBudget

import keras_transgen as ktg
from keras_transgen.callbacks.collapse_warning import diversity
from keras_transgen.evaluation import (
    classification_accuracy_score,
    density_coverage,
    judged_accuracy,
    precision_recall,
)
from keras_transgen.plotting import save_figure

ROOT = Path(__file__).parents[1]
JUDGED, AGREEMENT, TAUGHT = 10_000, 0.97, 0.93


def untrained(classifier: keras.Model) -> keras.Model:
    """The judge's network, new."""
    network = keras.models.clone_model(classifier)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("adam", loss, jit_compile=False)
    return network


def quality(sample, classifier, test, judged, taught):
    """Agreement, the score of a classifier taught by samples, and rows that tell more.

    Args:
        sample: From labels and a seed to images.
        classifier: The judge.
        test: Real images and labels.
        judged: How many samples are judged.
        taught: How many teach a classifier; 0 for none, and a score of 0.
    """
    labels = np.arange(judged) % 10
    samples = sample(labels, 1)
    agreement = judged_accuracy(classifier, samples, labels)
    score = 0.0
    if taught:
        many = np.arange(taught) % 10
        score = classification_accuracy_score(
            sample(many, 2),
            many,
            *test,
            classifier=untrained(classifier),
            fit_arguments={"batch_size": 128, "epochs": 4},
        )
    real, real_labels = test
    # What the judge sees before it decides: two digits of a class differ there by their hand.
    inner = keras.Model(classifier.inputs, classifier.layers[-2].output)
    ours, theirs = (inner.predict(x, batch_size=500, verbose=0) for x in (samples, real))
    in_pixels = diversity(samples, labels) / diversity(real, real_labels)
    in_features = diversity(ours, labels) / diversity(theirs, real_labels)
    precision, recall = precision_recall(theirs, ours)
    density, coverage = density_coverage(theirs, ours)
    taught_row = [(f"taught by {taught:,} samples, real test images", f"{score:.4f}")]
    return (
        agreement,
        score,
        [
            (f"the judge agrees, {judged:,} samples", f"{agreement:.4f}"),
            ("the judge itself on real test images", f"{judged_accuracy(classifier, *test):.4f}"),
            *(taught_row if taught else []),
            ("diversity within classes over real, pixels", f"{in_pixels:.3f}"),
            ("diversity within classes over real, judge's features", f"{in_features:.3f}"),
            ("precision, recall (judge's features, k=5)", f"{precision:.3f}, {recall:.3f}"),
            ("density, coverage (judge's features, k=5)", f"{density:.3f}, {coverage:.3f}"),
            ("real / generated images of these", f"{len(real):,} / {judged:,}"),
        ],
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=15.0, help="of training")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--batch", type=int, default=64)
    arguments.add_argument("--judged", type=int, default=JUDGED, help="samples")
    arguments.add_argument("--taught", type=int, default=60_000, help="samples to learn from")
    arguments.add_argument("--output", type=Path, default=ROOT / "runs" / "conditional_gan_mnist")
    arguments.add_argument("--no-publish", action="store_true", help="only print and write files")
    options = arguments.parse_args()
    train, test = mnist()
    classifier = judge(train, test)
    keras.utils.set_random_seed(options.seed)
    cgan = ktg.ConditionalGAN(10, (28, 28, 1), seed=options.seed)
    budget = TimeBudget(60.0 * options.minutes)
    cgan.fit(*train, batch_size=options.batch, epochs=100_000, verbose=0, callbacks=[budget])
    options.output.mkdir(parents=True, exist_ok=True)
    cgan.save(options.output / "model.keras")
    agreement, score, told = quality(
        lambda labels, seed: cgan.sample(labels, seed=seed),
        classifier,
        test,
        options.judged,
        options.taught,
    )
    save_figure(cgan.sample_grid(12, seed=0), options.output / "samples.png")
    reached = agreement >= AGREEMENT and score >= TAUGHT
    rows = [
        ("what", "value"),
        *told,
        ("steps (minutes of training)", f"{budget.steps:,} ({budget.spent / 60:.1f})"),
    ]
    verdict = (
        f"Agreement {agreement:.3f}, taught {score:.3f}: {'reached' if reached else 'missed'}. "
        f"Default settings, batch {options.batch}, seed {options.seed}."
    )
    if options.no_publish:
        print(*rows, verdict, sep="\n")
        return
    publish(
        "Conditional GAN on MNIST: quality",
        f"15 minutes on 2 cores: a digit classifier of at least 0.99 agrees on at least "
        f"{AGREEMENT} of 10,000 samples; one trained on samples alone is right on at least "
        f"{TAUGHT} of the real test images",
        rows,
        verdict,
        __file__,
    )


if __name__ == "__main__":
    main()
