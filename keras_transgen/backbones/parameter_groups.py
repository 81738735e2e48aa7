"""A network's variables in groups, one a block, ordered from input to output."""

import dataclasses
import itertools
import math
import re
from collections.abc import Sequence
from typing import Any

# A name that says only "normalisation" belongs to the layer that it normalises.
_NORMALIZATION = re.compile(
    r"(?:^|_)(?:bn|batch_?norm(?:alization)?|group_?norm(?:alization)?|layer_?norm(?:alization)?"
    r"|norm(?:alization)?)(?=_|$|\d)",
    re.IGNORECASE,
)
# The shortest beginning of a name that ends in a number: block_10_expand -> block_10. The number
# in conv2d counts axes, not blocks.
_NUMBERED = re.compile(r"^(.*?(?!(?<=con)v[123]d(?:_|$))[A-Za-z]_?\d+[a-z]?)(?=_|$)")


@dataclasses.dataclass(frozen=True)
class ParameterGroup:
    """One block of a network.

    Args:
        name: What the block's variables have in common in their paths.
        variables: The parameters that can be trained, in the order the network uses them.
        statistics: State that is no parameter, such as moving means.
    """

    name: str
    variables: tuple[Any, ...]
    statistics: tuple[Any, ...] = ()

    @property
    def parameter_count(self) -> int:
        """Number of trainable scalars in the group."""
        return sum(math.prod(variable.shape) for variable in self.variables)


def group_by_block(
    paths: Sequence[str], variables: Sequence[Any], is_parameter: Sequence[bool]
) -> list[ParameterGroup]:
    """Group variables by the block named in their paths.

    Blocks are recognised by the way networks are named: `block_3_expand/kernel` and
    `block_3_project_BN/gamma` are `block_3`, `encoder/layer_0/attention/query/kernel` is
    `encoder/layer_0`, `stem_conv` and `stem_bn` are `stem`. The order of the groups is the order
    in which their first parameter comes.
    """
    layers = _without_common_prefix([path.split("/")[:-1] for path in paths])
    names = _merge_unnumbered([_block_name(layer) for layer in layers])
    parameters: dict[str, list[Any]] = {}
    statistics: dict[str, list[Any]] = {}
    for name, variable, trains in zip(names, variables, is_parameter, strict=True):
        (parameters if trains else statistics).setdefault(name, []).append(variable)
    return [
        ParameterGroup(name, tuple(members), tuple(statistics.get(name, ())))
        for name, members in parameters.items()
    ]


def _without_common_prefix(layers: list[list[str]]) -> list[list[str]]:
    """Drop the leading components that all paths share, but never a path's last one."""
    if len(layers) < 2:
        return layers
    shared = min(len(_common_prefix(layers)), min(map(len, layers)) - 1)
    return [layer[shared:] for layer in layers]


def _block_name(layer: list[str]) -> str:
    """Name of the block a layer belongs to; empty for a normalisation layer without one."""
    cleaned = [_NORMALIZATION.sub("", component).strip("_") for component in layer]
    for depth, component in enumerate(cleaned):
        numbered = _NUMBERED.match(component)
        if numbered:
            return "/".join([*layer[:depth], numbered.group(1)])
    first = next((component for component in cleaned if component), "")
    return "" if first.isdigit() else first


def _merge_unnumbered(names: list[str]) -> list[str]:
    """Give nameless layers their neighbour's name, and shorten names that begin alike."""
    first_named = next((name for name in names if name), "network")
    filled: list[str] = []
    for name in names:
        filled.append(name or (filled[-1] if filled else first_named))
    shared: dict[str, str] = {}
    run: list[str] = []
    for name in dict.fromkeys(filled):
        if run and not _begin_alike(run[-1], name):
            run = []
        run.append(name)
        prefix = "_".join(_common_prefix([each.split("_") for each in run]))
        shared.update(dict.fromkeys(run, prefix))
    return [shared[name] for name in filled]


def _begin_alike(one: str, other: str) -> bool:
    """Whether both are names without a number that share their first word."""
    unnumbered = not any(_NUMBERED.match(name) or "/" in name for name in (one, other))
    return unnumbered and one.split("_")[0] == other.split("_")[0]


def _common_prefix(rows: list[list[str]]) -> list[str]:
    alike = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*rows))
    return [column[0] for column in alike]
