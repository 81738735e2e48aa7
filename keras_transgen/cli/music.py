"""Music for `keras-transgen generate`: pieces from files, a model of them, and what it writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_transgen.cli.options import say_written
from keras_transgen.cli.quiet import fit_verbosity
from keras_transgen.cli.resumable import ENDLESS, ResumableTraining

MUSIC = "music"
# Epochs of pieces, which are few.
EPOCHS = 100
BATCH_SIZE = 16
_MIDI = (".mid", ".midi")
_WRITTEN, _FRAMES = 4, 64
_MOST_BYTES = 2**28

Piece = Sequence[Sequence[int]]


def read_pieces(path: Path, frames_per_beat: int) -> tuple[list[Any], list[Any]]:
    """Pieces that are trained on, and those that are held out.

    Args:
        path: A folder of MIDI files, in any depth; one of them; or a JSON file with a list of
            pieces, or with lists `train` and `valid` as the chorales are given.
        frames_per_beat: Of MIDI files.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: There is no piece, or a file cannot be read.
    """
    if path.suffix.lower() == ".json":
        train, held_out = _of_json(path)
    else:
        train, held_out = _of_midi(path, frames_per_beat), []
    if not held_out and len(train) > 1:
        # Every tenth, at least one; which, depends on nothing but their order.
        held_out, train = train[::10], [e for n, e in enumerate(train) if n % 10]
    return train, held_out


def _of_midi(path: Path, frames_per_beat: int) -> list[Any]:
    from keras_transgen.datasets import read_midi

    files = [path]
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if each.suffix.lower() in _MIDI)
        if not files:
            raise ValueError(
                f"Expected MIDI files (.mid), in folders of any depth. Received: none in {path}"
            )
    return [read_midi(file, frames_per_beat) for file in files]


def _of_json(path: Path) -> tuple[list[Any], list[Any]]:
    from keras_transgen.datasets.file_content import file_content

    try:
        found = json.loads(file_content(path, _MOST_BYTES, "generate"))
    except ValueError as error:
        raise ValueError(f"Expected a JSON file of pieces. Received: {path} ({error})") from error
    if isinstance(found, dict) and isinstance(found.get("train"), list):
        held_out = found.get("valid")
        return found["train"], held_out if isinstance(held_out, list) else []
    if not isinstance(found, list):
        raise ValueError(
            "Expected a list of pieces, each a list of frames of MIDI pitches, or "
            f'{{"train": pieces, "valid": pieces}}. Received: another content of {path}'
        )
    return found, []


def train_music(run: ResumableTraining, given: dict[str, Any]) -> Any:
    """Train a model of music, and write it, four pieces of its own and their rolls.

    Args:
        run: The training.
        given: The options, by name.
    """
    import keras

    import keras_transgen as ktg
    from keras_transgen.plotting import plot_learning_curves, plot_piano_roll, save_figure
    from keras_transgen.sequences.optimizer_schedule import scheduled_adamw
    from keras_transgen.training import write_whole_json

    keras.utils.set_random_seed(given["seed"])
    output, per_beat = run.output, given["frames_per_beat"] or 1
    train, held_out = read_pieces(Path(given["images"]), per_beat)
    model = ktg.MusicModel(
        max_notes=_most_notes([*train, *held_out]),
        period=16 * per_beat,
        transpose=given["transpose"] or 0,
        seed=given["seed"],
    )
    # Before anything is written: an error says which piece it is.
    rows = [model.entered("x", each, True) for each in (train, held_out) if each]
    size = given["batch_size"] or BATCH_SIZE
    passes = run.epochs(given["epochs"], -(-len(rows[0]) // size), EPOCHS)
    if passes == ENDLESS:
        model.compile(scheduled_adamw(run.steps, model.default_rate))
    output.mkdir(parents=True, exist_ok=True)
    model.fit(
        train,
        batch_size=size,
        epochs=passes,
        validation_data=held_out or None,
        callbacks=run.callbacks(),
        verbose=fit_verbosity(),
    )
    model.save(output / "model.keras")
    write_whole_json(output / "music.json", {"frames_per_beat": per_beat})
    if len(run.logs) > 1:
        save_figure(plot_learning_curves(run.curves()), output / "learning_curves.png")
    pieces = model.sample(_WRITTEN, _FRAMES * per_beat, seed=given["seed"])
    write_pieces(pieces, [output / f"sample_{n}.mid" for n in range(_WRITTEN)], per_beat)
    if any(frame for piece in pieces for frame in piece):
        roll = plot_piano_roll(pieces, frames_per_beat=per_beat, title="What the model writes")
        save_figure(roll, output / "samples.png")
    if held_out:
        run.console.print(f"{model.evaluate(held_out, verbose=0):.2f} nats a frame, held out")
    say_written(run.console, output)
    run.end()
    return model


def _most_notes(pieces: Sequence[Piece]) -> int:
    """Notes of the fullest frame; what is no piece is refused by the model."""
    try:
        return max(1, *(len(set(frame)) for piece in pieces for frame in piece))
    except TypeError:
        return 1


def sample_music(
    model: Any,
    model_file: Path,
    output: Path,
    count: int,
    frames: int,
    temperature: float,
    seed: int | None,
) -> list[Path]:
    """Write pieces of a model's own as MIDI files.

    Args:
        model: A `MusicModel`.
        model_file: Whose it is; beside it lies how many frames a beat has.
        output: A MIDI file, or where there are several pieces a folder for them.
        count: Pieces.
        frames: Of each.
        temperature: Below 1 for likelier notes.
        seed: Of the draws.
    """
    if count == 1 and output.suffix.lower() not in _MIDI:
        raise ValueError(f"Music is written as a MIDI file, .mid. Received: {output}")
    if count > 1 and output.suffix.lower() in _MIDI:
        raise ValueError(
            f"Several pieces are written into a folder: give its name, or --count 1. "
            f"Received: --count {count} for {output}"
        )
    per_beat = _frames_per_beat(model_file)
    pieces = model.sample(count, frames, temperature, seed=seed)
    files = [output] if count == 1 else [output / f"{n:05}.mid" for n in range(count)]
    files[0].parent.mkdir(parents=True, exist_ok=True)
    write_pieces(pieces, files, per_beat)
    return files


def _frames_per_beat(model_file: Path) -> int:
    beside = model_file.parent / "music.json"
    if not beside.is_file():
        return 1
    try:
        found = json.loads(beside.read_text()).get("frames_per_beat", 1)
    except (ValueError, AttributeError):
        found = 1
    return found if isinstance(found, int) and 1 <= found <= 480 else 1


def write_pieces(pieces: Sequence[Piece], files: Sequence[Path], frames_per_beat: int) -> None:
    """Write each piece into its file.

    Args:
        pieces: Frames of pitches.
        files: As many.
        frames_per_beat: Frames of a quarter note.
    """
    from keras_transgen.datasets import write_midi

    for piece, file in zip(pieces, files):
        write_midi(file, piece, frames_per_beat)
