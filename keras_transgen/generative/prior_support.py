"""Whether a prior reaches every latent vector that a posterior may draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

# How far from zero the prior is tried, in both directions; where its density is computed, and
# where only its support is asked for: densities of good priors underflow far from zero.
_NEAR = (0.01, 0.5, 2.0, 5.0)
_FAR = (100.0, 1e4)
_TOLERANCE = 1e-2


def refuse_partial_support(prior: tfd.Distribution, latent_dim: int) -> None:
    """Refuse a prior that gives some latent vectors no density.

    The posterior is normal, so it draws vectors from all of R^n. Where the prior has no density
    there, KL(q(z|x) || p(z)) is infinite; and TFP's `log_prob` outside of a distribution's support
    is often a number that goes on the formula, with which the KL falls below zero.

    Args:
        prior: TFP distribution over vectors.
        latent_dim: Their length.

    Raises:
        ValueError: If a vector is outside of its support.
    """
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (16, latent_dim))
    signs[:2] = [[1.0], [-1.0]]
    tried = np.concatenate([distance * signs for distance in _NEAR + _FAR]).astype("float32")
    near = len(_NEAR) * len(signs)
    inside = _in_support(prior, tried)
    inside[:near] &= np.isfinite(np.asarray(prior.log_prob(tf.constant(tried[:near]))))
    if not inside.all():
        outside = tried[np.argmin(inside)]
        raise ValueError(
            "A prior must reach every latent vector (R^n), since the posterior, a normal "
            "distribution, draws from everywhere: the KL from a prior that does not is infinite. "
            "Take one whose support is all of it: a normal, Student's t, Laplace or logistic "
            "distribution, or a mixture of them. Received: "
            f"{_description(prior)}, which has no density at {_numbers(outside)}"
        )


def _in_support(prior: tfd.Distribution, tried: np.ndarray) -> Any:
    """Which vectors a prior reaches, as far as TFP knows its support."""
    if isinstance(prior, tfd.MixtureSameFamily):
        components = prior.components_distribution
        return _in_event_space(components, tried[:, np.newaxis]).any(axis=-1)
    if isinstance(prior, tfd.Mixture):
        reached = [_in_support(part, tried) for part in prior.components]
        return np.stack(reached).any(axis=0)
    if isinstance(prior, tfd.Blockwise):
        sizes = [part.event_shape.num_elements() for part in prior.distributions]
        blocks = np.split(tried, np.cumsum(sizes)[:-1], axis=-1)
        pairs = zip(prior.distributions, blocks)
        return np.stack([_in_support(part, block) for part, block in pairs]).all(axis=0)
    return _in_event_space(prior, tried)


def _in_event_space(prior: tfd.Distribution, tried: np.ndarray) -> Any:
    """Which vectors come back from the unconstrained space that TFP maps onto the support."""
    try:
        bijector = prior.experimental_default_event_space_bijector()
    except NotImplementedError:
        bijector = None
    except TypeError:
        # Those onto a space of fewer dimensions (a simplex, a point) cannot be made beside NumPy 2.
        return np.zeros(tried.shape[:-1], bool)
    if bijector is None:
        return np.ones(tried.shape[:-1], bool)
    unconstrained = tf.convert_to_tensor(bijector.inverse(tf.constant(tried)))
    # `inverse` remembers what it came from, and `forward` would answer from memory.
    back = np.asarray(bijector.forward(tf.identity(unconstrained)))
    if back.shape[-1] != tried.shape[-1]:
        return np.zeros(tried.shape[:-1], bool)
    near = np.abs(back - tried) <= _TOLERANCE * (1.0 + np.abs(tried))
    return np.isfinite(np.asarray(unconstrained)).all(axis=-1) & near.all(axis=-1)


def _description(prior: Any) -> str:
    inner = getattr(prior, "distribution", None) or getattr(prior, "components_distribution", None)
    name = type(prior).__name__
    return f"{name}({_description(inner)})" if isinstance(inner, tfd.Distribution) else name


def _numbers(vector: np.ndarray) -> str:
    shown = ", ".join(f"{value:g}" for value in vector[:4])
    return f"[{shown}{', ...' if len(vector) > 4 else ''}]"
