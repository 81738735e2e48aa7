import io
import os
import struct
import wave

import numpy as np
import pytest
from scipy.io import wavfile

from keras_transgen.datasets import read_wav, wave_file, write_wav

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
# The end of every GUID that stands for a format's number.
GUID = bytes.fromhex("000000001000800000aa00389b71")[2:]


def chunk(kind, content):
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def riff(*chunks):
    return b"RIFF" + struct.pack("<I", 4 + len(b"".join(chunks))) + b"WAVE" + b"".join(chunks)


def form(kind, bits, channels=1, rate=8000, container=None):
    width = channels * (container or bits) // 8
    fields = struct.pack("<HHIIHH", kind, channels, rate, rate * width, width, bits)
    return chunk(b"fmt ", fields)


def extensible(kind, bits, rate=8000):
    width = bits // 8
    fields = struct.pack("<HHIIHH", EXTENSIBLE, 1, rate, rate * width, width, bits)
    return chunk(b"fmt ", fields + struct.pack("<HHII", 22, bits, 4, kind) + GUID)


def write(folder, content, name="a.wav"):
    path = folder / name
    path.write_bytes(content)
    return path


KINDS = {
    "8": (form(PCM, 8), bytes([0, 64, 128, 255]), [-1, -0.5, 0, 127 / 128]),
    "16": (form(PCM, 16), struct.pack("<3h", -32768, 1, 32767), [-1, 2**-15, 1 - 2**-15]),
    "24": (
        form(PCM, 24),
        b"\x00\x00\x80\x01\x00\x00\xff\xff\x7f",
        [-1, 2**-23, 1 - 2**-23],
    ),
    "32": (form(PCM, 32), struct.pack("<3i", -(2**31), 2**7, 2**30), [-1, 2**-24, 0.5]),
    "float 32": (form(FLOAT, 32), struct.pack("<3f", -1, 0.25, 2.5), [-1, 0.25, 2.5]),
    "float 64": (form(FLOAT, 64), struct.pack("<2d", -0.1, 1), [np.float32(-0.1), 1]),
    "12 in 16": (form(PCM, 12, container=16), struct.pack("<2h", 16384, -16), [0.5, -(2**-11)]),
    "extensible 16": (extensible(PCM, 16), struct.pack("<2h", -16384, 0), [-0.5, 0]),
    "extensible 24": (extensible(PCM, 24), b"\x00\x00\x40", [0.5]),
    "extensible float": (extensible(FLOAT, 32), struct.pack("<f", 0.75), [0.75]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_sample_by_hand(tmp_path, kind):
    header, data, expected = KINDS[kind]
    # A chunk of an odd length before the data, and one behind.
    content = riff(header, chunk(b"LIST", b"odd"), chunk(b"data", data), chunk(b"id3 ", b"x"))
    samples, rate = read_wav(write(tmp_path, content))
    assert rate == 8000
    assert samples.dtype == np.float32
    assert samples.tolist() == expected


def test_channels_are_averaged_or_kept(tmp_path):
    pairs = np.array([[0.5, 0.25], [-0.5, 0.0]], "float32")
    wavfile.write(tmp_path / "a.wav", 44100, pairs)
    assert read_wav(tmp_path / "a.wav").samples.tolist() == [0.375, -0.25]
    both = read_wav(tmp_path / "a.wav", mono=False)
    assert both.sample_rate == 44100
    np.testing.assert_array_equal(both.samples, pairs)
    wavfile.write(tmp_path / "b.wav", 8000, pairs[:, 0])
    assert read_wav(tmp_path / "b.wav", mono=False).samples.tolist() == [[0.5], [-0.5]]


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("shape", [(4096,), (512, 3)])
def test_what_was_read_is_written_to_the_bit(tmp_path, bits, shape):
    rng = np.random.default_rng(0)
    # float32 has 24 bits.
    steps = 2 ** (min(bits, 24) - 1)
    samples = (rng.integers(-steps, steps, shape) / steps).astype("float32")
    samples.flat[:3] = -1, 1 - 1 / steps, 0
    write_wav(tmp_path / "a.wav", samples, 22050, bits)
    again, rate = read_wav(tmp_path / "a.wav", mono=len(shape) == 1)
    assert rate == 22050
    np.testing.assert_array_equal(again, samples)
    content = (tmp_path / "a.wav").read_bytes()
    write_wav(tmp_path / "b.wav", again, 22050, bits)
    assert (tmp_path / "b.wav").read_bytes() == content
    with wave.open(io.BytesIO(content)) as file:
        assert file.getsampwidth() == bits // 8
        assert file.getnframes() == shape[0]
        first = file.readframes(1)[: bits // 8]
    lowest = {8: b"\0", 16: b"\0\x80", 24: b"\0\0\x80", 32: b"\0\0\0\x80"}
    assert first == lowest[bits]


def test_values_are_rounded_to_the_nearest_step_and_one_is_a_step_less(tmp_path):
    write_wav(tmp_path / "a.wav", np.array([1.0, -1.0, 0.6 / 32768, -1.4 / 32768]), 8000)
    assert wavfile.read(tmp_path / "a.wav")[1].tolist() == [32767, -32768, 1, -1]


def test_an_old_file_stays_when_the_samples_are_refused(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(4), 8000)
    before = (tmp_path / "a.wav").read_bytes()
    with pytest.raises(ValueError, match=r"np\.clip"):
        write_wav(tmp_path / "a.wav", np.full(4, 1.01), 8000)
    assert (tmp_path / "a.wav").read_bytes() == before
    assert os.listdir(tmp_path) == ["a.wav"]


@pytest.mark.parametrize(("rate", "tone"), [(8000, 500), (16000, 500), (44100, 3000)])
def test_a_tone_keeps_its_frequency_at_another_rate(tmp_path, rate, tone):
    wavfile.write(
        tmp_path / "a.wav",
        11025,
        (0.5 * np.sin(2 * np.pi * tone * np.arange(11025) / 11025)).astype("float32"),
    )
    samples, found = read_wav(tmp_path / "a.wav", sample_rate=rate)
    assert (found, len(samples)) == (rate, rate)
    expected = 0.5 * np.sin(2 * np.pi * tone * np.arange(rate) / rate)
    # The filter rings at the ends.
    inner = slice(rate // 10, -rate // 10)
    np.testing.assert_allclose(samples[inner], expected[inner], atol=0.01)


def test_what_the_lower_rate_cannot_hold_is_filtered_out_and_nothing_gets_louder(tmp_path):
    times = np.arange(16000) / 16000
    wavfile.write(tmp_path / "a.wav", 16000, np.sin(2 * np.pi * 6000 * times).astype("float32"))
    assert np.abs(read_wav(tmp_path / "a.wav", 8000).samples[100:-100]).max() < 0.01
    square = np.where(np.arange(1600) % 80 < 40, 1.0, -1.0).astype("float32")
    wavfile.write(tmp_path / "b.wav", 16000, square)
    # Gibbs' overshoot would be 9 %.
    assert np.abs(read_wav(tmp_path / "b.wav", 8000).samples).max() == 1.0
    wavfile.write(tmp_path / "c.wav", 16000, 2 * square)
    assert np.abs(read_wav(tmp_path / "c.wav", 8000).samples).max() == 2.0


DATA = chunk(b"data", bytes(400))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "whole WAV file"),
        (b"RIFF", "whole WAV file"),
        (b"ID3\x04 no wave", "whole WAV file.*ffmpeg.*not understood"),
        (riff(form(PCM, 16), DATA)[:-100], "truncated"),
        (riff(form(PCM, 16), DATA)[:-101], "whole WAV file"),
        (riff(form(PCM, 16), DATA)[:40], "whole WAV file"),
        (riff(form(PCM, 16)), "whole WAV file"),
        (riff(DATA), "whole WAV file"),
        (riff(form(PCM, 16), chunk(b"data", b"")), "with 0 at 8,000"),
        (riff(form(PCM, 16, rate=0), DATA), "with 200 at 0"),
        (riff(form(PCM, 16, rate=2_000_003), DATA), "with 200 at 2,000,003"),
        (riff(form(PCM, 16, channels=0), DATA), "whole WAV file"),
        (riff(form(7, 8), DATA), "MULAW"),
        (riff(form(PCM, 40), DATA[:-8]), "whole WAV file"),
        (riff(form(FLOAT, 16), DATA), "whole WAV file"),
        (riff(form(FLOAT, 32), chunk(b"data", struct.pack("<2f", 0, np.nan))), "NaN"),
        (riff(form(FLOAT, 32), chunk(b"data", struct.pack("<2f", 0, np.inf))), "infinity"),
        (riff(form(FLOAT, 64), chunk(b"data", struct.pack("<2d", 0, 1e300))), "infinity"),
        (riff(form(PCM, 16), b"data" + struct.pack("<I", 2**32 - 1) + bytes(400)), "truncated"),
        (
            b"RF64" + b"\xff" * 4 + b"WAVEds64" + struct.pack("<IQQQI", 28, *[2**63] * 2, 0, 0)
            + form(PCM, 16) + b"data" + b"\xff" * 4 + bytes(400),
            "whole WAV file",
        ),
    ],
)  # fmt: skip
def test_broken_files_are_refused_by_name(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as error:
        read_wav(write(tmp_path, content, "broken.wav"))
    assert "broken.wav" in str(error.value)


def test_what_a_sound_costs_is_bounded(tmp_path):
    path = write(tmp_path, riff(form(PCM, 16, rate=1), DATA))
    assert len(read_wav(path, max_bytes=1000).samples) == 200
    with pytest.raises(ValueError, match="max_bytes=500"):
        read_wav(path, max_bytes=500)
    # 200 seconds at 8,000 samples of four bytes.
    with pytest.raises(ValueError, match=r"max_bytes=1,000,000.*6,400,000 bytes"):
        read_wav(path, 8000, max_bytes=10**6)


@pytest.mark.timeout(20)
def test_a_filter_for_rates_without_a_common_factor_is_bounded(tmp_path):
    path = write(tmp_path, riff(form(PCM, 16, rate=999_983), DATA))
    with pytest.raises(ValueError, match=r"ratio.*a\.wav at 999,983, and sample_rate=8000"):
        read_wav(path, 8000)
    assert len(read_wav(path).samples) == 200
    # A step of the sound card beside the rate that was meant.
    path = write(tmp_path, riff(form(PCM, 16, rate=44_101), DATA))
    assert len(read_wav(path, 44_100).samples) == 200


def test_arguments_are_checked(tmp_path, monkeypatch):
    path = write(tmp_path, riff(form(PCM, 16), DATA))
    for rate in (0, -1, 8000.0, True, 2_000_000):
        with pytest.raises(ValueError, match="sample_rate as a whole number"):
            read_wav(path, rate)
        with pytest.raises(ValueError, match="sample_rate as a whole number"):
            write_wav(tmp_path / "b.wav", np.zeros(4), rate)
    with pytest.raises(ValueError, match=r"bits in \(8, 16, 24, 32\).*bits=12"):
        write_wav(tmp_path / "b.wav", np.zeros(4), 8000, 12)
    for samples in (np.zeros(4, "int16"), np.zeros(0), np.zeros((2, 2, 2)), np.array("a")):
        with pytest.raises(ValueError, match="Expected floats"):
            write_wav(tmp_path / "b.wav", samples, 8000)
    for value in (np.nan, np.inf, -1.5):
        with pytest.raises(ValueError, match=r"finite samples in \[-1, 1\]"):
            write_wav(tmp_path / "b.wav", np.array([0, value]), 8000)
    monkeypatch.setattr(wave_file, "_LONGEST", 100)
    with pytest.raises(ValueError, match="4 GiB"):
        write_wav(tmp_path / "b.wav", np.zeros(51), 8000)
    with pytest.raises(FileNotFoundError):
        read_wav(tmp_path / "absent.wav")
    assert not (tmp_path / "b.wav").exists()


@pytest.mark.shared_data
def test_spoken_digits_are_what_scipy_reads(shared_folder):
    paths = sorted((shared_folder / "data/spoken_digits").glob("*.wav"))
    for path in paths[::100]:
        rate, integers = wavfile.read(path)
        samples, found = read_wav(path)
        assert found == rate == 8000
        np.testing.assert_array_equal(np.rint(samples * 32768), integers)


def test_several_waves_are_no_channels(tmp_path):
    with pytest.raises(ValueError, match=r"one at a time, waves\[0\].*\(2, 400\)"):
        write_wav(tmp_path / "two.wav", np.zeros((2, 400)), 8000)
    assert not list(tmp_path.iterdir())
    write_wav(tmp_path / "eight.wav", np.zeros((2, 8)), 8000)
