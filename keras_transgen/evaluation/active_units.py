"""How many latent units a variational autoencoder uses."""

from typing import Any

from keras_transgen.evaluation.feature_matrix import feature_matrix, require_count


def active_units(posterior_means: Any, threshold: float = 0.01) -> int:
    """Number of latent units whose posterior mean varies over the data.

    A unit that the decoder ignores has a posterior equal to the prior whatever the input: its mean
    stays at one value, and its variance over the data is near 0.

    Args:
        posterior_means: Means of q(z|x), one row per example, `[count, latent_dim]`:
            `vae.encode(x).mean()`.
        threshold: Variance over the data above which a unit is active. Defaults to 0.01.

    Returns:
        The number of active units, 0 to `latent_dim`.

    Raises:
        ValueError: If the rank is wrong, a value is not finite, there are fewer than 2 rows, or
            the threshold is negative.

    Example:
        ```python
        import numpy as np
        from keras_transgen.evaluation import active_units

        means = np.random.default_rng(0).normal(size=(1000, 4)) * [1.0, 0.5, 0.01, 0.0]
        assert active_units(means) == 2
        ```

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016.
    """
    means = feature_matrix(posterior_means, "posterior_means")
    require_count(means, 2, "posterior_means", "a variance needs two")
    if threshold < 0.0:
        raise ValueError(f"Expected a threshold of at least 0. Received: threshold={threshold}")
    return int((means.var(axis=0) > threshold).sum())
