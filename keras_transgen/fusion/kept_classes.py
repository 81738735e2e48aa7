"""Which classes of a trained flow stay in the new one, and which are new."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_transgen.datasets.class_names import checked_class_names
from keras_transgen.generative.flow.flow_matching import FlowMatching


def kept_classes(
    flow: FlowMatching, num_classes: int | None, class_names: Any
) -> list[int | None] | None:
    """For each class of the new flow, its place in the old one or `None`; `None` without classes.

    Raises:
        ValueError: If these cannot be classes of the new flow.
    """
    if num_classes is None and class_names is None:
        return None if flow.num_classes is None else list(range(flow.num_classes))
    if flow.num_classes is None:
        kind = "conditions that are no classes" if flow.has_conditions else "no conditions"
        raise ValueError(
            "The new flow has the conditions of the trained one: leave num_classes and class_names "
            "out, or train a flow of classes, FlowMatching(num_classes=...), and transfer that. "
            f"Received: num_classes={num_classes}, class_names={class_names!r:.100}, and a "
            f"flow with {kind}"
        )
    if isinstance(class_names, (list, tuple)) and len(class_names) == 1:
        raise ValueError(
            "class_names are those of all classes of the new flow, of the old ones that stay, too: "
            f"class_names=[*flow.class_names, {class_names[0]!r:.50}], say. "
            f"Received: class_names={class_names!r:.100}"
        )
    names = None if class_names is None else checked_class_names(class_names)
    count = len(names) if num_classes is None and names else num_classes
    if names is not None and len(names) != count:
        raise ValueError(
            f"class_names must name every class, {count} in all. Received: {len(names)} names"
        )
    if names is not None and flow.class_names is not None:
        known = {name: place for place, name in enumerate(flow.class_names)}
        return [known.get(name) for name in names]
    _check_count(flow, count, named=names is not None)
    return [place if place < flow.num_classes else None for place in range(int(count or 0))]


def _check_count(flow: FlowMatching, count: Any, named: bool) -> None:
    whole = isinstance(count, (int, np.integer)) and not isinstance(count, bool)
    if not whole or count < int(flow.num_classes or 0):
        raise ValueError(
            "num_classes counts the classes of the trained flow, which stay, and the new ones: "
            f"{flow.num_classes} or more. Received: num_classes={count!r}"
        )
    if flow.class_names is not None and count != flow.num_classes and not named:
        raise ValueError(
            "The trained flow's classes have names: name all, class_names=[*flow.class_names, "
            f"...]. Received: num_classes={count}"
        )


def names_of(flow: FlowMatching, kept: list[int | None] | None, class_names: Any) -> Any:
    """The names of the new flow's classes: those asked for, else the trained flow's."""
    if class_names is not None or kept is None or flow.class_names is None:
        return class_names
    return list(flow.class_names)
