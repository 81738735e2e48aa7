"""The training of `keras-transgen transfer`, and what it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keras_transgen.cli.image_input import open_backbone
from keras_transgen.cli.kmers import kmer_network
from keras_transgen.cli.labelled_data import DataOptions, Labelled, labelled_data
from keras_transgen.cli.options import range_of, say_written
from keras_transgen.cli.quiet import fit_verbosity
from keras_transgen.cli.resumable import ResumableTraining
from keras_transgen.cli.transfer_options import FEATURE, PARAMETER, augmentation_layers
from keras_transgen.cli.transfer_report import print_report, transfer_report

_OF_MODEL = ("rank", "classifier", "learning_rate", "preprocessing")


def train_transfer(
    run: ResumableTraining, kind: str, paths: list[Path], given: dict[str, Any]
) -> dict[str, Any]:
    """Train on data of a kind, and write the model, its report and figures.

    Args:
        run: The run, with the output folder.
        kind: Of the data.
        paths: The data.
        given: The options of `keras-transgen transfer` by their names.

    Returns:
        The report.
    """
    import keras

    keras.utils.set_random_seed(given["seed"])
    values = range_of(given["value_range"], given["preprocessing"])
    if given["kmers"] is None:
        network = open_backbone(given["backbone"], given["allow_unsafe_ops"], values)
    else:
        network = kmer_network(given["kmers"], given["alphabet"])
    options = DataOptions(**{name: given[name] for name in DataOptions.__dataclass_fields__})
    examples = labelled_data(
        kind,
        network,
        paths,
        given["validation"],
        options,
        given["batch_size"],
        given["seed"],
        # What is extracted once, and gone on with, comes in one order.
        shuffle=given["method"] != FEATURE,
    )
    if examples.note:
        run.console.print(examples.note)
    model = _model(given, network, examples.class_names)
    model.data_kind = examples.record
    run.output.mkdir(parents=True, exist_ok=True)
    if given["method"] == FEATURE:
        _fit_on_features(run, model, examples)
    else:
        model.fit(**examples.fit, **_fit(run, given, examples), verbose=fit_verbosity())
    report = _written(run, model, given, examples)
    run.end()
    run.console.print(
        f"Now: keras-transgen classify {run.output / 'model.keras'} DATA", soft_wrap=True
    )
    return report


def _model(given: dict[str, Any], backbone: Any, names: list[str]) -> Any:
    """The model of a method; options that were not given have its defaults."""
    import keras_transgen as ktg

    method, layers = given["method"], given["layers"]
    options = {name: given[name] for name in _OF_MODEL} | {
        "layers": layers and [each.strip() for each in layers.split(",")],
        "augmentation": augmentation_layers(given["augmentation"]),
    }
    options = {name: value for name, value in options.items() if value is not None}
    options |= {"class_names": names, "seed": given["seed"]}
    if method == FEATURE:
        return ktg.FeatureTransfer(backbone, **options)
    if method == PARAMETER:
        return ktg.ParameterTransfer(backbone, **options)
    return ktg.StructureTransfer(backbone, method=method, **options)


def _fit_on_features(run: ResumableTraining, model: Any, examples: Labelled) -> None:
    """Extract features to where the same command finds them after a kill, and fit to them."""
    from keras_transgen.backbones.feature_cache import SameData

    run.remember(run.seconds)
    # A run is gone on with on the very same files and options only.
    model.cache_dir, model.data_key = str(run.features), SameData("data of this run")
    model.fit(**examples.fit)
    # The folder goes with the end of the run.
    model.cache_dir = model.data_key = None


def _fit(run: ResumableTraining, given: dict[str, Any], examples: Labelled) -> dict[str, Any]:
    """Arguments of `fit` that say how long, with which callbacks."""
    import keras

    x, batch_size = examples.fit["x"], given["batch_size"]
    batches = x if hasattr(x, "cardinality") else -(-len(x) // batch_size)
    # A limit of minutes cuts the usual training short, whose learning rate falls to its end.
    epochs = given["epochs"] if run.steps is None else run.epochs(None, batches, 1)
    callbacks = run.callbacks()
    if given["early_stopping"] is not None:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                "val_loss", patience=given["early_stopping"], restore_best_weights=True
            )
        )
    return {"callbacks": callbacks} | ({} if epochs is None else {"epochs": epochs})


def _written(
    run: ResumableTraining, model: Any, given: dict[str, Any], examples: Labelled
) -> dict[str, Any]:
    """Write the files, and show what they say; the report."""
    from keras_transgen.plotting import plot_confusion_matrix, plot_learning_curves, save_figure
    from keras_transgen.training import write_whole_json

    labels, output = examples.labels, run.output
    predictions = model.classify(examples.held_out, verbose=0)
    report = transfer_report(model, given["method"], given["backbone"], labels, predictions)
    model.save(output / "model.keras")
    write_whole_json(output / "report.json", report)
    save_figure(
        plot_confusion_matrix(labels, predictions, examples.class_names),
        output / "confusion_matrix.png",
    )
    if len(run.logs) > 1:
        save_figure(plot_learning_curves(run.curves()), output / "learning_curves.png")
    if getattr(model, "recipe", None) is not None:
        save_figure(model.recipe.plot(), output / "learning_rates.png")
    print_report(run.console, report)
    say_written(run.console, output)
    return report
