"""The trials of a search as rows: for a file, and as a table on the console."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

_SHOWN = 20


def rows_of(tuner: Any) -> list[dict[str, Any]]:
    """All trials as JSON values, the best first, those that failed last.

    Args:
        tuner: After its search.
    """
    from keras_transgen.tuning.search_space import MARKER

    sign = -1.0 if tuner.oracle.objective.direction == "max" else 1.0
    rows = []
    for trial in tuner.oracle.trials.values():
        values = trial.hyperparameters.values
        done = trial.status == "COMPLETED"
        rows.append(
            {
                "trial": trial.trial_id,
                "status": trial.status,
                "score": float(trial.score) if done else None,
                "best_epoch": int(trial.best_step) + 1 if done else None,
                "hyperparameters": {
                    name: value
                    for name, value in values.items()
                    if name != MARKER and not name.startswith("tuner/")
                },
                "message": None if done else last_line(trial.message or ""),
            }
        )
    return sorted(rows, key=lambda row: (row["score"] is None, sign * (row["score"] or 0.0)))


def last_line(text: str) -> str:
    """What a traceback comes down to.

    Args:
        text: The traceback.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def print_table(console: Console, report: dict[str, Any]) -> None:
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
