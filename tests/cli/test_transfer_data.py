"""`transfer` of tables, sound and sequences, and `classify` of the same kinds by the file alone."""

import csv
import json
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.cli.classify import run_classify
from keras_transgen.cli.transfer import run_transfer
from keras_transgen.datasets import one_hot_sequences, read_fasta, read_wav
from tests.cli.networks import save_letter_counter, save_network, save_sequences, save_waves


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def assert_probabilities(rows, model, x, names):
    """The CSV's columns are the softmax of what `predict` gives for the data read by hand."""
    logits = np.asarray(model.predict(x, verbose=0), "float64")
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    found = [[float(row[f"p({name})"]) for name in names] for row in rows]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert [row["class"] for row in rows] == [names[each] for each in expected.argmax(-1)]
    np.testing.assert_allclose(
        [float(row["probability"]) for row in rows], expected.max(-1), atol=1e-5
    )


WORDS = {"fruit": ["banana", "mango", "papaya"], "metal": ["iron", "zinc", "silver"]}


@pytest.fixture
def table(tmp_path):
    lines = ["number\tkind\ttitle\tbody"]
    for number in range(12):
        for kind, words in WORDS.items():
            lines.append(f"{number}\t{kind}\t{words[number % 3]}\t{words[(number + 1) % 3]}")
    path = tmp_path / "things.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_table_of_texts(table, tmp_path):
    backbone = save_letter_counter(tmp_path / "letters")
    output = tmp_path / "out"
    report = run_transfer(str(backbone), table, text="title,body", label="kind", output=output)
    assert report["classes"] == ["fruit", "metal"]
    # A fifth of twelve is two of each, which letters tell apart.
    assert report["validation_examples"] == 4
    assert report["validation_accuracy"] == 1.0
    assert report["confusion"] == {
        "fruit": {"fruit": 2, "metal": 0},
        "metal": {"fruit": 0, "metal": 2},
    }
    assert report["data"] == {"kind": "text", "columns": ["title", "body"]}
    assert report == json.loads((output / "report.json").read_text())
    # Without labels, and the columns in another place: they are found by the model's own record.
    other = tmp_path / "other.csv"
    other.write_text('body,title\niron,"zinc, silver"\npapaya,banana\n')
    model_file = output / "model.keras"
    run_classify(model_file, [other], output=tmp_path / "answers.csv")
    rows = rows_of(tmp_path / "answers.csv")
    assert [row["row"] for row in rows] == ["1", "2"]
    assert [row["class"] for row in rows] == ["metal", "fruit"]
    model = ktg.load_model(model_file)
    assert_probabilities(rows, model, ["zinc, silver iron", "banana papaya"], ["fruit", "metal"])
    # Other columns, by number, of a table without a header.
    bare = tmp_path / "bare.tsv"
    bare.write_text("0\tmango\n1\tiron\n")
    run_classify(model_file, [bare], text="1", output=tmp_path / "bare.csv")
    assert_probabilities(
        rows_of(tmp_path / "bare.csv"), model, ["mango", "iron"], ["fruit", "metal"]
    )


def test_columns_by_number_and_a_validation_table(table, tmp_path):
    bare = tmp_path / "bare.tsv"
    bare.write_text("".join(table.read_text().splitlines(keepends=True)[1:]))
    backbone = save_letter_counter(tmp_path / "letters")
    report = run_transfer(
        str(backbone), bare, text="2", label="1", validation=bare, output=tmp_path / "out"
    )
    assert report["validation_examples"] == 24
    assert report["validation_accuracy"] == 1.0
    # The same columns of the file with a header.
    again = run_transfer(
        str(backbone), table, text="2", label="1", header=True, output=tmp_path / "again"
    )
    assert again["classes"] == ["fruit", "metal"]


def spectrum(channel=True):
    layers = [keras.layers.Conv1D(16, 32, strides=4, activation="relu")]
    return layers if channel else [keras.layers.Reshape((-1, 1)), *layers]


@pytest.mark.slow
@pytest.mark.parametrize("channel", [True, False])
@pytest.mark.parametrize("seconds", [None, 0.25])
def test_a_folder_of_recordings(tmp_path, channel, seconds):
    folder = save_waves(tmp_path / "waves")
    shape = (None, 1) if channel else (None,)
    network = save_network(tmp_path / "wave.keras", shape, *spectrum(channel))
    output = tmp_path / "out"
    report = run_transfer(str(network), folder, sample_rate=2000, seconds=seconds, output=output)
    assert report["validation_accuracy"] == 1.0
    samples = None if seconds is None else 500
    assert report["data"] == {"kind": "sound", "sample_rate": 2000, "samples": samples}
    files = sorted(folder.glob("*/*.wav"))
    run_classify(output / "model.keras", [folder], output=tmp_path / "answers.csv")
    rows = rows_of(tmp_path / "answers.csv")
    assert [row["file"] for row in rows] == [str(file) for file in files]
    assert [row["class"] for row in rows] == [file.parent.name for file in files]
    model = ktg.load_model(output / "model.keras")
    logits = []
    for file in files:
        wave = read_wav(file, 2000).samples
        wave = wave if samples is None else np.pad(wave, (0, 500))[:500]
        logits.append(model.predict(wave[None, :, None] if channel else wave[None], verbose=0)[0])
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose([float(row["p(high)"]) for row in rows], expected[:, 0], atol=1e-4)


def test_recordings_whose_names_say_the_class(tmp_path):
    folder = save_waves(tmp_path / "waves")
    flat = tmp_path / "flat"
    flat.mkdir()
    for file in folder.glob("*/*.wav"):
        file.rename(flat / f"{file.parent.name}_{file.name}")
    network = save_network(tmp_path / "wave.keras", (800, 1), *spectrum())
    output = tmp_path / "out"
    report = run_transfer(str(network), flat, pattern=r"(?P<label>[a-z]+)_.*", output=output)
    assert report["classes"] == ["high", "low"]
    assert report["validation_accuracy"] == 1.0
    # The first recording's rate, and the network's length.
    assert report["data"] == {"kind": "sound", "sample_rate": 4000, "samples": 800}


def convolution():
    return [keras.layers.Conv1D(16, 5, padding="same", activation="relu")]


@pytest.mark.slow
def test_a_fasta_file_a_class(tmp_path):
    written = save_sequences(tmp_path / "fasta")
    network = save_network(tmp_path / "dna.keras", (None, 4), *convolution())
    output = tmp_path / "out"
    files = [tmp_path / "fasta" / f"{name}.fa" for name in ("rich", "poor")]
    report = run_transfer(str(network), files, output=output)
    assert report["classes"] == ["poor", "rich"]
    assert report["validation_accuracy"] == 1.0
    assert report["data"] == {
        "kind": "sequences",
        "alphabet": "ACGT",
        "tokens": False,
        "length": None,
    }
    run_classify(output / "model.keras", files, output=tmp_path / "answers.csv")
    rows = rows_of(tmp_path / "answers.csv")
    assert [row["record"] for row in rows[:2]] == ["rich0", "rich1"]
    model = ktg.load_model(output / "model.keras")
    logits = [
        model.predict(one_hot_sequences([each]), verbose=0)[0]
        for each in written["rich"] + written["poor"]
    ]
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose([float(row["p(poor)"]) for row in rows], expected[:, 0], atol=1e-4)
    # The same classes from a folder of the files, and from the headers of all in one.
    folder = run_transfer(str(network), tmp_path / "fasta", output=tmp_path / "folder")
    one = tmp_path / "all.fasta"
    one.write_text("".join(file.read_text() for file in files))
    headers = run_transfer(
        str(network), one, pattern=r"class=(?P<label>\w+)", output=tmp_path / "headers"
    )
    assert folder["classes"] == headers["classes"] == ["poor", "rich"]
    assert folder["validation_accuracy"] == headers["validation_accuracy"] == 1.0
    # And from folders, one a class.
    for file in files:
        place = tmp_path / "folders" / file.stem
        place.mkdir(parents=True)
        (place / "x.fa").write_text(file.read_text())
    report = run_transfer(str(network), tmp_path / "folders", output=tmp_path / "again")
    assert report["classes"] == ["poor", "rich"]


def test_sequences_as_tokens(tmp_path):
    written = save_sequences(tmp_path / "fasta")
    network = save_network(
        tmp_path / "tokens.keras",
        (24,),
        keras.layers.Embedding(5, 8),
        *convolution(),
        dtype="int32",
    )
    output = tmp_path / "out"
    report = run_transfer(str(network), tmp_path / "fasta", output=output)
    assert report["data"]["tokens"] is True
    assert report["data"]["length"] == 24
    run_classify(output / "model.keras", [tmp_path / "fasta"], output=tmp_path / "answers.csv")
    rows = rows_of(tmp_path / "answers.csv")
    # Letters are numbers from 1, what is longer is cut, and 0 fills what is shorter.
    given = np.zeros((30, 24), "int32")
    for row, sequence in zip(given, written["poor"] + written["rich"]):
        numbers = ["ACGT".index(letter) + 1 for letter in sequence[:24]]
        row[: len(numbers)] = numbers
    model = ktg.load_model(output / "model.keras")
    assert_probabilities(rows, model, given, ["poor", "rich"])
    assert [record.name for record in read_fasta(tmp_path / "fasta" / "poor.fa")] == [
        row["record"] for row in rows[:15]
    ]


@pytest.mark.slow
def test_images_with_flips_and_a_classifier(digit_folder, tmp_path):
    report = run_transfer(
        "digits",
        digit_folder,
        image_size=8,
        classifier="nearest_centroid",
        augmentation="shift",
        output=tmp_path,
    )
    assert report["validation_accuracy"] >= 0.8
    model = ktg.load_model(tmp_path / "model.keras")
    assert model.classifier == "nearest_centroid"
    assert model.views == 4
    confusion = np.array([list(row.values()) for row in report["confusion"].values()])
    assert confusion.sum() == 15
    assert np.trace(confusion) / 15 == pytest.approx(report["validation_accuracy"])
    for index, name in enumerate(report["classes"]):
        row = report["per_class"][name]
        assert row["recall"] == pytest.approx(confusion[index, index] / 5)
        predicted = confusion[:, index].sum()
        assert row["precision"] == pytest.approx(confusion[index, index] / max(predicted, 1))


@pytest.mark.slow
def test_layers_of_the_network(digit_folder, tmp_path):
    names = ktg.load_backbone("digits").layer_names()[-2:]
    run_transfer("digits", digit_folder, image_size=8, layers=",".join(names), output=tmp_path)
    assert ktg.load_model(tmp_path / "model.keras").layers_used == names


@pytest.mark.parametrize("name", ["flip", "shift", "photo"])
def test_augmentations_keep_a_photograph_one(name):
    from keras_transgen.cli.transfer_options import augmentation_layers

    images = np.tile(np.linspace(0.2, 0.8, 16)[None, :, None, None], (8, 1, 16, 3))
    images = images.astype("float32") * np.linspace(0.5, 1, 16, dtype="float32")[:, None]
    varied = images
    for layer in augmentation_layers(name):
        varied = np.asarray(layer(varied, training=True))
    assert varied.shape == images.shape
    # Nothing but what was there, in another place.
    assert images.min() - 1e-4 <= varied.min()
    assert varied.max() <= images.max() + 1e-4
    assert np.abs(varied - images).max() > 0.05
    if name == "flip":
        for one, other in zip(images, varied):
            assert any(np.allclose(other, each) for each in (one, one[:, ::-1]))


@pytest.mark.long
def test_early_stopping_and_a_rate(digit_folder, tmp_path):
    run_transfer(
        "digits",
        digit_folder,
        image_size=8,
        method="lora",
        rank=2,
        learning_rate=1e-4,
        early_stopping=1,
        epochs=3,
        output=tmp_path,
    )
    model = ktg.load_model(tmp_path / "model.keras")
    assert model.learning_rate == 1e-4
    assert model.recipe is None


REFUSED = [
    ({"data": "waves", "text": "title"}, "--text is an option of text.*for sound"),
    ({"data": "table", "pattern": "x"}, "--pattern is an option of sound and sequences"),
    ({"data": "waves", "alphabet": "ACGT"}, "--alphabet is an option of sequences"),
    ({"data": "waves", "length": 3}, "--length is an option of sequences"),
    ({"data": "fasta", "seconds": 1.0}, "--seconds is an option of sound"),
    ({"data": "fasta", "sample_rate": 8000}, "--sample-rate is an option of sound"),
    ({"data": "fasta", "image_size": 8}, "--image-size is an option of images"),
    ({"data": "waves", "augmentation": "flip"}, "--augmentation is an option of images"),
    ({"data": "waves", "label": "x"}, "--label is an option of text"),
    ({"data": "waves", "header": True}, "--header is an option of text"),
    ({"data": "waves", "method": "lora", "classifier": "linear"}, "--classifier is an option of"),
    ({"data": "waves", "method": "lora", "layers": "a"}, "--layers is an option of --method"),
    (
        {"data": "waves", "method": "bias", "rank": 3},
        "--rank is an option of --method adapter and lora",
    ),
    ({"data": "waves", "rank": 3}, "--rank is an option of --method adapter and lora"),
    ({"data": "waves", "learning_rate": 0.1}, "no learning rate; leave out --learning-rate"),
    ({"data": "waves", "early_stopping": 1}, "leave out --early-stopping"),
    ({"data": "waves", "epochs": 1}, "leave out --epochs"),
    ({"data": "mixed"}, "Say which with --kind.*sound and text"),
    ({"data": "nothing"}, "Say which with --kind.*none of them"),
    ({"data": "absent"}, "nothing there"),
    ({"data": "waves", "backbone": "letters"}, "takes sound.*input.*string"),
    ({"data": "table", "backbone": "wave", "text": "title", "label": "kind"}, "takes strings"),
    ({"data": "fasta", "backbone": "letters"}, "takes sequences"),
    ({"data": "fasta", "backbone": "five"}, "takes 5 letters: say which"),
    ({"data": "fasta", "backbone": "five", "alphabet": "ACGT"}, "as many.*4 letters"),
    ({"data": "fasta", "backbone": "dna", "length": 9}, "24 letters only; leave out --length"),
    ({"data": "waves", "backbone": "fixed", "seconds": 1.0}, "800 samples only; leave out"),
    ({"data": "waves", "backbone": "wave", "seconds": 1e-6}, "a sample at least"),
    ({"data": "fasta/rich.fa", "backbone": "dna"}, "--pattern with a group 'label'.*alone"),
    ({"data": "fasta", "backbone": "dna", "pattern": "("}, "regular expression"),
    ({"data": "fasta", "backbone": "dna", "pattern": "x"}, "group 'label'"),
    ({"data": "fasta", "backbone": "dna", "pattern": "(?P<label>zz)"}, "in the header of every"),
    ({"data": ["fasta", "fasta"], "backbone": "dna"}, "or one folder"),
    ({"data": ["table", "table"], "backbone": "letters"}, "Expected one table"),
    ({"data": "table", "backbone": "letters", "text": "title,", "label": "kind"}, "with commas"),
    ({"data": "few", "backbone": "letters"}, "3 examples at least.*2 of class 'b'"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    save_waves(folder / "waves")
    save_sequences(folder / "fasta")
    (folder / "table.tsv").write_text("kind\ttitle\na\tx\nb\ty\n")
    (folder / "few.tsv").write_text("label\ttext\na\tx\na\tx\na\tx\nb\ty\nb\tz\n")
    (folder / "nothing").mkdir()
    (folder / "mixed").mkdir()
    (folder / "mixed" / "a.wav").write_bytes(b"")
    (folder / "mixed" / "a.csv").write_bytes(b"")
    save_letter_counter(folder / "letters")
    save_network(folder / "wave.keras", (None, 1), *spectrum())
    save_network(folder / "fixed.keras", (800, 1), *spectrum())
    save_network(folder / "dna.keras", (24, 4), *convolution())
    save_network(folder / "five.keras", (None, 5), *convolution())
    return folder


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_what_does_not_go_together(place, given, message):
    def found(name):
        suffix = {"table": ".tsv", "few": ".tsv"}.get(name, "")
        return place / f"{name}{suffix}"

    given = dict(given)
    data = given.pop("data")
    data = [found(name) for name in ([data] if isinstance(data, str) else data)]
    name = given.pop("backbone", "digits")
    backbone = place / (name if name == "letters" else f"{name}.keras")
    source = name if name == "digits" else str(backbone)
    before = sorted(place.rglob("*"))
    with pytest.raises((ValueError, FileNotFoundError), match=f"(?s){message}"):
        run_transfer(source, data, output=place / "out", **given)
    assert sorted(place.rglob("*")) == before


def test_epochs_and_steps_are_one_or_the_other():
    from keras_transgen.cli.transfer_options import refuse_options_of_other_methods

    with pytest.raises(ValueError, match="leave out --epochs or --steps"):
        refuse_options_of_other_methods("lora", {"--epochs": 1, "--steps": 2})


@pytest.mark.shared_data
@pytest.mark.long
def test_sentences_through_the_universal_sentence_encoder(shared_folder, tmp_path):
    pytest.importorskip("tensorflow_text")
    few = tmp_path / "train.tsv"
    lines = (shared_folder / "data/sst2/train.tsv").read_text().splitlines(keepends=True)
    few.write_text("".join(lines[:400]))
    report = run_transfer(
        str(shared_folder / "hub/universal_sentence_encoder_multilingual"),
        few,
        text="0",
        label="1",
        output=tmp_path / "out",
    )
    assert report["validation_accuracy"] > 0.6
    run_classify(tmp_path / "out/model.keras", [few], output=tmp_path / "answers.csv")
    assert len(rows_of(tmp_path / "answers.csv")) == 400


@pytest.mark.shared_data
@pytest.mark.long
def test_promoters_of_real_files(shared_folder, tmp_path):
    network = save_network(tmp_path / "dna.keras", (None, 4), *convolution())
    report = run_transfer(
        str(network), shared_folder / "data/ecoli_promoters", output=tmp_path / "out"
    )
    assert report["classes"] == ["Ecoli_non_prom", "Ecoli_prom"]
    # A fifth of 3,000 and of 839; the larger class alone would be 0.781.
    assert report["validation_examples"] == 768
    assert report["validation_accuracy"] > 0.8
