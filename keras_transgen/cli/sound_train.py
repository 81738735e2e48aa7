"""Sound for `keras-transgen generate train`: recordings, and models of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_transgen.cli.example_images import has_folders
from keras_transgen.cli.options import say_written
from keras_transgen.cli.quiet import fit_verbosity
from keras_transgen.cli.resumable import ENDLESS, ResumableTraining, preview_interval
from keras_transgen.cli.sound_write import (
    RATE_FILE,
    WAVEGAN,
    WRITTEN,
    asked_classes,
    write_examples,
)

if TYPE_CHECKING:
    import numpy as np

WAVENET = "wavenet"
SOUND = (WAVEGAN, WAVENET)
# Epochs of recordings, which are few.
EPOCHS = 100
BATCH_SIZE = {WAVEGAN: 32, WAVENET: 8}
# Of a WaveGAN: those of `benchmarks/wavegan.py`, which a CPU trains.
_FILTERS, _LATENT_DIM, _EMBEDDING_DIM = 16, 64, 64
_PENALTY_WEIGHT, _LEARNING_RATES = 0.03, (4e-4, 8e-4)
_LONGEST = 16384


class Recordings(NamedTuple):
    """What is trained on.

    Attributes:
        waves: Arrays `[samples]`.
        labels: int64 `[count]`, or `None` without classes.
        class_names: Of the classes; empty without.
        sample_rate: Samples per second of all.
    """

    waves: list[np.ndarray]
    labels: np.ndarray | None
    class_names: list[str]
    sample_rate: int


def read_recordings(
    path: Path, sample_rate: int | None, seconds: float | None, pattern: str | None
) -> Recordings:
    """The recordings of a folder, by class where it has folders in it or a pattern is given.

    Args:
        path: The folder.
        sample_rate: That all are resampled to. Defaults to that of the first.
        seconds: What comes after is cut off; `None` for whole recordings.
        pattern: As in `audio_folder`.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: There is no recording, or one that cannot be read.
    """
    from keras_transgen.datasets import audio_folder, read_wav
    from keras_transgen.datasets.file_suffixes import WAVE_SUFFIXES
    from keras_transgen.datasets.folder_index import files_by_class

    by_folder = pattern is None and path.is_dir() and has_folders(path)
    if sample_rate is None:
        first = files_by_class(path, WAVE_SUFFIXES, "recording", by_folder)[0][0]
        sample_rate = read_wav(first).sample_rate
    found = audio_folder(
        path,
        sample_rate,
        pattern=pattern,
        labelled=by_folder or pattern is not None,
        seconds=seconds,
    )
    return Recordings(found.waves, found.labels, list(found.class_names or ()), sample_rate)


def train_sound(run: ResumableTraining, given: dict[str, Any]) -> Any:
    """Train a model of sound, and write it and recordings of its own.

    Args:
        run: The training.
        given: The options, by name.
    """
    import keras

    from keras_transgen.plotting import plot_learning_curves, save_figure
    from keras_transgen.training import write_whole_json

    keras.utils.set_random_seed(given["seed"])
    output = run.output
    recordings = read_recordings(
        Path(given["images"]), given["sample_rate"], given["seconds"], given["pattern"]
    )
    rate, names = recordings.sample_rate, recordings.class_names
    if given["sample_rate"] is None:
        run.console.print(f"Sound is read at {rate:,} samples a second, as the first recording has")
    train = {WAVEGAN: _train_wavegan, WAVENET: _train_wavenet}[given["model"]]
    model = train(run, given, recordings)
    model.save(output / "model.keras")
    write_whole_json(output / RATE_FILE, {"sample_rate": rate})
    write_whole_json(output / "classes.json", names)
    if len(run.logs) > 1:
        save_figure(plot_learning_curves(run.curves()), output / "learning_curves.png")
    write_examples(model, rate, names, given["seed"], output)
    say_written(run.console, output)
    run.end()
    return model


def _train_wavegan(run: ResumableTraining, given: dict[str, Any], recordings: Recordings) -> Any:
    import keras
    import numpy as np

    import keras_transgen as ktg
    from keras_transgen.generative.networks.spectrogram_discriminator import (
        spectrogram_discriminator,
    )
    from keras_transgen.generative.networks.wavegan import fitting_length

    rate = recordings.sample_rate
    wanted = given["seconds"] and int(given["seconds"] * rate)
    length = fitting_length(wanted or min(max(map(len, recordings.waves)), _LONGEST))
    run.console.print(f"Waves of {length / rate:.3g} seconds, {length:,} samples")
    cut = [wave[:length] for wave in recordings.waves]
    x = np.stack([np.pad(wave, (0, length - len(wave)))[:, None] for wave in cut])
    settings: dict[str, Any] = {
        "example_shape": (length, 1),
        "networks": WAVEGAN,
        "filters": _FILTERS,
        "latent_dim": given["latent_dim"] or _LATENT_DIM,
        "gradient_penalty": "r1",
        "gradient_penalty_weight": _PENALTY_WEIGHT,
        "seed": given["seed"],
    }
    if recordings.labels is None:
        listener = spectrogram_discriminator((length, 1), rate)
        model = ktg.GAN(discriminator=listener, **settings)
    else:
        classes = len(recordings.class_names)
        listener = spectrogram_discriminator(
            (length, 1), rate, embedding_dim=_EMBEDDING_DIM, auxiliary_classes=classes
        )
        model = ktg.ConditionalGAN(
            class_names=recordings.class_names,
            embedding_dim=_EMBEDDING_DIM,
            discriminator=listener,
            auxiliary_classifier=True,
            **settings,
        )
    model.compile(
        *(keras.optimizers.Adam(each, beta_1=0.5, beta_2=0.9) for each in _LEARNING_RATES)
    )
    # Before anything is written.
    model.check_examples(x, "recordings")
    size = given["batch_size"] or BATCH_SIZE[WAVEGAN]
    passes = run.epochs(given["epochs"], -(-len(x) // size), EPOCHS)
    asked = asked_classes(recordings.class_names)
    shown = {"count": WRITTEN} if asked is None else {"condition": asked}
    run.output.mkdir(parents=True, exist_ok=True)
    heard = ktg.callbacks.AudioSamples(
        rate,
        run.output / "samples",
        every=preview_interval(passes),
        seed=given["seed"],
        root=run.output,
        **shown,
    )
    model.fit(
        x,
        recordings.labels,
        batch_size=size,
        epochs=passes,
        callbacks=[*run.callbacks(), heard],
        verbose=fit_verbosity(),
    )
    return model


def _train_wavenet(run: ResumableTraining, given: dict[str, Any], recordings: Recordings) -> Any:
    import keras_transgen as ktg
    from keras_transgen.sequences.optimizer_schedule import scheduled_adamw

    model = ktg.WaveNet(
        recordings.sample_rate, class_names=recordings.class_names or None, seed=given["seed"]
    )
    train, held_out = _held_out(recordings)
    size = given["batch_size"] or BATCH_SIZE[WAVENET]
    passes = run.epochs(given["epochs"], -(-len(train[0]) // size), EPOCHS)
    if passes == ENDLESS:
        model.compile(scheduled_adamw(run.steps, model.default_rate))
    run.output.mkdir(parents=True, exist_ok=True)
    model.fit(
        *train,
        batch_size=size,
        epochs=passes,
        callbacks=run.callbacks(),
        verbose=fit_verbosity(),
    )
    if held_out is not None:
        run.console.print(f"{model.bits_per_sample(*held_out):.2f} bits a sample, held out")
    return model


def _held_out(recordings: Recordings) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    """Waves and labels to train on, and every tenth, where there are so many; no class whole."""
    import numpy as np

    waves, labels = recordings.waves, recordings.labels
    apart = np.arange(len(waves)) % 10 == 9
    if labels is not None:
        apart &= np.bincount(labels)[labels] > 1
    parts = [
        ([waves[place] for place in np.flatnonzero(rows)], None if labels is None else labels[rows])
        for rows in (~apart, apart)
    ]
    return parts[0], parts[1] if apart.any() else None
