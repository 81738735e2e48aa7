"""The parameters of a transfer model, group by group, as a table."""

from __future__ import annotations

import io
import math
from typing import Any

from rich.table import Table

from keras_transgen.datasets.screen import Screen


def parameter_counts(model: Any) -> list[tuple[str, int, int]]:
    """Name, trainable and frozen parameters of each group, and of the rest of the model."""
    rows = []
    trainable = {id(variable) for variable in model.trainable_variables}
    counted: set[int] = set()
    for group in model.parameter_groups():
        counted |= {id(variable) for variable in group.variables}
        rows.append((group.name, *_counts(group.variables, trainable)))
    others = [weight for weight in model.weights if id(weight) not in counted]
    statistics = [weight for weight in others if id(weight) not in trainable]
    added = [weight for weight in others if id(weight) in trainable]
    if added:
        rows.append(("added", *_counts(added, trainable)))
    if statistics:
        rows.append(("statistics", *_counts(statistics, trainable)))
    return rows


def parameter_table(model: Any, line_length: int | None = None) -> str:
    """The parameters of a transfer model as text, 80 characters wide unless told."""
    rows = parameter_counts(model)
    table = Table(title=f"{type(model).__name__} {model.name!r}, {model.task}")
    table.add_column("group")
    table.add_column("trainable", justify="right")
    table.add_column("frozen", justify="right")
    for name, trains, frozen in rows:
        table.add_row(name, f"{trains:,}", f"{frozen:,}")
    table.add_section()
    trains, frozen = sum(row[1] for row in rows), sum(row[2] for row in rows)
    table.add_row("all", f"{trains:,}", f"{frozen:,}")
    total = trains + frozen
    table.caption = (
        f"{trains:,} of {total:,} parameters train ({100 * trains / max(total, 1):.1f} %)"
    )
    text = io.StringIO()
    Screen(file=text, width=line_length or 80, force_terminal=False).print(table)
    return text.getvalue()


def _counts(variables: Any, trainable: set[int]) -> tuple[int, int]:
    sizes = [(math.prod(variable.shape), id(variable) in trainable) for variable in variables]
    return sum(size for size, trains in sizes if trains), sum(
        size for size, trains in sizes if not trains
    )
