import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from keras_transgen.datasets import (
    image_folder,
    image_folder_split,
    index_images,
    unreadable_images,
)


def save(path, colour, size=(6, 4)):
    """A picture of one colour; `size` is width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def folder(tmp_path):
    """Two classes whose file names and creation order are not the sorted order."""
    for name, value in [("b", 30), ("a", 20), ("c", 40)]:
        save(tmp_path / "zebra" / f"{name}.png", (value, value, value))
    save(tmp_path / "ant" / "deep" / "x.png", (10, 10, 10))
    save(tmp_path / "ant" / "y.bmp", (0, 127, 255))
    (tmp_path / "ant" / "notes.txt").write_text("no image")
    save(tmp_path / ".hidden" / "x.png", (1, 1, 1))
    save(tmp_path / "ant" / ".thumbnail.png", (1, 1, 1))
    return tmp_path


def gathered(dataset):
    images, labels = zip(*((np.array(x), np.array(y)) for x, y in dataset))
    return np.concatenate(images), np.concatenate(labels)


def test_images_come_by_sorted_class_and_path_with_scaled_values(folder):
    dataset = image_folder(folder, image_size=(4, 6), batch_size=2)
    images, labels = gathered(dataset)

    assert dataset.class_names == ["ant", "zebra"]
    assert [path.rsplit("/", 1)[1] for path in dataset.file_paths] == [
        "x.png",
        "y.bmp",
        "a.png",
        "b.png",
        "c.png",
    ]
    assert images.shape == (5, 4, 6, 3)
    assert images.dtype == np.float32
    assert labels.tolist() == [0, 0, 1, 1, 1]
    assert labels.dtype == np.int64
    assert int(dataset.cardinality()) == 3
    assert dataset.element_spec[0].shape.as_list() == [None, 4, 6, 3]
    np.testing.assert_allclose(images[:, 0, 0, 0] * 255, [10, 0, 20, 30, 40], atol=1e-4)
    np.testing.assert_allclose(images[1, 2, 3] * 255, [0, 127, 255], atol=1e-4)


def test_value_range_and_colour_mode(folder):
    dataset = image_folder(
        folder, 4, batch_size=None, value_range=(-1.0, 1.0), color_mode="grayscale"
    )
    image, label = next(iter(dataset))
    assert image.shape == (4, 4, 1)
    assert label.shape == ()
    np.testing.assert_allclose(np.array(image), 10 / 127.5 - 1.0, atol=1e-6)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp"])
def test_every_format_is_read_in_colour_and_grey(tmp_path, suffix):
    Image.new("RGB", (8, 8), (200, 100, 40)).save(tmp_path / f"a.{suffix}")
    (colour,) = image_folder(tmp_path, 8, labelled=False)
    (grey,) = image_folder(tmp_path, 8, labelled=False, color_mode="grayscale")
    expected = np.broadcast_to([200, 100, 40], (1, 8, 8, 3))
    np.testing.assert_allclose(np.array(colour) * 255, expected, atol=4)
    # 0.299 * 200 + 0.587 * 100 + 0.114 * 40
    np.testing.assert_allclose(np.array(grey) * 255, np.full((1, 8, 8, 1), 123.06), atol=4)


def test_without_labels_a_flat_folder_gives_images(tmp_path):
    save(tmp_path / "one.jpg", (50, 50, 50))
    save(tmp_path / "two.JPEG", (60, 60, 60))
    dataset = image_folder(tmp_path, 4, labelled=False)
    (batch,) = list(dataset)
    np.testing.assert_allclose(np.array(batch)[:, 1, 1, 1] * 255, [50, 60], atol=1.0)
    assert dataset.class_names is None


def test_cropping_takes_the_middle_and_keeps_the_aspect_ratio(tmp_path):
    pixels = np.zeros((4, 8, 3), "uint8")
    pixels[:, 2:6] = 255  # a white square in the middle of a black strip
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "strip.png")
    (cropped, _), *_ = image_folder(tmp_path, 4, crop_to_aspect_ratio=True)
    np.testing.assert_allclose(np.array(cropped), 1.0, atol=1e-6)
    (stretched, _), *_ = image_folder(tmp_path, 4)
    assert np.array(stretched).mean() == pytest.approx(0.5, abs=0.01)


def test_antialiasing_averages_a_checkerboard_where_keras_resizing_does_not(tmp_path):
    board = (np.indices((16, 16)).sum(axis=0) % 2 * 255).astype("uint8")
    columns = np.tile(np.array([255, 0, 0, 0], "uint8"), (16, 4))
    for name, pixels in (("board", board), ("columns", columns)):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "a.png")
    (smooth, _), *_ = image_folder(tmp_path, 4, color_mode="grayscale")
    (rough, _), *_ = image_folder(tmp_path, 4, color_mode="grayscale", antialias=False)
    inner = np.array(smooth)[:, 1:3, 1:3, 0]
    np.testing.assert_allclose(inner[0], 0.5, atol=0.02)
    np.testing.assert_allclose(inner[1], 0.25, atol=0.05)
    np.testing.assert_allclose(np.array(rough)[1, 1:3, 1:3, 0], 0.0, atol=1e-6)


def test_shuffling_changes_the_order_between_epochs_but_not_the_pairs(tmp_path):
    for label, name in enumerate("ab"):
        for i in range(20):
            value = 100 * label + i
            save(tmp_path / name / f"{i:02}.png", (value, value, value))
    dataset = image_folder(tmp_path, 2, shuffle=True, seed=5)
    first, second = gathered(dataset), gathered(dataset)

    def values(images):
        return np.round(images[:, 0, 0, 0] * 255).astype(int)

    expected = [*range(20), *range(100, 120)]
    assert sorted(values(first[0])) == expected
    assert values(first[0]).tolist() != expected
    assert values(first[0]).tolist() != values(second[0]).tolist()
    for images, labels in (first, second):
        np.testing.assert_array_equal(values(images) // 100, labels)
    again = gathered(image_folder(tmp_path, 2, shuffle=True, seed=5))
    np.testing.assert_array_equal(first[0], again[0])


def test_split_is_stratified_disjoint_and_complete(tmp_path):
    for name, count in (("a", 10), ("b", 5)):
        for i in range(count):
            save(tmp_path / name / f"{i}.png", (i, i, i))
    train, validation = image_folder_split(tmp_path, 2, validation_fraction=0.2)

    assert np.bincount(gathered(train)[1]).tolist() == [8, 4]
    assert np.bincount(gathered(validation)[1]).tolist() == [2, 1]
    assert not set(train.file_paths) & set(validation.file_paths)
    assert len({*train.file_paths, *validation.file_paths}) == 15
    assert train.class_names == validation.class_names == ["a", "b"]
    _, again = image_folder_split(tmp_path, 2, validation_fraction=0.2)
    assert again.file_paths == validation.file_paths


def test_wrong_folders_are_refused_with_what_was_found(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing there"):
        image_folder(tmp_path / "absent", 8)
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileNotFoundError, match="a file"):
        image_folder(tmp_path / "file", 8)
    with pytest.raises(ValueError, match=r"1 other file\(s\) and no image"):
        image_folder(tmp_path, 8)
    save(tmp_path / "loose.png", (0, 0, 0))
    with pytest.raises(ValueError, match="1 images and no class folder"):
        image_folder(tmp_path, 8)
    save(tmp_path / "only" / "a.png", (0, 0, 0))
    with pytest.raises(ValueError, match="one class, 'only'"):
        image_folder(tmp_path, 8)
    (tmp_path / "void").mkdir()
    with pytest.raises(ValueError, match=r"no images in \['void'\]"):
        image_folder(tmp_path, 8)


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": (8, 8, 3)},
        {"image_size": 0},
        {"color_mode": "cmyk"},
        {"batch_size": 0},
        {"value_range": (1.0, 0.0)},
        {"check": "maybe"},
    ],
)
def test_wrong_arguments_are_refused(folder, options):
    with pytest.raises(ValueError, match="Received"):
        image_folder(folder, **{"image_size": 8, **options})


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp"])
def test_truncated_files_are_named_before_training(folder, suffix):
    whole = folder / "ant" / f"whole.{suffix}"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), "uint8")
    Image.fromarray(pixels).save(whole)
    image_folder(folder, 8)
    content = whole.read_bytes()
    (folder / "ant" / f"half.{suffix}").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=rf"1 unreadable of 7: .*half\.{suffix}"):
        image_folder(folder, 8)


def test_empty_files_and_texts_are_named(folder):
    (folder / "ant" / "empty.png").write_bytes(b"")
    (folder / "zebra" / "text.jpg").write_text("I am no image")
    with pytest.raises(ValueError, match="2 unreadable of 7") as error:
        image_folder_split(folder, 8, validation_fraction=0.4)
    assert "empty.png (the file is empty)" in str(error.value)
    assert "text.jpg" in str(error.value)


def test_the_thorough_check_finds_damage_inside_a_file(folder):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), "uint8")
    path = folder / "ant" / "damaged.png"
    Image.fromarray(pixels).save(path)
    content = bytearray(path.read_bytes())
    content[1000:1100] = bytes(100)
    path.write_bytes(content)
    paths = index_images(folder).paths
    assert list(unreadable_images(paths)) == [str(path)]
    assert unreadable_images(paths, thorough=False) == {}
    with pytest.raises(ValueError, match=r"damaged\.png"):
        image_folder(folder, 8, check="thorough")


def test_importing_the_room_does_not_import_tensorflow():
    code = (
        "import sys, importlib.util, types; "
        "package = types.ModuleType('keras_transgen'); "
        "package.__path__ = ['keras_transgen']; sys.modules['keras_transgen'] = package; "
        "import keras_transgen.datasets; "
        "sys.exit('tensorflow' in sys.modules or 'sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.shared_data
def test_ants_and_bees(shared_folder):
    dataset = image_folder(shared_folder / "data/ants_bees/val", 32, batch_size=64)
    images, labels = gathered(dataset)
    assert dataset.class_names == ["ants", "bees"]
    assert images.shape == (153, 32, 32, 3)
    assert np.bincount(labels).tolist() == [70, 83]
    assert images.min() >= 0.0
    assert images.max() <= 1.0
