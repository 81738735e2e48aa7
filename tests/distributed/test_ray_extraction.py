"""Features by actors of a Ray cluster: the same numbers, every image once, whatever is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_transgen as ktg
from keras_transgen.backbones.digits_network import digits_network
from keras_transgen.cli.extract import run_extract
from keras_transgen.datasets import image_folder, load_digits
from keras_transgen.distributed import extract_with_ray, read_features
from keras_transgen.distributed.ray_extraction import _refuse_names
from tests.distributed.conftest import descendants
from tests.distributed.extraction_driver import OPTIONS

pytestmark = pytest.mark.long

GRAY = {"image_size": 8, "color_mode": "grayscale", "progress": False}


def write_digits(folder: Path, count: int, first: int = 0) -> None:
    images, labels = load_digits()
    for number in range(first, first + count):
        place = folder / f"digit {labels[number]}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.round(images[number, ..., 0] * 255).astype("uint8")
        Image.fromarray(pixels).save(place / f"{number:04}.png")


def directly(folder: Path) -> tuple[list[str], np.ndarray]:
    """What one process computes from the same images."""
    data = image_folder(folder, image_size=8, labelled=False, color_mode="grayscale")
    backbone = ktg.load_backbone("digits")
    features = np.concatenate([keras.ops.convert_to_numpy(backbone(images)) for images in data])
    return [Path(path).relative_to(folder).as_posix() for path in data.file_paths], features


def assert_every_image_once(images: Path, output: Path) -> None:
    files, features = read_features(output)
    expected_files, expected = directly(images)
    order = np.argsort(expected_files)
    assert files == [expected_files[i] for i in order]
    np.testing.assert_allclose(features, expected[order], atol=1e-5)


@pytest.mark.slow
def test_features_are_those_of_one_process_and_new_images_are_added(ray_cluster, tmp_path):
    images, output = tmp_path / "images", tmp_path / "features"
    write_digits(images, 40)
    options = {"rows_per_file": 16, "batch_size": 8, "num_workers": 2, "crop_to_aspect_ratio": True}
    assert extract_with_ray("digits", images, output, **GRAY, **options) == 40
    assert_every_image_once(images, output)
    assert extract_with_ray("digits", images, output, **GRAY, **options) == 0
    write_digits(images, 3, first=40)
    # The command goes on with the same folder.
    run_extract("digits", images, output, workers=1, image_size=8, ray=True)
    assert_every_image_once(images, output)


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_when_actors_and_the_run_are_killed(ray_cluster, tmp_path):
    images, output = tmp_path / "images", tmp_path / "features"
    write_digits(images, 300)
    address = ray_cluster.get_runtime_context().gcs_address
    driver = subprocess.Popen(
        [sys.executable, "-m", "tests.distributed.extraction_driver", address, images, output],
        cwd=Path(__file__).parents[2],
    )

    def wait_for_files(count: int) -> None:
        deadline = time.monotonic() + 120
        while len(list(output.glob("*.parquet"))) < count:
            assert driver.poll() is None, "the driver ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)

    try:
        wait_for_files(3)
        actors = [pid for pid, name in descendants(os.getpid()).items() if "MapWorker" in name]
        assert actors
        for actor in actors:
            os.kill(actor, signal.SIGKILL)
        before = len(list(output.glob("*.parquet")))
        wait_for_files(before + 3)
    finally:
        driver.kill()
        driver.wait()
    there = len(list(output.glob("*.parquet")))
    assert there < 300
    done = extract_with_ray("digits", images, output, **OPTIONS)
    # What the dying actors still finished is not done again.
    assert 0 < done <= 300 - there
    assert_every_image_once(images, output)


@pytest.mark.slow
def test_what_cannot_be_extracted_is_named(ray_cluster, tmp_path):
    images, output = tmp_path / "images", tmp_path / "features"
    write_digits(images, 4)
    (images / "broken.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"unreadable \['broken.png'\], 1 in a portion of 5"):
        extract_with_ray("digits", images, output, num_workers=1, **GRAY)
    other = ktg.KerasBackbone(digits_network())
    with pytest.raises(ValueError, match=r"\(before, now\) differ: \{'backbone'"):
        extract_with_ray(other, images, output, num_workers=1, **GRAY)
    with pytest.raises(ValueError, match=r"num_workers=3.*a cluster of 3 CPUs"):
        extract_with_ray("digits", images, output, num_workers=3, **GRAY)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"color_mode": "sepia"}, "color_mode='sepia'"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"rows_per_file": 0}, "rows_per_file=0"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path, changed, message):
    with pytest.raises(ValueError, match=message):
        extract_with_ray("digits", tmp_path, tmp_path, **{**GRAY, **changed})


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no image in"):
        extract_with_ray("digits", tmp_path, tmp_path / "out", **GRAY)
    with pytest.raises(ValueError, match="with 0 other files"):
        extract_with_ray("digits", tmp_path.as_uri(), tmp_path / "out", **GRAY)


def test_names_that_parquet_cannot_hold_are_refused():
    _refuse_names(["café.png", "\u202e.png"])
    with pytest.raises(ValueError, match=r"UTF-8.*caf\\udce9.*1 of 2") as error:
        _refuse_names(["caf\udce9.png", "a.png"])
    assert str(error.value).isprintable()


@pytest.mark.slow
def test_images_are_read_as_image_folder_reads_them(ray_cluster, tmp_path):
    images, output = tmp_path / "images", tmp_path / "features"
    write_digits(images, 3)
    turned = Image.Exif()
    turned[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 4), "uint8")
    Image.fromarray(pixels).save(images / "transparent.png", exif=turned)
    Image.fromarray(pixels[..., :3]).save(images / "photo.jpg", exif=turned)
    Image.fromarray(pixels[..., :3]).save(images / "plain.jpg")
    Image.fromarray(pixels[..., 0].astype("uint16") * 257).save(images / "scan.tif")
    assert extract_with_ray("digits", images, output, num_workers=1, **GRAY) == 7
    assert_every_image_once(images, output)
