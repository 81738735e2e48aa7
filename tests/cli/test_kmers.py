"""`transfer --kmers`: words counted by hand, and scikit-learn's classifier on them."""

import csv
import itertools

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import keras_transgen as ktg
from keras_transgen.cli.classify import run_classify
from keras_transgen.cli.labelled_data import held_out_rows
from keras_transgen.cli.transfer import run_transfer

CLASSES = {"even": (0.25,) * 4, "poor": (0.1, 0.1, 0.7, 0.1), "rich": (0.7, 0.1, 0.1, 0.1)}


def shares_by_hand(sequence, k, alphabet="ACGT"):
    words = ["".join(word) for word in itertools.product(alphabet, repeat=k)]
    found = [sequence[at : at + k] for at in range(len(sequence) - k + 1)]
    known = [word for word in found if word in words]
    return [known.count(word) / len(known) for word in words]


@pytest.fixture(scope="module")
def sequences():
    rng = np.random.default_rng(1)
    return {
        name: ["".join(rng.choice(list("ACGT"), rng.integers(20, 30), p=p)) for _ in range(15)]
        for name, p in CLASSES.items()
    }


@pytest.fixture
def fasta(sequences, tmp_path):
    folder = tmp_path / "fasta"
    folder.mkdir()
    for name, some in sequences.items():
        text = "".join(f">{name}{number}\n{each}\n" for number, each in enumerate(some))
        (folder / f"{name}.fa").write_text(text)
    return folder


@pytest.fixture
def table(sequences, tmp_path):
    lines = [f"{name},{each.lower()}" for name, some in sequences.items() for each in some]
    path = tmp_path / "genes.csv"
    path.write_text("kind,letters\n" + "\n".join(lines) + "\n")
    return path


def probabilities(path):
    with open(path, newline="", encoding="utf-8") as file:
        return [[float(row[f"p({name})"]) for name in CLASSES] for row in csv.DictReader(file)]


def expected(sequences, asked):
    """What scikit-learn says of those asked, fitted to what the command trains on."""
    x = np.array([shares_by_hand(each, 2) for some in sequences.values() for each in some])
    y = np.repeat([0, 1, 2], 15)
    rows, _ = held_out_rows(y, list(CLASSES), 0)
    x, y = 16 * x[rows], y[rows]
    same = keras.Sequential([keras.Input((16,)), keras.layers.Identity()])
    ours = ktg.FeatureTransfer(same, 3, seed=0)
    ours.fit(x.astype("float32"), y, verbose=0)
    judge = LogisticRegression(C=1 / (ours.fitted_l2 * len(x)), tol=1e-8, max_iter=10_000)
    return judge.fit(x, y).predict_proba(16 * np.array([shares_by_hand(s, 2) for s in asked]))


def test_fasta_is_counted_alike_in_training_and_in_use(sequences, fasta, tmp_path):
    report = run_transfer(fasta, kmers=2, output=tmp_path / "out")
    assert report["data"] == {"kind": "sequences", "alphabet": "ACGT", "kmers": 2}
    assert report["backbone"] == "shares of 2-mers"
    assert report["validation_accuracy"] >= 7 / 9
    # Of any length, a letter that is not known among them, and none as long as a word.
    asked = ["ACGTNACAAAAATTTTAAAAAAAAAAAAAAAA", "GGGGGGCGGAGGTG", "CA"]
    new = tmp_path / "new.fa"
    new.write_text("".join(f">{each}\n{each}\n" for each in [*asked, "A"]))
    model_file = tmp_path / "out/model.keras"
    run_classify(model_file, [new], output=tmp_path / "answers.csv")
    found = np.array(probabilities(tmp_path / "answers.csv"))
    np.testing.assert_allclose(found[:3], expected(sequences, asked), atol=1e-3)
    # No word: the classes' own shares.
    bias = np.asarray(ktg.load_model(model_file)(np.zeros((1, 16), "float32")))[0]
    np.testing.assert_allclose(found[3], np.exp(bias) / np.exp(bias).sum(), atol=1e-5)
    # Files one by one, whose names come in another order.
    files = [fasta / f"{name}.fa" for name in ("rich", "even", "poor")]
    again = run_transfer(files[0], files[1:], kmers=2, output=tmp_path / "again")
    assert again["classes"] == list(CLASSES)


@pytest.mark.slow
def test_a_table_is_counted_as_fasta_is(sequences, table, tmp_path):
    options = {"kmers": 2, "text": "letters", "label": "kind"}
    report = run_transfer(table, output=tmp_path / "out", validation=table, **options)
    assert report["validation_examples"] == 45
    report = run_transfer(table, output=tmp_path / "half", **options)
    record = {"kind": "text", "columns": ["letters"], "alphabet": "ACGT", "kmers": 2}
    assert report["data"] == record
    new = tmp_path / "new.csv"
    new.write_text("letters\naaaaaacaa\nGGGGGTGTCGGG\n")
    run_classify(tmp_path / "half/model.keras", [new], output=tmp_path / "answers.csv")
    asked = ["AAAAAACAA", "GGGGGTGTCGGG"]
    np.testing.assert_allclose(
        probabilities(tmp_path / "answers.csv"), expected(sequences, asked), atol=1e-3
    )
    new.write_text("letters\nACGT\nACZT\n")
    with pytest.raises(ValueError, match=r"In the row '2'.*alphabet='ACGT'.*'Z' at position 2"):
        run_classify(tmp_path / "half/model.keras", [new], output=tmp_path / "no.csv")
    assert not (tmp_path / "no.csv").exists()


def test_letters_of_ones_own(tmp_path):
    for name, letter in (("first", "X"), ("second", "Y")):
        lines = [f">{n}\n{letter * (n + 3)}Z\n" for n in range(5)]
        (tmp_path / f"{name}.fa").write_text("".join(lines))
    files = [tmp_path / "first.fa", tmp_path / "second.fa"]
    report = run_transfer(files[0], files[1:], kmers=1, alphabet="XYZ", output=tmp_path / "out")
    assert report["data"] == {"kind": "sequences", "alphabet": "XYZ", "kmers": 1}
    assert report["validation_accuracy"] == 1.0
    assert ktg.load_model(tmp_path / "out/model.keras").backbone.input_contract.shape == (None, 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"backbone": "digits"}, "no pretrained network.*digits .nothing there"),
        ({"backbone": "network.keras"}, "no pretrained network.*network.keras, which is something"),
        ({"method": "lora"}, "leave out --method. Received: --kmers 2 and --method lora"),
        ({"length": 9}, "leave out --length"),
        ({"layers": "a"}, "leave out --layers"),
        ({"rank": 2}, "--rank is an option of --method"),
        ({"kmers": None}, "Expected data behind the network, or sequences and --kmers"),
        ({"kmers": 12, "alphabet": "ACDEFGHIKLMNPQRSTVWY"}, "Take a smaller k"),
        ({"alphabet": "ACG"}, "'T' at position"),
        ({"kind": "sound"}, "--kmers is an option of sequences and text"),
    ],
)
def test_what_needs_a_network_is_refused(fasta, tmp_path, given, message):
    (tmp_path / "network.keras").write_bytes(b"")
    given = {"backbone": fasta, "kmers": 2, **given}
    if given["backbone"] == "network.keras":
        given["backbone"] = tmp_path / "network.keras"
    with pytest.raises((ValueError, FileNotFoundError), match=f"(?s){message}"):
        run_transfer(given.pop("backbone"), output=tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_more_counts_than_a_classifier_is_fitted_to(fasta, tmp_path):
    """A network of 12-mers may be made; the counts of 45 sequences by them would take 3 GB."""
    with pytest.raises(ValueError, match=r"at most max_bytes=536,870,912\. Take a smaller k"):
        run_transfer(fasta, output=tmp_path / "out", kmers=12)


def test_a_sequence_without_any_word_is_told_of(fasta, tmp_path):
    run_transfer(fasta, output=tmp_path / "out", kmers=3)
    new = tmp_path / "short.fa"
    new.write_text(">a\nAC\n>b\nNNNNNN\n>c\nACGT\n")
    with pytest.warns(UserWarning, match="without any word of 3 known letters"):
        run_classify(tmp_path / "out/model.keras", [new], output=tmp_path / "answers.csv")
    found = probabilities(tmp_path / "answers.csv")
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(np.subtract(found[2], found[0])).max() > 1e-3
