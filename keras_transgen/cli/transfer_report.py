"""What `keras-transgen transfer` found: the report in its file and on the screen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    import numpy as np

    from keras_transgen.datasets.screen import Screen


def transfer_report(
    model: Any,
    method: str,
    source: str,
    labels: np.ndarray,
    predictions: np.ndarray,
) -> dict[str, Any]:
    """The report of a trained model, as JSON takes it.

    Args:
        model: A transfer model that knows the names of its classes.
        method: How it was trained.
        source: Where its backbone is from.
        labels: Class numbers of the data held out.
        predictions: What the model says of them.
    """
    import numpy as np
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    names = list(model.class_names)
    scores = precision_recall_fscore_support(
        labels, predictions, labels=range(len(names)), zero_division=0
    )
    counts = confusion_matrix(labels, predictions, labels=range(len(names)))
    return {
        "backbone": source,
        "method": method,
        "data": model.data_kind,
        "classes": names,
        "trainable_parameters": _trained_parameters(model),
        "parameters": int(model.count_params()),
        "validation_examples": len(labels),
        "validation_accuracy": float(np.mean(labels == predictions)),
        "per_class": {
            name: dict(zip(("precision", "recall", "f1-score", "support"), map(float, row)))
            for name, row in zip(names, zip(*scores))
        },
        # By what they are, and then by what they were taken for.
        "confusion": {name: dict(zip(names, map(int, row))) for name, row in zip(names, counts)},
        **_recipe_told(model),
    }


def _trained_parameters(model: Any) -> int:
    """How many parameters the data changed: the head's only where its probe was kept."""
    kept = getattr(getattr(model, "recipe", None), "kept_probe", False)
    weights = (model.head if kept else model).trainable_weights
    return int(sum(math.prod(weight.shape) for weight in weights))


def _recipe_told(model: Any) -> dict[str, Any]:
    """What was found before the training, and whether the validation data chose it."""
    recipe = getattr(model, "recipe", None)
    if recipe is None:
        return {}
    return {"recipe": str(recipe), "recipe_judged_by_validation_data": recipe.folds == 0}


def print_report(console: Screen, report: dict[str, Any]) -> None:
    """The report as a table and sentences."""
    table = Table(title=f"{report['method']} transfer from {report['backbone']}")
    table.add_column("class")
    for column in ("precision", "recall", "held out"):
        table.add_column(column, justify="right")
    table.add_column("most often taken for")
    for name, row in report["per_class"].items():
        wrong = {
            other: count for other, count in report["confusion"][name].items() if other != name
        }
        other = max(wrong, key=lambda each: wrong[each])
        table.add_row(
            name,
            f"{row['precision']:.3f}",
            f"{row['recall']:.3f}",
            f"{row['support']:.0f}",
            f"{other} ({wrong[other]})" if wrong[other] else "",
        )
    console.print(table)
    console.print(
        f"Validation accuracy {report['validation_accuracy']:.3f} on "
        f"{report['validation_examples']} examples; {report['trainable_parameters']:,} of "
        f"{report['parameters']:,} parameters trained"
    )
    if report.get("recipe_judged_by_validation_data"):
        console.print(
            "These data chose the learning rate too, so the accuracy on them flatters a little"
        )
