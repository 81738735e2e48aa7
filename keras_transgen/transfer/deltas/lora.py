"""Low-rank adaptation: a kernel plus the product of two thin matrices."""

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
    is_dense,
    is_depthwise,
    is_kernel,
    is_table,
    match_targets,
    matrix_shape,
    parameters_of,
)

SELECTIONS = ("share", "dense")
# Two factors hold at most this share of a kernel.
SMALL_SHARE = 1 / 16
# In files of earlier versions: a kernel of which they held more had none.
WORTHWHILE = 1 / 8


@register_delta("lora")
class LoRA(ParameterDelta):
    """W = W0 + (alpha / rank) A B, where only A `[inputs, rank]` and B `[rank, outputs]` train.

    A starts at random (He, uniform) and B at zero, so that nothing changes at first; by default in
    tables of embeddings it is A that starts at zero, since only rows that occur shall change.

    By default the kernels of dense layers and 1x1 convolutions are adapted, and where wider ones
    hold more of the network than these (a ResNet of 3x3 convolutions, a network for DNA) those
    too; so are embedding tables that hold more than all kernels. Depthwise kernels are left alone.
    A kernel of which the factors would hold more than a sixteenth gets fewer columns of A, as many
    as keep to that; one that cannot bear a single column is left alone (unless none can).

    Args:
        backbone: The backbone, at its base.
        name: Name of the delta.
        rank: Columns of A and rows of B; fewer where a kernel has fewer, and by default in small
            kernels. Defaults to 8.
        alpha: Numerator of the product's scale. Defaults to `rank`, which makes it 1.
        targets: Regular expression for the paths of the kernels, or several; depthwise kernels
            and embeddings may be named too. `None`: see above.
        selection: What `targets=None` takes: `"share"` is the above. `"dense"` is what files of
            earlier versions hold: wide kernels only where a network has no others, and none of
            which the factors would hold more than an eighth. Defaults to `"share"`.
        seed: Of what starts at random; by default that of `StructureTransfer`. `None` draws one by
            Keras' own generator.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.transfer.deltas import LoRA

        delta = LoRA(ktg.load_backbone("digits"), name="thin", rank=2, targets="block3")
        assert [tuple(v.shape) for v in delta.weights] == [(576, 2), (2, 128)]
        ```

    Reference:
        Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021.
    """

    learning_rate = 2e-4

    def __init__(
        self,
        backbone: Any,
        name: str = "lora",
        rank: int = 8,
        alpha: float | None = None,
        targets: str | Sequence[str] | None = None,
        selection: str = "share",
        seed: int | None = None,
    ) -> None:
        if selection not in SELECTIONS:
            raise ValueError(
                f"selection must be one of {SELECTIONS}. Received: selection={selection!r}"
            )
        if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
            raise ValueError(f"rank must be a whole number from 1 up. Received: rank={rank!r}")
        if alpha is not None and not alpha > 0:
            raise ValueError(f"alpha must be positive. Received: alpha={alpha!r}")
        self.rank = rank
        self.alpha = alpha
        self.target_patterns = targets
        self.selection = selection
        self.seed = seed
        self._fewer = False
        if targets is not None:
            chosen = match_targets(backbone, targets, _is_matrix, "kernels")
        elif selection == "dense":
            chosen = _worthwhile(_dense_kernels(backbone), rank)
        else:
            kernels = _default_kernels(backbone)
            chosen = [kernel for kernel in kernels if _columns(kernel) >= 1]
            if chosen:
                self._fewer = True
            else:
                chosen = kernels
        super().__init__(backbone, name, chosen)

    @property
    def scale(self) -> float:
        """What the product A B is multiplied by."""
        return 1.0 if self.alpha is None else self.alpha / self.rank

    def make_own(self, target: Target) -> tuple[keras.Variable, ...]:
        """Create A and B."""
        rows, columns = matrix_shape(target)
        rank = min(self.rank, rows, columns)
        if self._fewer:
            rank = min(rank, _columns(target))
        name = target.path.replace("/", "_")
        own_seed = None if self.seed is None else self.seed + target.index
        first, second = keras.initializers.HeUniform(own_seed), "zeros"
        if self._fewer and is_table(target):
            first, second = second, first
        return (
            self.add_weight(shape=(rows, rank), initializer=first, name=f"{name}_a"),
            self.add_weight(shape=(rank, columns), initializer=second, name=f"{name}_b"),
        )

    def effective(self, base: tf.Tensor, *own: tf.Tensor) -> tf.Tensor:
        """W0 + (alpha / rank) A B."""
        a, b = own
        return base + self.scale * tf.reshape(a @ b, base.shape)

    def arguments(self) -> dict[str, Any]:
        """The arguments to make the delta again from."""
        return {
            "rank": self.rank,
            "alpha": self.alpha,
            "targets": self.target_patterns,
            "selection": self.selection,
            "seed": self.seed,
        }

    @classmethod
    def from_earlier_files(cls) -> dict[str, Any]:
        """What a file that does not say which kernels are taken means."""
        return {"selection": "dense"}


def _is_matrix(target: Target) -> bool:
    return len(target.shape) >= 2


def _default_kernels(backbone: Any) -> list[Target]:
    kernels = default_targets(
        backbone,
        lambda target: is_kernel(target) and not is_depthwise(target),
        "lora",
        "the kernels of dense and convolution layers",
    )
    tables = [target for target in parameters_of(backbone) if is_table(target)]
    dense = [kernel for kernel in kernels if is_dense(kernel)]
    of_dense, of_all, of_tables = (
        sum(target.size for target in targets) for targets in (dense, kernels, tables)
    )
    chosen = {target.index for target in (kernels if 2 * of_dense < of_all else dense)}
    if of_tables > of_all:
        chosen |= {target.index for target in tables}
    return [target for target in parameters_of(backbone) if target.index in chosen]


def _columns(kernel: Target) -> int:
    """Columns of A whose two factors keep to their share of a kernel."""
    return int(SMALL_SHARE * kernel.size / sum(matrix_shape(kernel)))


def _dense_kernels(backbone: Any) -> list[Target]:
    try:
        return default_targets(backbone, is_dense, "lora", "dense kernels")
    except ValueError:
        return default_targets(
            backbone,
            lambda target: is_kernel(target) and not is_depthwise(target),
            "lora",
            "the kernels of dense and convolution layers",
        )


def _worthwhile(kernels: list[Target], rank: int) -> list[Target]:
    worthwhile = [
        kernel for kernel in kernels if rank * sum(matrix_shape(kernel)) <= WORTHWHILE * kernel.size
    ]
    return worthwhile or kernels
