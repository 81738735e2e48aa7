"""`keras-transgen transfer`: a classifier for a folder of images, with its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperCommand

from keras_transgen.cli.image_input import image_input, open_backbone
from keras_transgen.cli.options import (
    BatchSize,
    Check,
    ImageSize,
    Preprocessing,
    SkipBroken,
    Source,
    UnsafeOps,
    ValueRange,
    loading_console,
    range_of,
    refuse_output,
    say_written,
    seed_option,
)

if TYPE_CHECKING:
    import numpy as np

    from keras_transgen.datasets.screen import Screen


def transfer_methods() -> list[str]:
    """What `--method` may be: the kinds without a delta, and the deltas that options can say."""
    from keras_transgen.transfer.deltas.delta import plain_methods

    return ["feature", "parameter", *plain_methods()]


class MethodsInHelp(TyperCommand):
    """The command whose help reads the registry, so that other help need not import it."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        for parameter in self.params:
            if parameter.name == "method":
                parameter.metavar = f"<{'|'.join(transfer_methods())}>"
        super().format_help(ctx, formatter)


def _known_method(method: str) -> str:
    if method not in ("feature", "parameter") and method not in transfer_methods():
        raise typer.BadParameter(f"{method!r} is none of {', '.join(transfer_methods())}.")
    return method


def run_transfer(
    backbone: Source,
    images: Annotated[
        Path,
        typer.Argument(help="A folder with one folder of images per class.", show_default=False),
    ],
    method: Annotated[
        str,
        typer.Option(callback=_known_method, help="The kind of transfer."),
    ] = "feature",
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Passes over the images; not used by 'feature'. [default: about 200 steps]",
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the model, report and figures.")] = Path(
        "runs/transfer"
    ),
    validation: Annotated[
        Path | None,
        typer.Option(help="Folder of validation images; otherwise a fifth is held out."),
    ] = None,
    image_size: ImageSize = None,
    batch_size: BatchSize = 32,
    rank: Annotated[
        int, typer.Option(min=1, help="Rank of LoRA's matrices, width of an adapter.")
    ] = 8,
    seed: Annotated[int, seed_option("Of the split, the head and the training.")] = 0,
    check: Check = "quick",
    skip_broken: SkipBroken = False,
    value_range: ValueRange = None,
    preprocessing: Preprocessing = None,
    allow_unsafe_ops: UnsafeOps = False,
) -> dict[str, Any]:
    """Train a classifier for a folder of images on a pretrained network."""
    if method == "feature" and epochs is not None:
        raise ValueError(
            "Feature transfer extracts once and has no epochs; leave out --epochs, or choose "
            f"another --method. Received: --epochs {epochs}"
        )
    values = range_of(value_range, preprocessing)
    refuse_output(output)
    console = loading_console()
    import keras
    import numpy as np

    from keras_transgen.datasets import image_folder, image_folder_split, index_images
    from keras_transgen.plotting import (
        plot_confusion_matrix,
        plot_learning_curves,
        save_figure,
    )
    from keras_transgen.training import write_whole_json

    keras.utils.set_random_seed(seed)
    names = list(index_images(images).class_names or ())
    network = open_backbone(backbone, allow_unsafe_ops, values)
    reading = image_input(network, image_size, images, preprocessing).options()
    reading.update(check=check, skip_broken=skip_broken)
    if validation is None:
        train, held_out = image_folder_split(images, batch_size=batch_size, seed=seed, **reading)
    else:
        other = list(index_images(validation).class_names or ())
        if other != names:
            raise ValueError(
                "Both folders must have the same classes. "
                f"Received: {names} in {images}, {other} in {validation}"
            )
        train = image_folder(images, batch_size=batch_size, shuffle=True, seed=seed, **reading)
        held_out = image_folder(validation, batch_size=batch_size, **reading)
    common = {"preprocessing": preprocessing, "seed": seed}
    model = _model(method, network, len(names), rank, common)
    output.mkdir(parents=True, exist_ok=True)
    fit = {} if epochs is None else {"epochs": epochs}
    history = model.fit(train, validation_data=held_out, **fit)

    labels = np.concatenate([np.asarray(batch[1]) for batch in held_out])
    predictions = model.classify(held_out, verbose=0)
    report = _report(model, method, backbone, names, labels, predictions)
    model.save(output / "model.keras")
    write_whole_json(output / "report.json", report)
    save_figure(plot_confusion_matrix(labels, predictions, names), output / "confusion_matrix.png")
    if history is not None and any(len(v) > 1 for v in history.history.values()):
        save_figure(plot_learning_curves(history), output / "learning_curves.png")
    if getattr(model, "recipe", None) is not None:
        save_figure(model.recipe.plot(), output / "learning_rates.png")
    _print_report(console, report)
    say_written(console, output)
    return report


def _model(method: str, backbone: Any, num_classes: int, rank: int, common: dict[str, Any]) -> Any:
    import keras_transgen as ktg

    if method == "feature":
        return ktg.FeatureTransfer(backbone, num_classes, **common)
    if method == "parameter":
        return ktg.ParameterTransfer(backbone, num_classes, **common)
    return ktg.StructureTransfer(backbone, num_classes, method=method, rank=rank, **common)


def _report(
    model: Any,
    method: str,
    source: str,
    names: list[str],
    labels: np.ndarray,
    predictions: np.ndarray,
) -> dict[str, Any]:
    import numpy as np
    from sklearn.metrics import classification_report

    per_class = classification_report(
        labels,
        predictions,
        labels=range(len(names)),
        target_names=names,
        output_dict=True,
        zero_division=0,
    )
    return {
        "backbone": source,
        "method": method,
        "classes": names,
        "trainable_parameters": int(sum(np.prod(w.shape) for w in model.trainable_weights)),
        "parameters": int(model.count_params()),
        "validation_images": len(labels),
        "validation_accuracy": float(np.mean(labels == predictions)),
        "per_class": {name: per_class[name] for name in names},
        **_recipe_told(model),
    }


def _recipe_told(model: Any) -> dict[str, Any]:
    """What was found before the training, and whether the validation images chose it."""
    recipe = getattr(model, "recipe", None)
    if recipe is None:
        return {}
    return {"recipe": str(recipe), "recipe_judged_by_validation_images": recipe.folds == 0}


def _print_report(console: Screen, report: dict[str, Any]) -> None:
    table = Table(title=f"{report['method']} transfer from {report['backbone']}")
    table.add_column("class")
    for column in ("precision", "recall", "images"):
        table.add_column(column, justify="right")
    for name, row in report["per_class"].items():
        table.add_row(
            name, f"{row['precision']:.3f}", f"{row['recall']:.3f}", f"{row['support']:.0f}"
        )
    console.print(table)
    console.print(
        f"Validation accuracy {report['validation_accuracy']:.3f} on "
        f"{report['validation_images']} images; {report['trainable_parameters']:,} of "
        f"{report['parameters']:,} parameters trained"
    )
    if "recipe" in report:
        judges = (
            "; these validation images chose it, so the accuracy on them flatters a little"
            if report["recipe_judged_by_validation_images"]
            else ""
        )
        console.print(f"Found: {report['recipe']}{judges}")
