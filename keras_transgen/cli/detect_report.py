"""What `keras-transgen detect train` found: the report in its file and on the screen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from keras_transgen.cli.detect_data import Boxed
    from keras_transgen.datasets.screen import Screen


def detection_report(model: Any, source: str, data: Boxed, objects: list[int]) -> dict[str, Any]:
    """The report of a trained detector, as JSON takes it.

    Args:
        model: A `Detector` with names of its classes.
        source: Where its backbone is from.
        data: What it was trained on, and what is held out.
        objects: How many of each class are held out.
    """
    found = model.evaluate(data.held_out)
    names = list(model.class_names)
    trained = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return {
        "backbone": source,
        "transfer": model.transfer,
        "image_size": model.image_size,
        "scales": list(model.features.layer_names),
        "classes": names,
        "trainable_parameters": int(trained),
        "parameters": int(model.count_params()),
        "images": data.count,
        "validation_images": data.held_out_count,
        # Where there are no objects of a size, there is no precision.
        **{name: value for name, value in found.items() if name != "by_class"},
        # A class of which nothing is held out has no precision.
        "per_class": {
            name: {"map50": float(found["by_class"].get(name, math.nan)), "objects": count}
            for name, count in zip(names, objects)
        },
    }


def print_detection_report(console: Screen, report: dict[str, Any]) -> None:
    """The report as a table and a sentence."""
    table = Table(title=f"detector ({report['transfer']} transfer) from {report['backbone']}")
    table.add_column("class")
    table.add_column("mAP50", justify="right")
    table.add_column("held out", justify="right")
    for name, row in report["per_class"].items():
        value = "" if math.isnan(row["map50"]) else f"{row['map50']:.3f}"
        table.add_row(name, value, f"{row['objects']:,}")
    console.print(table)
    if math.isnan(report["map50"]):
        console.print("Nothing is held out of any class, so there is no mean average precision")
        return
    console.print(
        f"mAP50 {report['map50']:.3f}, mAP {report['map']:.3f} on "
        f"{report['validation_images']:,} images; {report['trainable_parameters']:,} of "
        f"{report['parameters']:,} parameters trained"
    )
