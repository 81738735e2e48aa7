"""What `keras-transgen tune` writes and shows of its trials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from keras_transgen.datasets.screen import Screen

_SHOWN = 20


def trial_rows(tuner: Any) -> list[dict[str, Any]]:
    """The trials of a search, the best first."""
    from keras_transgen.tuning import trial_table

    return trial_table(tuner)


def write_results(
    output: Path, tuner: Any, search: Any, names: Any, task: str, images: str
) -> dict[str, Any]:
    """Save the best model, the table of trials and their figure; what the report holds."""
    from keras_transgen.plotting import plot_parallel_coordinates, save_figure
    from keras_transgen.training import write_whole_json

    rows = trial_rows(tuner)
    done = [row for row in rows if row["score"] is not None]
    if not done:
        raise ValueError(
            f"No trial came to an end. Received: {rows[-1]['message'] if rows else 'no trial'}"
        )
    (best,) = tuner.get_best_models()
    best.save(output / "model.keras")
    report = {
        "task": task,
        "objective": search.objective.name,
        "direction": search.objective.direction,
        "classes": names,
        "space": search.space,
        "best": {key: done[0][key] for key in ("trial", "score", "hyperparameters")},
        "trials": rows,
    }
    write_whole_json(output / "report.json", report)
    figure = plot_parallel_coordinates(
        [row["hyperparameters"] for row in done],
        [row["score"] for row in done],
        score_name=search.objective.name,
        maximize=search.objective.direction == "max",
        title=f"{len(done)} trials of {task} on {images}",
    )
    save_figure(figure, output / "parallel_coordinates.png")
    return report


def print_trials(console: Screen, report: dict[str, Any]) -> None:
    """The report's best trials as a table."""
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
