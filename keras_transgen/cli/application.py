"""The commands by name. What they run is imported when it runs, so help is quick."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer

from keras_transgen.cli import generate, translate_apply, translate_train
from keras_transgen.cli.advice import as_options
from keras_transgen.cli.classify import run_classify
from keras_transgen.cli.demo import run_demo
from keras_transgen.cli.detect_apply import run_detect_apply
from keras_transgen.cli.detect_train import run_detect_train
from keras_transgen.cli.evaluate import run_evaluate
from keras_transgen.cli.examples import epilog_of
from keras_transgen.cli.extract import run_extract
from keras_transgen.cli.inspect import run_inspect
from keras_transgen.cli.kept_inputs import keeps_its_inputs
from keras_transgen.cli.stop_signals import Stopped, StopSignals
from keras_transgen.cli.stylize import run_stylize
from keras_transgen.cli.text_evaluate import run_text_evaluate
from keras_transgen.cli.text_train import run_text_train
from keras_transgen.cli.text_write import run_text_generate, run_text_translate
from keras_transgen.cli.transfer import MethodsInHelp, run_transfer
from keras_transgen.cli.tune import run_tune

app = typer.Typer(
    name="keras-transgen",
    help="Transfer learning and generative models for Keras 3.",
    epilog="keras-transgen COMMAND --help shows options, their defaults and examples.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
generation = typer.Typer(
    help="Train a generative model on images, sound or music, and draw samples from it."
)
texts = typer.Typer(
    help="Language models, translators and text VAEs: train, write, translate, measure."
)
detection = typer.Typer(help="Train a detector of objects in images, and apply it to others.")
translation = typer.Typer(help="Train a model from images to images, and apply it to a folder.")


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("keras_transgen"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    pass


def _add(group: typer.Typer, name: str, run: Callable[..., Any], **options: Any) -> None:
    """A command of a group, with examples at the end of its help, that keeps what it reads."""
    group.command(name.split()[-1], epilog=epilog_of(name), **options)(keeps_its_inputs(run))


_add(app, "demo", run_demo)
_add(app, "transfer", run_transfer, cls=MethodsInHelp)
_add(app, "classify", run_classify)
_add(app, "inspect", run_inspect)
_add(app, "extract", run_extract)
_add(generation, "generate train", generate.run_train)
_add(generation, "generate sample", generate.run_sample)
_add(translation, "translate train", translate_train.run_train)
_add(translation, "translate apply", translate_apply.run_apply)
_add(detection, "detect train", run_detect_train)
_add(detection, "detect apply", run_detect_apply)
_add(texts, "text train", run_text_train)
_add(texts, "text generate", run_text_generate)
_add(texts, "text translate", run_text_translate)
_add(texts, "text evaluate", run_text_evaluate)
app.add_typer(generation, name="generate", no_args_is_help=True)
app.add_typer(translation, name="translate", no_args_is_help=True)
app.add_typer(detection, name="detect", no_args_is_help=True)
app.add_typer(texts, name="text", no_args_is_help=True)
_add(app, "stylize", run_stylize)
_add(app, "tune", run_tune)
_add(app, "evaluate", run_evaluate)


def main() -> None:
    """Run the command; an error that says what to do is shown without its traceback.

    `KERAS_TRANSGEN_TRACEBACK=1` shows it.
    """
    # On CPUs without AVX-512, TensorFlow leaves its faster convolutions off.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    try:
        with StopSignals(), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            app()
    except Stopped as stopped:
        if not stopped.told:
            print("Stopped by a signal.", file=sys.stderr)
        raise
    except Exception as error:
        import traceback

        from rich.text import Text

        from keras_transgen.datasets.screen import Screen

        screen = Screen(stderr=True)
        if not _says_what_to_do(error) or os.environ.get("KERAS_TRANSGEN_TRACEBACK"):
            screen.print(traceback.format_exc(), highlight=False, soft_wrap=True)
        else:
            screen.print(Text("Error", style="bold red"), end=" ")
            screen.print(_in_words(error), highlight=False)
        sys.exit(1)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """A warning as a sentence, without the place in a program that the user did not write."""
    from rich.text import Text

    from keras_transgen.datasets.screen import Screen

    screen = Screen(stderr=True)
    screen.print(Text("Warning", style="bold yellow"), end=" ")
    screen.print(as_options(str(message)), highlight=False)


def _in_words(error: Exception) -> str:
    """What an error says, with the system's own ones and lack of memory told in words."""
    text = str(error)
    out_of_memory = isinstance(error, MemoryError)
    if "tensorflow" in sys.modules:
        # Which takes seconds, and is not waited for where it has no part in an error.
        import tensorflow as tf

        out_of_memory = out_of_memory or isinstance(error, tf.errors.ResourceExhaustedError)
    if out_of_memory or "Failed to allocate memory" in text:
        return (
            "There is not enough memory for this. Give a smaller --batch-size, smaller images "
            "(--image-size) or a smaller model."
        )
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.strerror}: {error.filename}"
    return as_options(text)


def _says_what_to_do(error: Exception) -> bool:
    """Whether an error comes from what the user gave; others are the program's own mistakes."""
    if isinstance(error, (ValueError, OSError, ArithmeticError, ImportError, MemoryError)):
        return True
    if "tensorflow" not in sys.modules:
        return False
    import tensorflow as tf

    return isinstance(error, tf.errors.OpError)
