"""(IA)^3: activations inside a network scaled by learned numbers, one for each channel."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.transfer.deltas.delta import register_delta
from keras_transgen.transfer.deltas.parameter_delta import ParameterDelta
from keras_transgen.transfer.deltas.targets import (
    Target,
    default_targets,
    is_depthwise,
    is_kernel,
    match_targets,
    parameters_of,
)

SELECTIONS = ("paper", "outputs")
_KEYS_AND_VALUES = re.compile(r"(?:^|[/_])(?:key|value)s?(?:_(?:dense|proj|projection))?(?:_\d+)?/")
_ATTENTION = re.compile(r"(?:^|[/_])(?:query|key|value|attention)")
# What kernels are called, and the biases beside them: by Keras, by TF-Slim, by Sonnet.
_BIASES = {"kernel": ("bias",), "weights": ("biases", "bias"), "weight": ("bias",), "w": ("b",)}


@register_delta("ia3")
class IA3(ParameterDelta):
    """Activations times l, one number for each channel; only l trains, and starts at one.

    In a network with attention it is, as in the paper, the keys and the values that are scaled,
    and what the second layer of each feed-forward block receives: l * (W0 x + b0) for the former,
    W0 (l * x) for the latter. A feed-forward block is two dense layers in a row, of which the
    first widens what the second narrows again. Networks without attention, convolutional ones for
    instance, have none of these: there the outputs of all dense and convolution layers but
    depthwise ones are scaled.

    The parameters of the layer are what is written: kernel and bias by their outputs, W = W0 * l
    and b = b0 * l, or the kernel's rows.

    Args:
        backbone: The backbone, at its base.
        name: Name of the delta.
        targets: Regular expression for the paths of kernels whose outputs are scaled, or several.
            `None`: see above.
        selection: What `targets=None` takes: `"paper"` is the above, `"outputs"` scales the
            outputs of all kernels in every network. Defaults to `"paper"`.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.transfer.deltas import IA3

        delta = IA3(ktg.load_backbone("digits"), targets="block3")
        assert [tuple(v.shape) for v in delta.weights] == [(128,)]
        ```

    Reference:
        Liu et al., Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context
        Learning, 2022.
    """

    def __init__(
        self,
        backbone: Any,
        name: str = "ia3",
        targets: str | Sequence[str] | None = None,
        selection: str = "paper",
    ) -> None:
        if selection not in SELECTIONS:
            raise ValueError(
                f"selection must be one of {SELECTIONS}. Received: selection={selection!r}"
            )
        self.target_patterns = targets
        self.selection = selection
        # Indices of kernels whose rows are scaled, not their outputs.
        self._by_rows: set[int] = set()
        of_attention = keys_and_values(backbone) if selection == "paper" else []
        if targets is None and of_attention:
            chosen = [*of_attention, *narrowing_kernels(backbone)]
            self._by_rows = {kernel.index for kernel in chosen[len(of_attention) :]}
        elif targets is None:
            chosen = default_targets(
                backbone,
                lambda target: is_kernel(target) and not is_depthwise(target),
                "ia3",
                "the kernels of dense and convolution layers",
            )
        else:
            chosen = match_targets(backbone, targets, is_kernel, "kernels")
        outputs = [kernel for kernel in chosen if kernel.index not in self._by_rows]
        biases = biases_of(backbone, outputs)
        # By the bias's index, the kernel that it is scaled with.
        self._kernels = {
            biases[kernel.index].index: kernel for kernel in chosen if kernel.index in biases
        }
        self._scales: dict[int, tuple[keras.Variable, ...]] = {}
        super().__init__(backbone, name, [*chosen, *biases.values()])

    def make_own(self, target: Target) -> tuple[keras.Variable, ...]:
        """Create l, of the shape of the last axes of the kernel; a bias has its kernel's."""
        if target.index in self._kernels:
            return self._scales[self._kernels[target.index].index]
        shape = self._scale_shape(target)
        name = target.path.replace("/", "_")
        scale = (self.add_weight(shape=shape, initializer="ones", name=f"{name}_scale"),)
        self._scales[target.index] = scale
        return scale

    def _scale_shape(self, target: Target) -> tuple[int, ...]:
        if target.index in self._by_rows:
            return (target.shape[-2], 1)
        # A depthwise kernel ends in [channels, multiplier]: both together count its outputs. So
        # do the heads of attention and what each has, in the paper's places.
        of_heads = self.selection == "paper" and _is_of_heads(target)
        return target.shape[-2:] if is_depthwise(target) or of_heads else target.shape[-1:]

    def effective(self, base: tf.Tensor, *own: tf.Tensor) -> tf.Tensor:
        """W0 * l, by outputs or by rows, or b0 * l."""
        return base * tf.reshape(own[0], _as_last_axes(own[0].shape, base.shape))

    def arguments(self) -> dict[str, Any]:
        """The arguments to make the delta again from."""
        return {"targets": self.target_patterns, "selection": self.selection}

    @classmethod
    def from_earlier_files(cls) -> dict[str, Any]:
        """What a file that does not say which kernels are scaled means."""
        return {"selection": "outputs"}


def keys_and_values(backbone: Any) -> list[Target]:
    """The kernels that make keys and values of attention, by their names.

    Args:
        backbone: A `keras_transgen.backbones.Backbone`.
    """
    return [
        target
        for target in parameters_of(backbone)
        if is_kernel(target) and _KEYS_AND_VALUES.search(target.path)
    ]


def narrowing_kernels(backbone: Any) -> list[Target]:
    """The second kernels of feed-forward blocks: `[wide, narrow]` right behind `[narrow, wide]`.

    Args:
        backbone: A `keras_transgen.backbones.Backbone`.
    """
    kernels = [
        target
        for target in parameters_of(backbone)
        if is_kernel(target) and len(target.shape) == 2 and not _ATTENTION.search(target.path)
    ]
    return [
        second
        for first, second in itertools.pairwise(kernels)
        if second.shape == first.shape[::-1] and second.shape[0] > second.shape[1]
    ]


def _is_of_heads(target: Target) -> bool:
    """Whether the kernel is `[inputs, heads, size]`, of `keras.layers.EinsumDense`."""
    return len(target.shape) == 3 and bool(_KEYS_AND_VALUES.search(target.path))


def biases_of(backbone: Any, kernels: Sequence[Target]) -> dict[int, Target]:
    """The biases that belong to the same layers as kernels, by the kernels' indices.

    A layer's parameters lie in one folder of names; a bias is added to the output of the kernel
    that bears its name but for the one word.

    Args:
        backbone: A `keras_transgen.backbones.Backbone`.
        kernels: Some of its kernels.
    """
    by_path = {target.path: target for target in parameters_of(backbone)}
    found: dict[int, Target] = {}
    for kernel in kernels:
        paths = [path for path in _bias_paths(kernel, by_path) if path in by_path]
        bias = by_path[paths[0]] if paths else None
        if bias is not None and bias not in found.values() and _fits(bias, kernel):
            found[kernel.index] = bias
    return found


def _bias_paths(kernel: Target, by_path: dict[str, Target]) -> list[str]:
    folder = kernel.path[: -len(kernel.kind)]
    named = re.fullmatch(r"(.*_)?(kernel|weights?|w)((?:_+\d+)?)", kernel.kind)
    if named is None:
        return []
    before, word, number = named[1] or "", named[2], named[3]
    if before == "depthwise_" and f"{folder}pointwise_{word}{number}" in by_path:
        # A separable convolution adds its bias behind the second kernel.
        return []
    if before in ("depthwise_", "pointwise_"):
        before = ""
    return [f"{folder}{before}{bias}{number}" for bias in _BIASES[word]]


def _fits(bias: Target, kernel: Target) -> bool:
    outputs = kernel.shape[-2:] if is_depthwise(kernel) else kernel.shape[-1:]
    return bias.shape[-1:] == outputs[-1:] or bias.shape == (math.prod(outputs),)


def _as_last_axes(scale: Sequence[int], parameter: Sequence[int]) -> tuple[int, ...]:
    """The shape of l for a parameter: a depthwise layer's bias has one axis for l's two."""
    return (math.prod(scale),) if len(parameter) < len(scale) else tuple(scale)
