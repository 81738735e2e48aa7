"""A flow followed from noise to data and back, in the graph: its ordinary differential equation."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.generative.flow.divergence import (
    DIVERGENCES,
    sum_of_values,
    with_divergence,
)
from keras_transgen.generative.flow.flow_model import FlowModel
from keras_transgen.generative.flow.inpainting import inpainted
from keras_transgen.generative.flow.solvers import SOLVERS, integrate
from keras_transgen.generative.generative_model import graph, in_parts
from keras_transgen.generative.moving_average import averaged
from keras_transgen.training.compilation import compiled, resolve_jit_compile
from keras_transgen.training.counts import check_count

STEPS = 20
# As an int32 holds.
MOST_STEPS = 2**31 - 1
# Far beyond what makes pictures, and far below where float32 ends.
_MOST_GUIDANCE = 1e6
_LOG_TWO_PI = math.log(2.0 * math.pi)


class FollowedFlow(FlowModel):
    """Computes what `SolvedFlow` is asked for, by the averaged weights."""

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        """Samples from noise, or `(noise, condition)`, by the averaged weights and 20 Heun steps.

        Noise is standard normal `[batch, *example_shape]`, floats; of images see `encode`.
        `predict` takes noise alone: `decode(noise, condition)` takes both.

        Raises:
            ValueError: If they are whole numbers, which no noise is.
        """
        noise, *condition = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        if not tf.as_dtype(noise.dtype).is_floating:
            raise ValueError(
                "A flow is called on noise, and predict with it: sample(...) makes examples, "
                f"encode(examples) gives their noise. Received: {noise.dtype} values"
            )
        noise = tf.cast(noise, tf.float32)
        return self.followed(noise, tuple(condition), tf.constant(STEPS), None, "heun")

    def followed(
        self,
        noise: tf.Tensor,
        condition: tuple[Any, ...],
        steps: tf.Tensor,
        guidance: tf.Tensor | None,
        solver: str,
    ) -> tf.Tensor:
        """Examples at the end of the flow from noise, by the averaged weights, in a graph too.

        Args:
            noise: Standard normal `[batch, *example_shape]`.
            condition: One structure of conditions, or nothing.
            steps: Of the solver, an int32 scalar.
            guidance: A scalar, or `None`; see `FlowModel.velocity`.
            solver: Name of the solver.
        """
        with averaged(self.average):
            velocity = self._velocity_for(noise, condition, guidance)
            return self.outward(integrate(velocity, noise, steps, solver))

    def _velocity_for(
        self, like: tf.Tensor, condition: tuple[Any, ...], guidance: tf.Tensor | None = None
    ) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        """The velocity as a function of place and one time; conditions are encoded once."""
        count = tf.shape(like)[0]
        embedding = self.embedded(condition[0], False) if condition else self.unconditional(count)

        def velocity(place: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
            return self.velocity(place, tf.fill([count], time), embedding, guidance)

        return velocity

    def _followed_back(
        self, x: tf.Tensor, condition: tuple[Any, ...], steps: tf.Tensor, solver: str
    ) -> tf.Tensor:
        place = self.inward(self.scaled(x))
        with averaged(self.average):
            velocity = self._velocity_for(place, condition)
            return integrate(velocity, place, steps, solver, 1.0, 0.0)

    def _log_density(
        self,
        x: tf.Tensor,
        condition: tuple[Any, ...],
        drawn: tf.Tensor,
        steps: tf.Tensor,
        solver: str,
        divergence: str,
    ) -> tf.Tensor:
        place = self.inward(self.scaled(x))
        drawn = tf.transpose(drawn, [1, 0, *range(2, drawn.shape.rank)])
        probes = DIVERGENCES[divergence](self.example_shape, drawn)
        with averaged(self.average):
            velocity = self._velocity_for(place, condition)

            def slope(state: tuple[tf.Tensor, tf.Tensor], time: tf.Tensor) -> tuple:
                return with_divergence(lambda at: velocity(at, time), state[0], probes)

            start = (place, tf.zeros(tf.shape(place)[:1]))
            # Backwards in time, the integral comes out with the sign that the density wants.
            noise, change = integrate(slope, start, steps, solver, 1.0, 0.0)
        of_noise = -0.5 * sum_of_values(tf.square(noise) + _LOG_TWO_PI)
        return of_noise + change + self.log_volume()

    def _filled(
        self,
        x: tf.Tensor,
        hidden: tf.Tensor,
        condition: tuple[Any, ...],
        seed: tf.Tensor,
        steps: tf.Tensor,
        rounds: tf.Tensor,
        guidance: tf.Tensor | None,
        solver: str,
    ) -> tf.Tensor:
        given = self.scaled(x)
        known = self.inward(given)
        with averaged(self.average):
            velocity = self._velocity_for(known, condition, guidance)
            made = inpainted(velocity, known, hidden, seed, steps, rounds, solver)
        return tf.where(hidden, self.outward(made), given)

    # What is asked for

    def _conditions_of(self, condition: Any, count: int | None) -> tuple[Any, ...]:
        """One structure of conditions, or nothing where none are told."""
        if condition is None:
            if self.has_conditions and not self._drop_probability:
                raise ValueError(
                    "Without a condition this model needs unlabelled_probability=... above 0, so "
                    "that it learns what examples are of no condition. "
                    "Received: condition=None, unlabelled_probability=0.0"
                )
            return ()
        if not self.has_conditions:
            raise ValueError(
                f"This {type(self).__name__} was made without conditions: leave condition out. "
                f"Received: condition of type {type(condition).__name__}"
            )
        self._check_conditions(condition, "condition")
        if count is not None and len(condition) != count:
            raise ValueError(
                "There must be a condition for every example. "
                f"Received: {count} examples, {len(condition)} conditions"
            )
        return (condition,)

    def _check_guidance(self, guidance: float, condition: tuple[Any, ...]) -> bool:
        """Whether the velocity is guided, for which both velocities are needed."""
        if not isinstance(guidance, (int, float, np.number)) or not abs(guidance) <= _MOST_GUIDANCE:
            raise ValueError(
                f"guidance must be a finite number, at most {_MOST_GUIDANCE:g} in size. "
                f"Received: guidance={guidance!r:.100}"
            )
        if guidance == 1:
            return False
        if not condition or not self._drop_probability:
            raise ValueError(
                "guidance moves samples towards their condition and away from what has none: give "
                "conditions, to a model that was made with unlabelled_probability=... above 0. "
                f"Received: guidance={guidance}, {'a' if condition else 'no'} condition, "
                f"unlabelled_probability={self._drop_probability if self.has_conditions else 0.0}"
            )
        return True

    def _check_solver(self, steps: int, solver: str, batch_size: int) -> None:
        SOLVERS.find(solver)
        check_count("steps", steps)
        if steps > MOST_STEPS:
            raise ValueError(
                f"steps must be at most {MOST_STEPS:,}; 20 to 100 are usual. "
                f"Received: steps={steps}"
            )
        check_count("batch_size", batch_size)

    # Computing

    @functools.cached_property
    def _functions(self) -> dict[tuple, Callable[..., tf.Tensor]]:
        return {}

    def _function(
        self, method: Callable[..., tf.Tensor], *names: str, jit_compile: bool | str = "auto"
    ) -> Callable[..., tf.Tensor]:
        """A method whose last arguments are names as a function, traced once."""
        key = (method.__name__, *names)
        if key not in self._functions:
            alone = self.distribute_strategy.num_replicas_in_sync == 1
            fast = alone and resolve_jit_compile(self, jit_compile)

            def named(*args: Any) -> tf.Tensor:
                return compiled(lambda *given: method(*given, *names), fast)(*args)

            self._functions[key] = graph(named)
        return self._functions[key]

    def _computed(
        self, function: Callable[..., tf.Tensor], data: tuple, batch_size: int
    ) -> np.ndarray:
        """What a function gives for all rows, in batches of one size: one shape is compiled."""
        self.average_what_was_loaded()
        count = len(keras.tree.flatten(data)[0])
        size = min(int(batch_size), count)
        missing = -count % size

        def filled(rows: Any) -> Any:
            rows = np.asarray(rows)
            return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)])

        if missing:
            data = keras.tree.map_structure(filled, data)
        return in_parts(function, data, size)[:count]
