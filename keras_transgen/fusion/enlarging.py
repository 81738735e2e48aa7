"""Feature maps brought to another size inside a network, in a way that XLA compiles."""

from __future__ import annotations

from collections.abc import Sequence

import keras


def enlarging(size: Sequence[int], target: Sequence[int]) -> keras.layers.Layer:
    """A layer from maps of one size to another.

    Whole factors repeat pixels; others interpolate linearly, since TensorFlow's nearest pixels have
    no gradient under XLA.

    Args:
        size: `(height, width)` of the input.
        target: `(height, width)` of the output.

    Example:
        ```python
        import numpy as np
        from keras_transgen.fusion.enlarging import enlarging

        assert enlarging((2, 2), (4, 6))(np.zeros((1, 2, 2, 3))).shape == (1, 4, 6, 3)
        ```
    """
    factors = [after // before for before, after in zip(size, target, strict=True)]
    whole = all(before * factor == after for before, factor, after in zip(size, factors, target))
    if whole:
        return keras.layers.UpSampling2D(factors)
    return keras.layers.Resizing(*target, interpolation="bilinear")
