"""The tasks with few labels that transfer is judged on, and the small networks for text and DNA.

A cell is a data set, a pretrained network and a number of labels a class. Text goes through a
network of hashed words that learnt, without labels, which title belongs to which news; DNA through
a small convolutional network that learnt to tell promoters of E. coli. Both are made once and kept
in a folder for what is made again (`KERAS_TRANSGEN_BENCHMARKS`, by default in the temporary one).
"""

import csv
import dataclasses
import gzip
import os
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from report import shared

import keras_transgen as ktg

WORK = Path(
    os.environ.get("KERAS_TRANSGEN_BENCHMARKS", Path(tempfile.gettempdir(), "ktg_benchmarks"))
)
MOBILENET_V1 = "mobilenet_v1_025_224_feature_vector"
MOBILENET_V2 = "mobilenet_v2_100_224_feature_vector"
WORDS = 8192


@dataclasses.dataclass(frozen=True)
class Cell:
    """A task: `labels` of each class to train on, or folds over everything where it is 0."""

    name: str
    data: str
    classes: int
    labels: int
    tests: int = 1000
    size: int = 0

    def draw(self, seed: int) -> tuple:
        """`(x, y, test x, test y)`: the test rows are the same for every seed but in folds."""
        x, y = READERS[self.data]()
        if not self.labels:
            order = np.random.default_rng(99).permutation(len(y))
            fold = order[seed::FOLDS]
            rest = np.setdiff1d(order, fold)
            return self._ready(x, rest), y[rest], self._ready(x, fold), y[fold]
        fixed, drawn = np.random.default_rng(12345), np.random.default_rng(seed)
        tests, rows = [], []
        for each in range(self.classes):
            members = fixed.permutation(np.flatnonzero(y == each))
            count = self.tests // self.classes
            tests.append(members[:count])
            rows.append(drawn.permutation(members[count:])[: self.labels])
        test, rows = np.concatenate(tests), drawn.permutation(np.concatenate(rows))
        return self._ready(x, rows), y[rows], self._ready(x, test), y[test]

    def _ready(self, x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        values = x[rows]
        if not self.size:
            return values
        if values.ndim == 3:
            values = np.repeat(values[..., None], 3, axis=-1)
        values = values.astype("float32") / 255.0
        if values.shape[1] == self.size:
            return values
        return tf.image.resize(values, (self.size, self.size)).numpy()

    def backbone(self) -> object:
        """The pretrained network."""
        if self.data in ("ag_news", "sst2"):
            return ktg.load_backbone(str(text_network()))
        if self.data in ("splice", "promoters"):
            return ktg.load_backbone(str(dna_network()))
        module = MOBILENET_V2 if self.data == "ants_bees" else MOBILENET_V1
        return ktg.load_backbone(str(shared("hub", module)), image_size=(self.size, self.size))


FOLDS = 5
CELLS = (
    *(Cell(f"flowers5, {n}", "flowers", 5, n, size=96, tests=1500) for n in (20, 100, 400)),
    Cell("ants/bees, 5 folds", "ants_bees", 2, 0, size=128),
    *(Cell(f"Fashion-MNIST, {n}", "fashion", 10, n, size=64, tests=2000) for n in (20, 200)),
    *(Cell(f"AG News, {n}", "ag_news", 4, n, tests=3000) for n in (20, 100, 1000)),
    *(Cell(f"SST-2, {n}", "sst2", 2, n, tests=3000) for n in (20, 100, 1000)),
    Cell("promoters, 5 folds", "promoters", 2, 0),
    *(Cell(f"splice junctions, {n}", "splice", 3, n, tests=1200) for n in (20, 100)),
)


def _flowers() -> tuple[np.ndarray, np.ndarray]:
    folder = shared("data", "flowers5_96")
    data = keras.utils.image_dataset_from_directory(
        str(folder), image_size=(96, 96), batch_size=256, shuffle=False, verbose=0
    )
    return _joined(data)


def _ants_bees() -> tuple[np.ndarray, np.ndarray]:
    parts = [
        _joined(
            ktg.datasets.image_folder(
                shared("data", "ants_bees", part), image_size=128, crop_to_aspect_ratio=True
            )
        )
        for part in ("train", "val")
    ]
    x, y = (np.concatenate(each) for each in zip(*parts))
    return x, y


def _joined(data: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    x, y = zip(*data.as_numpy_iterator())
    x, y = np.concatenate(x), np.concatenate(y).astype("int64")
    return (x if x.max() > 1.0 else 255.0 * x).round().astype("uint8"), y


def _fashion() -> tuple[np.ndarray, np.ndarray]:
    from keras_transgen.datasets.idx import read_idx

    folder = shared("data", "fashion_mnist")
    images, labels = (
        read_idx(next(folder.glob(f"train-{kind}*"))) for kind in ("images", "labels")
    )
    return images[:20000], labels[:20000].astype("int64")


def news() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Titles, descriptions and classes of AG News."""
    with gzip.open(shared("data", "ag_news", "test.csv.gz"), "rt", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row[0].isdigit()]
    titles, texts = (np.array([row[place] for row in rows], object) for place in (1, 2))
    return titles, texts, np.array([int(row[0]) - 1 for row in rows])


def _ag_news() -> tuple[np.ndarray, np.ndarray]:
    titles, texts, labels = news()
    return titles + " " + texts, labels


def _sst2() -> tuple[np.ndarray, np.ndarray]:
    texts, labels = [], []
    for line in shared("data", "sst2", "train.tsv").read_text("utf-8").splitlines():
        text, label = line.split("\t")
        if label in ("0", "1"):
            texts.append(text)
            labels.append(int(label))
    return np.array(texts, object), np.array(labels)


def one_hot(text: str) -> np.ndarray:
    """60 bases `[60, 4]`; what is unknown, or missing at the end, is a quarter each, or zero."""
    bases = np.zeros((60, 4), "float32")
    for place, base in enumerate(text[:60].upper()):
        bases[place] = np.eye(4)["ACGT".index(base)] if base in "ACGT" else 0.25
    return bases


def _records(name: str, folder: str, classes: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    x, y = [], []
    for line in shared("data", folder, name).read_text().splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 3:
            x.append(one_hot(parts[2]))
            y.append(classes[parts[0]])
    return np.stack(x), np.array(y)


READERS = {
    "flowers": _flowers,
    "ants_bees": _ants_bees,
    "fashion": _fashion,
    "ag_news": _ag_news,
    "sst2": _sst2,
    "promoters": lambda: _records("promoters.data", "promoters", {"+": 1, "-": 0}),
    "splice": lambda: _records("splice.data", "splice_junctions", {"EI": 0, "IE": 1, "N": 2}),
}


class TextNetwork(tf.Module):
    """Strings to 128 features of norm 1, as hub modules do: hashed words, a mean, two layers."""

    def __init__(self, layers: keras.Model) -> None:
        super().__init__()
        self.layers = layers
        self.variables_ = [each.value for each in layers.variables]
        self.regularization_losses = []

    @property
    def variables(self) -> list:
        return self.variables_

    @property
    def trainable_variables(self) -> list:
        return self.variables_

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        return self.layers(hashed(texts))


def hashed(texts: tf.Tensor) -> tf.Tensor:
    """Numbers of words `[batch, words]`, 0 behind the last."""
    plain = tf.strings.regex_replace(tf.strings.lower(texts), "[^a-z0-9' ]+", " ")
    words = tf.strings.split(plain).to_tensor("")[:, :60]
    numbers = 1 + tf.strings.to_hash_bucket_fast(words, WORDS - 1)
    return tf.where(words == "", tf.zeros_like(numbers), numbers)


def text_network() -> Path:
    """The folder of the text network, trained if it is not there: titles find their news."""
    folder = WORK / "text_network"
    if folder.exists():
        return folder
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None,), dtype="int64")
    embedded = keras.layers.Embedding(WORDS, 64)(inputs)
    counted = keras.ops.cast(keras.ops.expand_dims(keras.ops.not_equal(inputs, 0), -1), "float32")
    mean = keras.ops.sum(embedded * counted, 1) / (keras.ops.sum(counted, 1) + 1e-6)
    hidden = keras.layers.Dense(256, "relu")(mean)
    outputs = keras.layers.UnitNormalization()(keras.layers.Dense(128)(hidden))
    network = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.Adam(2e-3)
    variables = network.trainable_variables
    optimizer.build(variables)

    @tf.function(autograph=False, reduce_retracing=True)
    def step(titles: tf.Tensor, texts: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            one, other = (network(hashed(each), training=True) for each in (titles, texts))
            scores = 20.0 * tf.matmul(one, other, transpose_b=True)
            places = tf.range(tf.shape(titles)[0])
            loss = tf.add_n(
                tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(places, each))
                for each in (scores, tf.transpose(scores))
            )
        gradients = tape.gradient(loss, [each.value for each in variables])
        optimizer.apply(gradients, variables)
        return loss

    titles, texts, _ = news()
    random = np.random.default_rng(0)
    for _ in range(3):
        order = random.permutation(len(titles))
        for at in range(0, len(order) - 127, 128):
            rows = order[at : at + 128]
            step(tf.constant(titles[rows].tolist()), tf.constant(texts[rows].tolist()))
    WORK.mkdir(parents=True, exist_ok=True)
    tf.saved_model.save(TextNetwork(network), str(folder))
    return folder


def dna_network() -> Path:
    """The file of the DNA network, trained if it is not there: promoters of E. coli or not."""
    file = WORK / "dna_network.keras"
    if file.exists():
        return file
    keras.utils.set_random_seed(0)
    x, y = [], []
    for name, label in (("Ecoli_prom.fa", 1), ("Ecoli_non_prom.fa", 0)):
        for record in shared("data", "ecoli_promoters", name).read_text().split(">")[1:]:
            x.append(one_hot("".join(record.splitlines()[1:])[10:70]))
            y.append(label)
    inputs = keras.Input((60, 4))
    hidden = keras.layers.Conv1D(32, 7, padding="same", activation="relu")(inputs)
    for channels, width in ((32, 5), (64, 3)):
        hidden = keras.layers.Conv1D(channels, width, padding="same", activation="relu")(hidden)
        hidden = keras.layers.MaxPooling1D(2)(hidden)
    hidden = keras.layers.Dense(64, activation="relu")(keras.layers.Flatten()(hidden))
    network = keras.Model(inputs, hidden, name="dna_network")
    model = keras.Sequential([network, keras.layers.Dropout(0.3), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    model.fit(np.stack(x), np.array(y), epochs=6, batch_size=64, verbose=0)
    WORK.mkdir(parents=True, exist_ok=True)
    network.save(file)
    return file
