"""Every command line of README and docs does what is written there, by its own defaults."""

import json
import re
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import keras_transgen as ktg
from keras_transgen.cli.application import app
from keras_transgen.cli.examples import examples_of
from tests.cli import networks, voc_scenes

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def command_lines(page):
    """The command lines of a page, in blocks and in the text, each with one of its choices."""
    found = re.findall(r"(?m)^ *(keras-transgen [^\n#]+)|`(keras-transgen [^`\n]+)`", page)
    for line in ("".join(pair) for pair in found):
        line = re.sub(r"\[|\]", "", line).replace("|...", "")
        choices = next((word for word in line.split() if "|" in word), "")
        for choice in choices.split("|"):
            yield line.replace(choices, choice) if choices else line


COMMANDS = [
    *("demo", "transfer", "classify", "inspect", "extract", "stylize", "tune", "evaluate"),
    *("generate train", "generate sample", "translate train", "translate apply"),
    *("detect train", "detect apply"),
    *("text train", "text generate", "text translate", "text evaluate"),
]
WRITTEN = {line.strip() for page in PAGES for line in command_lines(page.read_text())}
LINES = sorted(WRITTEN.union(*map(examples_of, COMMANDS)))


def save_other_kinds(folder):
    """A backbone and data for each kind but images, and a classifier of the images."""
    networks.save_letter_counter(folder / "letters")
    waves, letters = (keras.layers.Conv1D(4, 8) for _ in range(2))
    networks.save_network(folder / "waves.keras", (None, 1), waves)
    networks.save_network(folder / "dna.keras", (None, 4), letters)
    networks.save_waves(folder / "recordings")
    networks.save_sequences(folder / "sequences")
    rows = [f"{kind}\t{kind} {number}\tmore" for number in range(5) for kind in ("one", "two")]
    (folder / "table.tsv").write_text("\n".join(["kind\ttitle\tbody", *rows]))
    record = {
        "kind": "images", "size": [8, 8], "color_mode": "grayscale", "value_range": [0, 1]
    }  # fmt: skip
    ktg.TransferModel("digits", 3, data_kind=record).save(folder / "classifier.keras")


@pytest.fixture(scope="module")
def made(tmp_path_factory, digit_folder):
    """A folder in which every placeholder of the pages stands for something real."""
    folder = tmp_path_factory.mktemp("written")
    small = folder / "small"
    for number, each in enumerate(sorted(digit_folder.glob("*/*.png"))[::3]):
        target = small / each.parent.name / f"{number:02}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(each).resize((16, 16)).convert("RGB").save(target)
    for number in range(4):
        wide = np.tile(np.arange(0, 256, 8, dtype="uint8")[None, :, None], (16, 1, 3))
        (folder / "pairs").mkdir(exist_ok=True)
        Image.fromarray(np.roll(wide, number, 1)).save(folder / "pairs" / f"{number}.png")
    for name in ("CONTENT", "STYLE"):
        for suffix in ("", ".png"):
            picture = Image.open(small / "one" / "08.png").resize((48, 48))
            picture.save(folder / f"{name}{suffix}", format="PNG")
    save_other_kinds(folder)
    save_texts(folder)
    save_music(folder)
    save_sound(folder)
    save_detection(folder)
    for name, motif in (("CODING.fa", "TATAAT"), ("PROMOTERS.fa", "TTGACA"), ("OTHERS.fa", "GCGC")):
        records = [f">{row}\n{motif * (4 + row)}\n" for row in range(12)]
        (folder / name).write_text("".join(records))
    return folder


def save_music(folder):
    """MIDI files, and a model of music."""
    pieces = folder / "pieces"
    pieces.mkdir()
    for number in range(3):
        piece = [[60 + number, 64, 67], [62 + number, 65, 69]] * 4
        ktg.datasets.write_midi(pieces / f"{number}.mid", piece)
    ktg.MusicModel(max_notes=4, num_layers=1, model_dim=8, note_dim=8).save(folder / "music.keras")


def save_sound(folder):
    """A model of sound, and what says how many samples a second has."""
    ktg.GAN(example_shape=(64, 1), latent_dim=2, filters=2).save(folder / "sound.keras")
    (folder / "sound.json").write_text('{"sample_rate": 4000}')


def save_detection(folder):
    """Annotations in both forms, and a detector."""
    written = voc_scenes.save_voc(folder / "voc", 8)
    # In a COCO file the images lie in the folder that is said.
    voc_scenes.save_coco(folder / "coco.json", folder / "voc", written)
    ktg.Detector(
        "digits", image_size=16, scales=(4,), head_width=2, class_names=voc_scenes.CLASSES
    ).save(folder / "detector.keras")


def save_texts(folder):
    """A text, pairs, and a model of each."""
    (folder / "text.txt").write_text("to be or not to be, that is the question\n" * 4)
    english, german = ["one dog", "two dogs"] * 30, ["ein Hund", "zwei Hunde"] * 30
    rows = [f"{a}\t{b}" for a, b in zip(english, german)]
    (folder / "pairs.tsv").write_text("\n".join(["english\tgerman", *rows]))
    vocabulary = ktg.Vocabulary.bytes()
    small = {"num_layers": 1, "model_dim": 8, "num_heads": 2}
    ktg.LanguageModel(vocabulary, **small).save(folder / "language_model.keras")
    ktg.SequenceToSequence(vocabulary, **small).save(folder / "translator.keras")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_examples(command):
    result = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "100"})
    assert result.exit_code == 0
    end = result.output.rpartition("For example:")[2]
    assert [line.strip() for line in end.splitlines() if line.strip()] == examples_of(command)


def test_the_pages_have_commands():
    assert {line.split()[1] for line in WRITTEN} >= {
        "classify", "demo", "detect", "evaluate", "extract", "generate", "inspect", "stylize",
        "text", "transfer", "translate", "tune",
    }  # fmt: skip


# The names of commands are no command lines, and `make demo` runs the demo.
RUN = [line for line in LINES if len(line.split()) > 2]


@pytest.mark.long
@pytest.mark.parametrize("line", RUN)
def test_what_is_written_runs(line, made, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    # The weights of this network are on the web.
    vgg = keras.applications.VGG19
    monkeypatch.setattr(
        keras.applications, "VGG19", lambda **given: vgg(**{**given, "weights": None})
    )
    folder = made / ("pairs" if "pix2pix" in line or "cyclegan" in line else "small")
    if "COCO.json" in line:
        folder = made / "voc" / "JPEGImages"
    model = tmp_path / "model.keras"
    if "MODEL.keras" in line or "SAMPLES_OR_MODEL" in line:
        kind = "translate" if "translate" in line else "generate"
        trained = "enhance" if kind == "translate" else "vae"
        train = [kind, "train", str(made / "small"), "--model", trained, "--epochs", "1"]
        size = ["--size", "16"]
        result = CliRunner().invoke(app, [*train, *size, "--output", "made"])
        assert result.exit_code == 0, result.output
        model = next(Path("made").glob("*.keras")).resolve()
    meant = {
        "FOLDER_OF_IMAGES": made / "small",
        "REAL_FOLDER": made / "small",
        "FOLDER": folder,
        "SAMPLES_OR_MODEL": model,
        "MODEL.keras": model,
        "BACKBONE": "digits",
        "TEXT_MODULE": made / "letters",
        "SOUND_MODULE": made / "waves.keras",
        "DNA_MODULE": made / "dna.keras",
        "TABLE.tsv": made / "table.tsv",
        "RECORDINGS": made / "recordings",
        "SEQUENCES": made / "sequences",
        "CLASSIFIER.keras": made / "classifier.keras",
        "MODULE": "digits",
        "TEXT_FILE": made / "text.txt",
        "PAIRS.tsv": made / "pairs.tsv",
        "LANGUAGE_MODEL.keras": made / "language_model.keras",
        "TRANSLATOR.keras": made / "translator.keras",
        "MIDI_FOLDER": made / "pieces",
        "MUSIC.keras": made / "music.keras",
        "SOUND.keras": made / "sound.keras",
        "HANDLE": "digits",
        "VOC_FOLDER": made / "voc",
        "COCO.json": made / "coco.json",
        "DETECTOR.keras": made / "detector.keras",
        **{name: made / name for name in ("CONTENT", "CONTENT.png", "STYLE", "STYLE.png")},
        **{name: made / name for name in ("CODING.fa", "PROMOTERS.fa", "OTHERS.fa")},
    }
    words = [str(meant.get(word, word)) for word in shlex.split(line)[1:]]
    # Training by default takes minutes to hours; what is written is run, once over the images.
    if "train" in words:
        words += ["--epochs", "1"]
    if words[:2] == ["detect", "train"]:
        words += ["--image-size", "32"]
    if words[:2] == ["text", "train"]:
        words += ["--layers", "1", "--width", "8"]
    if "vgg19" in words:
        words += ["--steps", "2"]
    if "tune" in words:
        words += ["--epochs", "1", "--trials", "2"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, f"{words}: {result.output[-2000:]} {result.exception!r}"


@pytest.mark.long
def test_files_of_the_command_are_json_that_every_reader_takes(made, tmp_path):
    """One sample has no deviation of the kernel distance: `null`, not NaN."""
    one = made / "small"
    report = tmp_path / "metrics.json"
    words = ["evaluate", str(one), str(one), "--output", str(report)]
    assert CliRunner().invoke(app, words).exit_code == 0

    def refuse(word):
        raise AssertionError(word)

    metrics = json.loads(report.read_text(), parse_constant=refuse)
    assert metrics
