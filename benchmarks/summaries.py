"""Headlines from the news below them (AG News), with a pointer that copies, by ROUGE.

The first words of a text are the usual, hard, comparison. Of 7,600 news 6,400 train, 400 chose the
settings by their loss, 800 judge.
"""

import argparse
import csv
import gzip
import html
import re
import time

import keras
import numpy as np
from report import publish, shared
from rouge_score.rouge_scorer import RougeScorer

import keras_transgen as ktg

HELD_OUT, TESTS, WORDS, SIZE = 400, 800, 12, 4000
BUDGET = 1800
KINDS = ("rouge1", "rouge2", "rougeL")


def news():
    """Texts and headlines, without what is left of their markup, in a fixed order."""
    with gzip.open(shared("data", "ag_news", "test.csv.gz"), "rt", encoding="utf-8") as file:
        rows = [(_plain(text), _plain(title)) for _, title, text in csv.reader(file)]
    order = np.random.default_rng(0).permutation(len(rows))
    return [rows[place] for place in order]


def _plain(text):
    text = html.unescape(re.sub(r"#(\d+);", r"&#\1;", text.replace("\\", " ")))
    text = re.sub(r"<[^>]*>", " ", text)
    # Who reports, which no text tells, and where from, which no headline does.
    text = re.sub(r"\s*\((?:AP|Reuters|AFP|SPACE\.com|[A-Z][\w .]{1,25})\)\s*$", "", text)
    text = re.sub(r"^[^-]{1,40}? -(?:-)? ", "", text)
    return re.sub(r"\s+", " ", text).strip()


def rouge(found, expected):
    scorer = RougeScorer(KINDS, use_stemmer=True)
    scores = [scorer.score(one, other) for other, one in zip(found, expected)]
    return [100 * float(np.mean([score[kind].fmeasure for score in scores])) for kind in KINDS]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--epochs", type=int, default=14)
    arguments.add_argument("--lead-epochs", type=int, default=4, help="first, to write the lead")
    arguments.add_argument("--dropout", type=float, default=0.2)
    arguments.add_argument("--rate", type=float, help="for headlines, after the lead")
    arguments.add_argument("--lead", type=int, default=60, help="pieces of a text that are read")
    options = arguments.parse_args()
    rows = [row for row in news() if all(row)]
    tests, held_out, training = (
        rows[:TESTS],
        rows[TESTS : TESTS + HELD_OUT],
        rows[TESTS + HELD_OUT :],
    )
    vocabulary = ktg.Vocabulary.train([each for row in training for each in row], size=SIZE)

    def sides(part):
        """The beginnings of texts, in which a headline's words stand, and headlines."""
        texts = vocabulary.encode([text for text, _ in part])
        return vocabulary.decode([each[: options.lead] for each in texts]), [t for _, t in part]

    keras.utils.set_random_seed(0)
    model = ktg.SequenceToSequence(
        vocabulary, num_layers=2, dropout=options.dropout, copying=True, seed=0
    )
    stop = keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)
    start = time.process_time()
    if options.lead_epochs:
        # What stands first is a headline already, and the pointer learns to copy it.
        texts, _ = sides(training)
        model.fit(
            texts, [" ".join(text.split()[:WORDS]) for text in texts],
            epochs=options.lead_epochs, verbose=2,
        )  # fmt: skip
        if options.rate:
            model.compile(keras.optimizers.AdamW(options.rate, global_clipnorm=1.0))
    history = model.fit(
        *sides(training), epochs=options.epochs, validation_data=sides(held_out), callbacks=[stop],
        verbose=2,
    )  # fmt: skip
    seconds = time.process_time() - start
    texts, titles = sides(tests)
    table, scores = [("summary", "ROUGE-1", "ROUGE-2", "ROUGE-L")], {}

    def enter(name, found):
        scores[name] = rouge(found, titles)
        table.append((name, *(f"{score:.1f}" for score in scores[name])))
        print(table[-1], flush=True)

    first = f"the first {WORDS} words"
    enter(first, [" ".join(text.split()[:WORDS]) for text, _ in tests])
    for width in (1, 5):
        name = "greedy" if width == 1 else f"beam of {width}"
        found = model.generate(texts, beam_width=width, max_tokens=32)
        enter(name, found)
    print(*zip(texts[:5], found[:5], titles[:5]), sep="\n")
    best = max((name for name in scores if name != first), key=lambda name: scores[name][0])
    reached = all(one > other for one, other in zip(scores[best], scores[first]))
    lost = ", ".join(f"{a - b:+.1f}" for a, b in zip(scores[best], scores[first]))
    publish(
        "Headlines from news (AG News), with copying",
        f"ROUGE-1, -2 and -L above those of the first {WORDS} words, in {BUDGET:,} CPU seconds",
        table,
        f"{'Reached' if reached and seconds <= BUDGET else 'Missed'}: {best} against the first "
        f"words {lost}. Training took {seconds:,.0f} CPU seconds ({len(history.epoch)} epochs of "
        f"{len(training):,} news, {model.count_params():,} parameters, one seed); loss of the "
        f"held-out part {min(history.history['val_loss']):.3f}.",
        __file__,
    )


if __name__ == "__main__":
    main()
