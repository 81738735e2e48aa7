"""Whether all parts of a model mean the same numbers by an example."""

from __future__ import annotations

import keras

from keras_transgen.backbones.backbone import Backbone
from keras_transgen.training.compilation import flat_layers
from keras_transgen.training.loading import refuse_or_tell


def refuse_other_ranges(model: keras.Model, value_range: tuple[float, float] | None) -> None:
    """Refuse a part that takes or makes examples of another range than the model's.

    Such a part computes: features of images that are half as bright, samples that no example can
    be like. Parts say their range in an attribute `value_range`; a backbone's own is that of its
    input, to which the layer around it converts.

    Args:
        model: A model with all its networks, losses and augmentations.
        value_range: Range of its examples; `None` for examples without one.

    Raises:
        ValueError: If the ranges differ.
    """
    if value_range is None:
        return
    losses = [part for part in vars(model).values() if isinstance(part, keras.losses.Loss)]
    for part in [*flat_layers(model), *losses]:
        own = getattr(part, "value_range", None)
        if own is None or isinstance(part, Backbone) or tuple(own) == tuple(value_range):
            continue
        refuse_or_tell(
            "All parts of a model must mean the same range of values. Make this part with "
            f"value_range={tuple(value_range)}, or the model with value_range={tuple(own)}. "
            f"Received: {type(model).__name__} with value_range={tuple(value_range)} and "
            f"{type(part).__name__} {part.name!r} with {tuple(own)}"
        )
