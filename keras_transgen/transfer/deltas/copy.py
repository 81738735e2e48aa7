"""Parameters copied into a larger or smaller network, where names and shapes agree."""

from __future__ import annotations

import dataclasses
import io
import re
import types
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from rich.table import Table

from keras_transgen.backbones import load_backbone
from keras_transgen.datasets.screen import Screen
from keras_transgen.transfer.deltas.delta import register_delta
from keras_transgen.transfer.deltas.group_delta import GroupDelta
from keras_transgen.transfer.deltas.targets import Target

ACTIONS = ("copied", "cropped", "padded", "cropped and padded", "left")
# Names that Keras makes up: the layer's class in snake case and a running number.
_NUMBER = re.compile(r"_\d+$")


@dataclasses.dataclass(frozen=True)
class CopiedParameter:
    """What became of one variable of the target.

    Args:
        path: Its path in the target.
        action: `"copied"`; `"cropped"`, where the source had more; `"padded"`, where the target
            has more, and keeps its own values there; `"cropped and padded"` on different axes;
            `"left"`, where the source has none of that name and number of axes.
        source_shape: Shape in the source, `None` where it has none.
        target_shape: Shape in the target.
    """

    path: str
    action: str
    source_shape: tuple[int, ...] | None
    target_shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class CopyReport:
    """What `copy_parameters` did.

    Args:
        parameters: One entry for each of the target's variables, from input to output.
        unused: Paths of the source's variables that went nowhere.
    """

    parameters: tuple[CopiedParameter, ...]
    unused: tuple[str, ...]

    def count(self, action: str) -> int:
        """How many variables were treated so.

        Args:
            action: One of `"copied"`, `"cropped"`, `"padded"`, `"cropped and padded"`, `"left"`.
        """
        return sum(each.action == action for each in self.parameters)

    def table(self) -> Table:
        """The report as a Rich table."""
        said = ", ".join(f"{self.count(each)} {each}" for each in ACTIONS if self.count(each))
        table = Table(title="Copied parameters", caption=f"{said}; {len(self.unused)} unused")
        for column in ("parameter", "source", "target", "action"):
            table.add_column(column)
        for each in self.parameters:
            source = "" if each.source_shape is None else str(each.source_shape)
            table.add_row(each.path, source, str(each.target_shape), each.action)
        return table

    def __str__(self) -> str:
        text = io.StringIO()
        Screen(file=text, width=100, force_terminal=False).print(self.table())
        return text.getvalue()

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {**dataclasses.asdict(self), "unused": list(self.unused)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CopyReport:
        """The report that `to_json` gave.

        Raises:
            ValueError: These are the values of none.
        """

        def shape(axes: Any) -> tuple[int, ...] | None:
            return None if axes is None else tuple(axes)

        try:
            parameters = tuple(
                CopiedParameter(
                    each["path"],
                    each["action"],
                    shape(each["source_shape"]),
                    tuple(each["target_shape"]),
                )
                for each in values["parameters"]
            )
            return cls(parameters, tuple(values["unused"]))
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                "A report of copied parameters lists paths, actions and shapes. "
                f"Received: another structure ({type(error).__name__}: {error!s:.80})"
            ) from None


def copy_parameters(source: Any, target: Any) -> CopyReport:
    """Copy parameters and statistics into another network, where names and shapes agree.

    Variables are matched by their paths; if the two networks share none at all, by the paths with
    the running numbers that Keras gives to nameless layers counted from the first in each. Where a
    shape differs in size only, the part that both have is copied from the beginning of each axis;
    the rest of the target keeps its values.

    Args:
        source: Backbone, built Keras model, or anything `keras_transgen.load_backbone` takes.
        target: Backbone or built Keras model, which is changed.

    Returns:
        What was copied, cropped, padded or left.

    Raises:
        ValueError: No variable of the target has a counterpart.

    Example:
        ```python
        import keras
        from keras_transgen.transfer.deltas import copy_parameters

        def network(width):
            return keras.Sequential(
                [keras.Input((4,)), keras.layers.Dense(width, name="hidden")], name="network"
            )

        report = copy_parameters(network(3), network(5))
        assert [each.action for each in report.parameters] == ["padded", "padded"]
        ```

    Reference:
        Chen, Goodfellow and Shlens, Net2Net: Accelerating Learning via Knowledge Transfer, 2016
        (growing trained networks; here without their replication of units).
    """
    weights = target.weights
    values, report = plan_copy(source, weights)
    for index, value in values.items():
        weights[index].assign(value)
    return report


def plan_copy(source: Any, targets: Sequence[Any]) -> tuple[dict[int, np.ndarray], CopyReport]:
    """Work out what `copy_parameters` will assign, without assigning it.

    Args:
        source: As in `copy_parameters`.
        targets: Variables of the target.

    Returns:
        New values by the variables' position, and the report.

    Raises:
        ValueError: No variable has a counterpart.
    """
    network = source if isinstance(source, keras.layers.Layer) else load_backbone(source)
    sources = network.weights
    pairs = _pair([each.path for each in sources], [each.path for each in targets])
    values: dict[int, np.ndarray] = {}
    entries = []
    used: set[int] = set()
    for index, target in enumerate(targets):
        shape = tuple(int(axis) for axis in target.shape)
        partner = pairs.get(index)
        partner_shape = None
        action = "left"
        if partner is not None:
            partner_shape = tuple(int(axis) for axis in sources[partner].shape)
            action = _action(partner_shape, shape)
        if partner is not None and action != "left":
            used.add(partner)
            values[index] = _overlaid(sources[partner], target, shape)
        entries.append(CopiedParameter(target.path, action, partner_shape, shape))
    if not values:
        raise ValueError(
            "Nothing can be copied: no variable of the target has one of the same name and number "
            f"of axes in the source. Received: target with {[e.path for e in entries[:4]]}, source "
            f"with {[each.path for each in sources[:4]]}"
        )
    unused = tuple(each.path for index, each in enumerate(sources) if index not in used)
    return values, CopyReport(tuple(entries), unused)


def _overlaid(source: Any, target: Any, shape: tuple[int, ...]) -> np.ndarray:
    given = keras.ops.convert_to_numpy(source.value)
    value = np.array(keras.ops.convert_to_numpy(target.value))
    both = tuple(slice(0, min(a, b)) for a, b in zip(given.shape, shape))
    value[both] = given[both]
    return value


def _action(source: tuple[int, ...], target: tuple[int, ...]) -> str:
    if len(source) != len(target):
        return "left"
    cropped = any(a > b for a, b in zip(source, target))
    padded = any(a < b for a, b in zip(source, target))
    if cropped and padded:
        return "cropped and padded"
    return "cropped" if cropped else "padded" if padded else "copied"


def _pair(sources: Sequence[str], targets: Sequence[str]) -> dict[int, int]:
    by_path = {path: index for index, path in enumerate(sources)}
    pairs = {index: by_path[path] for index, path in enumerate(targets) if path in by_path}
    if pairs:
        return pairs
    by_path = {path: index for index, path in enumerate(_renumbered(sources))}
    return {
        index: by_path[path] for index, path in enumerate(_renumbered(targets)) if path in by_path
    }


def _renumbered(paths: Sequence[str]) -> list[str]:
    """The paths with each component's running number counted from the first of its kind."""
    seen: dict[str, list[str]] = {}
    renumbered = []
    for path in paths:
        components: list[str] = []
        for component in path.split("/"):
            kind = "/".join([*components, _NUMBER.sub("", component)])
            members = seen.setdefault(kind, [])
            if component not in members:
                members.append(component)
            components.append(f"{_NUMBER.sub('', component)}#{members.index(component)}")
        renumbered.append("/".join(components))
    return renumbered


@register_delta("copy")
class Copy(GroupDelta):
    """Parameters of another network, where they fit into this one, which then all train.

    Args:
        backbone: The larger or smaller network, at its base.
        name: Name of the delta.
        source: The network to copy from: backbone, built Keras model, or anything
            `keras_transgen.load_backbone` takes.
        report: What a saved delta says of its copying, in place of a source.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.transfer.deltas import Copy

        delta = Copy(ktg.load_backbone("digits"), source="digits")
        assert delta.report.count("copied") == 25
        ```
    """

    learning_rate = 3e-4
    users_own = ("source",)

    def __init__(
        self,
        backbone: Any,
        name: str = "copy",
        source: Any = None,
        report: Mapping[str, Any] | None = None,
    ) -> None:
        if source is None and report is None:
            raise ValueError(
                "method='copy' needs source=: the network to copy parameters from. "
                "Received: source=None"
            )
        # In a namespace, which Keras does not look into: the source is not the delta's layer.
        self._origin = types.SimpleNamespace(source=source)
        # A report that is none is refused now, not when it is asked for.
        self._origin.report = None if report is None else CopyReport.from_json(report)
        super().__init__(backbone, name, 0)

    @property
    def report(self) -> CopyReport:
        """What was copied, cropped, padded or left."""
        return self._origin.report

    def initial_values(self, targets: Sequence[Target]) -> dict[int, np.ndarray]:
        """The values copied; none when the delta comes from a file, which holds them."""
        source, self._origin.source = self._origin.source, None
        if source is None:
            return {}
        values, self._origin.report = plan_copy(source, [each.variable for each in targets])
        return {targets[position].index: value for position, value in values.items()}

    def arguments(self) -> dict[str, Any]:
        """The arguments to make the delta again from."""
        return {"report": self.report.to_json()}
