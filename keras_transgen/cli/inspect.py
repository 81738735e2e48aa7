"""`keras-transgen inspect`: what a module takes, holds and may do, before anybody trains it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from keras_transgen.cli.image_input import open_backbone
from keras_transgen.cli.options import Source, UnsafeOps, loading_console

if TYPE_CHECKING:
    from keras_transgen.datasets.screen import Screen


def run_inspect(source: Source, allow_unsafe_ops: UnsafeOps = False) -> Any:
    """Show a module's input contract, parameter groups, ops and digest."""
    console = loading_console()
    import keras_transgen as ktg
    from keras_transgen.backbones.hdf5_network import HDF5_SUFFIXES

    if source.endswith(".keras") and Path(source).exists():
        model = ktg.load_model(source, compile=False, allow_unsafe_ops=allow_unsafe_ops)
        console.print(f"{source}: {type(model).__name__}, {model.count_params():,} weights")
        backbone = getattr(model, "backbone", None)
        if backbone is None:
            model.summary(print_fn=console.print)
            return model
        _show_backbone(console, backbone)
        return model
    if source != "digits" and not source.endswith(HDF5_SUFFIXES):
        _show_audit(console, source, allow_unsafe_ops)
    backbone = open_backbone(source, allow_unsafe_ops)
    _show_backbone(console, backbone)
    return backbone


def _show_audit(console: Screen, source: str, allow_unsafe_ops: bool) -> None:
    from keras_transgen.backbones.audit import audit_module
    from keras_transgen.backbones.handles import resolve

    folder = resolve(source)
    report = audit_module(folder, allow_unsafe_ops=allow_unsafe_ops)
    common = sorted(report.ops.items(), key=lambda item: -item[1])
    table = Table(title=f"{sum(report.ops.values()):,} ops of {len(report.ops)} kinds in {folder}")
    table.add_column("op")
    table.add_column("count", justify="right")
    for op, count in common[:12]:
        table.add_row(op, f"{count:,}")
    if len(common) > 12:
        table.add_row(f"and {len(common) - 12} kinds more", "")
    console.print(table)
    for unsafe in report.unsafe:
        console.print(Text("unsafe", style="bold red"), end=" ")
        console.print(f"{unsafe.op} in {unsafe.where}: {unsafe.reason}")
    if not report.unsafe:
        console.print(
            "No op reads or writes files outside the assets, or calls Python.", style="green"
        )


def _show_backbone(console: Screen, backbone: Any) -> None:
    console.print(f"input     {backbone.input_contract}", highlight=False)
    console.print(f"digest    {backbone.digest()}", highlight=False)
    table = Table(title=f"Parameter groups of {backbone.name}, from input to output")
    table.add_column("group")
    table.add_column("variables", justify="right")
    table.add_column("parameters", justify="right")
    total = 0
    for group in backbone.parameter_groups():
        count = sum(math.prod(variable.shape) for variable in group.variables)
        total += count
        table.add_row(group.name, str(len(group.variables)), f"{count:,}")
    table.add_section()
    table.add_row("all groups", "", f"{total:,}")
    console.print(table)
