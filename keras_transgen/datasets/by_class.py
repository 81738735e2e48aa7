"""Draw labelled examples class by class: a few of each, or the same share of each."""

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
    labels = _checked(labels, "sample_per_class")
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


def stratified_split(
    labels: np.ndarray, test_fraction: float = 0.2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of a training and a test part with equal shares of every class.

    Args:
        labels: Class of each example, `[count]`, integers or strings.
        test_fraction: Share of each class that goes to the test part, between 0 and 1.
            Defaults to 0.2.
        seed: Which split; the same seed always gives the same one. Defaults to 0.

    Returns:
        `(train_indices, test_indices)`, each int64 and ascending.

    Raises:
        ValueError: If labels are not `[count]`, the fraction is not between 0 and 1, or a class is
            so small that it would be missing from one part.

    Example:
        ```python
        import numpy as np
        from keras_transgen.datasets import stratified_split

        train, test = stratified_split(np.repeat([0, 1], 10), test_fraction=0.3)
        assert len(train) == 14 and len(test) == 6
        ```
    """
    labels = _checked(labels, "stratified_split")
    if not 0.0 < test_fraction < 1.0:
        raise ValueError(
            "stratified_split expected test_fraction between 0 and 1, both excluded. "
            f"Received: test_fraction={test_fraction}"
        )
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), dtype=bool)
    for name in np.unique(labels):
        members = np.flatnonzero(labels == name)
        test_count = round(test_fraction * len(members))
        if test_count in (0, len(members)):
            raise ValueError(
                "stratified_split expected enough examples of every class for both parts. Add "
                f"examples of class {name} or change test_fraction. Received: {len(members)} "
                f"example(s) of class {name} with test_fraction={test_fraction}"
            )
        chosen[random.permutation(members)[:test_count]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _checked(labels: np.ndarray, caller: str) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"{caller} expected one label per example, of shape [count]. "
            f"Received: labels.shape={labels.shape}"
        )
    return labels
