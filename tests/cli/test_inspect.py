"""`inspect` says what a module or model takes, and a command line that works with it."""

import shlex

import keras
import pytest
from typer.testing import CliRunner

import keras_transgen as ktg
from keras_transgen.cli.application import app
from keras_transgen.cli.kmers import kmer_network, kmer_record
from tests.cli.networks import save_letter_counter, save_network, save_waves


@pytest.fixture
def shown(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")

    def show(source):
        result = CliRunner().invoke(app, ["inspect", str(source)])
        assert result.exit_code == 0, result.output
        lines = [line.split(maxsplit=1) for line in result.output.splitlines()]
        return {line[0]: line[1] for line in reversed(lines) if len(line) == 2}

    return show


def run(line, **places):
    words = [places.get(word, word) for word in shlex.split(line)]
    assert words[0] == "keras-transgen"
    result = CliRunner().invoke(app, [str(word) for word in words[1:]])
    assert result.exit_code == 0, result.output


def test_a_backbone_of_images(shown):
    said = shown("digits")
    assert said["input"] == "[batch, any, any, 1], float32"
    assert said["values"] == "from 0 to 1"
    assert said["takes"] == "images (files, or a folder)"
    assert said["use"] == "keras-transgen transfer digits FOLDER"


def test_a_backbone_of_texts(shown, tmp_path):
    said = shown(save_letter_counter(tmp_path / "letters"))
    assert said["input"] == "[batch], string"
    assert "values" not in said
    assert said["takes"] == "a table of texts (CSV, TSV)"
    assert said["use"].endswith("letters TABLE --text COLUMN --label COLUMN")


@pytest.mark.slow
def test_a_network_of_keras_and_a_name_with_spaces(shown, tmp_path, monkeypatch):
    network = save_network(tmp_path / "my waves.keras", (None, 1), keras.layers.Conv1D(4, 8))
    waves = save_waves(tmp_path / "waves")
    said = shown(network)
    assert said["input"] == "[batch, any, 1], float32"
    assert said["values"] == "of a range that it does not say"
    monkeypatch.chdir(tmp_path)
    run(said["use"], FOLDER=waves, RATE=4000)
    said = shown("runs/transfer/model.keras")
    assert said["task"] == "classification, 2 outputs"
    assert said["classes"] == "high, low"
    assert said["data"] == "sound, sample_rate 4000, samples None"
    run(said["use"], FOLDER=waves)
    assert (tmp_path / "answers.csv").exists()


def test_models_that_say_less(shown, tmp_path):
    scaling = keras.layers.Rescaling(1 / 255)
    ktg.TransferModel("digits", 3, preprocessing=scaling).save(tmp_path / "a.keras")
    said = shown(tmp_path / "a.keras")
    assert said["classes"] == "without names"
    assert said["data"] == "not known: set model.data_kind in Python"
    assert "use" not in said
    ktg.TransferModel("digits", task="regression").save(tmp_path / "b.keras")
    said = shown(tmp_path / "b.keras")
    assert said["task"] == "regression, 1 outputs"
    assert "classes" not in said
    assert "use" not in said
    ktg.VAE((8, 8, 1), 2).save(tmp_path / "c.keras")
    assert "use" not in shown(tmp_path / "c.keras")


def test_counts_of_words_are_of_sequences(shown, tmp_path):
    model = ktg.TransferModel(kmer_network(2, None), 2)
    model.data_kind = kmer_record("sequences", 2, None)
    model.save(tmp_path / "words.keras")
    said = shown(tmp_path / "words.keras")
    assert said["takes"] == "sequences (FASTA files, or a folder)"
    assert "FASTA_FILES" in said["use"]
