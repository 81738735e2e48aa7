"""Draw a few labelled examples of every class."""

import numpy as np


def sample_per_class(labels: np.ndarray, k: int, seed: int = 0) -> np.ndarray:
    """Indices of `k` random examples of every class.

    With the same seed, a smaller `k` draws a part of what a larger `k` draws, so that accuracies
    at several `k` differ by the added examples and not by the draw.

    Args:
        labels: Class of each example, `[count]`, integers or strings.
        k: Examples per class, at least 1.
        seed: Which draw; the same seed always gives the same one. Defaults to 0.

    Returns:
        Indices int64 `[classes * k]`, ascending, without repetition.

    Raises:
        ValueError: If labels are not `[count]`, `k` is below 1, or a class has fewer than `k`
            examples.

    Example:
        ```python
        from keras_transgen.datasets import load_digits, sample_per_class

        images, labels = load_digits()
        few = sample_per_class(labels, k=10)
        assert images[few].shape == (100, 8, 8, 1)
        ```
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(
            "sample_per_class expected one label per example, of shape [count]. "
            f"Received: labels.shape={labels.shape}"
        )
    if k < 1:
        raise ValueError(f"sample_per_class expected k of at least 1. Received: k={k}")
    names, counts = np.unique(labels, return_counts=True)
    if counts.min() < k:
        rarest = counts.argmin()
        raise ValueError(
            f"sample_per_class expected at least k={k} examples of every class. Lower k or add "
            f"examples. Received: {counts[rarest]} example(s) of class {names[rarest]}"
        )
    random = np.random.default_rng(seed)
    drawn = [random.permutation(np.flatnonzero(labels == name))[:k] for name in names]
    return np.sort(np.concatenate(drawn))
