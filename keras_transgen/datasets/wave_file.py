"""Read and write sound in WAV files."""

from __future__ import annotations

import io
import os
import struct
import warnings
import wave
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_transgen.datasets.file_content import file_content
from keras_transgen.datasets.printable import printable
from keras_transgen.datasets.whole_file import write_whole

MAX_BYTES = 2**30
MAX_SAMPLE_RATE = 1_000_000
_MOST_CHANNELS = 2**16 - 1
_SURELY_CHANNELS = 32
# The filter is twenty times as long as the larger number of the reduced ratio of two rates.
_LARGEST_RATIO = 100_000
_BITS = (8, 16, 24, 32)
# The header has four bytes for the length, and counts itself.
_LONGEST = 2**32 - 2**10


class Wave(NamedTuple):
    """The sound of a file.

    Attributes:
        samples: float32 `[samples]`, or `[samples, channels]`.
        sample_rate: Samples per second.
    """

    samples: np.ndarray
    sample_rate: int


def read_wav(
    path: str | Path,
    sample_rate: int | None = None,
    *,
    mono: bool = True,
    max_bytes: int = MAX_BYTES,
) -> Wave:
    """The sound of a WAV file, with values in [-1, 1].

    Integers of 8, 16, 24 and 32 bits and floats of 32 and 64 bits are read, from
    `WAVE_FORMAT_EXTENSIBLE` too; the lowest integer becomes -1. Floats beyond [-1, 1], which the
    format allows, are kept as they are.

    Args:
        path: The file.
        sample_rate: Samples per second that the sound is resampled to, through a polyphase filter
            (`scipy.signal.resample_poly`, a Kaiser window) by the ratio of the two rates. No value
            leaves [-1, 1] by it, or the sound's own range. Defaults to the file's own rate.
        mono: Average the channels. Defaults to `True`.
        max_bytes: Most bytes, of the file and of the sound in float32. Defaults to 1 GiB.

    Returns:
        A named tuple `(samples, sample_rate)`: float32 `[samples]`, with `mono=False`
        `[samples, channels]`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no WAV file of these kinds, truncated, without a sample, larger than
            `max_bytes`, or has values that are not finite.

    Example:
        ```python
        import tempfile
        import numpy as np
        from keras_transgen.datasets import read_wav, write_wav

        tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
        path = tempfile.mkdtemp() + "/a.wav"
        write_wav(path, tone, 8000)
        samples, sample_rate = read_wav(path)
        assert sample_rate == 8000 and abs(samples - tone).max() <= 2**-16
        ```
    """
    return wave_and_own_rate(path, sample_rate, mono, max_bytes)[0]


def wave_and_own_rate(
    path: str | Path, sample_rate: int | None, mono: bool = True, max_bytes: int = MAX_BYTES
) -> tuple[Wave, int]:
    """`read_wav`, and the samples per second that the file itself has."""
    _check_rate(sample_rate)
    own_rate, integers = _decoded(file_content(path, max_bytes, "read_wav"), path)
    if len(integers) == 0 or not 1 <= own_rate <= MAX_SAMPLE_RATE:
        raise ValueError(
            f"Expected a WAV file with samples, at 1 to {MAX_SAMPLE_RATE:,} of them a second. "
            f"Received: {printable(path)} with {len(integers)} at {own_rate:,}"
        )
    ratio = Fraction(sample_rate or own_rate, own_rate)
    if max(ratio.numerator, ratio.denominator) > _LARGEST_RATIO:
        raise ValueError(
            f"Expected sample rates whose ratio is of numbers up to {_LARGEST_RATIO:,}. Give the "
            f"file's own, or a rate that shares factors with it. Received: {printable(path)} at "
            f"{own_rate:,}, and sample_rate={sample_rate}"
        )
    channels = 1 if integers.ndim == 1 else integers.shape[1]
    # While it is resampled and averaged, all channels are there.
    expected = int(4 * channels * len(integers) * max(Fraction(1), ratio))
    if expected > max_bytes:
        raise ValueError(
            f"Expected sound of at most max_bytes={max_bytes:,}; give more where memory allows, or "
            f"another sample_rate. Received: {printable(path)} with {expected:,} bytes"
        )
    samples = _scaled(integers)
    if not np.isfinite(samples).all():
        raise ValueError(
            "Expected finite values. Repair the file with an audio editor. "
            f"Received: {printable(path)} with NaN or infinity"
        )
    if samples.ndim == 2 and mono:
        samples = samples.mean(axis=1)
    elif samples.ndim == 1 and not mono:
        samples = samples[:, np.newaxis]
    made = _resampled(samples, ratio).astype("float32")
    return Wave(made, sample_rate or own_rate), own_rate


def write_wav(path: str | Path, samples: np.ndarray, sample_rate: int, bits: int = 16) -> None:
    """Write sound as integers to a WAV file, beside the path and moved into place.

    Values are rounded to the nearest step of `2 / 2**bits`; 1, which has none, is a step less. What
    `read_wav` read from a file of as many bits is written exactly (32 bits: to float32's 24).

    Args:
        path: The file; one that is there is replaced.
        samples: `[samples]` or `[samples, channels]`, finite values in [-1, 1].
        sample_rate: Samples per second.
        bits: 8, 16, 24 or 32 for each sample. Defaults to 16.

    Raises:
        ValueError: If values are not finite or beyond [-1, 1], there are none, or an argument is
            out of its range; also if there are more channels than samples.

    Example:
        ```python no-run
        from keras_transgen.datasets import read_wav, write_wav

        samples, sample_rate = read_wav("music.wav")
        write_wav("half_as_loud.wav", samples / 2, sample_rate)
        ```
    """
    _check_rate(sample_rate)
    if bits not in _BITS:
        raise ValueError(f"Expected bits in {_BITS}. Received: bits={bits!r}")
    values = np.asarray(samples)
    if values.dtype.kind != "f" or values.ndim not in (1, 2) or not values.size:
        raise ValueError(
            "Expected floats in [-1, 1], [samples] or [samples, channels]. "
            f"Received: {values.dtype} of shape {values.shape}"
        )
    if not np.isfinite(values).all() or np.abs(values).max() > 1:
        raise ValueError(
            "Expected finite samples in [-1, 1]. Divide them by their largest magnitude, or clip "
            "them: np.clip(samples, -1, 1). "
            f"Received: values from {values.min()} to {values.max()}"
        )
    if values.ndim == 2 and values.shape[1] > max(len(values), _SURELY_CHANNELS):
        raise ValueError(
            "Expected [samples, channels]: of several waves [count, samples], write one at a time, "
            f"waves[0]; [channels, samples] turn over, samples.T. Received: shape {values.shape}"
        )
    content = _packed(values.astype("float64"), bits)
    if len(content) > _LONGEST:
        raise ValueError(
            "Expected less than 4 GiB, which is what a WAV file holds. Write several. "
            f"Received: {len(content):,} bytes"
        )
    channels = 1 if values.ndim == 1 else values.shape[1]
    if channels > _MOST_CHANNELS:
        raise ValueError(
            f"Expected [samples, channels] with at most {_MOST_CHANNELS:,} channels; turn the "
            f"array over, samples.T, if it is the other way round. Received: shape {values.shape}"
        )

    def write(beside: str) -> None:
        with wave.open(beside, "wb") as file:
            file.setparams(
                (channels, bits // 8, sample_rate, len(values), "NONE", "not compressed")
            )
            file.writeframes(content)

    write_whole(os.fspath(path), write)


def _check_rate(sample_rate: int | None) -> None:
    whole = isinstance(sample_rate, int | np.integer) and not isinstance(sample_rate, bool)
    if sample_rate is not None and not (whole and 1 <= sample_rate <= MAX_SAMPLE_RATE):
        raise ValueError(
            f"Expected sample_rate as a whole number from 1 to {MAX_SAMPLE_RATE:,}. "
            f"Received: sample_rate={sample_rate!r}"
        )


def _decoded(content: bytes, path: str | Path) -> tuple[int, np.ndarray]:
    from scipy.io import wavfile

    try:
        if _ends_early(content):
            raise ValueError("truncated")
        # From memory: what a header says costs no more than there is.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            warnings.filterwarnings("error", "Reached EOF", wavfile.WavFileWarning)
            return wavfile.read(io.BytesIO(content))
    except (
        wavfile.WavFileWarning,
        ValueError,
        TypeError,
        struct.error,
        OverflowError,
        ZeroDivisionError,
        UnboundLocalError,
    ) as error:
        raise ValueError(
            "Expected a whole WAV file of integers (8 to 32 bits) or floats; convert others, for "
            "example with ffmpeg -i FILE -c:a pcm_s16le OUT.wav. "
            f"Received: {printable(path)} ({printable(error)})"
        ) from error


def _ends_early(content: bytes) -> bool:
    """Whether the samples are fewer than their header says; SciPy reads what there is."""
    order = ">" if content.startswith(b"RIFX") else "<"
    place = 12
    while place + 8 <= len(content):
        (size,) = struct.unpack_from(f"{order}I", content, place + 4)
        if content[place : place + 4] == b"data":
            return not content.startswith(b"RF64") and place + 8 + size > len(content)
        place += 8 + size + size % 2
    return False


def _scaled(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f":
        # A value too large for float32 becomes infinite, and is refused as such.
        with np.errstate(over="ignore"):
            return values.astype("float32")
    if values.dtype.kind == "u":
        return (values.astype("float32") - 128) / 128
    # A power of two, by which floats are divided exactly.
    half = np.float32(2.0 ** (8 * values.dtype.itemsize - 1))
    return values.astype("float32") / half


def _resampled(samples: np.ndarray, ratio: Fraction) -> np.ndarray:
    if ratio == 1:
        return samples
    from scipy.signal import resample_poly

    made = resample_poly(samples, ratio.numerator, ratio.denominator, axis=0)
    peak = max(1.0, float(np.abs(samples).max()))
    return np.clip(made, -peak, peak)


def _packed(values: np.ndarray, bits: int) -> bytes:
    half = 2 ** (bits - 1)
    integers = np.clip(np.rint(values * half), -half, half - 1).astype("<i4")
    if bits == 8:
        return (integers + 128).astype("u1").tobytes()
    # The lowest bytes, which come first.
    as_bytes = np.ascontiguousarray(integers).view("u1").reshape(-1, 4)
    return as_bytes[:, : bits // 8].tobytes()
