"""The photographs of ants and bees as arrays."""

from pathlib import Path

import numpy as np

from keras_transgen.datasets import image_folder


def ants_bees(shared_folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images `[count, 224, 224, 3]` in [0, 1] and labels, for training and validation."""
    parts = []
    for part in ("train", "val"):
        batches = list(
            image_folder(
                shared_folder / "data" / "ants_bees" / part,
                image_size=224,
                crop_to_aspect_ratio=True,
            )
        )
        images, labels = zip(*batches)
        parts.append((np.concatenate(images), np.concatenate(labels)))
    return parts
