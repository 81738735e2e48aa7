"""The training of `keras-transgen text train`, and what it writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_transgen.cli.options import say_written
from keras_transgen.cli.quiet import fit_verbosity
from keras_transgen.cli.resumable import ENDLESS, ResumableTraining, preview_interval
from keras_transgen.cli.text_data import held_out_texts, read_pairs, read_texts

LANGUAGE, TRANSLATION, VAE = "language", "translation", "vae"
EPOCHS = 20
_PIECES = 4000
_MOST_HELD_OUT = 1000
_SHOWN = 3
_PREVIEW_TOKENS = 128


def train_texts(
    run: ResumableTraining,
    kind: str,
    paths: list[Path],
    validation: list[Path] | None,
    given: dict[str, Any],
) -> dict[str, Any]:
    """Train a model of texts, and write it, its report and samples.

    Args:
        run: The run, with the output folder.
        kind: `"language"`, `"translation"` or `"vae"`.
        paths: The data.
        validation: The same of validation data; `None` to hold a twentieth out.
        given: The options of `keras-transgen text train` by their names.

    Returns:
        The report.
    """
    import keras

    from keras_transgen.cli.text_report import in_words, text_report, write_samples
    from keras_transgen.datasets.whole_file import refuse_links_below
    from keras_transgen.plotting import plot_learning_curves, save_figure
    from keras_transgen.training import write_whole_json

    keras.utils.set_random_seed(given["seed"])
    output = run.output
    refuse_links_below(output, output / "samples" / "epoch_0001.txt")
    train, held_out = _read(kind, paths, validation, given)
    vocabulary = _vocabulary(kind, train, given)
    model = _model(kind, vocabulary, train, held_out, given)
    output.mkdir(parents=True, exist_ok=True)
    run.console.print(
        f"{len(train[0]):,} texts of {sum(map(len, train[0])):,} characters to train on, "
        f"{len(held_out[0]):,} held out; {vocabulary.size:,} tokens, "
        f"{model.count_params():,} weights",
        highlight=False,
    )
    epochs = run.epochs(given["epochs"], 0, EPOCHS)
    if epochs == ENDLESS:
        _compile(model, run.steps)
    options = {} if given["batch_size"] is None else {"batch_size": given["batch_size"]}
    shown = _preview(kind, model, held_out, epochs, output, given["seed"])
    model.fit(
        *train,
        epochs=epochs,
        validation_data=held_out if kind == TRANSLATION else held_out[0],
        callbacks=[*run.callbacks(), *shown],
        verbose=fit_verbosity(),
        **options,
    )
    report = text_report(model, held_out[0], held_out[1] if kind == TRANSLATION else None)
    model.save(output / "model.keras")
    of_the_run = {
        "model": kind,
        "training_texts": len(train[0]),
        "vocabulary": f"{vocabulary.size} {vocabulary.kind}",
        "weights": model.count_params(),
        "epochs": len(run.logs),
        "options": {
            name: [str(each) for each in value] if isinstance(value, list) else value
            for name, value in given.items()
            if value is not None
        },
    }
    write_whole_json(output / "report.json", {**report, **of_the_run})
    if len(run.logs) > 1:
        save_figure(plot_learning_curves(run.curves()), output / "learning_curves.png")
    write_samples(model, held_out, output / "samples.txt", given["seed"])
    for line in in_words(report):
        run.console.print(line, highlight=False)
    say_written(run.console, output)
    run.end()
    verb = "translate" if kind == TRANSLATION else "generate"
    source = " TEXT_FILE" if kind == TRANSLATION else ""
    run.console.print(
        f"Now: keras-transgen text {verb} {output / 'model.keras'}{source}", soft_wrap=True
    )
    return report


def _read(
    kind: str, paths: list[Path], validation: list[Path] | None, given: dict[str, Any]
) -> tuple[tuple[list[str], ...], tuple[list[str], ...]]:
    """What is trained on, and what is held out: texts, or sources and targets."""
    if kind == TRANSLATION:
        columns = (given["source"], given["target"], given["header"])
        sources, targets = read_pairs(paths, *columns)
        if validation:
            return (sources, targets), read_pairs(validation, *columns)
        return _split_pairs(sources, targets, given["seed"])
    lines = given["lines"] if given["lines"] is not None else kind == VAE
    texts = read_texts(paths, given["text"], given["header"], lines)
    if validation:
        return (texts,), (read_texts(validation, given["text"], given["header"], lines),)
    if len(texts) == 1 and (kind == VAE or len(texts[0]) < 40):
        raise ValueError(
            "Expected more text, of which a twentieth is held out: several texts, or one of at "
            f"least 40 characters. Received: {len(texts[0])} characters in one"
        )
    train, held_out = held_out_texts(texts)
    return (train,), (held_out[:_MOST_HELD_OUT],)


def _split_pairs(
    sources: list[str], targets: list[str], seed: int
) -> tuple[tuple[list[str], ...], tuple[list[str], ...]]:
    import numpy as np

    if len(sources) < 2:
        raise ValueError(
            "Expected at least two pairs, of which one is held out. Add some, or give others with "
            f"--validation. Received: {len(sources)}"
        )
    order = np.random.default_rng(seed).permutation(len(sources))
    count = min(max(1, len(sources) // 20), _MOST_HELD_OUT)
    parts = [sorted(order[count:]), sorted(order[:count])]
    train, held_out = (
        ([sources[row] for row in part], [targets[row] for row in part]) for part in parts
    )
    return train, held_out


def _vocabulary(kind: str, train: tuple[list[str], ...], given: dict[str, Any]) -> Any:
    import keras_transgen as ktg

    texts = [text for side in train for text in side]
    chosen = given["vocabulary"] or ("characters" if kind == LANGUAGE else "pieces")
    if chosen == "bytes":
        return ktg.Vocabulary.bytes()
    if chosen == "characters":
        return ktg.Vocabulary.characters(texts, size=given["size"])
    return ktg.Vocabulary.train(texts, size=given["size"] or _PIECES)


def _model(
    kind: str,
    vocabulary: Any,
    train: tuple[list[str], ...],
    held_out: tuple[list[str], ...],
    given: dict[str, Any],
) -> Any:
    """A model of a kind; options that were not given have its defaults."""
    import keras_transgen as ktg

    options = {
        "context_length": given["context"],
        "num_layers": given["layers"],
        "model_dim": given["width"],
        "latent_dim": given["latent_dim"],
        "copying": given["copying"] or None,
    }
    if kind == VAE and given["context"] is None:
        longest = max(map(len, vocabulary.encode([*train[0], *held_out[0]], end=True)))
        options["context_length"] = longest
    options = {name: value for name, value in options.items() if value is not None}
    makers: dict[str, Callable[..., Any]] = {
        LANGUAGE: ktg.LanguageModel,
        TRANSLATION: ktg.SequenceToSequence,
        VAE: ktg.TextVAE,
    }
    model = makers[kind](vocabulary, seed=given["seed"], **options)
    if given["learning_rate"] is not None:
        # Which the default optimizer warms up to.
        model.default_rate = given["learning_rate"]
    return model


def _compile(model: Any, steps: int | None) -> None:
    """The default optimizer for so many steps; with a limit of time alone at one rate."""
    from keras_transgen.sequences.optimizer_schedule import scheduled_adamw

    model.compile(scheduled_adamw(steps, model.default_rate))


def _preview(
    kind: str, model: Any, held_out: tuple[list[str], ...], epochs: int, output: Path, seed: int
) -> list[Any]:
    """What shows a few texts while it trains, and writes them below `samples/`."""
    from keras_transgen.callbacks import Translations
    from keras_transgen.cli.text_preview import TextPreview

    every = preview_interval(epochs)
    if kind == TRANSLATION:
        sources, targets = (side[:_SHOWN] for side in held_out)
        return [Translations(sources, targets, every=every, folder=output / "samples")]

    def write() -> list[str]:
        if kind == VAE:
            return model.sample(_SHOWN, seed=seed)
        return model.generate([""] * _SHOWN, max_tokens=_PREVIEW_TOKENS, temperature=0.8, seed=seed)

    return [TextPreview(write, every, output / "samples")]
