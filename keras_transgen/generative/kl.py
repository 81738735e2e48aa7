"""The Kullback-Leibler divergence of the posterior from the prior, and free bits."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow_probability import distributions as tfd


def kl_by_group(posterior: Any, prior: Any, samples: Any) -> tf.Tensor:
    """KL(q(z|x) || p(z)) of each example, by latent unit where the prior treats them apart.

    With a prior of independent normal units it is the analytic divergence of each unit,
    `[batch, latent_dim]`. With any other prior the units are one group, `[batch, 1]`: its
    divergence is TFP's analytic one where TFP knows it, and otherwise the Monte Carlo estimate
    `log q(z|x) - log p(z)`, averaged over the samples.

    Args:
        posterior: `tfd.MultivariateNormalDiag` with batch shape `[batch]`.
        prior: TFP distribution over vectors `[latent_dim]`.
        samples: Draws from the posterior, `[batch, latent_dim]` or `[samples, batch, latent_dim]`.

    Reference:
        Kingma and Welling, "Auto-Encoding Variational Bayes", 2013, appendix B.
    """
    by_unit = _normal_units(prior)
    if by_unit is not None:
        units = tfd.Normal(posterior.mean(), posterior.stddev())
        # TFP loses the number of units where it is 1, since that could still be broadcast.
        return tf.ensure_shape(tfd.kl_divergence(units, by_unit), [None, posterior.event_shape[-1]])
    analytic = _registered(posterior, prior)
    if analytic is not None:
        return analytic[:, tf.newaxis]
    log_ratio = posterior.log_prob(samples) - prior.log_prob(samples)
    if samples.shape.rank == 3:
        log_ratio = tf.reduce_mean(log_ratio, axis=0)
    return log_ratio[:, tf.newaxis]


def sum_with_free_bits(
    kl: tf.Tensor, free_bits: float, mean_kl: tf.Tensor | None = None
) -> tf.Tensor:
    """The KL term of the loss, in which no group counts less than its free nats.

        sum over groups j of max(free_bits, mean over the batch of KL_j)

    A unit whose mean divergence is below the threshold gets no gradient from this term, so that it
    may carry information before it pays for it. `kl` is `[batch, groups]`; where that is a
    replica's part of the batch, `mean_kl` is the mean over the whole, `[groups]`.

    Reference:
        Kingma et al., "Improving Variational Inference with Inverse Autoregressive Flow", 2016.
    """
    local = tf.reduce_mean(kl, axis=0)
    if not free_bits:
        return tf.reduce_sum(local)
    decisive = local if mean_kl is None else mean_kl
    return tf.reduce_sum(tf.where(decisive > free_bits, local, free_bits))


def _normal_units(prior: Any) -> Any:
    """The prior's units as independent normals, or `None` where it is not made of such."""
    diagonal = type(prior) is tfd.MultivariateNormalDiag
    independent = isinstance(prior, tfd.Independent) and isinstance(prior.distribution, tfd.Normal)
    if diagonal or independent:
        return tfd.Normal(prior.mean(), prior.stddev())
    return None


def _registered(posterior: Any, prior: Any) -> tf.Tensor | None:
    """TFP's analytic divergence, tried in both forms of the posterior, or `None`."""
    same_family = tfd.Independent(tfd.Normal(posterior.mean(), posterior.stddev()), 1)
    for form in (posterior, same_family):
        try:
            return tfd.kl_divergence(form, prior)
        except NotImplementedError:
            continue
    return None
