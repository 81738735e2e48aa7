"""The best trials of a search as a table on the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from keras_transgen.datasets.screen import Screen


_SHOWN = 20


def print_table(console: Screen, report: dict[str, Any]) -> None:
    """Show the best trials.

    Args:
        console: Where.
        report: What `report.json` holds.
    """
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
