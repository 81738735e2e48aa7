"""`classify`: the answers against the model's own, cells that do nothing, refusals in words."""

import csv
import re
import shutil
import sys

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import keras_transgen as ktg
from keras_transgen.cli.answers import answers, columns, harmless, write_answers
from keras_transgen.cli.application import app, main
from keras_transgen.cli.classify import run_classify
from tests.cli.networks import save_letter_counter, save_network, save_sequences, save_waves

IMAGES = {"kind": "images", "size": [8, 8], "color_mode": "grayscale", "value_range": [0.0, 1.0]}


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    images, labels = ktg.datasets.load_digits()
    keep = np.isin(labels, (0, 1, 4))
    names = np.array(["zero", "one", "", "", "=four"])[labels[keep]]
    model = ktg.FeatureTransfer("digits", class_names=["zero", "one", "=four"], data_kind=IMAGES)
    model.fit(images[keep], names, verbose=0)
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return path


def pixels_of(files):
    """Read by Pillow: the files have the model's size."""
    return np.stack([np.asarray(Image.open(file))[..., None] / np.float32(255) for file in files])


@pytest.mark.slow
def test_files_and_folders_together(model_file, digit_folder, tmp_path):
    single = digit_folder / "four" / "03.png"
    output = tmp_path / "new" / "answers.csv"
    assert run_classify(model_file, [single, digit_folder / "one"], output=output) == output
    head, *rows = rows_of(output)
    assert head == ["file", "class", "probability", "p(zero)", "p(one)", "p(=four)"]
    files = [single, *sorted((digit_folder / "one").glob("*.png"))]
    assert [row[0] for row in rows] == [str(file) for file in files]
    expected = ktg.load_model(model_file).predict_probabilities(pixels_of(files), verbose=0)
    np.testing.assert_allclose(np.array([row[3:] for row in rows], float), expected, atol=1e-5)
    assert [row[1] for row in rows] == [
        ("zero", "one", "'=four")[number] for number in expected.argmax(1)
    ]
    assert [float(row[2]) for row in rows] == pytest.approx(expected.max(1).tolist(), abs=1e-5)
    assert [path.name for path in output.parent.iterdir()] == ["answers.csv"]


@pytest.mark.slow
def test_chunks_are_in_order(model_file, digit_folder, tmp_path):
    """72 images in chunks of 8 are the same rows as in one."""
    run_classify(model_file, [digit_folder], output=tmp_path / "a.csv", batch_size=1)
    run_classify(model_file, [digit_folder], output=tmp_path / "b.csv", batch_size=64)
    one, other = (rows_of(tmp_path / name) for name in ("a.csv", "b.csv"))
    assert [row[:2] for row in one] == [row[:2] for row in other]
    assert len(one) == 73


def test_the_most_probable_classes(model_file, digit_folder, tmp_path):
    output = tmp_path / "answers.csv"
    run_classify(model_file, [digit_folder], output=output, top=2)
    head, *rows = rows_of(output)
    assert head[:5] == ["file", "class", "probability", "class_2", "probability_2"]
    for row in rows:
        values = dict(zip(("zero", "one", "'=four"), map(float, row[5:])))
        ranked = sorted(values, key=values.get, reverse=True)
        assert [row[1], row[3]] == ranked[:2]
        assert [float(row[2]), float(row[4])] == [values[name] for name in ranked[:2]]


def test_on_the_screen(model_file, digit_folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    result = CliRunner().invoke(app, ["classify", str(model_file), str(digit_folder), "--top", "9"])
    assert result.exit_code == 0, result.output
    assert "four/00.png" in result.output
    # As many classes as there are; 20 of 72 rows.
    assert "class_3" in result.output
    assert "class_4" not in result.output
    assert "52 more; --output answers.csv writes all of them" in result.output


def test_any_number_of_labels_and_no_names(tmp_path, digit_folder):
    model = ktg.TransferModel("digits", 2, task="multi_label", data_kind=IMAGES)
    kernel, bias = model.head.weights
    kernel.assign(np.zeros(kernel.shape))
    bias.assign([2.0, 3.0])
    model.save(tmp_path / "both.keras")
    bias.assign([-2.0, -1.0])
    model.save(tmp_path / "none.keras")
    image = digit_folder / "one" / "00.png"
    for name, found, logits in (("both", "0; 1", [2.0, 3.0]), ("none", "", [-2.0, -1.0])):
        run_classify(tmp_path / f"{name}.keras", [image], output=tmp_path / "a.csv")
        head, row = rows_of(tmp_path / "a.csv")
        assert head == ["file", "class", "probability", "p(0)", "p(1)"]
        assert row[1] == found
        sigmoid = 1 / (1 + np.exp(-np.array(logits)))
        assert np.array(row[2:], float) == pytest.approx([sigmoid.max(), *sigmoid], abs=1e-6)


def test_nothing_in_a_cell_is_a_formula(tmp_path):
    names = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "＝1", "fine", '"=1']
    path = tmp_path / "answers.csv"
    found = answers(names, np.full((9, 2), 0.5), ["=a", "b;=c"], 1, False)
    write_answers(path, columns("file", ["=a", "b;=c"], 1), found)
    head, *rows = rows_of(path)
    assert head == ["file", "class", "probability", "p(=a)", "p(b;=c)"]
    assert [row[0] for row in rows] == [f"'{name}" for name in names[:7]] + names[7:]
    assert {row[1] for row in rows} == {"'=a"}
    # All texts in quotes: what parts at semicolons does not begin a cell within one.
    text = path.read_text(encoding="utf-8")
    assert '"p(b;=c)"' in text
    assert '"\'+1","\'=a",0.5,0.5,0.5\n' in text
    assert harmless("a=b") == "a=b"


def test_a_file_whose_name_is_no_text(tmp_path):
    write_answers(tmp_path / "a.csv", ["file"], [["caf\udce9.png"]])
    assert rows_of(tmp_path / "a.csv")[1] == [r"caf\udce9.png"]


def test_names_cannot_act_on_a_terminal(tmp_path, digit_folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    model = ktg.TransferModel("digits", class_names=["\x1b[2Ja", "\x1b[2Jb"], data_kind=IMAGES)
    model.save(tmp_path / "model.keras")
    hostile = tmp_path / "\x1b]0;x\x07.png"
    shutil.copy(digit_folder / "one" / "00.png", hostile)
    run_classify(tmp_path / "model.keras", [hostile])
    printed = capsys.readouterr().out
    assert "\x1b[2J" not in printed
    assert "\x1b]0" not in printed
    assert r"\x1b[2J" in printed


# Models of Python, which say nothing of their data


def test_a_model_of_images_without_a_record(tmp_path, digit_folder):
    model = ktg.TransferModel("digits", 3)
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"give --image-size"):
        run_classify(tmp_path / "model.keras", [digit_folder])
    files = sorted(digit_folder.glob("*/*.png"))
    run_classify(tmp_path / "model.keras", [digit_folder], image_size=8, output=tmp_path / "a.csv")
    expected = model.predict_probabilities(pixels_of(files), verbose=0)
    found = np.array([row[3:] for row in rows_of(tmp_path / "a.csv")[1:]], float)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
def test_models_of_other_kinds_without_a_record(tmp_path):
    waves = save_waves(tmp_path / "waves")
    save_sequences(tmp_path / "fasta", length=24)
    networks = {
        "sound": (save_network(tmp_path / "s.keras", (None, 1), keras.layers.Conv1D(4, 8)), waves),
        "dna": (
            save_network(tmp_path / "d.keras", (None, 4), keras.layers.Conv1D(4, 8)),
            tmp_path / "fasta",
        ),
        "other": (
            save_network(tmp_path / "o.keras", (None, 5), keras.layers.Conv1D(4, 8)),
            tmp_path / "fasta",
        ),
        "text": (save_letter_counter(tmp_path / "letters"), tmp_path / "t.csv"),
    }
    (tmp_path / "t.csv").write_text('text\n"one, two"\nthree\n')
    options = {"sound": {"sample_rate": 4000}, "other": {"alphabet": "ACGTN"}}
    for name, (network, data) in networks.items():
        model = ktg.TransferModel(str(network), 2)
        model.save(tmp_path / f"{name}.keras")
        if name in options:
            with pytest.raises(ValueError, match=r"give --sample-rate|--alphabet"):
                run_classify(tmp_path / f"{name}.keras", [data])
        output = tmp_path / f"{name}.csv"
        run_classify(tmp_path / f"{name}.keras", [data], output=output, **options.get(name, {}))
        assert len(rows_of(output)) == {"sound": 21, "text": 3}.get(name, 31)


def test_a_model_behind_preprocessing(tmp_path, digit_folder):
    scaling = keras.layers.Rescaling(1 / 255)
    model = ktg.TransferModel("digits", 3, preprocessing=scaling)
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"Set model.data_kind in Python.*behind preprocessing"):
        run_classify(tmp_path / "model.keras", [digit_folder])
    model.data_kind = {**IMAGES, "value_range": [0, 255]}
    model.save(tmp_path / "model.keras")
    run_classify(tmp_path / "model.keras", [digit_folder], output=tmp_path / "a.csv")
    files = sorted(digit_folder.glob("*/*.png"))
    expected = model.predict_probabilities(255 * pixels_of(files), verbose=0)
    found = np.array([row[3:] for row in rows_of(tmp_path / "a.csv")[1:]], float)
    np.testing.assert_allclose(found, expected, atol=1e-5)


# Refusals


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nowhere", "nothing there"),
        ("ok.png --text a", "leave out --text"),
        ("ok.png --sample-rate 8000", "leave out --sample-rate"),
        ("ok.png --alphabet ACGT", "leave out --alphabet"),
        ("ok.png --image-size 16", "trained on images of 8 x 8 pixels: leave out --image-size"),
        ("ok.png --header", "leave out --header"),
        ("ok.png --top 0", "--top"),
        ("table.csv", "takes images.*a table of texts"),
        ("ok.png broken.png", "unreadable of 2: broken.png"),
        ("empty", "Expected images"),
        ("ok.png --output folder", "--output must be a file"),
    ],
)
def test_a_wrong_call(model_file, digit_folder, tmp_path, words, message, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "500")
    shutil.copy(digit_folder / "one" / "00.png", "ok.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "ok.png").read_bytes()[:40])
    (tmp_path / "table.csv").write_text("text\nx\n")
    for name in ("empty", "folder"):
        (tmp_path / name).mkdir()
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(
        sys, "argv", ["keras-transgen", "classify", str(model_file), *words.split()]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err.replace("\n", " ")
    assert ended.value.code in (1, 2)
    assert "Traceback" not in said
    assert re.search(message, said), said
    assert sorted(tmp_path.rglob("*")) == before


def test_files_that_hold_no_classifier(tmp_path, digit_folder):
    ktg.TransferModel("digits", task="regression").save(tmp_path / "regression.keras")
    ktg.VAE((8, 8, 1), 2).save(tmp_path / "vae.keras")
    ktg.TransferModel("digits", 2, task="multi_label", data_kind=IMAGES).save(tmp_path / "m.keras")
    for name, message in (
        ("regression", "no classifier.*task='regression'"),
        ("vae", "no classifier.*Received: VAE in"),
    ):
        with pytest.raises(ValueError, match=message):
            run_classify(tmp_path / f"{name}.keras", [digit_folder])
    with pytest.raises(ValueError, match="leave out --top"):
        run_classify(tmp_path / "m.keras", [digit_folder], top=2)


def test_options_that_contradict_the_model(tmp_path):
    waves = save_waves(tmp_path / "waves")
    save_sequences(tmp_path / "fasta")
    sound = save_network(tmp_path / "s.keras", (None, 1), keras.layers.Conv1D(4, 8))
    record = {"kind": "sound", "sample_rate": 4000}
    ktg.TransferModel(str(sound), 2, data_kind=record).save(tmp_path / "sound.keras")
    with pytest.raises(ValueError, match=r"leave out --sample-rate.*8000, and 4000 in the model"):
        run_classify(tmp_path / "sound.keras", [waves], sample_rate=8000)
    dna = save_network(tmp_path / "d.keras", (None, 4), keras.layers.Conv1D(4, 8))
    record = {"kind": "sequences", "alphabet": "ACGT"}
    ktg.TransferModel(str(dna), 2, data_kind=record).save(tmp_path / "dna.keras")
    with pytest.raises(ValueError, match="leave out --alphabet"):
        run_classify(tmp_path / "dna.keras", [tmp_path / "fasta"], alphabet="TGCA")
    letters = save_letter_counter(tmp_path / "letters")
    record = {"kind": "text", "columns": ["text"]}
    ktg.TransferModel(str(letters), 2, data_kind=record).save(tmp_path / "text.keras")
    with pytest.raises(ValueError, match="Expected one table"):
        run_classify(tmp_path / "text.keras", [tmp_path / "fasta"])


@pytest.mark.slow
def test_a_broken_recording_leaves_no_half_file(tmp_path):
    waves = save_waves(tmp_path / "waves")
    sound = save_network(tmp_path / "s.keras", (None, 1), keras.layers.Conv1D(4, 8))
    record = {"kind": "sound", "sample_rate": 4000}
    ktg.TransferModel(str(sound), 2, data_kind=record).save(tmp_path / "sound.keras")
    (waves / "low" / "9_x.wav").write_bytes(b"RIFF")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=r"9_x.wav"):
        run_classify(
            tmp_path / "sound.keras", [waves], batch_size=1, output=tmp_path / "answers.csv"
        )
    assert sorted(tmp_path.rglob("*")) == before
