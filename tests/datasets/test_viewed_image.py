"""What a viewer shows of every kind of file, as Pillow's own operations give it."""

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from keras_transgen.datasets import image_folder, read_image
from keras_transgen.datasets.image_decoding import decode_pixels
from keras_transgen.datasets.image_file import height_and_width
from keras_transgen.datasets.viewed_image import image_and_alpha

BACKGROUND = (10, 200, 90)
ORIENTATION = 0x0112


def noise(mode="RGB", size=(30, 20)):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), "uint8")
    return Image.fromarray(pixels).convert(mode)


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def over_background(content, background=BACKGROUND):
    image = Image.open(io.BytesIO(content)).convert("RGBA")
    behind = Image.new("RGBA", image.size, (*background, 255))
    return np.asarray(Image.alpha_composite(behind, image))[..., :3]


def png(depth, color_type, rows, width, transparent=b""):
    """A PNG of any depth, which Pillow does not write."""

    def chunk(kind, content):
        return (
            struct.pack(">L", len(content))
            + kind
            + content
            + struct.pack(">L", zlib.crc32(kind + content))
        )

    header = struct.pack(">2L5B", width, len(rows), depth, color_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    extra = chunk(b"tRNS", transparent) if transparent else b""
    parts = chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("turned", range(1, 9))
def test_all_orientations(tmp_path, kind, turned):
    exif = Image.Exif()
    exif[ORIENTATION] = turned
    content = saved(noise(), kind, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    np.testing.assert_array_equal(read_image(content), np.asarray(expected))
    (tmp_path / "image").write_bytes(content)
    np.testing.assert_array_equal(read_image(tmp_path / "image"), np.asarray(expected))
    assert height_and_width(tmp_path / "image") == expected.size[::-1]


@pytest.mark.parametrize("turned", [3, 6])
def test_orientation_of_transparent_16_bit_and_palette_files(turned):
    exif = Image.Exif()
    exif[ORIENTATION] = turned
    angle = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_270}[turned]
    for mode in ("RGBA", "LA", "P"):
        content = saved(noise(mode), "PNG", exif=exif)
        straight = Image.fromarray(over_background(saved(noise(mode), "PNG")))
        seen = read_image(content, BACKGROUND)
        np.testing.assert_array_equal(seen, np.asarray(straight.transpose(angle)))
    values = np.arange(600, dtype="uint16").reshape(20, 30) * 109
    seen = read_image(saved(Image.fromarray(values), "PNG", exif=exif))[..., 0]
    np.testing.assert_array_equal(seen, np.rot90(np.rint(values / 257), {3: 2, 6: 3}[turned]))


def test_orientation_by_xmp_alone():
    note = b'<x:xmpmeta><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    content = saved(noise(), "JPEG", xmp=note)
    straight = np.asarray(Image.open(io.BytesIO(content)))
    np.testing.assert_array_equal(read_image(content), np.rot90(straight))


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0" + b"x" * 60_000, b"Exif\0\0MM\0*\0\0\0\x08\0\xff", b""]
)
def test_broken_exif_turns_nothing(exif):
    content = saved(noise(), "JPEG", exif=exif)
    np.testing.assert_array_equal(read_image(content), np.asarray(Image.open(io.BytesIO(content))))


@pytest.mark.parametrize("value", [0, 9, 77, 65535])
def test_an_orientation_that_there_is_not(value):
    exif = Image.Exif()
    exif[ORIENTATION] = value
    content = saved(noise(), "PNG", exif=exif)
    np.testing.assert_array_equal(read_image(content), np.asarray(noise()))


@pytest.mark.parametrize(
    ("kind", "modes"),
    {
        "BMP": ("1", "L", "P", "RGB", "RGBA"),
        "GIF": ("1", "L", "P", "RGB", "RGBA"),
        "JPEG": ("1", "L", "RGB", "CMYK", "YCbCr"),
        "PNG": ("1", "L", "LA", "P", "RGB", "RGBA"),
        "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"),
        "WEBP": ("RGB", "RGBA"),
    }.items(),
)
def test_every_mode_of_every_format(kind, modes):
    for mode in modes:
        content = saved(noise("RGB").convert(mode) if mode == "LAB" else noise(mode), kind)
        if mode == "LAB":
            expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        else:
            expected = over_background(content)
        np.testing.assert_array_equal(read_image(content, BACKGROUND), expected, mode)


def test_hidden_colours_are_not_seen():
    pixels = np.full((4, 4, 4), (255, 0, 0, 0), "uint8")
    pixels[0] = (0, 0, 255, 255)
    pixels[1] = (0, 0, 0, 128)
    content = saved(Image.fromarray(pixels), "PNG")
    seen = read_image(content)
    assert seen[:, 0].tolist() == [[0, 0, 255], [127] * 3, [255] * 3, [255] * 3]
    assert read_image(content, (9, 8, 7))[3, 3].tolist() == [9, 8, 7]
    colours, alpha = image_and_alpha(content)
    np.testing.assert_array_equal(colours, seen)
    assert alpha[:, 0].tolist() == [255, 128, 0, 0]


def test_palettes_with_transparency():
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    for kind in ("PNG", "GIF"):
        seen = read_image(saved(image, kind, transparency=1), BACKGROUND)
        assert seen.tolist() == [[[255, 0, 0], list(BACKGROUND), [0, 0, 255]]]
    half = saved(image, "PNG", transparency=bytes([255, 0, 51]))
    mixed = [round(51 / 255 * c + 204 / 255 * b) for c, b in zip((0, 0, 255), BACKGROUND)]
    assert read_image(half, BACKGROUND)[0, 1].tolist() == list(BACKGROUND)
    np.testing.assert_allclose(read_image(half, BACKGROUND)[0, 2], mixed, atol=1)


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (png(4, 0, [bytes([0x12])], 2, struct.pack(">H", 2)), [17, None]),
        (png(2, 0, [bytes([0b00011011])], 4, struct.pack(">H", 2)), [0, 85, None, 255]),
        (png(1, 0, [bytes([0b01000000])], 2, struct.pack(">H", 1)), [0, None]),
        (png(8, 0, [bytes([7, 8])], 2, struct.pack(">H", 8)), [7, None]),
        (png(16, 0, [struct.pack(">2H", 300, 65535)], 2, struct.pack(">H", 300)), [None, 255]),
        (png(16, 4, [struct.pack(">4H", 25700, 65535, 9, 0)], 2), [100, None]),
        (
            png(16, 2, [struct.pack(">6H", 300, 400, 500, *[257 * 4] * 3)], 2,
                struct.pack(">3H", 300, 400, 500)),
            [None, 4],
        ),
    ],
    ids=["4 bits", "2 bits", "1 bit", "8 bits", "16 bits", "16 bits and alpha", "16 bit colours"],
)  # fmt: skip
def test_a_transparent_colour_in_every_depth(content, seen):
    expected = [list(BACKGROUND) if each is None else [each] * 3 for each in seen]
    assert read_image(content, BACKGROUND)[0].tolist() == expected


@pytest.mark.parametrize(
    ("order", "options"),
    [
        ("<u2", {"format": "PNG"}),
        ("<u2", {"format": "TIFF"}),
        (">u2", {"format": "TIFF"}),
        ("<u2", {"format": "TIFF", "compression": "tiff_deflate"}),
        ("<u2", {"format": "TIFF", "compression": "tiff_lzw"}),
    ],
)
def test_grey_of_16_bits_is_scaled_and_not_cut_off(order, options):
    values = np.arange(2**16, dtype=order).reshape(256, 256)
    file = io.BytesIO()
    Image.fromarray(values).save(file, **options)
    seen = read_image(file.getvalue())
    np.testing.assert_array_equal(seen[..., 0], np.rint(values / 257.0))
    np.testing.assert_array_equal(seen[..., 0], seen[..., 2])


def test_tiffs_of_12_bits_and_of_white_zero():
    values = np.arange(0, 65536, 771, dtype="uint16")[None]
    content = saved(Image.fromarray(values), "TIFF", tiffinfo={262: 0})
    np.testing.assert_array_equal(read_image(content)[..., 0], 255 - np.rint(values / 257))
    grey = saved(noise("L"), "TIFF", tiffinfo={262: 0})
    np.testing.assert_array_equal(read_image(grey)[..., 0], np.asarray(noise("L")))
    # Two numbers of 12 bits in three bytes, 0x800 and 0xFFF, in a file made by hand.
    tags = [(256, 2), (257, 1), (258, 12), (259, 1), (262, 1), (273, 200), (277, 1), (278, 1),
            (279, 3)]  # fmt: skip
    entries = b"".join(struct.pack("<HHLL", tag, 3, 1, value) for tag, value in tags)
    head = b"II*\0" + struct.pack("<LH", 8, len(tags)) + entries + bytes(4)
    seen = read_image(head.ljust(200, b"\0") + bytes([0x80, 0x0F, 0xFF]))
    assert seen[0, :, 0].tolist() == [round(0x800 / 4095 * 255), 255]


def test_pages_and_frames_after_the_first_are_not_read():
    first, second = Image.new("RGB", (4, 3), (250, 0, 0)), Image.new("RGB", (4, 3), (0, 0, 9))
    for kind, options in (("TIFF", {}), ("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
        content = saved(first, kind, save_all=True, append_images=[second], **options)
        assert (read_image(content) == (250, 0, 0)).all(), kind


@pytest.mark.parametrize(("mode", "word"), [("F", "floats"), ("I", "32-bit")])
def test_numbers_without_a_range_are_refused(tmp_path, mode, word):
    noise("L").convert(mode).save(tmp_path / "heights.tif")
    with pytest.raises(ValueError, match=rf"heights\.tif .*{word}.*8 or 16 bits"):
        read_image(tmp_path / "heights.tif")
    with pytest.raises(ValueError, match=rf"heights\.tif .*{word}"):
        image_folder(tmp_path, 8, labelled=False)


@pytest.mark.parametrize("background", [(0, 0), (0, 0, 256), (-1, 0, 0), (0.5, 0, 0), "red", 3])
def test_a_background_that_is_no_colour(background):
    with pytest.raises(ValueError, match="background"):
        read_image(saved(noise(), "PNG"), background)


def test_what_is_missing_or_no_image_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.png"):
        read_image(tmp_path / "absent.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(ValueError, match=r"empty\.png \(the file is empty\)"):
        read_image(tmp_path / "empty.png")
    with pytest.raises(ValueError, match=r"page 3 \(it is no BMP"):
        read_image(b"no image", name="page 3")
    with pytest.raises(ValueError, match=r"folder"):
        read_image(tmp_path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_the_graph_gives_what_the_function_gives(kind):
    """Plain JPEGs go to TensorFlow's decoder: the same numbers."""
    for mode in ("L", "RGB"):
        content = saved(noise(mode, (75, 50)), kind)
        seen = tf.function(decode_pixels)(tf.constant(content))
        np.testing.assert_array_equal(seen, read_image(content))
        np.testing.assert_array_equal(decode_pixels(content), read_image(content))


def test_a_folder_of_all_kinds(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    (tmp_path / "0.jpg").write_bytes(saved(noise(), "JPEG"))
    (tmp_path / "1.jpe").write_bytes(saved(noise(), "JPEG", exif=exif))
    (tmp_path / "2.jfif").write_bytes(saved(noise("L"), "JPEG"))
    (tmp_path / "3.jpeg").write_bytes(saved(noise("CMYK"), "JPEG"))
    (tmp_path / "4.png").write_bytes(saved(noise("LA"), "PNG"))
    (tmp_path / "5.tif").write_bytes(saved(noise("RGBA"), "TIFF"))
    (tmp_path / "6.tiff").write_bytes(saved(noise("RGB"), "TIFF", compression="jpeg"))
    files = sorted(tmp_path.iterdir())
    for check in ("quick", "thorough", "none"):
        data = image_folder(
            tmp_path, (20, 30), None, labelled=False, value_range=(0.0, 255.0), check=check,
            background=BACKGROUND,
        )  # fmt: skip
        for path, image in zip(files, data, strict=True):
            expected = tf.image.resize(read_image(path, BACKGROUND), (20, 30), antialias=True)
            np.testing.assert_allclose(image, expected, atol=1e-3)


def test_reading_needs_no_tensorflow():
    code = (
        "import sys, types; package = types.ModuleType('keras_transgen'); "
        "package.__path__ = ['keras_transgen']; sys.modules['keras_transgen'] = package; "
        "from keras_transgen.datasets import read_image; "
        f"assert read_image({saved(Image.new('L', (2, 2), 7), 'PNG')!r})[0, 0, 0] == 7; "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
