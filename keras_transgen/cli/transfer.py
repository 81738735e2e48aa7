"""`keras-transgen transfer`: a classifier for a folder of images, with its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from keras_transgen.cli.image_input import image_input, open_backbone
from keras_transgen.datasets.screen import Screen

DEFAULT_EPOCHS = 5


def run_transfer(
    source: str,
    images: Path,
    *,
    method: str = "feature",
    epochs: int | None = None,
    output: Path = Path("runs/transfer"),
    validation: Path | None = None,
    image_size: int | None = None,
    batch_size: int = 32,
    rank: int = 8,
    seed: int = 0,
    allow_unsafe_ops: bool = False,
) -> dict[str, Any]:
    """Train on a folder of images by class; write the model, a report and figures.

    Args:
        source: What `keras_transgen.load_backbone` takes.
        images: Folder with a folder per class.
        method: `"feature"`, `"parameter"`, or a method of `StructureTransfer`.
        epochs: Passes over the images, for all methods but `"feature"`. Defaults to 5.
        output: Folder for `model.keras`, `report.json` and PNG files.
        validation: Folder of validation images; the default holds out a fifth of each class.
        image_size: Side in pixels, for a backbone that takes any.
        batch_size: Images a batch.
        rank: Rank of LoRA's matrices.
        seed: Of the split, the head and the training.
        allow_unsafe_ops: Load a module that reads or writes files or calls Python.

    Returns:
        What `report.json` holds.

    Raises:
        ValueError: If the folders, the backbone and the options do not fit together.
    """
    console = Screen()
    if method == "feature" and epochs is not None:
        raise ValueError(
            "Feature transfer extracts once and has no epochs; leave out --epochs, or choose "
            f"another --method. Received: --epochs {epochs}"
        )
    console.print("Loading TensorFlow ...")
    import keras

    from keras_transgen.datasets import image_folder, image_folder_split, index_images
    from keras_transgen.plotting import (
        plot_confusion_matrix,
        plot_learning_curves,
        save_figure,
    )
    from keras_transgen.training import write_whole_text

    keras.utils.set_random_seed(seed)
    names = list(index_images(images).class_names or ())
    backbone = open_backbone(source, allow_unsafe_ops)
    reading = image_input(backbone, image_size).options()
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
    model = _model(method, backbone, len(names), rank, seed)
    output.mkdir(parents=True, exist_ok=True)
    fit = {} if method == "feature" else {"epochs": epochs or DEFAULT_EPOCHS}
    history = model.fit(train, validation_data=held_out, **fit)

    labels = np.concatenate([np.asarray(batch[1]) for batch in held_out])
    predictions = model.classify(held_out, verbose=0)
    report = _report(model, method, source, names, labels, predictions)
    model.save(output / "model.keras")
    write_whole_text(output / "report.json", json.dumps(report, indent=2) + "\n")
    save_figure(plot_confusion_matrix(labels, predictions, names), output / "confusion_matrix.png")
    if history is not None and any(len(v) > 1 for v in history.history.values()):
        save_figure(plot_learning_curves(history), output / "learning_curves.png")
    _print_report(console, report)
    console.print(f"Written to {output}: {', '.join(sorted(p.name for p in output.iterdir()))}")
    return report


def _model(method: str, backbone: Any, num_classes: int, rank: int, seed: int) -> Any:
    import keras_transgen as ktg

    if method == "feature":
        return ktg.FeatureTransfer(backbone, num_classes, seed=seed)
    if method == "parameter":
        return ktg.ParameterTransfer(backbone, num_classes, seed=seed)
    options = {"rank": rank} if method == "lora" else {}
    return ktg.StructureTransfer(backbone, num_classes, method=method, seed=seed, **options)


def _report(
    model: Any,
    method: str,
    source: str,
    names: list[str],
    labels: np.ndarray,
    predictions: np.ndarray,
) -> dict[str, Any]:
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
    }


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
