"""Pictures of images and what a translator makes of them, epoch by epoch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.callbacks.epoch_pictures import EpochPictures

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class TranslationGrid(EpochPictures):
    """Draws images in a row and what the model makes of them in the rows below.

    For the models from images to images: `Pix2Pix` and `Enhancer` (with the targets, if given),
    `CycleGAN` (there and back) and `StyleTransfer` (a row for each style).

    Args:
        images: The model's inputs, `[count, height, width, channels]`; about eight. Of an
            `Enhancer` the spoilt ones, `model.degrade(clean, seed=0)`.
        targets: Their targets, for `Pix2Pix` and `Enhancer`.
        folder: Where `epoch_0001.png`, ... go; `None` for no files.
        every: Epochs from one picture to the next; the first epoch always has one.
        log_dir: Where TensorBoard looks; `None` for no TensorBoard images.
        seed: Of a `Pix2Pix`'s noise, the same in every picture. Defaults to 0.
        root: Folder that the files must stay in; a link between it and `folder` is refused.
            Defaults to `folder`.

    Raises:
        ValueError: If `images` are none, there is neither a folder nor a `log_dir`, `every` is not
            positive, or, when training starts, the model draws no such grid or takes no targets.

    Example:
        ```python
        import tempfile
        import keras_transgen as ktg

        images, _ = ktg.datasets.load_digits()
        model = ktg.Pix2Pix((8, 8, 1), filters=4, value_range=(0.0, 1.0))
        grid = ktg.callbacks.TranslationGrid(images[:8], 1.0 - images[:8], tempfile.mkdtemp())
        model.fit(images[:64], 1.0 - images[:64], epochs=1, verbose=0, callbacks=[grid])
        ```
    """

    def __init__(
        self,
        images: Any,
        targets: Any = None,
        folder: str | Path | None = "translations",
        every: int = 1,
        log_dir: str | Path | None = None,
        seed: int = 0,
        root: str | Path | None = None,
    ) -> None:
        super().__init__(folder, every, log_dir, root)
        self.inputs = np.asarray(images)
        self.targets = targets
        self.seed = seed
        if self.inputs.ndim != 4 or not len(self.inputs):
            raise ValueError(
                "images must have the shape [count, height, width, channels]. "
                f"Received: images of shape {self.inputs.shape}"
            )

    def on_train_begin(self, logs: dict | None = None) -> None:
        name = type(self.model).__name__
        if not any(hasattr(self.model, each) for each in ("translation_grid", "style_grid")):
            raise ValueError(
                "TranslationGrid needs a model from images to images: Pix2Pix, CycleGAN, Enhancer "
                f"or StyleTransfer. Received: {name}"
            )
        if self.targets is not None and not hasattr(self.model, "translate"):
            raise ValueError(
                "Only Pix2Pix and Enhancer have a target for each image: leave targets out. "
                f"Received: targets for a {name}"
            )

    def drawn(self, title: str = "") -> tuple[Figure, np.ndarray]:
        """The model's own grid, and its pixels alone."""
        model: Any = self.model
        if hasattr(model, "style_grid"):
            figure = model.style_grid(self.inputs)
        elif hasattr(model, "translate"):
            figure = model.translation_grid(self.inputs, self.targets, seed=self.seed)
        else:
            figure = model.translation_grid(self.inputs)
        return figure, np.asarray(figure.axes[0].images[0].get_array())
