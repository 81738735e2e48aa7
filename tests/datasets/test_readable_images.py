"""Broken files are left out where that is asked for, and named in every case."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_transgen.datasets import image_folder, image_folder_split, image_pairs
from keras_transgen.datasets.readable_images import CHECKS


@pytest.fixture
def folder(tmp_path):
    """Ten squares a class, numbered by their brightness."""
    for label, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        for number in range(10):
            image = Image.new("RGB", (16, 16), (100 * label + number,) * 3)
            image.save(tmp_path / name / f"{number}.{'png' if number % 2 else 'bmp'}")
    return tmp_path


def values(data):
    return [round(float(image[0, 0, 0]) * 255) for image in data.unbatch()]


def test_broken_files_are_left_out_and_listed(folder):
    for number in (1, 3, 5, 7):
        (folder / "a" / f"{number}.png").write_bytes(b"no image")
    for number in (0, 2):
        (folder / "b" / f"{number}.bmp").write_bytes(b"")
    said = r"image_folder leaves out 6 unreadable of 20: .*1\.png.*7\.png.*0\.bmp .*; and 1 more$"
    with pytest.warns(UserWarning, match=said) as caught:
        data = image_folder(folder, 8, labelled=False, skip_broken=True)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert values(data) == [0, 2, 4, 6, 8, 9, 101, *range(103, 110)]
    with pytest.warns(UserWarning, match="leaves out 6 unreadable"):
        parts = image_folder_split(folder, 8, skip_broken=True, validation_fraction=0.5)
    assert [np.concatenate([y for _, y in part]).tolist().count(0) for part in parts] == [3, 3]
    assert not {*parts[0].file_paths} & {*parts[1].file_paths}
    with pytest.raises(ValueError, match=r"6 unreadable of 20.*and 1 more"):
        image_folder(folder, 8)


def test_nothing_is_said_of_whole_folders(folder, recwarn):
    assert len(values(image_folder(folder, 8, labelled=False, skip_broken=True))) == 20
    assert not [each for each in recwarn if "leaves out" in str(each.message)]


def test_a_class_with_nothing_left(folder):
    for path in (folder / "b").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"10 unreadable of 20.*none is left in \['b'\]"):
        image_folder(folder, 8, skip_broken=True)
    for path in (folder / "a").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="20 unreadable of 20"):
        image_folder(folder, 8, labelled=False, skip_broken=True)


def test_wrong_arguments(folder):
    with pytest.raises(ValueError, match=r"skip_broken=True.*check='none'"):
        image_folder(folder, 8, check="none", skip_broken=True)
    with pytest.raises(ValueError, match="check='all'"):
        image_pairs(folder, 8, check="all")


def jpeg(**options):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), "uint8")
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"no image",
        b"",
        jpeg()[:-300],
        b"\xff\xd8\xff" + bytes(100) + b"\xff\xd9",
        jpeg(exif=b"Exif\0\0MM")[:700],
    ],
    ids=["text", "empty", "truncated", "header only", "in the header"],
)
def test_what_stops_a_training_is_named(folder, content):
    (folder / "a" / "4.bmp").write_bytes(content)
    for data in (
        image_folder(folder, 8, check="none"),
        image_pairs(folder, 8, check="none"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"a/4\.bmp"):
            list(data)


def test_a_file_that_changed_after_the_look(folder):
    data = image_folder(folder, 8)
    (folder / "a" / "9.png").write_bytes(b"no image any more")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"a/9\.png"):
        list(data)


@pytest.mark.parametrize("check", CHECKS)
def test_plain_jpegs_among_others_are_read_alike(folder, check):
    path = folder / "a" / "0.bmp"
    path.write_bytes(jpeg())
    expected = np.asarray(Image.open(path))
    data = image_folder(folder, 40, 1, labelled=False, value_range=(0.0, 255.0), check=check)
    np.testing.assert_allclose(next(iter(data))[0], expected, atol=1e-3)
    data = image_pairs(folder, 16, check=check, square_halves=False)
    assert len(list(data)) == 3


def test_pairs_must_be_two_squares(tmp_path):
    for number, size in enumerate([(32, 16), (16, 16), (48, 16), (33, 16), (16, 32)]):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    said = r"4 other\(s\) of 5 .*1\.png of 16 x 16 pixels; .*2\.png.*3\.png of 33 x 16.*4\.png"
    with pytest.raises(ValueError, match=said):
        image_pairs(tmp_path, 8)
    assert len(list(image_pairs(tmp_path, 8, None, square_halves=False))) == 5
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (16, 32)).save(tmp_path / "4.png", exif=turned)
    with pytest.raises(ValueError, match=r"3 other\(s\)"):
        image_pairs(tmp_path, 8)
