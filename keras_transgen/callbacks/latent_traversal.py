"""Pictures of what each latent unit does, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.callbacks.epoch_pictures import EpochPictures, require_methods
from keras_transgen.plotting.traversal import plot_traversal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_UNITS = 10


class LatentTraversal(EpochPictures):
    """Draws a row for each latent unit, which moves while the others rest.

    For any model with `traverse(x, dims, values, z)` that makes images, such as `VAE`.

    Args:
        x: One image to start from, `[height, width, channels]` or with a batch axis of 1. `None`
            starts from the zero vector.
        folder: Where `epoch_0001.png`, ... go; `None` for no files.
        dims: Latent units; defaults to the first ten.
        values: What each unit takes, in standard deviations of the prior.
        every: Epochs from one picture to the next; the first epoch always has one.
        log_dir: Where TensorBoard looks; `None` for no TensorBoard images.
        root: Folder that the files must stay in; a link between it and `folder` is refused.
            Defaults to `folder`.

    Raises:
        ValueError: If there is neither a folder nor a `log_dir`, `every` is not positive, or, when
            training starts, the model has no latent units to move.

    Example:
        ```python
        import tempfile
        import keras_transgen as ktg

        images, _ = ktg.datasets.load_digits()
        vae = ktg.VAE(input_shape=(8, 8, 1), latent_dim=4)
        traversal = ktg.callbacks.LatentTraversal(images[0], tempfile.mkdtemp())
        vae.fit(images, epochs=1, verbose=0, callbacks=[traversal])
        ```
    """

    def __init__(
        self,
        x: Any = None,
        folder: str | Path | None = "traversals",
        dims: Sequence[int] | None = None,
        values: Sequence[float] = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0),
        every: int = 1,
        log_dir: str | Path | None = None,
        root: str | Path | None = None,
    ) -> None:
        super().__init__(folder, every, log_dir, root)
        self.x = None if x is None else np.asarray(x)
        self.dims = dims
        self.values = list(values)

    def on_train_begin(self, logs: dict | None = None) -> None:
        require_methods(self.model, "LatentTraversal", "traverse")
        if self.x is not None and self.x.ndim == 3:
            self.x = self.x[None]

    def images(self) -> np.ndarray:
        start = {"x": self.x}
        if self.x is None:
            start = {"z": np.zeros((1, self.model.latent_dim), "float32")}
        moved = self.model.traverse(**start, dims=self._units(), values=self.values)
        return np.asarray(moved)[0]

    def figure(self, images: np.ndarray, value_range: tuple[float, float], title: str) -> Figure:
        names = [f"unit {unit}" for unit in self._units()]
        return plot_traversal(
            images, self.values, unit_names=names, value_range=value_range, title=title
        )

    def _units(self) -> list[int]:
        if self.dims is not None:
            return list(self.dims)
        return list(range(min(self.model.latent_dim, _MOST_UNITS)))
