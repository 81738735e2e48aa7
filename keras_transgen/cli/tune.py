"""`keras-transgen tune`: search for the best model of a folder of images, with Keras Tuner."""

from __future__ import annotations

import contextlib
import enum
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

EMBEDDED = "digits"
_HELD_OUT = 10
_SHOWN = 20


class Task(enum.StrEnum):
    """What is searched for."""

    transfer = "transfer"
    vae = "vae"
    gan = "gan"
    conditional_gan = "conditional-gan"


class Algorithm(enum.StrEnum):
    """How the next trial is chosen."""

    random = "random"
    bayesian = "bayesian"
    grid = "grid"


def tune(
    images: Annotated[
        str,
        typer.Argument(
            help="A folder of images (by class, for transfer and the conditional GAN), or "
            "'digits', which come with the package.",
            show_default=False,
        ),
    ],
    task: Annotated[Task, typer.Option(help="What to search for.")] = Task.transfer,
    trials: Annotated[int, typer.Option(min=1, help="Models to try.")] = 20,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the images a trial.")] = 5,
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            help="For transfer: a handle, a folder or 'digits'; several times to choose from "
            "several."
        ),
    ] = None,
    space: Annotated[
        list[str] | None,
        typer.Option(
            help="Part of the search space: name=value, name=one,other or "
            "name=lowest:highest[:log]; several times for several."
        ),
    ] = None,
    algorithm: Annotated[Algorithm, typer.Option(help="How to choose.")] = Algorithm.random,
    output: Annotated[
        Path, typer.Option(help="Folder for the search, the table, the figure and the best model.")
    ] = Path("runs/tune"),
    size: Annotated[
        int | None,
        typer.Option(
            min=4, help="Side of the images in pixels. [default: what the backbone takes; 64]"
        ),
    ] = None,
    color: Annotated[
        str, typer.Option(help="For generative models: 'rgb' or 'grayscale'.")
    ] = "rgb",
    extractor: Annotated[
        str, typer.Option(help="For GANs: whose features compare samples with images.")
    ] = "digits",
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    seed: Annotated[int, typer.Option(help="Of the search, the split and the training.")] = 0,
) -> None:
    """Search for the best model of a folder; run again to go on where a search stopped."""
    run_tune(
        images,
        task=task.value,
        trials=trials,
        epochs=epochs,
        backbones=backbone or (),
        space=space or (),
        algorithm=algorithm.value,
        output=output,
        size=size,
        color=color,
        extractor=extractor,
        batch_size=batch_size,
        seed=seed,
    )


def run_tune(
    images: str,
    *,
    task: str = "transfer",
    trials: int = 20,
    epochs: int = 5,
    backbones: Sequence[str] = (),
    space: Sequence[str] = (),
    algorithm: str = "random",
    output: Path = Path("runs/tune"),
    size: int | None = None,
    color: str = "rgb",
    extractor: str = "digits",
    batch_size: int = 32,
    seed: int = 0,
) -> dict[str, Any]:
    """Search, and write the table of trials, a figure of them and the best model.

    Args:
        images: `"digits"` (embedded, 8x8), or a folder of images.
        task: `"transfer"`, `"vae"`, `"gan"` or `"conditional-gan"`.
        trials: Models to try, those of an earlier run into the same folder included.
        epochs: Passes over the images a trial.
        backbones: For transfer: what `keras_transgen.load_backbone` takes.
        space: Parts of the search space, see `space_of`.
        algorithm: `"random"`, `"bayesian"` or `"grid"`.
        output: Folder for `search/`, `report.json`, `parallel_coordinates.png`, `model.keras`.
        size: Side in pixels. Defaults to what the backbone takes, and to 64 for generative models.
        color: `"rgb"` or `"grayscale"`, for generative models.
        extractor: For GANs: what `keras_transgen.load_backbone` takes.
        batch_size: Images a step.
        seed: Of the search, the split and the training.

    Returns:
        What `report.json` holds.

    Raises:
        ValueError: If folder and options do not fit together, the folder holds another search, or
            no trial came to an end.
    """
    from rich.console import Console

    given = space_of(space)
    console = Console()
    console.print("Loading TensorFlow ...")
    import keras
    import keras_tuner

    from keras_transgen.plotting import plot_parallel_coordinates, save_figure

    keras.utils.set_random_seed(seed)
    if task == "transfer":
        search, data, names = _transfer(images, backbones, given, size, batch_size, seed)
    else:
        search, data, names = _generative(
            task, images, given, size, color, extractor, batch_size, seed
        )
    tuners = {
        "random": keras_tuner.RandomSearch,
        "bayesian": keras_tuner.BayesianOptimization,
        "grid": keras_tuner.GridSearch,
    }
    output.mkdir(parents=True, exist_ok=True)
    tuner = tuners[algorithm](
        search,
        search.objective,
        max_trials=trials,
        seed=seed,
        directory=str(output),
        project_name="search",
    )
    with _progress(console, tuner, trials) as callback:
        _search(tuner, data, epochs, callback)
    rows = _rows(tuner)
    done = [row for row in rows if row["score"] is not None]
    if not done:
        raise ValueError(
            f"No trial came to an end. Received: {rows[-1]['message'] if rows else 'no trial'}"
        )
    (best,) = tuner.get_best_models()
    best.save(output / "model.keras")
    report = {
        "task": task,
        "objective": search.objective.name,
        "direction": search.objective.direction,
        "classes": names,
        "space": search.space,
        "best": {key: done[0][key] for key in ("trial", "score", "hyperparameters")},
        "trials": rows,
    }
    (output / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    figure = plot_parallel_coordinates(
        [row["hyperparameters"] for row in done],
        [row["score"] for row in done],
        score_name=search.objective.name,
        maximize=search.objective.direction == "max",
        title=f"{len(done)} trials of {task} on {Path(images).name}",
    )
    save_figure(figure, output / "parallel_coordinates.png")
    _print_table(console, report)
    console.print(f"Written to {output}: {', '.join(sorted(p.name for p in output.iterdir()))}")
    return report


def space_of(parts: Sequence[str]) -> dict[str, Any]:
    """Read parts of a search space from the command line.

    Args:
        parts: `"name=value"`, `"name=one,other"`, `"name=lowest:highest"` or
            `"name=lowest:highest:log"`; numbers, `true`, `false` and words.

    Returns:
        What the HyperModels take as `space=`.

    Raises:
        ValueError: If a part cannot be read.

    Example:
        ```python
        from keras_transgen.cli.tune import space_of

        assert space_of(["rank=4,8", "kind=feature"]) == {"rank": [4, 8], "kind": "feature"}
        ```
    """
    space: dict[str, Any] = {}
    for part in parts:
        name, equals, text = part.partition("=")
        limits = text.split(":")
        if not equals or not name or not text or len(limits) > 3 or name in space:
            raise ValueError(
                "--space takes name=value, name=one,other or name=lowest:highest[:log], each name "
                f"once. Received: --space {part}"
            )
        if len(limits) > 1:
            low, high = (_value(limit) for limit in limits[:2])
            sampling = limits[2] if len(limits) == 3 else "linear"
            space[name] = {"min_value": low, "max_value": high, "sampling": sampling}
        else:
            values = [_value(word) for word in text.split(",") if word]
            space[name] = values if "," in text else values[0]
    return space


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        return word


# Data and HyperModels

Search = tuple[Any, dict[str, Any], list[str]]


def _transfer(
    images: str,
    sources: Sequence[str],
    space: dict[str, Any],
    size: int | None,
    batch_size: int,
    seed: int,
) -> Search:
    import keras_transgen as ktg
    from keras_transgen.cli.image_input import image_input
    from keras_transgen.datasets import image_folder_split, index_images, load_digits_split

    if images == EMBEDDED:
        (x, y), held_out = load_digits_split()
        names = [str(digit) for digit in range(10)]
        search = ktg.tuning.TransferHyperModel(sources or [EMBEDDED], 10, space=space, seed=seed)
        data = {"x": x, "y": y, "validation_data": held_out, "batch_size": batch_size}
        return search, data, names
    if not sources:
        raise ValueError(
            "A search for the best transfer needs at least one --backbone: a TF-Hub handle, a "
            "folder with a SavedModel, a .keras file or 'digits'. Received: none"
        )
    names = list(index_images(images).class_names or ())
    search = ktg.tuning.TransferHyperModel(list(sources), len(names), space=space, seed=seed)
    wanted = {
        name: image_input(search.backbones.shared(name), size) for name in search.backbones.names
    }
    if len(set(wanted.values())) > 1:
        raise ValueError(
            "The backbones to choose from must take images of one size, colour and range. "
            f"Received: {', '.join(f'{name}: {each}' for name, each in wanted.items())}"
        )
    (reading,) = set(wanted.values())
    x, held_out = image_folder_split(images, batch_size=batch_size, seed=seed, **reading.options())
    return search, {"x": x, "validation_data": held_out}, names


def _generative(
    task: str,
    images: str,
    space: dict[str, Any],
    size: int | None,
    color: str,
    extractor: str,
    batch_size: int,
    seed: int,
) -> Search:
    import keras_transgen as ktg

    value_range = (0.0, 1.0) if task == "vae" else (-1.0, 1.0)
    labelled = task == "conditional-gan"
    every, names = _examples(images, size, color, labelled, value_range, seed)
    shape = tuple(every.element_spec[0].shape)
    train, held_out = _split(every, batch_size, labelled, seed)
    data = {"x": train, "validation_data": held_out}
    if task == "vae":
        return ktg.tuning.VAEHyperModel(shape, space=space, seed=seed), data, names
    options = {"space": space, "extractor": extractor, "seed": seed}
    if labelled:
        return ktg.tuning.ConditionalGANHyperModel(shape, len(names), **options), data, names
    return ktg.tuning.GANHyperModel(shape, **options), data, names


def _examples(
    images: str,
    size: int | None,
    color: str,
    labelled: bool,
    value_range: tuple[float, float],
    seed: int,
) -> tuple[Any, list[str]]:
    """A data set of single images with labels, in an order at random, and the classes."""
    import numpy as np
    import tensorflow as tf

    from keras_transgen.datasets import image_folder, index_images, load_digits

    low, high = value_range
    if images == EMBEDDED:
        pixels, labels = load_digits()
        if size not in (None, 8):
            pixels = np.asarray(tf.image.resize(pixels, (size, size)))
        order = np.random.default_rng(seed).permutation(len(pixels))
        pixels = (low + (high - low) * pixels[order]).astype("float32")
        names = [str(digit) for digit in range(10)] if labelled else []
        return tf.data.Dataset.from_tensor_slices((pixels, labels[order])), names
    index = index_images(images, labelled=labelled)
    data = image_folder(
        images,
        image_size=size or 64,
        batch_size=None,
        labelled=labelled,
        value_range=value_range,
        color_mode=color,
    )
    if not labelled:
        data = data.map(lambda image: (image, tf.constant(0, tf.int64)))
    return data, list(index.class_names or ()) if labelled else []


def _split(every: Any, batch_size: int, labelled: bool, seed: int) -> tuple[Any, Any]:
    """Every tenth example is held out; the rest comes in another order each epoch."""
    import tensorflow as tf

    def part(held_out: bool) -> Any:
        chosen = every.enumerate().filter(
            lambda number, _: tf.equal(tf.equal(number % _HELD_OUT, 0), held_out)
        )
        chosen = chosen.map(lambda _, example: example if labelled else example[0]).cache()
        if not held_out:
            chosen = chosen.shuffle(4096, seed=seed)
        return chosen.batch(batch_size, drop_remainder=not held_out).prefetch(tf.data.AUTOTUNE)

    return part(False), part(True)


# The search


def _search(tuner: Any, data: dict[str, Any], epochs: int, callback: Any) -> None:
    try:
        tuner.search(**data, epochs=epochs, verbose=0, callbacks=[callback])
    except ValueError:
        raise
    except RuntimeError as error:
        # Keras Tuner's own, with the traceback of a trial in its text.
        raise ValueError(
            f"The search was given up: {_last_line(str(error))}. The trials are in "
            f"{tuner.project_dir}"
        ) from error


@contextlib.contextmanager
def _progress(console: Any, tuner: Any, trials: int) -> Iterator[Any]:
    import keras
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        bar = progress.add_task("searching", total=trials, completed=len(tuner.oracle.end_order))

        class ShowTrial(keras.callbacks.Callback):
            """Keras Tuner copies callbacks for each trial; a display is one for all."""

            def __deepcopy__(self, memo: dict) -> Any:
                return self

            def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
                name = tuner.oracle.objective.name
                now = f", {name} {logs[name]:.4g}" if logs and name in logs else ""
                best = tuner.oracle.get_best_trials()
                scores = [trial.score for trial in best if trial.score is not None]
                so_far = f", best so far {scores[0]:.4g}" if scores else ""
                progress.update(
                    bar,
                    description=f"epoch {epoch + 1}{now}{so_far}",
                    completed=len(tuner.oracle.end_order),
                )

        yield ShowTrial()
        progress.update(bar, completed=len(tuner.oracle.end_order))


def _rows(tuner: Any) -> list[dict[str, Any]]:
    """All trials as JSON values, the best first, those that failed last."""
    from keras_transgen.tuning.search_space import MARKER

    sign = -1.0 if tuner.oracle.objective.direction == "max" else 1.0
    rows = []
    for trial in tuner.oracle.trials.values():
        values = trial.hyperparameters.values
        done = trial.status == "COMPLETED"
        rows.append(
            {
                "trial": trial.trial_id,
                "status": trial.status,
                "score": float(trial.score) if done else None,
                "best_epoch": int(trial.best_step) + 1 if done else None,
                "hyperparameters": {
                    name: value
                    for name, value in values.items()
                    if name != MARKER and not name.startswith("tuner/")
                },
                "message": None if done else _last_line(trial.message or ""),
            }
        )
    return sorted(rows, key=lambda row: (row["score"] is None, sign * (row["score"] or 0.0)))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def _print_table(console: Any, report: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(title=f"The best trials by {report['objective']}")
    table.add_column("trial")
    table.add_column(report["objective"], justify="right")
    table.add_column("epoch", justify="right")
    table.add_column("hyperparameters")
    for row in report["trials"][:_SHOWN]:
        values = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in row["hyperparameters"].items()
        )
        score = row["status"].lower() if row["score"] is None else f"{row['score']:.4g}"
        text = values if row["message"] is None else f"{values}: {row['message']}"
        table.add_row(row["trial"], score, str(row["best_epoch"] or ""), text)
    console.print(table)
    left = len(report["trials"]) - _SHOWN
    if left > 0:
        console.print(f"{left} more trials are in report.json")
