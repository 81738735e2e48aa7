"""Classes as normal distributions of latent vectors, from labels and from rows without any."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp


class LatentClasses(NamedTuple):
    """Normal distributions of the classes, one covariance for all.

    Attributes:
        means: float64 `[classes, latent_dim]`; zero for a class without labelled rows.
        covariance: float64 `[latent_dim, latent_dim]`, of latent vectors within a class.
        known: Whether a class has labelled rows, booleans `[classes]`.
        proportions: Shares of the classes among the unlabelled rows, float64 `[classes]`; among
            the labelled ones where no others were given.
        probabilities: Of the classes for each unlabelled row, float64 `[count, classes]`.
        bounds: The lower bound of the log likelihood before each iteration and after the last,
            nats for all rows; empty where nothing was iterated.
    """

    means: np.ndarray
    covariance: np.ndarray
    known: np.ndarray
    proportions: np.ndarray
    probabilities: np.ndarray
    bounds: tuple[float, ...]


def classes_of_labelled(
    means: np.ndarray, variances: np.ndarray, labels: np.ndarray, num_classes: int
) -> LatentClasses:
    """The classes of labelled rows: maximum likelihood, in closed form.

    Args:
        means: Posterior means of the rows, `[count, latent_dim]`.
        variances: Posterior variances, of the same shape.
        labels: Integers `[count]`.
        num_classes: Number of classes.

    Returns:
        The mean of each class, and the mean squared deviation from it plus the posteriors' own
        variance.
    """
    one_hot = np.eye(num_classes)[labels]
    counts = one_hot.sum(axis=0)
    nobody = np.zeros((0, num_classes))
    found = _maximised(one_hot, means, variances)
    return LatentClasses(*found, counts > 0, counts / len(labels), nobody, ())


def classes_of_all(
    labelled: tuple[np.ndarray, np.ndarray],
    labels: np.ndarray,
    unlabelled: tuple[np.ndarray, np.ndarray],
    num_classes: int,
    unlabelled_weight: float = 1.0,
    iterations: int = 200,
    tolerance: float = 1e-5,
) -> LatentClasses:
    """The classes of labelled and unlabelled rows, by expectation maximisation.

    A row is known by its posterior q(z) = N(mu, diag(v)). What rises is the bound

        sum over labelled of    E_q[log N(z; m_y, S)]
        + w * sum over unlabelled of  log sum over c of p_c exp(E_q[log N(z; m_c, S)])

    in the means m, the shared covariance S and the proportions p of the unlabelled rows, from the
    labelled rows' own. Labelled rows stay in their class, and say nothing of the proportions: that
    somebody labelled five of a class tells how many were asked for. scikit-learn's
    `GaussianMixture` has neither rows that are fixed nor rows with a variance.

    Args:
        labelled: Posterior means and variances, `[count, latent_dim]` each.
        labels: Integers `[count]`.
        unlabelled: Posterior means and variances of the rows without labels.
        num_classes: Number of classes. Those without a labelled row are left out.
        unlabelled_weight: What an unlabelled row counts beside a labelled one, `w`. Classes that
            are no normals are found worse by many such rows than by the labels. With 0 the classes
            are those of the labels, and the proportions alone are found. Defaults to 1.
        iterations: Most of them. Defaults to 200.
        tolerance: Rise of the bound, in nats a row, under which it ends. Defaults to 1e-5.

    Reference:
        Dempster, Laird and Rubin, Maximum Likelihood from Incomplete Data via the EM Algorithm,
        1977; Nigam et al., Text Classification from Labeled and Unlabeled Documents using EM, 2000
        (labelled rows fixed, the others weighed down).
    """
    one_hot = np.eye(num_classes)[labels]
    known = one_hot.sum(axis=0) > 0
    means = np.concatenate([labelled[0], unlabelled[0]])
    variances = np.concatenate([labelled[1], unlabelled[1]])
    first = classes_of_labelled(*labelled, labels, num_classes)
    classes, covariance = first.means, first.covariance
    counted = unlabelled_weight or 1.0
    proportions = known / known.sum()
    bounds: list[float] = []
    while True:
        densities = _expected_log_densities(means, variances, classes, covariance)
        with np.errstate(divide="ignore"):
            joint = densities[len(labels) :] + np.log(proportions)
        each = logsumexp(joint, axis=1)
        probabilities = np.exp(joint - each[:, None])
        bounds.append(float((densities[: len(labels)] * one_hot).sum() + counted * each.sum()))
        done = len(bounds) > 1 and bounds[-1] - bounds[-2] <= tolerance * len(means)
        if done or len(bounds) > iterations:
            break
        if unlabelled_weight:
            shares = np.concatenate([one_hot, unlabelled_weight * probabilities])
            classes, covariance = _maximised(shares, means, variances)
        proportions = probabilities.mean(axis=0)
    return LatentClasses(classes, covariance, known, proportions, probabilities, tuple(bounds))


def check_unlabelled_weight(unlabelled_weight: float) -> None:
    """Refuse what cannot weigh unlabelled rows."""
    is_number = isinstance(unlabelled_weight, (int, float, np.number))
    if not is_number or not 0.0 <= unlabelled_weight < np.inf:
        raise ValueError(
            "unlabelled_weight must be at least 0: what an unlabelled row counts beside a "
            f"labelled one. Received: unlabelled_weight={unlabelled_weight!r:.100}"
        )


def _maximised(
    shares: np.ndarray, means: np.ndarray, variances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means and covariance of rows that belong to the classes by shares `[count, classes]`.

    A row counts as much as its shares sum to.
    """
    counts, weights = shares.sum(axis=0), shares.sum(axis=1)
    # A class without rows has the mean zero.
    classes = shares.T @ means / np.maximum(counts, np.finfo(float).tiny)[:, None]
    # The squares about the class means, without an array for each class.
    within = (means * weights[:, None]).T @ means - (classes * counts[:, None]).T @ classes
    covariance = (within + np.diag(weights @ variances)) / weights.sum()
    return classes, (covariance + covariance.T) / 2.0


def _expected_log_densities(
    means: np.ndarray, variances: np.ndarray, classes: np.ndarray, covariance: np.ndarray
) -> np.ndarray:
    """E_q[log N(z; m_c, S)] of each row and class, `[count, classes]`."""
    inverse = np.linalg.inv(covariance)
    # |mu - m|^2 in the metric of S, through its factor.
    factor = np.linalg.cholesky(inverse)
    rows, centres = means @ factor, classes @ factor
    squares = np.square(rows[:, None, :] - centres[None]).sum(axis=2)
    own = variances @ np.diag(inverse)
    constant = len(covariance) * np.log(2.0 * np.pi) + np.linalg.slogdet(covariance)[1]
    return -0.5 * (squares + own[:, None] + constant)
