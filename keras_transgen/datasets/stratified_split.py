"""Split examples in two parts in which every class has the same share."""

import numpy as np


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
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(
            "stratified_split expected one label per example, of shape [count]. "
            f"Received: labels.shape={labels.shape}"
        )
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
