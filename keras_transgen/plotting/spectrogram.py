"""Sound as pictures: which frequencies are loud when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.plotting.appearance import TEXT, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What is this far below the loudest is drawn as silence.
_DECIBELS = 80.0
_LEAST = 1e-12
_MOST = 16


def spectrogram(
    wave: Any, sample_rate: int, frame_length: int = 256, hop_length: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decibels of a wave by time and frequency, from Hann windows.

    Args:
        wave: `[samples]`.
        sample_rate: Samples per second.
        frame_length: Samples a window. Defaults to 256.
        hop_length: Samples from one window to the next. Defaults to a quarter of a window.

    Returns:
        Times `[frames]` in seconds, frequencies `[bins]` in Hz, and decibels `[bins, frames]`
        of power, a sine of amplitude 1 at its frequency being about 0.

    Raises:
        ValueError: The wave is no `[samples]`, or an argument is out of its range.

    Example:
        ```python
        import numpy as np
        from keras_transgen.plotting import spectrogram

        wave = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)
        times, frequencies, decibels = spectrogram(wave, 8000)
        assert frequencies[decibels[:, 60].argmax()] == 1000
        ```
    """
    from scipy.signal import stft

    wave = np.asarray(wave, "float64")
    if wave.ndim == 2 and wave.shape[1] == 1:
        wave = wave[:, 0]
    if wave.ndim != 1 or not wave.size or not np.isfinite(wave).all():
        raise ValueError(
            "Expected finite samples of one recording, [samples]. "
            f"Received: {wave.dtype} of shape {list(wave.shape)}"
        )
    hop_length = max(1, frame_length // 4) if hop_length is None else hop_length
    if sample_rate <= 0 or frame_length < 2 or not 1 <= hop_length <= frame_length:
        raise ValueError(
            "Expected a positive sample_rate, a frame_length from 2 and a hop_length from 1 to it. "
            f"Received: sample_rate={sample_rate}, frame_length={frame_length}, "
            f"hop_length={hop_length}"
        )
    # Padded here, so that a wave shorter than a window has a picture too.
    wave = np.pad(wave, (0, max(0, frame_length - len(wave))))
    frequencies, times, values = stft(
        wave,
        fs=sample_rate,
        window="hann",
        nperseg=frame_length,
        noverlap=frame_length - hop_length,
    )
    return times, frequencies, 10 * np.log10(np.maximum(4 * np.abs(values) ** 2, _LEAST))


def plot_spectrogram(
    waves: Any,
    sample_rate: int,
    *,
    names: Sequence[str] | None = None,
    frame_length: int = 256,
    hop_length: int | None = None,
    title: str | None = None,
) -> Figure:
    """Spectrograms of recordings, one below the other, on one scale of loudness and time.

    Args:
        waves: `[samples]`, `[count, samples]`, or a list of arrays; at most 16.
        sample_rate: Samples per second.
        names: One a recording, such as its class.
        frame_length: Samples a window. Defaults to 256.
        hop_length: Samples from one window to the next. Defaults to a quarter of a window.
        title: Defaults to `"Spectrogram"`.

    Returns:
        A Matplotlib figure.

    Raises:
        ValueError: There are no recordings or too many, they are no waves, or names do not fit.

    Example:
        ```python
        import numpy as np
        from keras_transgen.plotting import plot_spectrogram

        seconds = np.arange(8000) / 8000
        figure = plot_spectrogram(
            [np.sin(880 * np.pi * seconds), np.sin(1760 * np.pi * seconds)],
            8000,
            names=["A4", "A5"],
        )
        ```
    """
    single = isinstance(waves, np.ndarray) and waves.ndim == 1
    several = [waves] if single else list(waves)
    if not 1 <= len(several) <= _MOST:
        raise ValueError(f"Expected from 1 to {_MOST} recordings. Received: {len(several)}")
    if names is not None and len(names) != len(several):
        raise ValueError(
            f"Expected a name for each of {len(several)} recordings. Received: {len(names)}"
        )
    drawn = [spectrogram(wave, sample_rate, frame_length, hop_length) for wave in several]
    loudest = max(float(decibels.max()) for _, _, decibels in drawn)
    last = max(float(times[-1]) for times, _, _ in drawn)
    figure = new_figure(7.5, 1.2 + 1.6 * len(drawn), title or "Spectrogram")
    rows = np.ravel(figure.subplots(len(drawn), sharex=True, squeeze=False))
    picture: Any = None
    for row, (axes, (times, frequencies, decibels)) in enumerate(zip(rows, drawn)):
        picture = axes.pcolormesh(
            times,
            frequencies / 1000,
            decibels - loudest,
            vmin=-_DECIBELS,
            vmax=0.0,
            cmap="magma",
            shading="nearest",
            rasterized=True,
        )
        tidy(
            axes,
            title=None if names is None else str(names[row]),
            x_label="time (s)" if row + 1 == len(drawn) else "",
            y_label="kHz",
            grid="none",
        )
        axes.set_xlim(0, last)
    bar = figure.colorbar(picture, ax=list(rows))
    bar.set_label("dB below the loudest", color=TEXT, fontsize=9)
    return figure
