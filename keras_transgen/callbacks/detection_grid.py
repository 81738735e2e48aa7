"""Pictures of what a detector finds, epoch by epoch."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.callbacks.epoch_pictures import EpochPictures
from keras_transgen.plotting.appearance import as_png
from keras_transgen.plotting.boxes import plot_boxes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class DetectionGrid(EpochPictures):
    """Draws the boxes that a `Detector` finds in some images, after an epoch.

    Args:
        images: About eight images `[height, width, channels]`, of any sizes.
        truth: Their true boxes, drawn dashed: for each image a dict of `"boxes"` and `"labels"`.
        folder: Where `epoch_0001.png`, ... go; `None` for no files.
        every: Epochs from one picture to the next; the first epoch always has one.
        log_dir: Where TensorBoard looks; `None` for no TensorBoard images.
        score: Boxes of which the model is no surer are left out. Defaults to 0.3.
        root: Folder that the files must stay in; a link between it and `folder` is refused.
            Defaults to `folder`.

    Raises:
        ValueError: If there are no images, there is neither a folder nor a `log_dir`, `every` is
            not positive, or, when training starts, the model finds no boxes.

    Example:
        ```python
        import tempfile
        import numpy as np
        import keras_transgen as ktg

        images = np.zeros((8, 32, 32, 1), "float32")
        images[:, 8:20, 4:24] = 1.0
        objects = {"boxes": [[[4, 8, 24, 20]]] * 8, "labels": [[0]] * 8}
        model = ktg.Detector("digits", 1, image_size=32, scales=(2, 4), head_width=8)
        grid = ktg.callbacks.DetectionGrid(images[:2], folder=tempfile.mkdtemp())
        model.fit(images, objects, epochs=1, verbose=0, callbacks=[grid])
        ```
    """

    def __init__(
        self,
        images: Any,
        truth: Any = None,
        folder: str | Path | None = "detections",
        every: int = 1,
        log_dir: str | Path | None = None,
        score: float = 0.3,
        root: str | Path | None = None,
    ) -> None:
        super().__init__(folder, every, log_dir, root)
        self.pictures = [np.asarray(image) for image in images]
        self.truth = truth
        self.score = score
        if not self.pictures or any(image.ndim != 3 for image in self.pictures):
            raise ValueError(
                "images must be a list of [height, width, channels], or an array of them. "
                f"Received: {len(self.pictures)} of shapes "
                f"{[image.shape for image in self.pictures[:3]]}"
            )

    def on_train_begin(self, logs: dict | None = None) -> None:
        if not callable(getattr(self.model, "detect", None)):
            raise ValueError(
                "DetectionGrid needs a model that finds boxes, a Detector. "
                f"Received: {type(self.model).__name__}"
            )

    def drawn(self, title: str = "") -> tuple[Figure, np.ndarray]:
        """The figure, and its pixels."""
        from PIL import Image

        model: Any = self.model
        found = model.detect(self.pictures, score=self.score)
        figure = plot_boxes(
            self.pictures,
            found,
            self.truth,
            class_names=model.class_names,
            value_range=model.value_range,
            title=title,
        )
        picture = Image.open(io.BytesIO(as_png(figure)))
        pixels = np.asarray(picture.convert("RGB"), "float32") / 255.0
        return figure, pixels
