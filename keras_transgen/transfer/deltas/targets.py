"""Which of a backbone's parameters a delta acts on, found by kind or by name."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

# What has several axes and multiplies nothing: tables, and the biases of attention heads.
_NO_KERNEL = re.compile(r"(?:embeddings?|token|bias|beta|gamma|scale|offset)$", re.IGNORECASE)
_TABLE = re.compile(r"embeddings?(?:_\d+)?$", re.IGNORECASE)
_SHOWN = 12
_LONGEST = 1000


@dataclasses.dataclass(frozen=True)
class Target:
    """One parameter of a backbone.

    Args:
        index: Its position in `backbone.weights`, which is the same in every process, as names
            that Keras makes up are not.
        variable: The Keras variable.
    """

    index: int
    variable: Any

    @property
    def path(self) -> str:
        """Where the parameter hangs in the backbone, such as `"block_1_expand/kernel"`."""
        return self.variable.path

    @property
    def shape(self) -> tuple[int, ...]:
        """The parameter's shape."""
        return tuple(int(axis) for axis in self.variable.shape)

    @property
    def size(self) -> int:
        """Number of scalars in the parameter."""
        return math.prod(self.shape)

    @property
    def kind(self) -> str:
        """The last part of the path: `"kernel"`, `"bias"`, `"gamma"`, ..."""
        return self.path.rsplit("/", 1)[-1]


def parameters_of(backbone: Any) -> list[Target]:
    """All parameters of a backbone that can be trained, from input to output."""
    indices = {id(weight): index for index, weight in enumerate(backbone.weights)}
    return [
        Target(indices[id(variable)], variable)
        for group in backbone.parameter_groups()
        for variable in group.variables
    ]


def match_targets(
    backbone: Any,
    patterns: str | Sequence[str],
    fits: Callable[[Target], bool],
    expected: str,
) -> list[Target]:
    """Parameters whose path one of the patterns matches.

    Args:
        backbone: A `keras_transgen.backbones.Backbone`.
        patterns: A regular expression, or several; each is searched for in the paths.
        fits: Which parameters the method can act on at all.
        expected: These parameters in words, for the message.

    Returns:
        The targets in the network's order.

    Raises:
        ValueError: A pattern is no regular expression, matches no parameter, or only parameters
            that the method cannot act on.
    """
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    if not patterns:
        raise ValueError(
            "targets must be a pattern or a list of patterns; None takes the method's own choice. "
            "Received: targets=[]"
        )
    everything = parameters_of(backbone)
    chosen: set[int] = set()
    for pattern in patterns:
        matches = search_for(pattern)
        matching = [each for each in everything if matches(each.path)]
        fitting = {each.index for each in matching if fits(each)}
        if not fitting:
            among = matching or everything
            raise ValueError(
                f"The target pattern must match at least one of the backbone's {expected}"
                f"{'' if not matching else ', and matches other parameters only'}: "
                f"{_shown(among)}. Received: targets={pattern!r}"
            )
        chosen |= fitting
    return [each for each in everything if each.index in chosen]


def search_for(pattern: str) -> Callable[[str], bool]:
    """A function that says whether a text has a match of a pattern, in linear time if it can.

    A pattern may come from a file, and Python's search can take for ever over thirty characters.
    TensorFlow's cannot, but knows neither look-around nor references back: for these Python's is
    used, which `check_pattern` keeps files from.

    Args:
        pattern: A regular expression.

    Raises:
        ValueError: It is none.
    """
    python = _compile(pattern)
    if not _is_linear(pattern):
        return lambda text: python.search(text) is not None
    return lambda text: bool(tf.strings.regex_full_match(text, f"(?s:.*)(?:{pattern})(?s:.*)"))


def check_pattern(pattern: Any) -> None:
    """Refuse a pattern from a file that could be searched for without end.

    Args:
        pattern: What the file says.

    Raises:
        ValueError: It is none of the patterns whose search takes linear time.
    """
    # TensorFlow logs what it refuses, as it is: escape sequences must not get there.
    is_text = isinstance(pattern, str) and len(pattern) <= _LONGEST and pattern.isprintable()
    if not is_text or not _is_linear(pattern):
        raise ValueError(
            "The target patterns of a file must be regular expressions without look-around and "
            f"references back, of at most {_LONGEST} printable characters. "
            f"Received: {pattern!r:.120}"
        )


def _is_linear(pattern: str) -> bool:
    try:
        tf.strings.regex_full_match("", f"(?s:.*)(?:{pattern})(?s:.*)")
    except (tf.errors.InvalidArgumentError, UnicodeError):
        return False
    return True


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(
            f"targets must be regular expressions for parameters' paths; this is none: {error}. "
            f"Received: targets={pattern!r}"
        ) from None


def default_targets(
    backbone: Any, fits: Callable[[Target], bool], method: str, expected: str
) -> list[Target]:
    """The parameters that a method acts on by itself.

    Raises:
        ValueError: The backbone has none.
    """
    everything = parameters_of(backbone)
    chosen = [each for each in everything if fits(each)]
    if not chosen:
        raise ValueError(
            f"method={method!r} acts on {expected}, and this backbone has none. Use another "
            f"method, or name parameters by targets=. Received: backbone {backbone.name!r} with "
            f"{_shown(everything) if everything else 'no parameters at all'}"
        )
    return chosen


def _shown(targets: Sequence[Target]) -> str:
    paths = [each.path for each in targets[:_SHOWN]]
    more = len(targets) - len(paths)
    return ", ".join(paths) + (f" and {more} more" if more > 0 else "")


def is_kernel(target: Target) -> bool:
    """Whether the parameter multiplies features: the weights of a dense or convolution layer."""
    return len(target.shape) >= 2 and not _NO_KERNEL.search(target.kind)


def is_table(target: Target) -> bool:
    """Whether the parameter is a table of embeddings `[entries, size]`."""
    return len(target.shape) == 2 and bool(_TABLE.search(target.kind))


def is_depthwise(target: Target) -> bool:
    """Whether the parameter filters each channel by itself."""
    if "depthwise" in target.kind:
        return True
    *window, inputs, multiplier = target.shape if len(target.shape) >= 4 else (1, 1, 2)
    return multiplier == 1 and inputs > 1 and math.prod(window) > 1


def is_dense(target: Target) -> bool:
    """Whether the parameter mixes channels at one position: dense layers, 1x1 convolutions."""
    if not is_kernel(target) or is_depthwise(target):
        return False
    if len(target.shape) == 3 and "conv" not in target.path.lower():
        # What EinsumDense holds for the heads of an attention layer.
        return True
    return all(axis == 1 for axis in target.shape[:-2])


def matrix_shape(target: Target) -> tuple[int, int]:
    """The rows and columns of a kernel seen as one matrix.

    A convolution `[height, width, inputs, outputs]` is `[height * width * inputs, outputs]`, a
    depthwise one `[height * width, channels]`. Of three axes in a row (attention heads) the cut is
    made where the two sides are smallest.
    """
    shape = target.shape
    if is_depthwise(target):
        return math.prod(shape[:-2]), math.prod(shape[-2:])
    cut = len(shape) - 1
    if len(shape) == 3 and is_dense(target):
        cut = min((1, 2), key=lambda at: math.prod(shape[:at]) + math.prod(shape[at:]))
    return math.prod(shape[:cut]), math.prod(shape[cut:])
