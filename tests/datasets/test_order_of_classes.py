"""One order of classes, wherever their names come from."""

import numpy as np
import pytest
from PIL import Image

from keras_transgen.cli.labelled_sequences import labelled_sequences
from keras_transgen.datasets import audio_folder, index_images, text_table, write_wav


def of_images(names, folder):
    for name in names:
        (folder / name).mkdir()
        Image.new("L", (4, 4)).save(folder / name / "a.png")
    index = index_images(folder)
    # Each file has the number of its own folder.
    assert [path.split("/")[-2] for path in index.paths] == list(index.class_names)
    assert index.labels.tolist() == list(range(len(names)))
    return index.class_names


def of_sound_by_folder(names, folder):
    for name in names:
        (folder / name).mkdir()
        write_wav(folder / name / "a.wav", np.zeros(10), 8000)
    return audio_folder(folder).class_names


def of_sound_by_pattern(names, folder):
    for name in names:
        write_wav(folder / f"{name}_x.wav", np.zeros(10), 8000)
    return audio_folder(folder, pattern=r"(?P<label>.*)_x\.wav").class_names


def of_a_table(names, folder):
    rows = "".join(f"text,{name}\n" for name in names)
    (folder / "a.csv").write_text(f"text,label\n{rows}")
    return text_table(folder / "a.csv").class_names


def of_sequences_by_file(names, folder):
    for name in names:
        (folder / f"{name}.fa").write_text(">a\nACGT\n")
    return labelled_sequences([folder], None, None)[2]


def of_sequences_by_folder(names, folder):
    for name in names:
        (folder / name).mkdir()
        (folder / name / "a.fa").write_text(">a\nACGT\n")
    return labelled_sequences([folder], None, None)[2]


@pytest.mark.parametrize(
    "read",
    [
        of_images,
        of_sound_by_folder,
        of_sound_by_pattern,
        of_a_table,
        of_sequences_by_file,
        of_sequences_by_folder,
    ],
)
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["10", "9", "-1", "2.5"], ("-1", "2.5", "9", "10")),
        (["10", "9", "ten"], ("10", "9", "ten")),
        (["b", "B", "a"], ("B", "a", "b")),
    ],
)
def test_numbers_by_value_and_anything_else_as_text(read, names, expected, tmp_path):
    assert tuple(read(names, tmp_path)) == expected
