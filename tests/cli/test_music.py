"""Training a model of music and writing its pieces, from the command."""

import json

import pytest
from typer.testing import CliRunner

import keras_transgen as ktg
from keras_transgen.cli.application import app
from keras_transgen.cli.generate import run_sample, run_train
from keras_transgen.cli.music import read_pieces
from keras_transgen.datasets import read_midi, write_midi

pytest.importorskip("mido")

CHORDS = [[48, 64, 67], [53, 65, 69], [55, 62, 67], [48, 64, 67]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve pieces in two folders, in sixteenths."""
    folder = tmp_path_factory.mktemp("pieces")
    for number in range(12):
        place = folder / ("one" if number < 7 else "two")
        place.mkdir(exist_ok=True)
        higher = [[pitch + number % 3 for pitch in frame] for frame in CHORDS]
        write_midi(place / f"{number:02}.mid", higher * 2, 4)
    (folder / "notes.txt").write_text("no music")
    return folder


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("music")
    run_train(
        str(folder), model="music", epochs=2, frames_per_beat=4, transpose=2, output=output, seed=3
    )
    return output / "model.keras"


def test_pieces_are_read_in_order_and_every_tenth_is_held_out(folder, tmp_path):
    train, held_out = read_pieces(folder, 4)
    assert len(train) == 10
    assert [piece[0][0] for piece in held_out] == [48, 49]
    assert train[0] == [[pitch + 1 for pitch in frame] for frame in CHORDS] * 2
    assert read_pieces(folder / "one" / "00.mid", 4) == ([CHORDS * 2], [])
    file = tmp_path / "pieces.json"
    file.write_text(json.dumps({"train": [CHORDS] * 3, "valid": [CHORDS], "test": []}))
    assert read_pieces(file, 1) == ([CHORDS] * 3, [CHORDS])
    file.write_text(json.dumps([CHORDS] * 3))
    assert read_pieces(file, 1) == ([CHORDS] * 2, [CHORDS])
    for content in ("3", "{", '{"valid": []}'):
        file.write_text(content)
        with pytest.raises(ValueError, match=r"Expected a .*Received"):
            read_pieces(file, 1)
    with pytest.raises(ValueError, match="Expected MIDI files"):
        read_pieces(tmp_path, 1)


@pytest.mark.slow
def test_train_writes_the_model_and_its_pieces(trained):
    files = {path.name for path in trained.parent.iterdir()}
    assert {"model.keras", "samples.png", "learning_curves.png", "sample_3.mid"} <= files
    model = ktg.load_model(trained)
    assert model.codec.max_notes == 3
    assert model.transpose == (-2, 2)
    assert model.network.period == 64


@pytest.mark.slow
def test_samples_are_what_the_model_draws_at_its_pace(trained, tmp_path):
    (file,) = run_sample(trained, tmp_path / "one.mid", frames=12, seed=5)
    (piece,) = ktg.load_model(trained).sample(1, 12, seed=5)
    found = read_midi(file, 4)
    # Rests at the end are none in a file.
    assert found == piece[: len(found)]
    assert not any(piece[len(found) :])
    (file,) = run_sample(trained, tmp_path / "likely.mid", frames=12, temperature=0.0, seed=5)
    (piece,) = ktg.load_model(trained).sample(1, 12, temperature=0.0, seed=5)
    found = read_midi(file, 4)
    assert found == piece[: len(found)]
    files = run_sample(trained, tmp_path / "several", count=2, frames=4, seed=5)
    assert [path.name for path in files] == ["00000.mid", "00001.mid"]
    for wrong, message in (
        ({"output": tmp_path / "x.png"}, r"\.mid.*x\.png"),
        ({"output": tmp_path / "x.mid", "count": 2}, "--count 1"),
        ({"output": tmp_path / "x.mid", "condition": "1"}, "--condition does not apply to music"),
        ({"output": tmp_path / "x.mid", "separate": True}, "--separate does not apply"),
    ):
        with pytest.raises(ValueError, match=message):
            run_sample(trained, **wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["digits", "--model", "music"], "MIDI files"),
        (["x", "--model", "music", "--image-size", "8"], "--image-size does not apply to music"),
        (["x", "--model", "music", "--color", "grayscale"], "--color does not apply"),
        (["x", "--model", "vae", "--transpose", "3"], "--transpose does not apply to vae"),
        (["digits", "--frames-per-beat", "3"], "--frames-per-beat does not apply"),
    ],
)
def test_options_of_other_models(options, message, tmp_path):
    found = CliRunner().invoke(app, ["generate", "train", *options, "--output", str(tmp_path)])
    assert found.exit_code != 0
    told = " ".join((found.output + str(found.exception)).split())
    assert message in told


def test_a_wrong_piece_leaves_nothing_behind(tmp_path):
    file = tmp_path / "pieces.json"
    file.write_text(json.dumps([[[60], [200]], [[60]]]))
    with pytest.raises(ValueError, match="200"):
        run_train(str(file), model="music", epochs=1, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()
