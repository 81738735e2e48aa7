"""Each real file once, in one class; what is passed over is counted; names of any bytes."""

import os
import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_transgen.datasets import image_folder, image_folder_split, image_pairs, index_images


@pytest.fixture
def folder(tmp_path):
    """Black ants and white bees, two of each."""
    for name, value in (("ants", 0), ("bees", 255)):
        (tmp_path / "root" / name).mkdir(parents=True)
        for number in range(2):
            path = tmp_path / "root" / name / f"{name}{number}.png"
            Image.new("RGB", (8, 8), (value,) * 3).save(path)
    return tmp_path / "root"


def listed(folder, **options):
    index = index_images(folder, **options)
    names = [os.path.relpath(path, folder) for path in index.paths]
    return names if index.labels is None else dict(zip(names, index.labels.tolist()))


PLAIN = {"ants/ants0.png": 0, "ants/ants1.png": 0, "bees/bees0.png": 1, "bees/bees1.png": 1}


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("ants/up", ".."),
        ("ants/all", "../../root"),
        ("ants/again", "."),
        ("ants/0bees", "../bees"),
        ("bees/0ants", "../ants"),
        ("ants/0.png", "ants0.png"),
        ("bees/later.png", "bees1.png"),
        ("ants/gone", "nowhere"),
        ("ants/loop", "loop"),
    ],
)
def test_links_add_nothing_to_what_is_there(folder, link, target):
    (folder / link).symlink_to(target)
    assert listed(folder) == PLAIN
    assert listed(folder, labelled=False) == list(PLAIN)


def test_loose_images_are_not_those_of_a_link_to_their_folder(folder):
    Image.new("RGB", (8, 8)).save(folder / "loose.png")
    (folder / "ants" / "up").symlink_to("..")
    assert listed(folder) == PLAIN
    assert len(listed(folder, labelled=False)) == 5


def test_a_class_that_is_a_link_to_the_others_has_no_images(folder):
    (folder / "all").symlink_to(".")
    with pytest.raises(ValueError, match=r"no images in \['all'\]"):
        index_images(folder)


def test_files_that_are_elsewhere_are_taken_at_their_links(folder, tmp_path):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "wasps").symlink_to(folder / "ants")
    (tmp_path / "linked" / "bees").mkdir()
    (tmp_path / "linked" / "bees" / "b.png").symlink_to(folder / "bees" / "bees0.png")
    (tmp_path / "linked" / "bees" / "c.png").symlink_to(folder / "bees" / "bees0.png")
    (tmp_path / "linked" / "bees" / "more").symlink_to(folder / "bees")
    assert listed(tmp_path / "linked") == {
        "bees/b.png": 0,
        "bees/more/bees1.png": 0,
        "wasps/ants0.png": 1,
        "wasps/ants1.png": 1,
    }
    (tmp_path / "top").symlink_to(folder)
    assert listed(tmp_path / "top") == PLAIN


@pytest.mark.parametrize(
    "how", ["link", "hard link", "both elsewhere", "folder and file", "folders"]
)
def test_a_file_in_two_classes_is_refused(folder, tmp_path, how):
    if how == "link":
        (folder / "bees" / "x.png").symlink_to("../ants/ants0.png")
    elif how == "hard link":
        os.link(folder / "ants" / "ants0.png", folder / "bees" / "x.png")
    else:
        (tmp_path / "far").mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / "far" / "x.png")
        for name in ("ants", "bees"):
            if how == "folders" or (how == "folder and file" and name == "bees"):
                (folder / name / "x").symlink_to(tmp_path / "far")
            else:
                (folder / name / "x.png").symlink_to(tmp_path / "far" / "x.png")
    with pytest.raises(ValueError, match=r"ants/.* and .*bees/x.*one file"):
        index_images(folder)
    assert len(index_images(folder, labelled=False).paths) == (4 if "link" in how else 5)


def test_hard_links_in_a_class_are_one_image(folder):
    os.link(folder / "ants" / "ants0.png", folder / "ants" / "zz.png")
    assert listed(folder) == PLAIN


def test_a_link_to_nothing_is_named(folder):
    (folder / "ants" / "gone.png").symlink_to("nowhere.png")
    with pytest.raises(ValueError, match=r"1 unreadable of 5.*gone\.png"):
        image_folder(folder, 8)


def test_what_is_passed_over_is_counted(folder):
    for name in ("ants/a.txt", "ants/b.TXT", "bees/c.mov", "bees/README.md", "bees/Thumbs.db",
                 "ants/.DS_Store", "ants/desktop.ini", "bees/LICENSE"):  # fmt: skip
        (folder / name).touch()
    said = (
        r"image_folder passes over 3 files that are no images by their suffix \(.txt: 2, .mov: 1\)"
    )
    with pytest.warns(UserWarning, match=said) as caught:
        image_folder(folder, 8)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=r"image_folder_split passes over 3 files"):
        image_folder_split(folder, 8, validation_fraction=0.5)
    with pytest.warns(UserWarning, match=r"image_pairs passes over 3 files"):
        image_pairs(folder, 8, square_halves=False)
    (folder / "ants" / "a.txt").unlink()
    (folder / "ants" / "b.TXT").unlink()
    with pytest.warns(UserWarning, match=r"over 1 file that is no image by its suffix \(.mov: 1\)"):
        image_folder(folder, 8)


def test_nothing_is_said_where_nothing_is_passed_over(folder):
    (folder / "README.txt").touch()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image_folder(folder, 8)
        image_folder(folder, 8, labelled=False)


def test_images_beside_the_class_folders_are_counted(folder):
    Image.new("RGB", (8, 8)).save(folder / "loose.png")
    with pytest.warns(UserWarning, match=r"over 1 image\(s\) in no class folder"):
        image_folder(folder, 8)


def test_names_that_are_no_text(folder):
    """`caf\\xe9.png`, as Latin-1 systems wrote it."""
    name = os.fsencode(folder) + b"/ants/caf\xe9.png"
    try:
        os.rename(folder / "ants" / "ants1.png", name)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    for check in ("quick", "none"):
        data = image_folder(folder, 8, batch_size=None, check=check)
        assert os.fsencode(data.file_paths[1]) == name
        assert [int(image[0, 0, 0]) for image, _ in data] == [0, 0, 1, 1]
    assert len(list(image_pairs(folder, 8, None, square_halves=False))) == 4
    with open(name, "wb") as file:
        file.write(b"no image")
    with pytest.raises(ValueError, match=r"caf\\udce9\.png") as error:
        image_folder(folder, 8)
    assert str(error.value).isprintable()
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"caf\\udce9\.png"):
        list(image_folder(folder, 8, check="none"))


def test_a_name_that_is_long_or_strange(folder):
    for name in ("a" * 250 + ".png", "with space.PNG", "%s{}[0].png", "ü\u202e.png"):
        Image.new("RGB", (8, 8), (255, 0, 0)).save(folder / "bees" / name, "PNG")
    images = np.concatenate([batch for batch, _ in image_folder(folder, 8)])
    assert images[:, 0, 0, 0].tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
