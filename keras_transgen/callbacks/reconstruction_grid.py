"""Pictures of images and their reconstructions, epoch by epoch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.callbacks.epoch_pictures import EpochPictures, require_methods
from keras_transgen.plotting.traversal import plot_traversal

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ReconstructionGrid(EpochPictures):
    """Draws images in a row and what the model makes of them in the row below.

    For any model with `reconstruct(x)`, such as `VAE`.

    Args:
        x: The images, `[count, height, width, channels]`; about ten.
        folder: Where `epoch_0001.png`, ... go; `None` for no files.
        every: Epochs from one picture to the next; the first epoch always has one.
        log_dir: Where TensorBoard looks; `None` for no TensorBoard images.
        root: Folder that the files must stay in; a link between it and `folder` is refused.
            Defaults to `folder`.

    Raises:
        ValueError: If `x` are no images, there is neither a folder nor a `log_dir`, `every` is not
            positive, or, when training starts, the model cannot reconstruct.

    Example:
        ```python
        import tempfile
        import keras_transgen as ktg

        images, _ = ktg.datasets.load_digits()
        vae = ktg.VAE(input_shape=(8, 8, 1), latent_dim=4)
        grid = ktg.callbacks.ReconstructionGrid(images[:10], tempfile.mkdtemp())
        vae.fit(images, epochs=1, verbose=0, callbacks=[grid])
        ```
    """

    def __init__(
        self,
        x: Any,
        folder: str | Path | None = "reconstructions",
        every: int = 1,
        log_dir: str | Path | None = None,
        root: str | Path | None = None,
    ) -> None:
        super().__init__(folder, every, log_dir, root)
        self.x = np.asarray(x)
        if self.x.ndim != 4 or not len(self.x):
            raise ValueError(
                f"x must be images [count, height, width, channels]. Received: shape {self.x.shape}"
            )

    def on_train_begin(self, logs: dict | None = None) -> None:
        require_methods(self.model, "ReconstructionGrid", "reconstruct", "scaled")

    def images(self) -> np.ndarray:
        return np.stack(
            [np.asarray(self.model.scaled(self.x)), np.asarray(self.model.reconstruct(self.x))]
        )

    def figure(self, images: np.ndarray, value_range: tuple[float, float], title: str) -> Figure:
        names = ["image", "reconstruction"]
        return plot_traversal(images, unit_names=names, value_range=value_range, title=title)
