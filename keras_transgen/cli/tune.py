"""`keras-transgen tune`: search for the best model of a folder of images, with Keras Tuner."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from keras_transgen.cli.one_at_a_time import one_at_a_time
from keras_transgen.cli.options import (
    EMBEDDED,
    BatchSize,
    Check,
    Color,
    OldSize,
    Preprocessing,
    SkipBroken,
    ValueRange,
    loading_console,
    one_size,
    range_of,
    refuse_output,
    say_written,
    seed_option,
)
from keras_transgen.cli.resumable import refuse_two_lengths
from keras_transgen.cli.stop_signals import Stopped
from keras_transgen.cli.tune_data import search_for_generation, search_for_transfer
from keras_transgen.cli.tune_progress import search_progress
from keras_transgen.cli.tune_record import SEARCH, SearchRecord, TimeIsOver
from keras_transgen.cli.tune_results import print_trials, trial_rows, write_results
from keras_transgen.cli.tune_space import space_of

EPOCHS = 5
_GO_ON = "The same command goes on; --restart begins anew."


@one_at_a_time
def run_tune(
    images: Annotated[
        str,
        typer.Argument(
            help="A folder of images (by class, for transfer and the conditional GAN), or "
            "'digits', which come with the package.",
            show_default=False,
        ),
    ],
    task: Annotated[
        Literal["transfer", "vae", "gan", "conditional-gan"],
        typer.Option(help="What to search for."),
    ] = "transfer",
    trials: Annotated[int, typer.Option(min=1, help="Models to try.")] = 20,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Passes over the images a trial.", show_default="5"),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps a trial, instead of --epochs.", show_default=False),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Minutes of search at most, all runs of it together.",
            show_default="any",
        ),
    ] = None,
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            help="For transfer: a handle, a folder or 'digits'; several times to choose from "
            "several.",
            show_default="digits",
        ),
    ] = None,
    space: Annotated[
        list[str] | None,
        typer.Option(
            help="Part of the search space: name=value, name=one,other or "
            "name=lowest:highest[:log]; several times for several."
        ),
    ] = None,
    algorithm: Annotated[
        Literal["random", "bayesian", "grid"], typer.Option(help="How to choose the next model.")
    ] = "random",
    output: Annotated[
        Path, typer.Option(help="Folder for the search, the table, the figure and the best model.")
    ] = Path("runs/tune"),
    image_size: Annotated[
        int | None,
        typer.Option(
            min=4,
            help="Side of the images in pixels.",
            show_default="what the backbone takes; 64",
        ),
    ] = None,
    size: OldSize = None,
    color: Color = "rgb",
    extractor: Annotated[
        str, typer.Option(help="For GANs: whose features compare samples with images.")
    ] = "digits",
    batch_size: BatchSize = 32,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew where there is a search.")
    ] = False,
    seed: Annotated[int, seed_option("Of the search, the split and the training.")] = 0,
    check: Check = "quick",
    skip_broken: SkipBroken = False,
    value_range: ValueRange = None,
    preprocessing: Preprocessing = None,
) -> dict[str, Any]:
    """Search for the best model of a folder; run again to go on where a search stopped."""
    if "KERASTUNER_ORACLE_IP" in os.environ:
        raise ValueError(
            "This command searches in one process; with chief and workers use "
            "keras_transgen.tuning in a program. Received: KERASTUNER_ORACLE_IP="
            f"{os.environ['KERASTUNER_ORACLE_IP']!r}"
        )
    given = space_of(space or ())
    values = range_of(value_range, preprocessing)
    if task != "transfer" and (values or preprocessing):
        raise ValueError(
            "--value-range and --preprocessing are about the backbones of --task transfer. "
            f"Received: --task {task}"
        )
    refuse_two_lengths(epochs, steps)
    refuse_output(output)
    console = loading_console()
    image_size = one_size(console, image_size, size)
    settings = {
        "images": images if images == EMBEDDED else str(Path(images).resolve()),
        "task": task,
        "epochs": epochs or (None if steps else EPOCHS),
        "steps": steps,
        "algorithm": algorithm,
        "image_size": image_size,
        "color": color,
        "extractor": extractor,
        "batch_size": batch_size,
        "seed": seed,
        "value_range": value_range,
        "preprocessing": preprocessing,
    }
    record = SearchRecord(output, settings, restart, minutes, steps)
    import keras

    from keras_transgen.cli.tune_trials import TUNERS

    keras.utils.set_random_seed(seed)
    if task == "transfer":
        search, data, names = search_for_transfer(
            images,
            backbone or (),
            given,
            image_size,
            batch_size,
            seed,
            value_range=values,
            preprocessing=preprocessing,
            check=check,
            skip_broken=skip_broken,
        )
    else:
        search, data, names = search_for_generation(
            task, images, given, image_size, color, extractor, batch_size, seed, check, skip_broken
        )
    output.mkdir(parents=True, exist_ok=True)
    record.begin()
    tuner = TUNERS[algorithm](
        search,
        search.objective,
        max_trials=trials,
        seed=seed,
        directory=str(output),
        project_name=SEARCH,
    )
    tuner.record, tuner.console = record, console
    with search_progress(console, tuner, trials) as callback:
        stopped = _searched_until(tuner, data, epochs or steps or EPOCHS, callback, minutes)
    some = any(row["score"] is not None for row in trial_rows(tuner))
    if not some and stopped is None and minutes is not None:
        raise ValueError(
            "No trial came to its end in this time; the same command with more --minutes goes on. "
            f"Received: --minutes {minutes:g}"
        )
    if some or stopped is None:
        report = write_results(output, tuner, search, names, task, Path(images).name)
        print_trials(console, report)
        say_written(console, output)
    if stopped is not None:
        stopped.told = True
        so_far = ": these are the trials so far" if some else ", before a trial came to its end"
        console.print(f"Stopped by a signal{so_far}. {_GO_ON}")
        raise stopped
    return report


def _searched_until(
    tuner: Any, data: dict[str, Any], epochs: int, callback: Any, minutes: float | None
) -> Stopped | None:
    """Search, until it is over, its time is, or a signal comes, which is returned."""
    with tuner.record.signals as signals:
        try:
            _search(tuner, data, epochs, callback)
        except Stopped as error:
            return error
        except TimeIsOver:
            tuner.console.print(
                f"{minutes:g} minutes of search are over; the same command with more --minutes "
                "goes on"
            )
        finally:
            tuner.record.remember()
    return None if signals.received is None else Stopped(signals.received)


def _search(tuner: Any, data: dict[str, Any], epochs: int, callback: Any) -> None:
    try:
        tuner.search(**data, epochs=epochs, verbose=0, callbacks=[callback])
    except ValueError:
        raise
    except RuntimeError as error:
        from keras_transgen.tuning.trials import last_line

        # Keras Tuner's own, with the traceback of a trial in its text.
        raise ValueError(
            f"The search was given up: {last_line(str(error))}. The trials are in "
            f"{tuner.project_dir}"
        ) from error
