"""Which parts of an input a network's answer rests on."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np


def integrated_gradients(
    model: Any,
    x: Any,
    target: Any,
    baseline: Any = None,
    steps: int = 50,
    *,
    batch_size: int = 256,
) -> np.ndarray:
    """How much each value of an input adds to an output, compared to a baseline.

    The gradient of the output is integrated along the straight line from the baseline to the
    input, and multiplied by their difference. The attributions of an input sum to what the output
    changes by from the baseline to it (completeness), up to the error of the integral, a
    Gauss-Legendre quadrature: more `steps` make it smaller. Where they are more than a twentieth
    apart there is a warning.

    For one-hot sequences the sum over the letters is the attribution of a position; see
    `plotting.plot_sequence_saliency`.

    Args:
        model: A Keras model or any function of float tensors `[count, ...]` that TensorFlow can
            differentiate, computing in inference mode. Texts and tokens have no gradients: give a
            model from their vectors on.
        x: Inputs `[count, ...]`.
        target: Which output: the number of a class, one for all or `[count]`, for outputs
            `[count, classes]`; `(position, class)` for outputs `[count, length, classes]`; or a
            function from outputs to `[count]`.
        baseline: What stands for nothing, `[...]` or `[count, ...]`. Defaults to zeros, silence or
            black; for one-hot sequences to all letters alike, such as 0.25 each, where there is
            one. Rows of zeros are padding to networks that know padding, at which their output
            jumps.
        steps: Points of the line at which gradients are taken, from 1 up. Defaults to 50.
        batch_size: Inputs times points computed at a time. Defaults to 256.

    Returns:
        float32 `[count, ...]`, shaped like `x`.

    Raises:
        ValueError: There is no input, the target is none of the outputs, the baseline does not
            fit, or the output does not depend on the input through anything that has a gradient.

    Example:
        ```python
        import keras
        import numpy as np
        from keras_transgen.evaluation import integrated_gradients

        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        x = np.array([[1.0, 2.0, 3.0]], "float32")
        found = integrated_gradients(model, x, target=1)
        # Of a linear model: weight times value.
        np.testing.assert_allclose(found, x * model.layers[0].kernel[:, 1], rtol=1e-5)
        ```

    Reference:
        Sundararajan, Taly and Yan, Axiomatic attribution for deep networks, 2017.
    """
    import tensorflow as tf

    given = np.asarray(x)
    if given.dtype.kind not in "fiub":
        raise ValueError(
            "Expected numbers; of strings, what datasets.one_hot_sequences makes of them. "
            f"Received: x of type {given.dtype}"
        )
    x = given.astype("float32")
    if x.ndim < 2 or not x.size:
        raise ValueError(
            "Expected inputs [count, ...]; put one alone into an array of one, x[None]. "
            f"Received: shape {list(x.shape)}"
        )
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"Expected steps as a whole number from 1 up. Received: steps={steps!r}")
    nothing = _baseline(x, baseline)
    # Of the interval from 0 to 1.
    places, weights = np.polynomial.legendre.leggauss(steps)
    places, weights = (places + 1) / 2, weights / 2
    chosen = _chooser(target, len(x))
    made = np.zeros(x.shape, "float64")
    rows, points = (each.ravel() for each in np.indices((len(x), steps)))
    for start in range(0, len(rows), batch_size):
        row, point = rows[start : start + batch_size], points[start : start + batch_size]
        along = places[point].reshape(-1, *[1] * (x.ndim - 1)).astype("float32")
        inputs = tf.constant(nothing[row] + along * (x - nothing)[row])
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = _computed(model, inputs)
            total = tf.reduce_sum(chosen(outputs, row))
        gradient = tape.gradient(total, inputs)
        if gradient is None:
            raise ValueError(
                "Expected an output that depends on the input through what has gradients; give a "
                "model from the vectors on that texts or tokens become. Received: a model without"
            )
        weighed = np.asarray(gradient, "float64") * weights[point].reshape(along.shape)
        np.add.at(made, row, weighed)
    found = (made * (x - nothing)).astype("float32")
    _tell_what_is_missing(model, x, nothing, found, chosen, batch_size)
    return found


def _tell_what_is_missing(
    model: Any,
    x: np.ndarray,
    nothing: np.ndarray,
    found: np.ndarray,
    chosen: Callable[[Any, np.ndarray], Any],
    batch_size: int,
) -> None:
    """Warns where attributions do not sum to what the output changes by."""
    import tensorflow as tf

    changes = []
    for start in range(0, len(x), batch_size):
        rows = np.arange(start, min(start + batch_size, len(x)))
        ends = (chosen(_computed(model, tf.constant(each[rows])), rows) for each in (x, nothing))
        changes.append(np.subtract(*(np.asarray(each, "float64") for each in ends)))
    change = np.concatenate(changes)
    missing = np.abs(found.reshape(len(x), -1).sum(axis=1, dtype="float64") - change)
    size = np.nan_to_num(np.abs(change))
    # What is no number is far from every number.
    far = ~(missing <= 0.05 * size + 1e-3 * size.max() + 1e-5)
    if far.any():
        warnings.warn(
            f"The attributions of {int(far.sum())} of {len(x)} inputs do not sum to what the "
            "output changes by. Take more steps; or another baseline, if the network takes this "
            "one for padding or jumps at it",
            stacklevel=3,
        )


def _computed(model: Any, inputs: Any) -> Any:
    import keras

    return model(inputs, training=False) if isinstance(model, keras.Layer) else model(inputs)


def _baseline(x: np.ndarray, baseline: Any) -> np.ndarray:
    if baseline is None and _is_one_hot(x):
        return np.broadcast_to(x.sum(axis=-1, keepdims=True) / x.shape[-1], x.shape)
    given = np.asarray(0.0 if baseline is None else baseline, "float32")
    try:
        return np.broadcast_to(given, x.shape)
    except ValueError:
        raise ValueError(
            "Expected a baseline that fits the inputs: a number, one input, or one for each. "
            f"Received: baseline of shape {list(given.shape)} for inputs {list(x.shape)}"
        ) from None


def _is_one_hot(x: np.ndarray) -> bool:
    """Whether rows are letters, codes for several, or padding."""
    sums = x.sum(axis=-1)
    is_letter = np.abs(sums - 1.0) < 1e-4
    return bool(
        x.ndim == 3
        and x.shape[-1] > 1
        and (x >= 0).all()
        and (is_letter | (sums == 0)).all()
        and (x.max(axis=-1)[is_letter] > 1.0 - 1e-4).mean() > 0.5
    )


def _chooser(target: Any, count: int) -> Callable[[Any, np.ndarray], Any]:
    """What picks the number that is explained out of the outputs of some rows."""
    import tensorflow as tf

    if callable(target):
        return lambda outputs, rows: target(outputs)
    if isinstance(target, tuple):
        return lambda outputs, rows: outputs[:, *_checked(target, outputs.shape[1:])]
    classes = np.asarray(target)
    if classes.dtype.kind not in "iu" or classes.shape not in ((), (count,)):
        raise ValueError(
            f"Expected target as the number of a class, {count} of them (one an input), "
            f"(position, class), or a function of outputs. Received: target={target!r:.80}"
        )
    classes = np.broadcast_to(classes, (count,))

    def of_class(outputs: Any, rows: np.ndarray) -> Any:
        for number in (classes[rows].min(), classes[rows].max()):
            _checked((int(number),), outputs.shape[1:])
        return tf.gather(outputs, classes[rows], batch_dims=1, axis=1)

    return of_class


def _checked(target: tuple, shape: Any) -> tuple:
    sizes = tuple(shape)
    fits = len(target) == len(sizes) and all(
        size is None or 0 <= number < size for number, size in zip(target, sizes)
    )
    if not fits:
        raise ValueError(
            "Expected a target among the model's outputs; for outputs of each position give "
            f"(position, class). Received: target={target} for outputs {[None, *sizes]}"
        )
    return target
