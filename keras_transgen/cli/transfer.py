"""`keras-transgen transfer`: a classifier for one's own data on a pretrained network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from keras_transgen.cli.columns import Header
from keras_transgen.cli.data_kinds import Kind, kind_of
from keras_transgen.cli.image_input import open_backbone
from keras_transgen.cli.labelled_data import DataOptions, labelled_data
from keras_transgen.cli.options import (
    BatchSize,
    ImageSize,
    Source,
    UnsafeOps,
    loading_console,
    refuse_output,
    say_written,
    seed_option,
)
from keras_transgen.cli.transfer_options import (
    FEATURE,
    PARAMETER,
    augmentation_layers,
    refuse_options_of_other_kinds,
    refuse_options_of_other_methods,
    transfer_methods,
)
from keras_transgen.cli.transfer_report import print_report, transfer_report


class MethodsInHelp(TyperCommand):
    """The command whose help reads the registry, so that other help need not import it."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        for parameter in self.params:
            if parameter.name == "method":
                parameter.metavar = f"<{'|'.join(transfer_methods())}>"
        super().format_help(ctx, formatter)


def _known_method(method: str) -> str:
    if method not in (FEATURE, PARAMETER) and method not in transfer_methods():
        raise typer.BadParameter(f"{method!r} is none of {', '.join(transfer_methods())}.")
    return method


def run_transfer(
    backbone: Source,
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...",
            help="A folder with one folder of images or recordings (WAV) a class; a table of texts "
            "(CSV, TSV); or sequences (FASTA): one file a class, or a folder of such files.",
            show_default=False,
        ),
    ],
    kind: Kind = None,
    text: Annotated[
        str | None,
        typer.Option(
            help="Of a table: columns of the texts, by name or by number from 0, with commas.",
            show_default="text",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(help="Of a table: column of the classes.", show_default="label"),
    ] = None,
    header: Header = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            help="Regular expression whose group 'label' is the class: of sound for the whole name "
            r"of a file, '(?P<label>\d)_.*'; of sequences to be found in a header."
        ),
    ] = None,
    sample_rate: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of sound: samples per second that the network was trained on.",
            show_default="the first recording's",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Of sound: length that recordings are cut or padded to.",
            show_default="the network's, or each its own",
        ),
    ] = None,
    alphabet: Annotated[
        str | None,
        typer.Option(
            help="Of sequences: the letters, in the network's order.",
            show_default="ACGT; with 20 letters, the amino acids'",
        ),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of sequences: letters that all are cut or padded to.",
            show_default="the network's, or each its own",
        ),
    ] = None,
    image_size: ImageSize = None,
    augmentation: Annotated[
        Literal["none", "flip", "shift", "photo"] | None,
        typer.Option(
            help="Of images: how they are varied in training. 'photo' flips, shifts, turns and "
            "zooms a little.",
            show_default="none",
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(callback=_known_method, help="The kind of transfer."),
    ] = FEATURE,
    classifier: Annotated[
        Literal["linear", "nearest_centroid", "k_nearest_neighbours"] | None,
        typer.Option(help="Of 'feature': what is fitted.", show_default="linear"),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            help="Of 'feature': layers of the network that are used together, with commas.",
            show_default="its output",
        ),
    ] = None,
    rank: Annotated[
        int | None,
        typer.Option(min=1, help="Of 'lora' its rank, of 'adapter' its width.", show_default="8"),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="The highest one.", show_default="looked for on held-out examples"),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Passes over the data; not used by 'feature'.",
            show_default="about 200 steps",
        ),
    ] = None,
    early_stopping: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="End after so many epochs without a lower loss on the validation data, and keep "
            "the best weights.",
            show_default="no",
        ),
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            help="Validation data, of the same kind.",
            show_default="a fifth of each class, held out",
        ),
    ] = None,
    batch_size: BatchSize = 32,
    output: Annotated[Path, typer.Option(help="Folder for the model, report and figures.")] = Path(
        "runs/transfer"
    ),
    seed: Annotated[int, seed_option("Of the split, the head and the training.")] = 0,
    allow_unsafe_ops: UnsafeOps = False,
) -> dict[str, Any]:
    """Train a classifier of images, texts, sound or sequences on a pretrained network."""
    refuse_options_of_other_methods(
        method,
        {
            "--classifier": classifier,
            "--layers": layers,
            "--rank": rank,
            "--learning-rate": learning_rate,
            "--epochs": epochs,
            "--early-stopping": early_stopping,
        },
    )
    paths = [Path(each) for each in ([data] if isinstance(data, str | Path) else data)]
    kind = kind or kind_of(paths)  # type: ignore[assignment]
    refuse_options_of_other_kinds(
        str(kind),
        {
            "--text": text,
            "--label": label,
            "--header": header,
            "--pattern": pattern,
            "--sample-rate": sample_rate,
            "--seconds": seconds,
            "--alphabet": alphabet,
            "--length": length,
            "--image-size": image_size,
            "--augmentation": augmentation,
        },
    )
    refuse_output(output)
    console = loading_console()
    import keras

    from keras_transgen.plotting import (
        plot_confusion_matrix,
        plot_learning_curves,
        save_figure,
    )
    from keras_transgen.training import write_whole_json

    keras.utils.set_random_seed(seed)
    network = open_backbone(backbone, allow_unsafe_ops)
    options = DataOptions(
        text, label, header, pattern, sample_rate, seconds, alphabet, length, image_size
    )
    examples = labelled_data(str(kind), network, paths, validation, options, batch_size, seed)
    names = examples.class_names
    model = _model(
        method,
        network,
        names,
        seed,
        rank=rank,
        classifier=classifier,
        layers=None if layers is None else [each.strip() for each in layers.split(",")],
        learning_rate=learning_rate,
        augmentation=augmentation_layers(augmentation),
    )
    model.data_kind = examples.record
    output.mkdir(parents=True, exist_ok=True)
    fit: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    if early_stopping is not None:
        fit["callbacks"] = [
            keras.callbacks.EarlyStopping(
                "val_loss", patience=early_stopping, restore_best_weights=True
            )
        ]
    history = model.fit(**examples.fit, **fit)

    predictions = model.classify(examples.held_out, verbose=0)
    report = transfer_report(model, method, backbone, examples.labels, predictions)
    model.save(output / "model.keras")
    write_whole_json(output / "report.json", report)
    save_figure(
        plot_confusion_matrix(examples.labels, predictions, names), output / "confusion_matrix.png"
    )
    if history is not None and any(len(v) > 1 for v in history.history.values()):
        save_figure(plot_learning_curves(history), output / "learning_curves.png")
    if getattr(model, "recipe", None) is not None:
        save_figure(model.recipe.plot(), output / "learning_rates.png")
    print_report(console, report)
    say_written(console, output)
    console.print(f"Now: keras-transgen classify {output / 'model.keras'} DATA", soft_wrap=True)
    return report


def _model(method: str, backbone: Any, names: list[str], seed: int, **options: Any) -> Any:
    """The model of a method; options that were not given have its defaults."""
    import keras_transgen as ktg

    given = {name: value for name, value in options.items() if value is not None}
    given |= {"class_names": names, "seed": seed}
    if method == FEATURE:
        return ktg.FeatureTransfer(backbone, **given)
    if method == PARAMETER:
        return ktg.ParameterTransfer(backbone, **given)
    return ktg.StructureTransfer(backbone, method=method, **given)
