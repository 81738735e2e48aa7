"""Pictures of what a generative model makes, epoch by epoch, from the same noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_transgen.plotting.mosaic import image_mosaic
from keras_transgen.plotting.sample_grid import plot_sample_grid
from keras_transgen.plotting.save_figure import save_figure


class SampleGrid(keras.callbacks.Callback):
    """Draws a grid of samples after an epoch; every grid from the same noise.

    For any model with `sample(count_or_condition, seed=)` that makes images.

    Args:
        folder: Where `epoch_0001.png`, ... go; `None` for no files.
        count: Samples in the grid; for a conditional model give `condition`.
        condition: Conditions to sample for. Integer classes get a row each.
        every: Epochs from one grid to the next; the first epoch always has one.
        seed: Of the noise.
        log_dir: Where TensorBoard looks; `None` for no TensorBoard images.
        class_names: Names of the rows, for integer conditions.

    Raises:
        ValueError: If there is neither a folder nor a `log_dir`, or `every` is not positive.

    Example:
        ```python
        import numpy as np
        import tempfile
        import keras_transgen as ktg

        images, labels = ktg.datasets.load_digits()
        cgan = ktg.ConditionalGAN(10, (8, 8, 1), filters=4, value_range=(0.0, 1.0))
        grid = ktg.callbacks.SampleGrid(
            tempfile.mkdtemp(), condition=np.repeat(np.arange(10), 8)
        )
        cgan.fit(images, labels, batch_size=256, verbose=0, callbacks=[grid])
        ```
    """

    def __init__(
        self,
        folder: str | Path | None = "samples",
        count: int = 64,
        condition: Any = None,
        every: int = 1,
        seed: int = 0,
        log_dir: str | Path | None = None,
        class_names: list[str] | None = None,
    ) -> None:
        super().__init__()
        if folder is None and log_dir is None:
            raise ValueError(
                "A grid must go somewhere: give folder= or log_dir=. Received: neither"
            )
        if every < 1:
            raise ValueError(f"every must be at least 1 epoch. Received: every={every}")
        self.folder = None if folder is None else Path(folder)
        self.count = count
        self.condition = condition
        self.every = every
        self.seed = seed
        self.log_dir = log_dir
        self.class_names = class_names
        self._writer: Any = None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if epoch % self.every:
            return
        images = self._samples()
        span = getattr(self.model, "value_range", None) or (0.0, 1.0)
        labels = self._labels()
        if self.folder is not None:
            figure = plot_sample_grid(
                images,
                labels=labels,
                class_names=self.class_names if labels is not None else None,
                value_range=span,
                title=f"epoch {epoch + 1}",
            )
            save_figure(figure, self.folder / f"epoch_{epoch + 1:04d}.png")
        if self.log_dir is not None:
            self._write(image_mosaic(images, value_range=span), epoch)

    def on_train_end(self, logs: dict | None = None) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _samples(self) -> np.ndarray:
        what = self.count if self.condition is None else self.condition
        return np.asarray(self.model.sample(what, seed=self.seed))

    def _labels(self) -> np.ndarray | None:
        if self.condition is None:
            return None
        values = np.asarray(self.condition)
        return values if values.ndim == 1 and values.dtype.kind in "iu" else None

    def _write(self, mosaic: np.ndarray, epoch: int) -> None:
        import tensorflow as tf

        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.log_dir))
        with self._writer.as_default():
            tf.summary.image("samples", mosaic[None], step=epoch)
        self._writer.flush()
