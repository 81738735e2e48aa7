"""Folders of images that a stranger made: nothing waits, and nothing costs more than it may."""

import io
import os
import resource
import socket
import struct
import subprocess
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_transgen.datasets import (
    image_folder,
    image_pairs,
    index_images,
    read_image,
    unreadable_images,
)
from keras_transgen.datasets.image_decoding import Decoding, decode_image, decode_pixels
from keras_transgen.datasets.image_file import height_and_width, open_plain_file

pytestmark = pytest.mark.timeout(60)
SAVED = {
    "png": {},
    "gif": {},
    "bmp": {},
    "jpg": {},
    "progressive.jpg": {"progressive": True},
    "exif.jpg": {"exif": b"Exif\0\0" + b"x" * 60_000},
    "webp": {},
    "lossless.webp": {"lossless": True},
    "extended.webp": {"exif": b"Exif\0\0" + b"x" * 100},
}


def saved(path, size, mode="RGB", **options):
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 4), "uint8")
    Image.fromarray(pixels).convert(mode).save(path, **options)
    return path


def chunk(kind, content):
    checksum = zlib.crc32(kind + content)
    return struct.pack(">L", len(content)) + kind + content + struct.pack(">L", checksum)


def png_bomb(width, height, between=b""):
    """A PNG of one colour: a thousandth of what its pixels take."""
    header = chunk(b"IHDR", struct.pack(">2L5B", width, height, 8, 0, 0, 0, 0))
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
    end = chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + between + chunk(b"IDAT", rows) + end


def refusal(path, **options):
    """What `read_image` says against a file; its name where that is read after all."""
    try:
        read_image(path, **options)
    except ValueError as error:
        return str(error)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    saved(tmp_path / "images" / "0.png", (8, 8))
    return tmp_path / "images"


@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "socket", "device"])
@pytest.mark.parametrize("read", [index_images, image_folder, image_pairs])
def test_what_is_no_plain_file_is_refused_by_name(folder, tmp_path, monkeypatch, kind, read):
    name = folder / "1.png"
    if kind == "pipe":
        os.mkfifo(name)
    elif kind == "link to a pipe":
        os.mkfifo(tmp_path / "pipe")
        name.symlink_to(tmp_path / "pipe")
    elif kind == "device":
        name.symlink_to("/dev/zero")
    else:
        monkeypatch.chdir(folder)  # a socket's path must be short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("1.png")
    size = () if read is index_images else (8,)
    options = {} if read is image_pairs else {"labelled": False}
    if read is not index_images:
        options["check"] = False if read is image_pairs else "none"
    with pytest.raises(ValueError, match=r"1\.png"):
        read(folder, *size, **options)
    assert "plain file" in unreadable_images([str(name)])[str(name)] or kind == "socket"
    with pytest.raises(ValueError, match=r"1\.png"):
        read_image(name)
    with pytest.raises(OSError):
        open_plain_file(name)


@pytest.mark.parametrize("name", SAVED)
@pytest.mark.parametrize("thorough", [True, False])
def test_pixels_are_counted_in_every_format(tmp_path, name, thorough):
    path = str(saved(tmp_path / f"a.{name}", (70, 30), **SAVED[name]))
    assert unreadable_images([path], thorough, max_pixels=2100) == {}
    assert "70 x 30 pixels" in unreadable_images([path], thorough, max_pixels=2099)[path]
    assert height_and_width(path) == (30, 70)
    seen = read_image(path, max_pixels=2100)
    with pytest.raises(ValueError, match="70 x 30 pixels"):
        read_image(path, max_pixels=2099)
    in_graph = tf.function(decode_pixels)
    content = tf.io.read_file(path)
    np.testing.assert_array_equal(in_graph(content, max_pixels=2100), seen)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?s)a\.file.*70 x 30 pixels"):
        in_graph(content, max_pixels=2099, name="a.file")


def test_the_limit_holds_for_every_way_to_read(folder):
    (folder / "1.png").write_bytes(png_bomb(300, 300))
    limit = {"max_pixels": 89_999}
    for check in ("quick", "thorough"):
        with pytest.raises(ValueError, match=r"1\.png.*300 x 300 pixels"):
            image_folder(folder, 8, labelled=False, check=check, **limit)
    with pytest.raises(ValueError, match=r"1\.png.*300 x 300 pixels"):
        image_pairs(folder, 8, **limit)
    for data in (
        image_folder(folder, 8, labelled=False, check="none", **limit),
        image_pairs(folder, 8, check=False, **limit),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"1\.png"):
            list(data)
    with pytest.raises(ValueError, match="more than max_pixels=89,999"):
        decode_image((folder / "1.png").read_bytes(), Decoding((8, 8), (0, 1)), **limit)
    limit = {"max_pixels": 90_000}
    assert len(list(image_folder(folder, 8, None, labelled=False, **limit))) == 2


def jpeg_bomb(side, stray, segment, repeat=1):
    """A JPEG with bytes before a segment, which decoders pass over."""
    buffer = io.BytesIO()
    Image.new("L", (side, side)).save(buffer, "JPEG", quality=30)
    content = buffer.getvalue()
    place = content.index(segment)
    return content[:place] + stray * repeat + content[place:]


@pytest.mark.parametrize("segment", [b"\xff\xe0", b"\xff\xdb", b"\xff\xc0"])
@pytest.mark.parametrize(
    ("stray", "repeat"),
    [(b"\0", 1), (b"x", 10_000), (b"\xff\0", 1), (b"\xff\0ab", 5000), (b"\xff\xd0", 3),
     (b"\xff", 9000)],
    ids=["byte", "bytes", "stuffed", "much stuffed", "restarts", "fill"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_a_decoder_passes_over_hides_no_pixels(tmp_path, segment, stray, repeat):
    content = jpeg_bomb(300, stray, segment, repeat)
    if content[2:3] == b"\xff":
        # The decoder's own word.
        assert tf.image.extract_jpeg_shape(content).numpy().tolist() == [300, 300, 1]
    path = tmp_path / "1.jpg"
    path.write_bytes(content)
    for thorough in (True, False):
        reasons = unreadable_images([str(path)], thorough, max_pixels=89_999)
        assert "300 x 300 pixels" in reasons[str(path)] or content[2:3] != b"\xff"
    assert "1.jpg" in refusal(path, max_pixels=89_999)


@pytest.mark.parametrize(
    "content",
    [
        # Chunks that no decoder knows, before the one that has the size.
        b"\x89PNG\r\n\x1a\n" + chunk(b"abCd", b"x" * 9) + png_bomb(300, 300)[8:],
        b"RIFF" + bytes([100, 0, 0, 0]) + b"WEBPICCP" + bytes(40),
        # A scan without a frame, and one that ends before it.
        b"\xff\xd8\xff\xda" + bytes([0, 2]) + bytes(40) + b"\xff\xd9",
        b"\xff\xd8\xff\xd9" + bytes(40) + b"\xff\xd9",
        b"\xff\xd8\xff\xe0" + bytes([0, 2]) + b"x" * 5000 + b"\xff\xd9",
    ],
    ids=["png", "webp", "scan", "end", "nothing"],
)
def test_a_size_that_is_not_found_is_no_small_one(tmp_path, content):
    path = tmp_path / "1.png"
    path.write_bytes(content + b"IEND")
    for thorough in (True, False):
        assert unreadable_images([str(path)], thorough, max_pixels=89_999)[str(path)]
    assert "1.png (" in refusal(path, max_pixels=89_999)
    unseen = image_folder(tmp_path, 8, labelled=False, check="none", max_pixels=89_999)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"1\.png"):
        list(unseen)


@pytest.mark.parametrize(("width", "height"), [(70_000, 3), (2000, -30), (2000, 30)])
def test_rows_from_top_to_bottom_and_wide_ones(tmp_path, width, height):
    head = b"BM" + bytes(8) + (54).to_bytes(4, "little") + (40).to_bytes(4, "little")
    head += width.to_bytes(4, "little") + height.to_bytes(4, "little", signed=True)
    path = tmp_path / "1.bmp"
    path.write_bytes(head + b"\1\0\x18\0" + bytes(24 + 3 * width * abs(height) + 4))
    pixels = width * abs(height)
    assert read_image(path, max_pixels=pixels).shape == (abs(height), width, 3)
    assert f"{width} x {abs(height)} pixels" in refusal(path, max_pixels=pixels - 1)


def test_a_bomb_costs_nothing(folder):
    (folder / "1.png").write_bytes(png_bomb(20_000, 20_000))
    assert (folder / "1.png").stat().st_size < 10**6
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"1\.png.*400000000 pixels"):
        image_folder(folder, 8, labelled=False)
    with pytest.raises(ValueError, match=r"1\.png"):
        read_image(folder / "1.png")
    # Pillow's own limit, where ours was raised beyond it.
    with pytest.raises(ValueError, match=r"1\.png"):
        read_image(folder / "1.png", max_pixels=10**9)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


def test_of_a_gif_the_first_frame_is_read(folder):
    frame = io.BytesIO()
    Image.new("P", (1000, 1000)).save(frame, "GIF")
    content = frame.getvalue()
    start = content.index(b"\x2c", 13)
    (folder / "1.gif").write_bytes(content[:start] + content[start:-1] * 10_000 + b"\x3b")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(list(image_folder(folder, 8, None, labelled=False))) == 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_a_file_that_is_far_larger_than_its_pixels(folder):
    with open(folder / "1.png", "wb") as file:
        file.truncate(2**34)  # no blocks on the disk
    with pytest.raises(ValueError, match=r"1\.png \(17,179,869,184 bytes"):
        image_folder(folder, 8, labelled=False)


@pytest.mark.parametrize(
    "between",
    [
        chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**27))),
        chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**27))),
        chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(2**27))) * 20,
    ],
    ids=["text", "profile", "texts"],
)
def test_what_unpacks_beside_the_pixels(folder, between):
    (folder / "1.png").write_bytes(png_bomb(8, 8, between))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"1\.png"):
        image_folder(folder, 8, labelled=False)
    unseen = image_folder(folder, 8, labelled=False, check="none")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"1\.png"):
        list(unseen)
    assert "1.png" in refusal(folder / "1.png")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 120 * 1024


def tiff(width, height, data, **tags):
    """A deflated TIFF with whatever tags."""
    numbers = {"ImageWidth": 256, "ImageLength": 257, "BitsPerSample": 258, "Compression": 259,
               "PhotometricInterpretation": 262, "StripOffsets": 273, "RowsPerStrip": 278,
               "StripByteCounts": 279, "TileWidth": 322, "TileLength": 323, "TileOffsets": 324,
               "TileByteCounts": 325}  # fmt: skip
    packed = zlib.compress(data, 9)
    given = {"ImageWidth": width, "ImageLength": height, "BitsPerSample": 8, "Compression": 8,
             "PhotometricInterpretation": 1, **tags}  # fmt: skip
    kind = "Tile" if "TileWidth" in tags else "Strip"
    given |= {f"{kind}Offsets": 400, f"{kind}ByteCounts": len(packed)}
    entries = sorted((numbers[name], value) for name, value in given.items())
    head = b"II*\0" + struct.pack("<LH", 8, len(entries))
    head += b"".join(struct.pack("<HHLL", number, 4, 1, value) for number, value in entries)
    return (head + bytes(4)).ljust(400, b"\0") + packed


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        (tiff(20_000, 20_000, bytes(10**6), RowsPerStrip=20_000), True),
        (tiff(8, 8, bytes(10**6), TileWidth=32_000, TileLength=32_000), True),
        (tiff(8, 8, bytes(10**8), RowsPerStrip=2**31 - 1), False),
        (tiff(8, 8, bytes(10**6), RowsPerStrip=8), False),
    ],
    ids=["pixels", "tiles", "rows", "data"],
)
def test_what_a_tiff_unpacks_to(folder, content, refused):
    (folder / "1.tif").write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if refused:
        with pytest.raises(ValueError, match=r"1\.tif"):
            image_folder(folder, 8, labelled=False)
        unseen = image_folder(folder, 8, labelled=False, check="none")
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"1\.tif"):
            list(unseen)
    else:
        assert not read_image(folder / "1.tif").any()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


def test_pages_of_a_tiff_that_lead_back(folder):
    content = bytearray(tiff(8, 8, bytes(64), RowsPerStrip=8))
    count = content[8]
    content[10 + 12 * count : 14 + 12 * count] = struct.pack("<L", 8)
    (folder / "1.tif").write_bytes(content)
    assert read_image(folder / "1.tif").shape == (8, 8, 3)


def exif_bomb(entries):
    """Entries that all say that the same sixty kilobytes are theirs."""
    data = struct.pack("<LH", 8, entries)
    data += b"".join(
        struct.pack("<HHLL", 0x1000 + number, 7, 60_000, 100) for number in range(entries)
    )
    return b"Exif\0\0II*\0" + data.ljust(64_000, b"\0")


@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
def test_exif_that_grows(folder, kind):
    path = saved(folder / f"1.{kind}", (40, 30), exif=exif_bomb(5000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(list(image_folder(folder, 8, 1, labelled=False))) == 2
    assert read_image(path).shape == (30, 40, 3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


@pytest.mark.parametrize("name", SAVED)
def test_a_damaged_picture_is_named(tmp_path, name):
    content = saved(tmp_path / f"a.{name}", (70, 30), **SAVED[name]).read_bytes()
    for cut in (1, 20, 40, len(content) // 2, len(content) - 30):
        (tmp_path / "cut").write_bytes(content[:cut])
        unreadable_images([str(tmp_path / "cut")])
        assert "/cut" in refusal(tmp_path / "cut")


def test_no_other_program_reads_an_image(tmp_path, monkeypatch):
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n"
    (tmp_path / "a.png").write_bytes(script)
    monkeypatch.setattr(subprocess, "check_call", lambda *a, **k: pytest.fail("started"))
    with pytest.raises(ValueError, match=r"a\.png"):
        read_image(tmp_path / "a.png")


def test_names_cannot_act_on_a_terminal(folder):
    (folder / "\x1b[2J.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="unreadable") as error:
        image_folder(folder, 8, labelled=False)
    assert str(error.value).isprintable()


def test_folders_that_lead_back_are_walked_once(folder):
    for number in range(8):
        (folder / f"back{number}").symlink_to(folder)
    assert [os.path.basename(path) for path in index_images(folder, False).paths] == ["0.png"]


def test_folders_upon_folders(folder):
    deep = folder / "/".join("d" * 120)
    deep.mkdir(parents=True)
    with pytest.raises(ValueError, match="100 folders deep"):
        index_images(folder, False)
