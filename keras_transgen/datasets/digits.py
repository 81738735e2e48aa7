"""Scikit-learn's handwritten digits: real data that needs no download."""

import numpy as np

from keras_transgen.datasets.by_class import stratified_split

_LARGEST_COUNT = 16.0


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Scikit-learn's handwritten digits as grey images.

    Each pixel counts the dark points of a 4x4 block of the scan (0 to 16); it is divided by 16.

    Returns:
        `(images, labels)`: images float32 `[1797, 8, 8, 1]` in [0, 1], 1 is ink; labels int64
        `[1797]`, 0 to 9.

    Example:
        ```python
        from keras_transgen.datasets import load_digits

        images, labels = load_digits()
        assert images.shape == (1797, 8, 8, 1)
        ```

    Reference:
        Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, 1998.
    """
    from sklearn.datasets import load_digits as load_from_scikit_learn

    data = load_from_scikit_learn()
    images = (data.images / _LARGEST_COUNT).astype("float32")[..., np.newaxis]
    return images, data.target.astype("int64")


def load_digits_split(
    test_fraction: float = 0.2, seed: int = 0
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The digits in a fixed training and test part, in the form of `keras.datasets`.

    Every digit has the same share in both parts, and the same arguments always give the same parts.

    Args:
        test_fraction: Share of each class that goes to the test part, between 0 and 1.
            Defaults to 0.2 (1,438 training and 359 test images).
        seed: Which split. Defaults to 0.

    Returns:
        `(train_images, train_labels), (test_images, test_labels)`, types as in `load_digits`.

    Raises:
        ValueError: If `test_fraction` is not between 0 and 1 or leaves a class without images.

    Example:
        ```python
        from keras_transgen.datasets import load_digits_split

        (train_images, train_labels), (test_images, test_labels) = load_digits_split()
        ```
    """
    images, labels = load_digits()
    train, test = stratified_split(labels, test_fraction, seed)
    return (images[train], labels[train]), (images[test], labels[test])
