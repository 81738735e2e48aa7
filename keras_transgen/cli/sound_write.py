"""Sound for `keras-transgen generate`: waves that a model makes, in files to be heard."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

WAVEGAN = "wavegan"
# Beside a model, which need not know how many samples a second has.
RATE_FILE = "sound.json"
# Waves of a model without classes, and of one with as many classes.
WRITTEN = 4
_MOST_WRITTEN = 16
_PAUSE = 0.25


def asked_classes(names: Sequence[str]) -> np.ndarray | None:
    """The classes of which a training writes a wave each; `None` without classes."""
    import numpy as np

    return np.arange(min(len(names), _MOST_WRITTEN)) if names else None


def write_examples(model: Any, rate: int, names: list[str], seed: int, output: Path) -> None:
    """Write waves of a model's own, one a class, and their spectrograms.

    Args:
        model: One that `makes_sound`.
        rate: Samples per second.
        names: Of the classes; empty without.
        seed: Of the draws.
        output: A folder.
    """
    from keras_transgen.plotting import plot_spectrogram, save_figure

    labels = asked_classes(names)
    waves = drawn_waves(model, labels, WRITTEN, seed)
    told = [names[label] for label in labels] if labels is not None else None
    write_waves(waves, wave_files(labels, len(waves), output / "recordings"), rate)
    figure = plot_spectrogram(waves, rate, names=told, title="What the model makes")
    save_figure(figure, output / "samples.png")


def makes_sound(model: Any) -> bool:
    """Whether the samples of a model are waves: of a `WaveNet`, or one channel along one axis."""
    import keras_transgen as ktg

    if isinstance(model, ktg.WaveNet):
        return True
    shape = tuple(getattr(model, "example_shape", None) or ())
    return len(shape) == 2 and (shape[1] == 1 or getattr(model, "networks", None) == WAVEGAN)


def sample_sound(
    model: Any,
    model_file: Path,
    output: Path,
    labels: np.ndarray | None,
    count: int,
    seed: int | None,
    separate: bool,
    options: dict[str, Any],
) -> list[Path]:
    """Write waves of a model's own as WAV files.

    Args:
        model: One that `makes_sound`.
        model_file: Whose it is; beside it lies how many samples a second has.
        output: A WAV file, in which they come one after the other; with `separate` a folder.
        labels: A class for each, or `None` without classes.
        count: How many, without classes.
        seed: Of the draws.
        separate: A file for each.
        options: `sample_rate`, and `seconds` and `temperature`, which a WaveNet takes; `None` for
            those that were not given.

    Raises:
        ValueError: The file is no WAV file, or the rate is unknown or another than the model's.
    """
    import numpy as np

    from keras_transgen.datasets.file_suffixes import WAVE_SUFFIXES

    if not separate and output.suffix.lower() not in WAVE_SUFFIXES:
        raise ValueError(
            "Sound is written as a WAV file, .wav; or with --separate into a folder. "
            f"Received: {output}"
        )
    rate = _sample_rate(model, model_file, options["sample_rate"])
    drawing = {
        name: options[name] for name in ("seconds", "temperature") if options[name] is not None
    }
    waves = drawn_waves(model, labels, count, seed, **drawing)
    if separate:
        output.mkdir(parents=True, exist_ok=True)
        files = wave_files(labels, len(waves), output)
        write_waves(waves, files, rate)
        return files
    output.parent.mkdir(parents=True, exist_ok=True)
    pause = np.zeros((int(_PAUSE * rate), *waves[0].shape[1:]), "float32")
    parts = [part for wave in waves for part in (pause, wave)][1:]
    write_waves([np.concatenate(parts)], [output], rate)
    return [output]


def drawn_waves(
    model: Any, labels: np.ndarray | None, count: int, seed: int | None, **drawing: Any
) -> list[np.ndarray]:
    """Waves of a model's own in [-1, 1], `[samples]` or `[samples, channels]` each.

    Args:
        model: One that `makes_sound`.
        labels: A class for each, or `None`.
        count: How many, without classes.
        seed: Of the draws.
        **drawing: Further arguments of a WaveNet's `sample`.
    """
    import numpy as np

    import keras_transgen as ktg

    if isinstance(model, ktg.WaveNet):
        asked = {"count": count} if labels is None else {"labels": labels}
        found = model.sample(**asked, seed=seed, **drawing)
    else:
        found = np.asarray(model.sample(count if labels is None else labels, seed=seed))
        found = found[:, :, 0] if found.shape[2] == 1 else found
    return [np.clip(np.nan_to_num(np.asarray(wave, "float32")), -1.0, 1.0) for wave in found]


def _sample_rate(model: Any, model_file: Path, given: int | None) -> int:
    known = getattr(model, "sample_rate", None) or _rate_beside(model_file)
    rate = known or given
    if rate is None:
        raise ValueError(
            "Nothing says how many samples a second has: give --sample-rate, or keep "
            f"{RATE_FILE} beside the model's file. Received: {model_file} alone"
        )
    if known is not None and given is not None and given != known:
        raise ValueError(
            f"This model was trained on {known:,} samples a second: leave out --sample-rate. "
            f"Received: --sample-rate {given}"
        )
    return rate


def _rate_beside(model_file: Path) -> int | None:
    beside = model_file.parent / RATE_FILE
    if not beside.is_file():
        return None
    try:
        found = json.loads(beside.read_text()).get("sample_rate")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, int) and 1 <= found <= 1_000_000 else None


def wave_files(labels: np.ndarray | None, count: int, folder: Path) -> list[Path]:
    """A file of a folder for each wave, named as those of images are."""
    kinds = [""] * count if labels is None else [f"{label}_" for label in labels]
    return [folder / f"{kind}{number:05}.wav" for number, kind in enumerate(kinds)]


def write_waves(waves: Sequence[np.ndarray], files: Sequence[Path], sample_rate: int) -> None:
    """Write each wave into its file.

    Args:
        waves: `[samples]` or `[samples, channels]`.
        files: As many.
        sample_rate: Samples per second.
    """
    from keras_transgen.datasets import write_wav

    for wave, file in zip(waves, files):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_wav(file, wave, sample_rate)
