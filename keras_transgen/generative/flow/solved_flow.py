"""What a trained flow gives: samples, codes and likelihoods, by following its velocity."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.generative.flow.divergence import DIVERGENCES, MOST_VALUES_EXACT
from keras_transgen.generative.flow.followed_flow import STEPS, FollowedFlow
from keras_transgen.generative.flow.spherical import spherical_line
from keras_transgen.generative.generative_model import sampling_seed
from keras_transgen.plotting.sample_grid import plot_sample_grid
from keras_transgen.training.counts import check_count

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class SolvedFlow(FollowedFlow):
    """A flow that is followed from noise to data and back; `FlowMatching` adds its constructor."""

    @takes_any_data("condition")
    def sample(
        self,
        condition: Any = None,
        *,
        steps: int = STEPS,
        guidance: float = 1.0,
        solver: str = "heun",
        seed: int | None = None,
        batch_size: int = 128,
        count: int | None = None,
    ) -> np.ndarray:
        """Draw samples: noise, moved along the velocity of the averaged weights.

        Args:
            condition: Labels `[count]` (numbers or names), vectors `[count, features]`, or what the
                encoder takes. A model without conditions takes the number of samples here.
            steps: Of the solver. Defaults to 20. More are more exact; `"heun"` asks the network
                twice a step.
            guidance: How much more than it learnt the velocity follows the condition: 1 (default)
                samples what was learnt, 2 to 5 clearer and more uniform examples of a class, 0 any.
                Other values than 1 take twice as long.
            solver: `"heun"` (default) or `"euler"`.
            seed: Any integer for the same samples every time; `None` for fresh ones.
            batch_size: Samples made at once; it does not change them.
            count: How many, without a condition. Defaults to 64.

        Returns:
            Float32 `[count, *example_shape]` in `value_range`.

        Raises:
            ValueError: If the conditions are none of this model's, or a number is out of its range.
        """
        parts, number = self._asked(condition, count)
        self._check_solver(steps, solver, batch_size)
        is_guided = self._check_guidance(guidance, parts)
        noise = tf.random.stateless_normal([number, *self.example_shape], sampling_seed(seed))
        follow = self._function(self.followed, solver)
        strength = tf.constant(guidance, tf.float32) if is_guided else None
        return self._computed(
            lambda noise, condition: follow(noise, condition, tf.constant(int(steps)), strength),
            (noise, parts),
            batch_size,
        )

    def sample_grid(
        self, count: int = 10, seed: int | None = None, conditions: Any = None, **kwargs: Any
    ) -> Figure:
        """A grid with a row a class and `count` samples in each, as a Matplotlib figure.

        Without classes, a row for each of `conditions`, or `count` samples without a condition.

        Args:
            count: Samples in a row.
            seed: As in `sample`.
            conditions: As in `sample`; classes and texts stand beside their rows. Defaults to all
                classes.
            **kwargs: Further arguments of `sample`: `steps`, `guidance`, `solver`.
        """
        span = self.value_range or (0.0, 1.0)
        if conditions is None and self.num_classes is None:
            samples = self.sample(count=count, seed=seed, **kwargs)
            return plot_sample_grid(samples, value_range=span)
        if conditions is None:
            conditions = np.arange(int(self.num_classes or 0))
        asked = np.asarray(self.entered("condition", conditions, False))
        names = self.row_names(conditions, asked)
        rows = np.repeat(np.arange(len(asked)), count)
        samples = self.sample(asked[rows], seed=seed, **kwargs)
        return plot_sample_grid(
            samples, labels=rows, class_names=names, columns=count, value_range=span
        )

    # From data to noise

    @takes_any_data("x", "condition")
    def encode(
        self,
        x: Any,
        condition: Any = None,
        *,
        steps: int = STEPS,
        solver: str = "heun",
        batch_size: int = 128,
    ) -> np.ndarray:
        """The noise that examples come from: the flow followed backwards.

        Args:
            x: Examples `[count, *example_shape]`.
            condition: A condition for each, or `None` to tell none.
            steps: As in `sample`.
            solver: As in `sample`.
            batch_size: Examples at a time.

        Returns:
            Float32 `[count, *example_shape]`; of examples as the model has learnt them, standard
            normal. `decode` gives the examples back, as exactly as the steps allow.

        Raises:
            ValueError: If examples or conditions are none of this model's.
        """
        self.check_examples(x)
        self._check_solver(steps, solver, batch_size)
        parts = self._conditions_of(condition, len(x))
        back = self._function(self._followed_back, solver)
        return self._computed(
            lambda x, condition: back(x, condition, tf.constant(int(steps))), (x, parts), batch_size
        )

    @takes_any_data("condition")
    def decode(
        self,
        noise: Any,
        condition: Any = None,
        *,
        steps: int = STEPS,
        guidance: float = 1.0,
        solver: str = "heun",
        batch_size: int = 128,
    ) -> np.ndarray:
        """The examples at the end of the flow from given noise; see `sample`.

        Args:
            noise: `[count, *example_shape]`, standard normal or what `encode` gave.
            condition: A condition for each, or `None` to tell none.
            steps: As in `sample`.
            guidance: As in `sample`.
            solver: As in `sample`.
            batch_size: Examples made at once.

        Returns:
            Float32 `[count, *example_shape]` in `value_range`.

        Raises:
            ValueError: If noise or conditions are none of this model's.
        """
        noise = np.asarray(noise, "float32")
        if noise.shape[1:] != self.example_shape or not len(noise):
            raise ValueError(
                f"noise must be of shape [count, {', '.join(map(str, self.example_shape))}]. "
                f"Received: shape {list(noise.shape)}"
            )
        if not np.isfinite(noise).all():
            raise ValueError(
                "noise must be finite numbers. Received: noise with NaN or infinite values"
            )
        self._check_solver(steps, solver, batch_size)
        parts = self._conditions_of(condition, len(noise))
        strength = None
        if self._check_guidance(guidance, parts):
            strength = tf.constant(guidance, tf.float32)
        follow = self._function(self.followed, solver)
        return self._computed(
            lambda noise, condition: follow(noise, condition, tf.constant(int(steps)), strength),
            (noise, parts),
            batch_size,
        )

    @takes_any_data("a", "b", "condition")
    def interpolate(
        self,
        a: Any,
        b: Any,
        condition: Any = None,
        *,
        points: int = 8,
        steps: int = STEPS,
        solver: str = "heun",
        batch_size: int = 128,
    ) -> np.ndarray:
        """Go from examples to others through their noise, along the arc between the two.

        Args:
            a: Examples `[count, *example_shape]`.
            b: As many others.
            condition: A condition for each pair, or `None` to tell none.
            points: Of each way, both ends included, at least 2. Defaults to 8.
            steps: As in `sample`.
            solver: As in `sample`.
            batch_size: Examples made at once.

        Returns:
            Float32 `[count, points, *example_shape]`.

        Raises:
            ValueError: If there are unequal numbers of examples or fewer than 2 points.

        Reference:
            Song, Meng and Ermon, Denoising diffusion implicit models, 2021.
        """
        check_count("points", points, 2)
        if len(a) != len(b):
            raise ValueError(
                "interpolate needs as many examples b as a. "
                f"Received: {len(a)} and {len(b)} examples"
            )
        options = {"steps": steps, "solver": solver, "batch_size": batch_size}
        start, end = (self.encode(each, condition, **options) for each in (a, b))
        noise = spherical_line(start, end, points).reshape(-1, *self.example_shape)
        if condition is not None:
            condition = keras.tree.map_structure(
                lambda each: np.repeat(np.asarray(each), points, axis=0), condition
            )
        made = self.decode(noise, condition, **options)
        return made.reshape(len(start), points, *made.shape[1:])

    @takes_any_data("x", "condition")
    def log_likelihood(
        self,
        x: Any,
        condition: Any = None,
        *,
        steps: int = 100,
        divergence: str = "auto",
        probes: int = 1,
        seed: int | None = 0,
        solver: str = "heun",
        batch_size: int = 100,
    ) -> np.ndarray:
        """The logarithm of the density of examples under the flow, by the change of variables.

            log p(x) = log N(x_0; 0, 1) - integral of div v(x_t, t) dt from 0 to 1

        along the way that ends in x. It is a density over numbers in the value range: of images it
        is to be read against other models of the same range only.

        Args:
            x: Examples `[count, *example_shape]`.
            condition: A condition for each, for log p(x | condition); `None` to tell none.
            steps: Of the solver. Defaults to 100.
            divergence: `"exact"`, which asks the network's slope once for each value of an example,
                `"hutchinson"`, an unbiased estimate by random probes, or `"auto"` (default): exact
                up to 64 values.
            probes: Random probes of `"hutchinson"`. Defaults to 1.
            seed: Of the probes; `None` draws fresh ones. Defaults to 0.
            solver: As in `sample`.
            batch_size: Examples at a time.

        Returns:
            Nats per example, float32 `[count]`.

        Raises:
            ValueError: If examples or conditions are none of this model's, or an argument is out of
                its range.

        Reference:
            Chen et al., Neural ordinary differential equations, 2018; Grathwohl et al., FFJORD,
            2019.
        """
        self.check_examples(x)
        self._check_solver(steps, solver, batch_size)
        check_count("probes", probes)
        if divergence == "auto":
            few = math.prod(self.example_shape) <= MOST_VALUES_EXACT
            divergence = "exact" if few else "hutchinson"
        DIVERGENCES.find(divergence, " or 'auto'")
        parts = self._conditions_of(condition, len(x))
        number = 0 if divergence == "exact" else int(probes)
        drawn = tf.random.stateless_uniform(
            [len(x), number, *self.example_shape], sampling_seed(seed)
        )
        density = self._function(self._log_density, solver, divergence)
        return self._computed(
            lambda x, condition, drawn: density(x, condition, drawn, tf.constant(int(steps))),
            (x, parts, drawn),
            batch_size,
        )

    # Filling in

    @takes_any_data("x", "condition")
    def inpaint(
        self,
        x: Any,
        mask: Any,
        condition: Any = None,
        *,
        steps: int = 50,
        rounds: int = 4,
        guidance: float = 1.0,
        solver: str = "euler",
        seed: int | None = None,
        batch_size: int = 128,
    ) -> np.ndarray:
        """Make anew what a mask hides, so that it fits what it does not; see `inpainted`.

        Args:
            x: Examples `[count, *example_shape]`; any numbers in the range where hidden.
            mask: Booleans or 0 and 1, `True` where a value is to be made: of one example (or one
                that broadcasts to it, such as `[height, width, 1]`), or one for each.
            condition: A condition for each, or `None` to tell none.
            steps: Of the solver. Defaults to 50.
            rounds: How often each step is taken, the more the better what is made fits. Defaults to
                4.
            guidance: As in `sample`.
            solver: `"euler"` (default) or `"heun"`.
            seed: As in `sample`, with the same `batch_size`.
            batch_size: Examples at a time.

        Returns:
            Float32 `[count, *example_shape]`, equal to `x` where nothing is hidden.

        Raises:
            ValueError: If examples, mask or conditions are none of this model's.

        Reference:
            Lugmayr et al., RePaint: inpainting using denoising diffusion probabilistic models,
            2022.
        """
        self.check_examples(x)
        self._check_solver(steps, solver, batch_size)
        check_count("rounds", rounds)
        hidden = self._checked_mask(mask, len(x))
        parts = self._conditions_of(condition, len(x))
        strength = None
        if self._check_guidance(guidance, parts):
            strength = tf.constant(guidance, tf.float32)
        base = sampling_seed(seed)
        # Its noise is drawn on the way, which XLA would draw otherwise.
        fill = self._function(self._filled, solver, jit_compile=False)
        batch = iter(range(len(x)))
        return self._computed(
            lambda x, hidden, condition: fill(
                x,
                hidden,
                condition,
                tf.random.experimental.stateless_fold_in(base, next(batch)),
                tf.constant(int(steps)),
                tf.constant(int(rounds)),
                strength,
            ),
            (x, hidden, parts),
            batch_size,
        )

    def _checked_mask(self, mask: Any, count: int) -> np.ndarray:
        values = np.asarray(mask)
        if values.dtype.kind not in "buif" or not np.isin(values, (0, 1)).all():
            others = values[~np.isin(values, (0, 1))] if values.dtype.kind in "buif" else values
            raise ValueError(
                "mask must hold booleans, or 0 and 1, which is to be made: of another image, "
                "mask > 0, say. "
                f"Received: values of type {values.dtype}, {others.flat[0]!s:.50} among them"
            )
        whole = (count, *self.example_shape)
        try:
            return np.ascontiguousarray(np.broadcast_to(values.astype(bool), whole))
        except ValueError:
            raise ValueError(
                f"mask must broadcast to {list(whole)}, such as a mask of one example or one for "
                "each; one without channels is mask[..., None]. "
                f"Received: shape {list(values.shape)}"
            ) from None

    # What is asked for

    def _asked(self, condition: Any, count: Any) -> tuple[tuple[Any, ...], int]:
        """One structure of conditions or none, and how many samples."""
        if not self.has_conditions and condition is not None:
            if count is not None:
                raise ValueError(
                    "A model without conditions takes the number of samples alone. "
                    f"Received: {condition!r:.100} and count={count!r}"
                )
            condition, count = None, condition
        if condition is None:
            count = 64 if count is None else count
            check_count("count", count)
            return self._conditions_of(None, int(count)), int(count)
        condition = condition if isinstance(condition, tf.Tensor) else np.asarray(condition)
        parts = self._conditions_of(condition, None)
        if count is not None and count != len(condition):
            raise ValueError(
                "There is one sample a condition; leave count out. Received: "
                f"count={count} for {len(condition)} conditions"
            )
        return parts, len(condition)
