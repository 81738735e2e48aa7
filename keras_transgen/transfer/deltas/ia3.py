"""(IA)^3: each output channel of a layer scaled by one learned number."""

from __future__ import annotations

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

# What kernels are called, and the biases beside them: by Keras, by TF-Slim, by Sonnet.
_BIASES = {"kernel": ("bias",), "weights": ("biases", "bias"), "weight": ("bias",), "w": ("b",)}


@register_delta("ia3")
class IA3(ParameterDelta):
    """l * (W0 x + b0), where only l, one number for each output channel, trains.

    The kernel and the bias of the same layer, where it has one, are scaled: W = W0 * l and
    b = b0 * l. l starts at one, so that nothing changes at first. The paper scales the inputs of
    a feed-forward block's second layer, keys and values of attention; here it is the outputs of
    every target, since convolutional networks have none of these.

    Args:
        backbone: The backbone, at its base.
        name: Name of the delta.
        targets: Regular expression for the paths of the kernels, or several. `None`: the kernels
            of all dense and convolution layers but depthwise ones.

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
    ) -> None:
        self.target_patterns = targets
        if targets is None:
            chosen = default_targets(
                backbone,
                lambda target: is_kernel(target) and not is_depthwise(target),
                "ia3",
                "the kernels of dense and convolution layers",
            )
        else:
            chosen = match_targets(backbone, targets, is_kernel, "kernels")
        biases = biases_of(backbone, chosen)
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
        # A depthwise kernel ends in [channels, multiplier]: both together count its outputs.
        shape = target.shape[-2:] if is_depthwise(target) else target.shape[-1:]
        name = target.path.replace("/", "_")
        scale = (self.add_weight(shape=shape, initializer="ones", name=f"{name}_scale"),)
        self._scales[target.index] = scale
        return scale

    def effective(self, base: tf.Tensor, *own: tf.Tensor) -> tf.Tensor:
        """W0 * l, or b0 * l."""
        return base * tf.reshape(own[0], _as_last_axes(own[0].shape, base.shape))

    def arguments(self) -> dict[str, Any]:
        """The arguments to make the delta again from."""
        return {"targets": self.target_patterns}


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
