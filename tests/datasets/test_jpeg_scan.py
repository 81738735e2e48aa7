"""Damage among a JPEG's pixels is found; whole files of every make are let through."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_transgen.datasets import image_folder, unreadable_images
from keras_transgen.datasets.jpeg_header import plain_jpeg
from keras_transgen.datasets.jpeg_scan import jpeg_damage

KINDS = {
    "plain": {},
    "progressive": {"progressive": True},
    "optimized": {"optimize": True},
    "restarts": {"restart_marker_blocks": 2},
    "progressive restarts": {"restart_marker_blocks": 1, "progressive": True},
    "full colour": {"subsampling": 0},
    "coarse": {"quality": 1},
}


def scene(size=(120, 90), mode="RGB"):
    x, y = np.meshgrid(np.linspace(0, 9, size[0]), np.linspace(0, 7, size[1]))
    channels = [np.sin(x + k) * np.cos(y * (k + 1)) * 120 + 128 for k in range(3)]
    grain = np.random.default_rng(0).integers(-20, 20, (*size[::-1], 3))
    pixels = np.clip(np.stack(channels, -1) + grain, 0, 255)
    return Image.fromarray(pixels.astype("uint8")).convert(mode)


def jpeg(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_are_not_blamed(mode, kind):
    flat = [Image.new(mode, (90, 70), value) for value in ("black", "white", "gray")]
    odd = [scene(size, mode) for size in ((1, 1), (9, 3), (33, 17), (120, 90))]
    for image in flat + odd:
        assert jpeg_damage(jpeg(image, **KINDS[kind])) == ""


def middle(content):
    return (content.rindex(b"\xff\xda") + len(content)) // 2


def test_data_that_are_cut_out_are_missed():
    content = jpeg(scene())
    place = middle(content)
    found = [
        jpeg_damage(content[:at] + content[at + 300 :]) for at in range(place, place + 200, 10)
    ]
    assert sum(bool(each) for each in found) >= 15
    assert any("too few data" in each for each in found)


def test_numbers_that_end_elsewhere_leave_too_many_data():
    content = jpeg(scene())
    place = middle(content)
    random = np.random.default_rng(0)
    others = [bytes(random.integers(0, 255, 60, "uint8")) for _ in range(20)]
    found = [jpeg_damage(content[:place] + each + content[place + 60 :]) for each in others]
    assert sum(bool(each) for each in found) >= 15
    assert any("too many data" in each for each in found)


@pytest.mark.parametrize("kind", KINDS)
def test_overwritten_bytes_and_markers(kind):
    content = jpeg(scene(), **KINDS[kind])
    place = middle(content)
    for block in (b"\xff" * 50, b"\xff\xd8\xff\xe0", b"\xff\x17", b"\xff\x02" * 8):
        damaged = content[:place] + block + content[place + len(block) :]
        assert jpeg_damage(damaged).startswith("damaged"), block
    assert "no end" in jpeg_damage(content[:place])


def test_a_restart_marker_is_gone():
    content = jpeg(scene(), restart_marker_blocks=2)
    place = content.index(b"\xff\xd3")
    assert "order" in jpeg_damage(content[:place] + content[place + 2 :])


def test_the_folder_names_it(tmp_path):
    content = jpeg(scene())
    place = middle(content)
    (tmp_path / "whole.jpg").write_bytes(content)
    damaged = content[:place] + b"\xff\x17" * 30 + content[place + 60 :]
    (tmp_path / "damaged.jpg").write_bytes(damaged)
    paths = [str(tmp_path / name) for name in ("whole.jpg", "damaged.jpg")]
    assert unreadable_images(paths, thorough=False) == {}
    assert list(unreadable_images(paths)) == paths[1:]
    with pytest.raises(ValueError, match=r"1 unreadable of 2: .*damaged\.jpg \("):
        image_folder(tmp_path, 8, labelled=False, check="thorough")


@pytest.mark.parametrize("kind", KINDS)
def test_plain_headers(kind):
    for mode, plain in (("L", True), ("RGB", True), ("CMYK", False)):
        content = jpeg(scene(mode=mode), **KINDS[kind])
        found = plain_jpeg(content, content[-64:])
        assert (found is not None) == plain
        if found is not None:
            assert (found.height, found.width, found.pixels) == (90, 120, 10_800)
            assert not found.noted
    noted = jpeg(scene(), exif=b"Exif\0\0MM", icc_profile=b"x" * 70_000)
    assert plain_jpeg(noted, noted[-64:]).noted
    assert jpeg_damage(noted) == ""


@pytest.mark.parametrize("place", range(2, 180, 3))
def test_unusual_headers_are_not_plain_or_say_the_size_that_pillow_says(place):
    content = jpeg(scene())
    for changed in (b"\0", b"\xff", b"\xff\xe1", b"\xff\xc0"):
        other = content[:place] + changed + content[place:]
        found = plain_jpeg(other, other[-64:])
        if found is None:
            continue
        with Image.open(io.BytesIO(other)) as image:
            assert image.size == (found.width, found.height)


@pytest.mark.parametrize("kind", ["plain", "progressive", "optimized", "restarts"])
def test_tensorflow_decodes_what_is_plain(tmp_path, kind):
    """Any byte of the header may be wrong: the file is no plain one then, or decoded."""
    content = jpeg(scene((24, 16)), **KINDS[kind])
    start, refused = content.index(b"\xff\xda") + 14, 0
    random = np.random.default_rng(0)
    for place in range(2, start):
        for value in (0, 255, int(random.integers(256))):
            other = content[:place] + bytes([value]) + content[place + 1 :]
            found = plain_jpeg(other, other[-64:])
            if found is None:
                refused += 1
            else:
                shape = tf.io.decode_jpeg(other, channels=3).shape
                assert shape == (found.height, found.width, 3)
    assert refused > start / 2


def test_a_damaged_header_is_named_by_the_quick_check(tmp_path):
    content = jpeg(scene())
    place = content.index(b"\xff\xc4") + 5
    (tmp_path / "1.jpg").write_bytes(content[:place] + b"\xff" * 16 + content[place + 16 :])
    with pytest.raises(ValueError, match=r"1 unreadable of 1: .*1\.jpg"):
        image_folder(tmp_path, 8, labelled=False)


@pytest.mark.slow
@pytest.mark.shared_data
def test_real_photographs_are_whole(shared_folder):
    folders = ("ants_bees/val", "facades_pairs_128/val", "bccd_400")
    paths = [p for name in folders for p in (shared_folder / "data" / name).rglob("*.jpg")]
    assert len(paths) > 300
    assert unreadable_images([str(path) for path in paths]) == {}
