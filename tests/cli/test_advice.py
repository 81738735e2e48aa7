"""Errors of the library in the words of the command line, each as the library raises it."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

import keras_transgen as ktg
from keras_transgen.cli.advice import as_options
from keras_transgen.cli.application import main
from keras_transgen.datasets import (
    audio_folder,
    coco_boxes,
    index_images,
    kmer_counts,
    one_hot_sequences,
    read_wav,
    stratified_split,
    text_table,
    write_wav,
)

FORBIDDEN = (
    "labelled=", "test_fraction", "skip_missing", "separator=", "quotes=", "max_bytes",
    "class_names=", "ambiguity", "sample_rate=", "seconds=", "text=", "label=", "pattern=",
    "alphabet=", "skip_empty", "scales=",
)  # fmt: skip


def written(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def flat(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"x")


def one_class(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.png").write_bytes(b"x")


def sound(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        write_wav(tmp_path / name / "0.wav", np.zeros(100), 8000)
    return tmp_path / "a" / "0.wav"


def boxes_of_no_area(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    images = [{"id": 1, "file_name": "0.png", "width": 8, "height": 8}]
    boxes = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 2, 0, 3]}]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cell"}]}
    return written(tmp_path, "coco.json", json.dumps(content))


CASES = {
    "no class folders": (
        lambda path: (flat(path), index_images(path)),
        "Move the images into class folders. Received",
    ),
    "one class": (lambda path: (one_class(path), index_images(path)), "folder of images. Received"),
    "a small class": (
        lambda path: stratified_split(np.array([0, 0, 0, 0, 1]), 0.2),
        "or give others with --validation. Received: 1 example(s) of class 1",
    ),
    "a missing label": (
        lambda path: text_table(written(path, "a.csv", "text,label\na,\nb,c\n")),
        "Correct it, or leave the row out",
    ),
    "a missing column": (
        lambda path: text_table(written(path, "a.csv", "a,b\na,b\n")),
        "Give --text and --label by name",
    ),
    "a ragged table": (
        lambda path: text_table(written(path, "a.csv", "text,label\na,b\na,b,c\n")),
        "Correct the row. Received",
    ),
    "a lone quote": (
        lambda path: text_table(written(path, "a.csv", 'text,label\n"a,b\na,b\n')),
        "Double a lone quote",
    ),
    "no table": (
        lambda path: text_table(written(path, "a.txt", "text label\na b c\n")),
        "Save it as CSV or TSV",
    ),
    "a large table": (
        lambda path: text_table(written(path, "a.csv", "text,label\na,b\n"), max_bytes=5),
        "at most 5 bytes. Split the file",
    ),
    "images elsewhere": (
        lambda path: coco_boxes(
            written(
                path,
                "a.json",
                '{"images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 8}],'
                ' "annotations": [], "categories": [{"id": 1, "name": "a"}]}',
            ),
            path,
        ),
        "Expected every image of the file in the folder; name it with --images. Received: 1 of 1",
    ),
    "another class": (
        lambda path: text_table(
            written(path, "a.csv", "text,label\na,b\n"), class_names=["x", "y"]
        ),
        "among the classes of the training data, ['x', 'y']",
    ),
    "one class in a table": (
        lambda path: text_table(written(path, "a.csv", "text,label\na,b\n")),
        "says the class. Received",
    ),
    "another letter": (
        lambda path: one_hot_sequences(["AXC"], "ACGT", ambiguity=False),
        "letters of --alphabet 'ACGT'. Received: 'X'",
    ),
    "long sequences": (
        lambda path: one_hot_sequences(["A" * 99], max_bytes=9),
        "at most 9 bytes. Give a shorter --length",
    ),
    "long words": (
        lambda path: kmer_counts(["ACGT"], 3, max_bytes=9),
        "at most 9 bytes. Give a smaller --kmers. Received: 1 sequences and k=3",
    ),
    "long recordings": (
        lambda path: (sound(path), audio_folder(path, max_bytes=9)),
        "at most 9 bytes together. Give fewer --seconds or a lower --sample-rate",
    ),
    "a long recording": (
        lambda path: read_wav(sound(path), max_bytes=300),
        "at most 300 bytes",
    ),
    "a box without an area": (
        lambda path: coco_boxes(boxes_of_no_area(path), path),
        "leave such boxes out with --skip-empty. Received: box 0",
    ),
    "scales that there are not": (
        lambda path: ktg.Detector("digits", 1, 64, scales=(8,)),
        "4 ('block3_a_relu'). Or name layers with --scales. Received: --scales 8, --image-size 64",
    ),
    "a wrong pattern": (
        lambda path: (sound(path), audio_folder(path, pattern="(")),
        "Received: --pattern '('",
    ),
    "no rate": (
        lambda path: (sound(path), audio_folder(path, sample_rate=0)),
        "Received: --sample-rate 0",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_no_argument_of_python_is_named(name, tmp_path):
    call, expected = CASES[name]
    with pytest.raises(ValueError, match=r"Received") as raised:
        call(tmp_path)
    said = as_options(str(raised.value))
    assert expected in said, said
    head = said.partition("Received")[0]
    assert [word for word in FORBIDDEN if word in head] == []


def test_what_is_no_argument_stays():
    for text in ("a file named x.label=3.png", "layers", "http://a.b/?seed=3", "'text=a'"):
        assert as_options(text) == text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("tune bad", "3 examples at least. Add some. Received: 1 of class 'b'"),
        ("tune flat", "Move the images into class folders. Received"),
        ("tune single", "Expected at least two classes"),
        ("tune text", "can be read as images"),
        ("transfer digits bad", "or give others with --validation. Received: 1 of class 'b'"),
        ("transfer digits flat", "Move the images into class folders. Received"),
        ("transfer digits ok --method lora --learning-rate 0", "Received: --learning-rate 0"),
        ("transfer digits ok --layers nothing", "'nothing'"),
        ("tune ok --backbone nothing", "nothing"),
        ("tune ok --space kind=nothing --trials 1", "kind"),
        ("tune ok --space nothing=1 --trials 1", "nothing"),
        ("tune ok --epochs 1 --steps 2", "leave out --epochs or --steps"),
    ],
)
def test_on_the_command_line(words, message, tmp_path, monkeypatch, capsys):
    from PIL import Image

    for folder, count in (
        ("ok/a", 5),
        ("ok/b", 5),
        ("bad/a", 5),
        ("bad/b", 1),
        ("flat", 3),
        ("single/a", 3),
    ):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(count):
            Image.new("L", (8, 8), number).save(tmp_path / folder / f"{number}.png")
    for name in "ab":
        (tmp_path / "text" / name).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "text" / name / f"{number}.png").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(sys, "argv", ["keras-transgen", *words.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    said = " ".join(capsys.readouterr().err.split())
    assert ended.value.code == 1
    assert "Traceback" not in said
    assert message in said
