"""Transfer to texts from the Universal Sentence Encoder, multilingual: few labels to many.

Four parts, each a section of RESULTS.md; all by default:

    python benchmarks/text_transfer.py --parts few languages sentiment tuning
"""

import argparse
import csv
import gzip
import re
import time

import keras
import numpy as np
import tensorflow as tf
from report import publish, shared
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

import keras_transgen as ktg
from keras_transgen.datasets.by_class import sample_per_class

MODULE = "universal_sentence_encoder_multilingual"
SHOTS, SEEDS, FEW, TUNED = 20, 5, 0.82, 0.881
SENTIMENT, TESTS = 0.806, 2000
# What a caption speaks of; one that speaks of several is left out.
SUBJECTS = {
    "a man": r"man|men|guy|guys",
    "a woman": r"woman|women|lady|ladies",
    "children": r"child|children|kid|kids|boy|boys|girl|girls|baby",
    "an animal": r"dog|dogs|horse|horses|cat|cats|bird|birds|cow|cows|sheep",
}


def encoder():
    import tensorflow_text  # noqa: F401 (the module's ops)

    return ktg.load_backbone(str(shared("hub", MODULE)))


def ag_news():
    with gzip.open(shared("data", "ag_news", "test.csv.gz"), "rt", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    texts = np.array([f"{title}. {text}" for _, title, text in rows], object)
    return texts, np.array([int(label) - 1 for label, *_ in rows])


def sst2(part):
    with open(shared("data", "sst2", f"{part}.tsv"), encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return np.array([text for text, _ in rows], object), np.array([int(y) for _, y in rows])


def captions(part, language):
    path = shared("data", "multi30k") / f"{part}.{language}.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return np.array([line.strip() for line in file.read().strip().split("\n")], object)


def counted_words(texts, labels):
    """TF-IDF of words and pairs, and logistic regression."""
    found = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10.0, max_iter=2000),
    )
    return found.fit(list(texts), labels)


def accuracy(model, texts, labels):
    """Of one of our models or of scikit-learn's."""
    if isinstance(model, keras.Model):
        found = model.classify(list(texts), verbose=0)
    else:
        found = model.predict(list(texts))
    return float(np.mean(np.asarray(found) == labels))


def few():
    texts, labels = ag_news()
    backbone = encoder()
    start = time.process_time()
    found = ktg.few_shot_evaluation(
        {
            "FeatureTransfer by its defaults": lambda: ktg.FeatureTransfer(backbone, 4),
            # scikit-learn's C=1; these two were best with other draws.
            "FeatureTransfer, l2=1/80": lambda: ktg.FeatureTransfer(backbone, 4, l2=1 / 80),
            "FeatureTransfer, nearest centroid": lambda: ktg.FeatureTransfer(
                backbone, 4, classifier="nearest_centroid"
            ),
        },
        texts, labels, shots=[SHOTS], seeds=SEEDS, progress=False,
    )  # fmt: skip
    seconds = time.process_time() - start
    ours = list(found.rows[0].accuracies)
    ways = [(each.method, list(each.accuracies)) for each in found.rows]
    words = []
    for seed in range(SEEDS):
        drawn = sample_per_class(labels, SHOTS, seed)
        rest = np.setdiff1d(np.arange(len(labels)), drawn)
        model = counted_words(texts[drawn], labels[drawn])
        words.append(accuracy(model, texts[rest], labels[rest]))

    def row(name, values):
        each = ", ".join(f"{value:.3f}" for value in values)
        return name, f"{np.mean(values):.3f}", each

    publish(
        f"AG News by {SHOTS} labels a class",
        f"FeatureTransfer by its defaults at least {FEW}",
        [
            ("method", "mean accuracy", f"{SEEDS} draws"),
            *(row(*way) for way in ways),
            row("TF-IDF and logistic regression", words),
        ],
        f"{'Reached' if np.mean(ours) >= FEW else 'Missed'}. Judged on all texts that were not "
        f"drawn (7,520); {seconds:.0f} CPU seconds for {SEEDS} draws, most of them to extract the "
        "features of all texts once.",
        __file__,
    )


def subjects(english):
    """The class of each caption by its English words, -1 where there is none or several."""
    patterns = [re.compile(rf"\b(?:{words})\b", re.I) for words in SUBJECTS.values()]
    found = np.array([[bool(each.search(text)) for each in patterns] for text in english])
    return np.where(found.sum(axis=1) == 1, found.argmax(axis=1), -1)


def languages(count=2000):
    labels, tests = subjects(captions("train", "en")), subjects(captions("test_2016_flickr", "en"))
    rows = np.random.default_rng(0).permutation(np.flatnonzero(labels >= 0))[:count]
    judged = np.flatnonzero(tests >= 0)
    backbone = encoder()
    found = {}
    for language in ("en", "de", "fr"):
        model = ktg.FeatureTransfer(backbone, class_names=list(SUBJECTS))
        texts = captions("train", language)[rows]
        model.fit(list(texts), labels[rows], verbose=0)
        found[language] = model, counted_words(texts, labels[rows])
    table = [("judged on", "English labels alone", "labels in its own language",
              "TF-IDF, English labels", "TF-IDF, its own language")]  # fmt: skip
    reached = {}
    for language, name in (("en", "English"), ("de", "German"), ("fr", "French")):
        texts = captions("test_2016_flickr", language)[judged]
        values = [
            accuracy(model, texts, tests[judged])
            for model in (found["en"][0], found[language][0], found["en"][1], found[language][1])
        ]
        reached[name] = values
        table.append((name, *(f"{value:.3f}" for value in values)))
    most = np.bincount(tests[judged]).max() / len(judged)
    lost = max(reached[name][1] - reached[name][0] for name in ("German", "French"))
    publish(
        "Labels in English, texts in German and French (multi30k)",
        "none: what a caption speaks of, learnt from English lines alone",
        table,
        f"Without a label in its language a text is classified at most {lost:.3f} less often "
        f"right than with {count:,}. Classes: {', '.join(SUBJECTS)}, told by the words of the "
        f"English line; {len(judged)} captions judge, the most frequent class has {most:.3f}.",
        __file__,
    )


def sentiment():
    texts, labels = zip(*(sst2(part) for part in ("train", "dev", "test")))
    backbone = encoder()
    probe, start = ktg.FeatureTransfer(backbone, 2), time.process_time()
    probe.fit(list(texts[0]), labels[0], verbose=0)
    seconds = time.process_time() - start
    features = [_features(backbone, each) for each in texts]
    counting = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(texts[0])
    counts = [counting.transform(each) for each in texts]
    words = LogisticRegression(C=10.0, max_iter=2000).fit(counts[0], labels[0])
    kernel = SVC(C=4.0, gamma="scale").fit(features[0], labels[0])
    dense = _dense_head(features, labels)
    both = LogisticRegression(C=3.0, max_iter=3000)
    joined = [hstack([10.0 * one, other]).tocsr() for one, other in zip(features, counts)]
    both.fit(joined[0], labels[0])
    ways = {
        "TF-IDF and logistic regression": words.predict,
        "FeatureTransfer by its defaults": lambda x: probe.classify(list(x), verbose=0),
        "support vectors, Gaussian kernel, on the features": kernel.predict,
        "a head of two dense layers on the features": lambda x: dense.predict(x, verbose=0).argmax(
            1
        ),
        "logistic regression on features and TF-IDF": both.predict,
    }
    given = dict(zip(ways, (counts, texts, features, features, joined)))
    rows, found = [("method", "accuracy of dev", "accuracy of test")], {}
    for name, predict in ways.items():
        found[name] = [float(np.mean(predict(given[name][n]) == labels[n])) for n in (1, 2)]
        rows.append((name, *(f"{value:.3f}" for value in found[name])))
        print(rows[-1], flush=True)
    best = max(list(found)[1:], key=lambda name: found[name][0])
    publish(
        "SST-2 by all labels: words against sentence vectors",
        f"above TF-IDF's {SENTIMENT}",
        rows,
        f"{'Reached' if found[best][1] > SENTIMENT else 'Missed'}: by dev the best is {best!r}, "
        f"{found[best][1]:.3f} on test. {seconds:.0f} CPU seconds for FeatureTransfer.",
        __file__,
    )


def _features(backbone, texts):
    parts = [texts[i : i + 256].tolist() for i in range(0, len(texts), 256)]
    return np.concatenate([backbone(tf.constant(part)) for part in parts])


def _dense_head(features, labels):
    """Trained until the held-out part is no longer better."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    head = keras.Sequential(
        [
            keras.Input((512,)), layers.Dropout(0.3), layers.Dense(256, "gelu"),
            layers.Dropout(0.5), layers.Dense(2),
        ]
    )  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    head.compile(keras.optimizers.Adam(1e-3), loss)
    stop = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    held_out = (features[1], labels[1])
    head.fit(features[0], labels[0], 64, 40, 0, validation_data=held_out, callbacks=[stop])
    return head


def tuning(count=1000, tasks=("ag_news", "sst2")):
    """Fine-tuning against the probe that it starts from."""
    rows = [("task", "method", "accuracy", "CPU seconds")]
    found = {}
    for task in tasks:
        if task == "ag_news":
            texts, labels = ag_news()
            drawn = sample_per_class(labels, count // 4, 0)
            rest = np.random.default_rng(1).permutation(np.setdiff1d(np.arange(7600), drawn))[
                :TESTS
            ]
            data, tests = (texts[drawn], labels[drawn]), (texts[rest], labels[rest])
            name = f"AG News, {count:,} labels"
        else:
            data, tests, name = sst2("train"), sst2("test"), "SST-2, all labels"
        classes = len(np.unique(data[1]))
        ways = {
            "FeatureTransfer": lambda n: ktg.FeatureTransfer(encoder(), n),
            "LoRA": lambda n: ktg.StructureTransfer(encoder(), n, method="lora", seed=0),
            "ParameterTransfer": lambda n: ktg.ParameterTransfer(encoder(), n, seed=0),
            # Rates that were best with other draws; three epochs.
            "LoRA, rate 1e-3": lambda n: ktg.StructureTransfer(
                encoder(), n, method="lora", learning_rate=1e-3, seed=0
            ),
            "ParameterTransfer, rate 1e-4": lambda n: ktg.ParameterTransfer(
                encoder(), n, learning_rate=1e-4, seed=0
            ),
        }
        for way, make in ways.items():
            keras.utils.set_random_seed(0)
            model, start = make(classes), time.process_time()
            epochs = {"epochs": 3} if "rate" in way else {}
            model.fit(list(data[0]), data[1], verbose=0, **epochs)
            seconds = time.process_time() - start
            found[task, way] = accuracy(model, *tests)
            rows.append((name, way, f"{found[task, way]:.3f}", f"{seconds:.0f}"))
            print(rows[-1], flush=True)
            recipe = getattr(model, "recipe", None)
            if recipe is not None:
                print(recipe, flush=True)
    goals = {"ag_news": TUNED, "sst2": SENTIMENT}
    said = []
    for task in tasks:
        tuned = [way for way in ways if way != "FeatureTransfer"]
        best = max(tuned, key=lambda way: found[task, way])
        probe = found[task, "FeatureTransfer"]
        reached = found[task, best] > max(goals[task], probe)
        said.append(
            f"{task}: {'reached' if reached else 'missed'} with {found[task, best]:.3f} ({best}; "
            f"the probe {probe:.3f})"
        )
    publish(
        "Tuning the Universal Sentence Encoder",
        f"AG News by {count:,} labels above the probe's {TUNED}, SST-2 above TF-IDF's {SENTIMENT}",
        rows,
        f"{'; '.join(said)}. Default settings where none are told, seed 0; the table of "
        f"words is quantised and does not train. AG News judged on {TESTS:,} other texts.",
        __file__,
    )


def main() -> None:
    parts = {"few": few, "languages": languages, "sentiment": sentiment, "tuning": tuning}
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--parts", nargs="+", choices=list(parts), default=list(parts))
    arguments.add_argument("--tasks", nargs="+", default=["ag_news", "sst2"], help="of tuning")
    options = arguments.parse_args()
    for part in options.parts:
        if part == "tuning":
            tuning(tasks=options.tasks)
        else:
            parts[part]()


if __name__ == "__main__":
    main()
