"""The structure of a pretrained network with fresh parameters."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_transgen.transfer.deltas.delta import register_delta
from keras_transgen.transfer.deltas.group_delta import GroupDelta
from keras_transgen.transfer.deltas.targets import Target, is_depthwise, is_kernel

_ONES = ("gamma", "scale", "variance", "moving_variance")
_ZEROS = ("beta", "bias", "offset", "mean", "moving_mean")


@register_delta("reinitialize")
class Reinitialize(GroupDelta):
    """Fresh parameters, in all of the network or from one group on, which then train.

    Kernels are drawn by He et al. (convolutions) and Glorot and Bengio (dense layers) for their
    shapes; scales and variances are one, offsets, biases and means zero. What is none of these
    (counters, tables) keeps its value.

    Args:
        backbone: The backbone, at its base. A network with batch statistics should have been made
            with `normalization="adapt"`, so that they follow the data.
        name: Name of the delta.
        from_group: Name or index of the first group with fresh parameters; the groups before stay
            as they are and frozen. `None`: all of the network.
        seed: Seed of the fresh parameters. `None` draws one.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.transfer.deltas import Reinitialize

        backbone = ktg.load_backbone("digits", normalization="adapt")
        delta = Reinitialize(backbone, from_group=-1, seed=0)
        ```

    Reference:
        Raghu et al., Transfusion: Understanding Transfer Learning for Medical Imaging, 2019 (what
        the structure alone brings).
    """

    keeps_features = False

    def __init__(
        self,
        backbone: Any,
        name: str = "reinitialize",
        from_group: int | str | None = None,
        seed: int | None = None,
    ) -> None:
        self.from_group = from_group
        # Drawn from NumPy's global generator, so that keras.utils.set_random_seed fixes it.
        self.seed = int(np.random.randint(2**31)) if seed is None else int(seed)
        super().__init__(backbone, name, _group_index(backbone, from_group))
        if backbone.normalization == "frozen" and any(
            target.kind.endswith("variance") for target in self.touched
        ):
            warnings.warn(
                "The fresh network's batch statistics stay at mean 0 and variance 1, so it is not "
                "normalised: make the backbone with normalization='adapt' to let them follow the "
                f"data. Received: backbone {backbone.name!r} with normalization='frozen'",
                stacklevel=2,
            )

    def initial_values(self, targets: Sequence[Target]) -> dict[int, np.ndarray]:
        """Fresh values for everything whose kind is known."""
        values = {}
        for target in targets:
            value = _fresh(target, self.seed + target.index)
            if value is not None:
                values[target.index] = value
        return values

    def arguments(self) -> dict[str, Any]:
        """The arguments to make the delta again from."""
        return {"from_group": self.from_group, "seed": self.seed}


def _fresh(target: Target, seed: int) -> np.ndarray | None:
    dtype = keras.backend.standardize_dtype(target.variable.dtype)
    if not keras.backend.is_float_dtype(dtype):
        return None
    kind = target.kind.rstrip("0123456789").rstrip("_")
    if kind in _ONES:
        return np.ones(target.shape, dtype)
    if kind in _ZEROS:
        return np.zeros(target.shape, dtype)
    if len(target.shape) < 2:
        return None
    return _draw(target, seed).astype(dtype)


def _draw(target: Target, seed: int) -> np.ndarray:
    shape: tuple[int, ...] = target.shape
    if not is_kernel(target):
        initializer: Any = keras.initializers.RandomUniform(-0.05, 0.05, seed=seed)
    elif len(shape) == 2:
        initializer = keras.initializers.GlorotUniform(seed=seed)
    else:
        initializer = keras.initializers.HeNormal(seed=seed)
        if is_depthwise(target):
            # Each output sees one channel, which Keras' count of a kernel's inputs does not know.
            shape = (math.prod(shape[:-2]), math.prod(shape[-2:]))
    return keras.ops.convert_to_numpy(initializer(shape)).reshape(target.shape)


def _group_index(backbone: Any, group: int | str | None) -> int:
    if group is None:
        return 0
    names = [each.name for each in backbone.parameter_groups()]
    if isinstance(group, str) and group in names:
        return names.index(group)
    if isinstance(group, int) and -len(names) <= group < len(names):
        return group % len(names)
    raise ValueError(
        f"from_group must be one of {names}, or an index from 0 to {len(names) - 1}. "
        f"Received: from_group={group!r}"
    )
