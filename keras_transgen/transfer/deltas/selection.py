"""Deltas that train a selection of the backbone's own parameters: biases, normalisation, blocks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.transfer.deltas.delta import register_delta
from keras_transgen.transfer.deltas.group_delta import GroupDelta
from keras_transgen.transfer.deltas.parameter_delta import ParameterDelta
from keras_transgen.transfer.deltas.targets import Target, default_targets, match_targets

_OFFSETS = re.compile(r"(?:^|_)(?:bias|beta|offset)(?:_\d+)?$", re.IGNORECASE)
_AFFINE = re.compile(r"(?:^|_)(?:gamma|beta|scale|offset)(?:_\d+)?$", re.IGNORECASE)


class SelectionDelta(ParameterDelta):
    """Selected small parameters are replaced by copies that train: base of the two below.

    The copies are the delta's own, so that several deltas of one backbone keep theirs apart.

    Args:
        backbone: The backbone, at its base.
        name: Name of the delta. Defaults to the method's.
        targets: Regular expression for paths that narrows the selection, or several.
    """

    def __init__(
        self, backbone: Any, name: str | None = None, targets: str | Sequence[str] | None = None
    ) -> None:
        self.target_patterns = targets
        fits, expected = self.selected()
        if targets is None:
            chosen = default_targets(backbone, fits, self.method, expected)
        else:
            chosen = match_targets(backbone, targets, fits, expected)
        super().__init__(backbone, name or self.method, chosen)

    @classmethod
    def selected(cls) -> tuple[Callable[[Target], bool], str]:
        """Which parameters the method selects, as a function and in words."""
        raise NotImplementedError

    def make_own(self, target: Target) -> tuple[keras.Variable, ...]:
        """Create the copy, equal to the parameter."""
        values = np.asarray(keras.ops.convert_to_numpy(target.variable.value), "float32")
        own = self.add_weight(
            shape=target.shape, initializer="zeros", name=target.path.replace("/", "_")
        )
        own.assign(values)
        return (own,)

    def effective(self, base: tf.Tensor, *own: tf.Tensor) -> tf.Tensor:
        """The copy."""
        return own[0]

    def arguments(self) -> dict[str, Any]:
        """The arguments to make the delta again from."""
        return {"targets": self.target_patterns}


@register_delta("bias")
class Bias(SelectionDelta):
    """Only the offsets train: `bias`, and the `beta` of normalisation layers.

    Networks with normalisation have no other biases in their convolutions.

    Args:
        backbone: The backbone, at its base.
        name: Name of the delta.
        targets: Regular expression for paths that narrows the selection, or several.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.transfer.deltas import Bias

        delta = Bias(ktg.load_backbone("digits"))
        assert delta.count_params() == 32 + 32 + 64 + 64 + 128
        ```

    Reference:
        Ben Zaken et al., BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based
        Masked Language-models, 2022.
    """

    @classmethod
    def selected(cls) -> tuple[Callable[[Target], bool], str]:
        """The offsets."""
        return lambda target: bool(_OFFSETS.search(target.kind)), "offsets (bias, beta)"


@register_delta("normalization")
class Normalization(SelectionDelta):
    """Only the scales and offsets of normalisation layers train: `gamma` and `beta`.

    The layers' statistics stay those of the base.

    Args:
        backbone: The backbone, at its base.
        name: Name of the delta.
        targets: Regular expression for paths that narrows the selection, or several.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.transfer.deltas import Normalization

        delta = Normalization(ktg.load_backbone("digits"))
        assert delta.count_params() == 2 * (32 + 32 + 64 + 64 + 128)
        ```

    Reference:
        Frankle, Schwab and Morcos, Training BatchNorm and Only BatchNorm: On the Expressive Power
        of Random Features in CNNs, 2021.
    """

    @classmethod
    def selected(cls) -> tuple[Callable[[Target], bool], str]:
        """The scales and offsets."""
        return (
            lambda target: len(target.shape) == 1 and bool(_AFFINE.search(target.kind)),
            "scales and offsets of normalisation layers (gamma, beta)",
        )


@register_delta("last")
class Last(GroupDelta):
    """Only the last blocks of the backbone train.

    Args:
        backbone: The backbone, at its base.
        name: Name of the delta.
        groups: How many of `backbone.parameter_groups()`, counted from the output. Defaults to 1.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.transfer.deltas import Last

        backbone = ktg.load_backbone("digits")
        delta = Last(backbone, groups=2)
        assert len(delta.touched) < len(backbone.weights)
        ```

    Reference:
        Yosinski et al., How transferable are features in deep neural networks?, 2014.
    """

    learning_rate = 3e-5

    def __init__(self, backbone: Any, name: str = "last", groups: int = 1) -> None:
        names = [group.name for group in backbone.parameter_groups()]
        if isinstance(groups, bool) or not isinstance(groups, int) or groups < 1:
            raise ValueError(
                f"groups must be a whole number from 1 up. Received: groups={groups!r}"
            )
        if names and groups > len(names):
            raise ValueError(
                f"groups must be at most {len(names)}, the number of groups of this backbone: "
                f"{names}. Received: groups={groups}"
            )
        self.groups = groups
        super().__init__(backbone, name, len(names) - groups)

    def arguments(self) -> dict[str, Any]:
        """The arguments to make the delta again from."""
        return {"groups": self.groups}
