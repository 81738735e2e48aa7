"""What callbacks that draw a picture after an epoch share: when, where to, and TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_transgen.datasets.whole_file import refuse_files_above, refuse_links_below
from keras_transgen.plotting.mosaic import image_mosaic
from keras_transgen.plotting.save_figure import save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class EpochPictures(keras.callbacks.Callback):
    """Draws after an epoch, to files and to TensorBoard; a subclass says what."""

    def __init__(
        self,
        folder: str | Path | None,
        every: int,
        log_dir: str | Path | None,
        root: str | Path | None = None,
    ) -> None:
        super().__init__()
        if folder is None and log_dir is None:
            raise ValueError(
                "A picture must go somewhere: give folder= or log_dir=. Received: neither"
            )
        if every < 1:
            raise ValueError(f"every must be at least 1 epoch. Received: every={every}")
        self.folder = None if folder is None else Path(folder)
        self.every = every
        self.log_dir = log_dir
        self.root = root
        self._writer: Any = None
        if self.folder is not None:
            # Before training, and not after its first epoch.
            self.place(0)
            refuse_files_above(self.folder)

    def images(self) -> np.ndarray:
        """The pictures' parts, `[rows, columns, height, width, channels]`."""
        raise NotImplementedError

    def figure(self, images: np.ndarray, value_range: tuple[float, float], title: str) -> Figure:
        """The figure that shows them."""
        raise NotImplementedError

    def place(self, epoch: int) -> Path:
        """The file of an epoch, which is counted from zero.

        Raises:
            ValueError: If a link leads out of `root`.
        """
        assert self.folder is not None
        file = self.folder / f"epoch_{epoch + 1:04d}.png"
        refuse_links_below(self.folder if self.root is None else self.root, file)
        return file

    def drawn(self, title: str) -> tuple[Figure, np.ndarray]:
        """The figure, and its pixels alone, without names and margins."""
        images = self.images()
        value_range = getattr(self.model, "value_range", None) or (0.0, 1.0)
        mosaic = image_mosaic(images, value_range=value_range)
        return self.figure(images, value_range, title), mosaic

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        is_last = epoch + 1 == (self.params or {}).get("epochs")
        if epoch % self.every and not is_last:
            return
        figure, mosaic = self.drawn(f"epoch {epoch + 1}")
        if self.folder is not None:
            save_figure(figure, self.place(epoch))
        if self.log_dir is not None:
            self._write(mosaic, epoch)

    def on_train_end(self, logs: dict | None = None) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self, mosaic: np.ndarray, epoch: int) -> None:
        import tensorflow as tf

        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.log_dir))
        name = type(self).__name__
        with self._writer.as_default():
            tf.summary.image(name, mosaic[None], step=epoch)
        self._writer.flush()


def require_methods(model: Any, callback: str, *methods: str) -> None:
    """Refuse a model that cannot give what a callback draws."""
    missing = [name for name in methods if not callable(getattr(model, name, None))]
    if missing:
        raise ValueError(
            f"{callback} needs a model with {', '.join(methods)}, such as a VAE. "
            f"Received: {type(model).__name__} without {', '.join(missing)}"
        )
