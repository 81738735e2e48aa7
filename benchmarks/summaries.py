"""Headlines from the news below them (AG News), with a pointer that copies, by ROUGE.

The first words of a text are the usual, hard, comparison. Of 7,600 news 6,400 train, 400 chose the
settings by their loss, 800 judge.

    python benchmarks/summaries.py                              # a selector, then the model
    python benchmarks/summaries.py --select 0 --lead-epochs 0 --epochs 14   # the model alone
    python benchmarks/summaries.py --select 0                   # taught to write the lead first

By default words are selected first, as in Gehrmann et al., Bottom-Up Abstractive Summarization,
2018: a logistic regression says of each word of a text whether it stands in the headline, and the
model reads the likeliest ones alone, in the text's order. The words of training texts are selected
by a regression that has not seen them.
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
from rouge_score.tokenizers import DefaultTokenizer
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

import keras_transgen as ktg

HELD_OUT, TESTS, WORDS, READ, SIZE = 400, 800, 12, 40, 4000
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


class BestByRouge(keras.callbacks.Callback):
    """Keeps the weights whose headlines of the held-out part are best by the sum of the scores."""

    def __init__(self, texts, titles):
        super().__init__()
        self.texts, self.titles, self.best = texts, titles, (0.0, None, None)

    def look(self, model, epochs):
        found = rouge(model.generate(self.texts, beam_width=1, max_tokens=32), self.titles)
        print(f"held out, after {epochs} epochs of headlines: {found}", flush=True)
        self.best = max(self.best, (sum(found), model.get_weights(), epochs), key=lambda it: it[0])

    def on_epoch_end(self, epoch, logs=None):
        self.look(self.model, epoch + 1)


STEM = DefaultTokenizer(use_stemmer=True).tokenize


def of_words(text):
    """What tells of each word of a text whether it will stand in its headline."""
    words = text.split()[:READ]
    stems = [" ".join(STEM(word)) for word in words]
    around = ["^", *stems, "$"]
    large = [False, *(word[:1].isupper() for word in words), False]
    return [
        {
            "stem": stems[at], "before": around[at], "after": around[at + 2],
            "large": large[at + 1], "large before": large[at], "large after": large[at + 2],
            "place": str(at // 2), "often": min(stems.count(stems[at]), 3),
            "digits": any(each.isdigit() for each in word), "length": len(word) / 10,
            "end": word[-1], "ending": word[-3:].lower(),
        }
        for at, word in enumerate(words)
    ]  # fmt: skip


def selected(parts, count):
    """The texts of each part, the first of which trains, as their likeliest words for headlines."""
    tables = [[of_words(text) for text, _ in part] for part in parts]
    stands = []
    for text, title in parts[0]:
        needed = set(STEM(title))
        stands += [bool(needed & set(STEM(word))) for word in text.split()[:READ]]
    owner = np.repeat(np.arange(len(parts[0])), [len(words) for words in tables[0]])
    regression = make_pipeline(DictVectorizer(), LogisticRegression(C=0.3, max_iter=300))
    flat = [[word for words in table for word in words] for table in tables]
    likely = [
        cross_val_predict(
            regression, flat[0], stands, groups=owner, cv=GroupKFold(5), method="predict_proba"
        )[:, 1]
    ]
    regression.fit(flat[0], stands)
    likely += [regression.predict_proba(words)[:, 1] for words in flat[1:]]
    return [
        [
            " ".join(np.array(text.split()[:READ])[np.sort(np.argsort(-chances)[:count])])
            for (text, _), chances in zip(
                part, np.split(chance, np.cumsum([len(words) for words in table])[:-1])
            )
        ]
        for part, table, chance in zip(parts, tables, likely)
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--epochs", type=int, default=6)
    arguments.add_argument("--lead-epochs", type=int, default=12, help="first, to write the lead")
    arguments.add_argument("--dropout", type=float, default=0.2)
    arguments.add_argument("--rate", type=float, default=1e-4, help="for headlines, after the lead")
    arguments.add_argument("--select", type=int, default=12, help="words; 0: the text as it is")
    arguments.add_argument("--lead", type=int, default=60, help="pieces of a text that are read")
    options = arguments.parse_args()
    rows = [row for row in news() if all(row)]
    tests, held_out, training = (
        rows[:TESTS],
        rows[TESTS : TESTS + HELD_OUT],
        rows[TESTS + HELD_OUT :],
    )
    start = time.process_time()
    vocabulary = ktg.Vocabulary.train([each for row in training for each in row], size=SIZE)
    parts = [training, held_out, tests]
    if options.select:
        read = selected(parts, options.select)
        sources = [
            list(zip(texts, (title for _, title in part))) for texts, part in zip(read, parts)
        ]
        training, held_out, judged = sources
    else:
        judged = tests

    def sides(part):
        """The beginnings of texts, in which a headline's words stand, and headlines."""
        texts = vocabulary.encode([text for text, _ in part])
        return vocabulary.decode([each[: options.lead] for each in texts]), [t for _, t in part]

    keras.utils.set_random_seed(0)
    model = ktg.SequenceToSequence(
        vocabulary, num_layers=2, dropout=options.dropout, copying=True, seed=0
    )
    callback = keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)
    if options.lead_epochs:
        # What stands first, or was selected, is a headline already: the pointer learns to copy it.
        texts, _ = sides(training)
        model.fit(
            texts, [" ".join(text.split()[:WORDS]) for text in texts],
            epochs=options.lead_epochs, verbose=2,
        )  # fmt: skip
        model.compile(keras.optimizers.AdamW(options.rate, global_clipnorm=1.0))
        callback = BestByRouge(*sides(held_out))
        callback.look(model, 0)
    history = model.fit(
        *sides(training), epochs=options.epochs, validation_data=sides(held_out),
        callbacks=[callback], verbose=2,
    )  # fmt: skip
    told = f"{len(history.epoch)} epochs"
    if options.lead_epochs:
        model.set_weights(callback.best[1])
        told = f"{options.lead_epochs} epochs of copying, {callback.best[2]} of headlines"
    seconds = time.process_time() - start
    texts, titles = sides(judged)
    table, scores = [("summary", "ROUGE-1", "ROUGE-2", "ROUGE-L")], {}

    def enter(name, found):
        scores[name] = rouge(found, titles)
        table.append((name, *(f"{score:.1f}" for score in scores[name])))
        print(table[-1], flush=True)

    first = f"the first {WORDS} words"
    enter(first, [" ".join(text.split()[:WORDS]) for text, _ in tests])
    if options.select:
        enter("the selected words", texts)
    for width in (1, 5):
        name = "greedy" if width == 1 else f"beam of {width}"
        found = model.generate(texts, beam_width=width, max_tokens=32)
        enter(name, found)
    print(*zip(texts[:5], found[:5], titles[:5]), sep="\n")
    best = "beam of 5"
    reached = all(one > other for one, other in zip(scores[best], scores[first]))
    lost = ", ".join(f"{a - b:+.1f}" for a, b in zip(scores[best], scores[first]))
    publish(
        "Headlines from news (AG News), with copying",
        f"ROUGE-1, -2 and -L above those of the first {WORDS} words, in {BUDGET:,} CPU seconds",
        table,
        f"{'Reached' if reached and seconds <= BUDGET else 'Missed'}: {best} against the first "
        f"words {lost}. Training took {seconds:,.0f} CPU seconds ({told}, of "
        f"{len(training):,} news, {model.count_params():,} parameters, one seed); loss of the "
        f"held-out part {min(history.history['val_loss']):.3f}. The number of epochs of headlines, "
        "from none up, is the best by ROUGE of the held-out part.",
        __file__,
    )


if __name__ == "__main__":
    main()
