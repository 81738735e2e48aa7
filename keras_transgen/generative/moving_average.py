"""An exponential moving average of layers' weights, and the layers called with it."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Sequence
from numbers import Real
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_WARM_UP = 10.0
# No sum of squares is negative.
_UNKNOWN = -1.0
# XLA adds up in another order.
_TOLERANCE = 1e-4
_SEEN = "seen"


class MovingAverage(keras.layers.Layer):
    """Follows the float weights of built layers, moving statistics included.

    The average keeps the share `decay` in a step, in [0, 1). It warms up as
    `(1 + step) / (10 + step)`, so that the first averages forget the random start. The averages
    are weights of their own, saved and restored with the model. Where the weights that it follows
    are replaced outside of training, by `generator.load_weights` say, it starts anew from them when
    the model next samples.

    Reference:
        Yazici et al., The unusual effectiveness of averaging in GAN training, 2019.
    """

    def __init__(
        self, layers: Sequence[keras.layers.Layer], decay: float = 0.999, **kwargs: Any
    ) -> None:
        if not isinstance(decay, Real) or not 0.0 <= decay < 1.0:
            raise ValueError(
                "ema_decay must be at least 0 and below 1, or None for no average. "
                f"Received: ema_decay={decay!r}"
            )
        super().__init__(**{"dtype": "float32", **kwargs})
        self.decay = decay
        # In a namespace, since Keras would count and save the weights of a list a second time.
        self._followed = types.SimpleNamespace(weights=followed_weights(layers))
        self.averages = [
            # Replicas hold equal weights and average them alike, so each writes its own copy:
            # nothing is sent between them, and XLA may compile the update.
            keras.Variable(
                tf.cast(tf.convert_to_tensor(weight.value), _average_dtype(weight)),
                dtype=_average_dtype(weight),
                trainable=False,
                name=f"average_{index}",
                synchronization="on_read",
                aggregation="only_first_replica",
            )
            for index, weight in enumerate(self._followed.weights)
        ]
        # Not among the weights of a file: what the followed ones, and the averages, came to when
        # they were last seen.
        self._followed.seen = keras.Variable(
            [_UNKNOWN, _UNKNOWN],
            dtype="float32",
            trainable=False,
            name="seen",
            synchronization="on_read",
            aggregation="only_first_replica",
        )
        self.remember()
        self.built = True

    def update(self, step: tf.Tensor) -> None:
        """Move the averages towards the weights, after `step` steps before this one."""
        step = tf.cast(step, tf.float32)
        decay = tf.minimum(self.decay, (1.0 + step) / (_WARM_UP + step))
        for average, weight in zip(self.averages, self._followed.weights):
            kept = tf.cast(decay, average.dtype)
            current = tf.cast(weight.value, average.dtype)
            average.assign(average.value * kept + current * (1.0 - kept))
        self.remember()

    def remember(self) -> None:
        """Take the followed weights, as they are now, for those that the averages belong to."""
        self._followed.seen.assign(self._sizes())

    def restart_if_replaced(self) -> None:
        """Restart where somebody has given the followed weights other values, outside of training.

        `load_weights` of a generator alone, `set_weights`: the averages are of other weights then,
        and what is sampled would not be what was loaded. Where the averages were given other values
        as well, as `EarlyStopping(restore_best_weights=True)` does, the two belong together. Not to
        be called within a graph.
        """
        seen = keras.ops.convert_to_numpy(self._followed.seen)
        now = keras.ops.convert_to_numpy(self._sizes())
        weights_moved, averages_moved = abs(now - seen) > _TOLERANCE * (abs(now) + abs(seen))
        if seen[0] == _UNKNOWN or averages_moved:
            self.remember()
        elif weights_moved:
            self.restart()

    def save_own_variables(self, store: Any) -> None:
        """Save the averages, and what the weights that they belong to came to."""
        super().save_own_variables(store)
        store[_SEEN] = keras.ops.convert_to_numpy(self._followed.seen)

    def load_own_variables(self, store: Any) -> None:
        """Load the averages; the weights that they belong to come with them."""
        # The store of an HDF5 file has `keys` and nothing else of a mapping.
        saved = {key: store[key] for key in store.keys()}  # noqa: SIM118
        seen = saved.pop(_SEEN, None)
        super().load_own_variables(saved)
        # Files of earlier versions do not say.
        self._followed.seen.assign([_UNKNOWN, _UNKNOWN] if seen is None else np.asarray(seen))

    def restart(self) -> None:
        """Set the averages to the weights as they are now."""
        for average, weight in zip(self.averages, self._followed.weights):
            average.assign(tf.cast(weight.value, average.dtype))
        self.remember()

    def _sizes(self) -> tf.Tensor:
        return tf.stack([_size(self._followed.weights), _size(self.averages)])

    def in_place(self) -> keras.StatelessScope:
        """A context in which the followed layers compute with the averages."""
        return keras.StatelessScope(
            state_mapping=[
                (weight, tf.cast(average.value, weight.dtype))
                for weight, average in zip(self._followed.weights, self.averages)
            ]
        )

    def of(self, weights: Sequence[keras.Variable]) -> list[Any]:
        """The averages of weights, or the weights themselves where they are not followed."""
        known = {id(w): a for w, a in zip(self._followed.weights, self.averages)}
        return [known.get(id(weight), weight) for weight in weights]


def averaged(average: MovingAverage | None) -> contextlib.AbstractContextManager[Any]:
    """A context in which layers compute with their averages, or as they are if there are none."""
    return contextlib.nullcontext() if average is None else average.in_place()


def _size(weights: Sequence[keras.Variable]) -> tf.Tensor:
    """A number that other weights do not come to; in units of the weights, float32."""
    total = tf.constant(0.0)
    for place, weight in enumerate(weights):
        # By place, so that weights which change places are others; no sum of signs cancels.
        value = tf.cast(tf.convert_to_tensor(weight.value), tf.float32)
        total += (1.0 + place % 7) * tf.reduce_sum(tf.square(value + 0.1))
    return total


def _average_dtype(weight: keras.Variable) -> str:
    """Float32 for weights in half precision, where the share of a step would be rounded away."""
    dtype = keras.backend.standardize_dtype(weight.dtype)
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def followed_weights(layers: Sequence[keras.layers.Layer]) -> list[keras.Variable]:
    """The float weights of layers, each once, in a stable order."""
    found: dict[int, keras.Variable] = {}
    for layer in layers:
        for weight in layer.weights:
            if keras.backend.is_float_dtype(weight.dtype):
                found.setdefault(id(weight), weight)
    return list(found.values())
