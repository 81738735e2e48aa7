"""What a model trains and what is frozen, layer by layer and weight by weight, for its file."""

from __future__ import annotations

import warnings
from typing import Any

import keras

from keras_transgen.training.compilation import flat_layers
from keras_transgen.training.config_from_file import FileConfigError, shown


class KeepsFrozen:
    """A Keras layer whose named parts stay frozen: Keras' flag reaches all layers within.

    Stands before the layer's class among the bases.
    """

    frozen_parts: tuple[str, ...] = ()

    @property
    def trainable(self) -> bool:
        """Whether what is not frozen for good trains."""
        return super().trainable  # type: ignore[misc]

    @trainable.setter
    def trainable(self, value: bool) -> None:
        super(KeepsFrozen, type(self)).trainable.fset(self, value)  # type: ignore[misc]
        for name in self.frozen_parts:
            part = getattr(self, name, None)
            if part is not None:
                part.trainable = False


def trainable_flags(model: keras.Model) -> dict[str, str]:
    """Which layers and weights of a model train.

    Returns:
        `"layers"` and `"weights"`, each a text of a 1 (trains) or a 0 for every one of them, in
        the order in which the model holds them; the model itself is the first layer.
    """
    layers = [model, *flat_layers(model)]
    return {
        "layers": "".join(str(int(layer.trainable)) for layer in layers),
        "weights": "".join(str(int(weight.trainable)) for weight in model.weights),
    }


def set_trainable_flags(model: keras.Model, flags: Any) -> None:
    """Let train what trained in another model of the same structure.

    Args:
        model: The model, changed.
        flags: What `trainable_flags` gave of the other.

    Raises:
        FileConfigError: The flags are none.
    """
    if not isinstance(flags, dict) or not all(
        isinstance(flags.get(name), str) and not flags[name].strip("01")
        for name in ("layers", "weights")
    ):
        raise FileConfigError(
            "What trains must be two texts of 0 and 1, for layers and weights. Ask the file's "
            f"author for another. Received: {shown(flags)}"
        )
    layers = [model, *flat_layers(model)]
    if len(layers) != len(flags["layers"]):
        if "0" not in flags["layers"]:
            # Layers that are made later, in `build`, and nothing frozen.
            return
        warnings.warn(
            "The file says of more or fewer layers whether they train than the model has, so the "
            "model trains what its constructor says. Set `trainable` where it shall be otherwise. "
            f"Received: {len(flags['layers'])} layers in the file, {len(layers)} in the model",
            stacklevel=2,
        )
        return
    # Parents come before what they hold, and give it their own flag.
    for layer, flag in zip(layers, flags["layers"]):
        if layer.trainable != (flag == "1"):
            layer.trainable = flag == "1"
    weights = model.weights
    if len(weights) == len(flags["weights"]):
        for weight, flag in zip(weights, flags["weights"]):
            if weight.trainable != (flag == "1"):
                weight.trainable = flag == "1"
