"""`keras-transgen inspect`: what a module takes, holds and may do, before anybody trains it."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from keras_transgen.cli.data_kinds import IMAGES, SEQUENCES, SOUND, TEXT, WORDS
from keras_transgen.cli.image_input import open_backbone
from keras_transgen.cli.model_record import told_by_input
from keras_transgen.cli.options import Source, UnsafeOps, loading_console

if TYPE_CHECKING:
    from keras_transgen.datasets.screen import Screen


_PLACE = {IMAGES: "FOLDER", TEXT: "TABLE", SOUND: "FOLDER", SEQUENCES: "FASTA_FILES"}
_OPTIONS = {TEXT: " --text COLUMN --label COLUMN", SOUND: " --sample-rate RATE"}


def run_inspect(source: Source, allow_unsafe_ops: UnsafeOps = False) -> Any:
    """Show what a module or model takes and is for, its parameter groups, ops and digest."""
    console = loading_console()
    import keras_transgen as ktg
    from keras_transgen.backbones.hdf5_network import HDF5_SUFFIXES
    from keras_transgen.training import TrainerModel

    if source.endswith(".keras") and Path(source).exists():
        model = ktg.load_model(source, compile=False, allow_unsafe_ops=allow_unsafe_ops)
        console.print(f"{source}: {type(model).__name__}, {model.count_params():,} weights")
        backbone = getattr(model, "backbone", None)
        if backbone is None:
            model.summary(print_fn=console.print)
            if not isinstance(model, TrainerModel):
                # A network of Keras, which can be a backbone.
                network = open_backbone(source, allow_unsafe_ops)
                _show_contract(console, network)
                _show_transfer(console, network, source)
            return model
        _show_task(console, model, source)
        record = getattr(model, "data_kind", None)
        _show_backbone(console, backbone, None if record is None else record["kind"])
        return model
    if source != "digits" and not source.endswith(HDF5_SUFFIXES):
        _show_audit(console, source, allow_unsafe_ops)
    backbone = open_backbone(source, allow_unsafe_ops)
    _show_backbone(console, backbone)
    _show_transfer(console, backbone, source)
    return backbone


def _show_task(console: Screen, model: Any, source: str) -> None:
    """What a model was trained for, and how it is asked."""
    import keras_transgen as ktg

    if isinstance(model, ktg.Detector):
        _show_detector(console, model, source)
        return
    task = getattr(model, "task", None)
    if task is None:
        return
    names = model.class_names
    _show(console, "task", f"{task}, {model.num_classes} outputs")
    if task != "regression":
        _show(console, "classes", "without names" if names is None else ", ".join(names))
    record = model.data_kind
    if record is not None:
        entries = (f"{name} {value}" for name, value in record.items() if name != "kind")
        _show(console, "data", ", ".join([record["kind"], *entries]))
    kind = _kind(model) if record is None else record["kind"]
    if kind is None:
        _show(console, "data", "not known: set model.data_kind in Python")
    elif task in ("classification", "multi_label"):
        place = _PLACE[kind]
        call = f"keras-transgen classify {shlex.quote(source)} {place} --output answers.csv"
        _show(console, "use", call)


def _show_detector(console: Screen, model: Any, source: str) -> None:
    names = model.class_names
    _show(console, "task", f"detection, {model.num_classes} classes")
    _show(console, "classes", "without names" if names is None else ", ".join(names))
    side = model.image_size
    _show(console, "data", f"images of any size, seen at {side} x {side} pixels")
    _show(console, "scales", ", ".join(model.features.layer_names))
    call = f"keras-transgen detect apply {shlex.quote(source)} IMAGES --output FOUND"
    _show(console, "use", call)


def _show_transfer(console: Screen, backbone: Any, source: str) -> None:
    kind = _kind(backbone)
    if kind is not None:
        call = f"keras-transgen transfer {shlex.quote(source)} {_PLACE[kind]}"
        _show(console, "use", f"{call}{_OPTIONS.get(kind, '')}")


def _kind(model: Any) -> str | None:
    """The kind of data that a model or backbone takes, where its input tells."""
    try:
        return told_by_input(model)["kind"]
    except ValueError:
        return None


def _show(console: Screen, name: str, text: str) -> None:
    console.print(f"{name:<9} {text}", highlight=False, soft_wrap=True)


def _show_input(console: Screen, contract: Any) -> None:
    """Shape, dtype and range of each input, in words."""
    if isinstance(contract, dict | list | tuple):
        _show(console, "input", str(contract))
        return
    shape = "any shape" if contract.shape is None else str(list(contract.shape))
    shape = shape.replace("[None", "[batch", 1).replace("None", "any")
    _show(console, "input", f"{shape}, {contract.dtype or 'any dtype'}")
    if contract.value_range is not None:
        low, high = contract.value_range
        _show(console, "values", f"from {low:g} to {high:g}")
    elif contract.dtype != "string":
        _show(console, "values", "of a range that it does not say")


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


def _show_contract(console: Screen, backbone: Any, kind: str | None = None) -> None:
    _show_input(console, backbone.input_contract)
    kind = kind or _kind(backbone)
    if kind is not None:
        _show(console, "takes", WORDS[kind])


def _show_backbone(console: Screen, backbone: Any, kind: str | None = None) -> None:
    _show_contract(console, backbone, kind)
    _show(console, "digest", backbone.digest())
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
