"""(IA)^3: each output channel of a kernel scaled by one learned number."""

from __future__ import annotations

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
)


@register_delta("ia3")
class IA3(ParameterDelta):
    """W = W0 * l, where only l, one number for each output channel, trains.

    Scaling a kernel's output channels is scaling the layer's activations before its bias. With
    gradient dW of the kernel, dl is the sum of dW * W0 over everything but the output channels. l
    starts at one, so that nothing changes at first.

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
        super().__init__(backbone, name, chosen)

    def make_own(self, target: Target) -> tuple[keras.Variable, ...]:
        """Create l, of the shape of the last axes of the kernel."""
        # A depthwise kernel ends in [channels, multiplier]: both together count its outputs.
        shape = target.shape[-2:] if is_depthwise(target) else target.shape[-1:]
        name = target.path.replace("/", "_")
        return (self.add_weight(shape=shape, initializer="ones", name=f"{name}_scale"),)

    def effective(self, base: tf.Tensor, *own: tf.Tensor) -> tf.Tensor:
        """W0 * l."""
        return base * own[0]

    def pull_back(
        self, gradient: tf.Tensor, base: tf.Tensor, *own: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        """Gradient of l: the sum of dW * W0 over the other axes."""
        others = list(range(len(base.shape) - len(own[0].shape)))
        return (tf.reduce_sum(gradient * base, axis=others),)

    def arguments(self) -> dict[str, Any]:
        """The arguments to make the delta again from."""
        return {"targets": self.target_patterns}
