"""Where examples lie in a model's latent space, for TensorBoard's projector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_transgen.datasets.whole_file import refuse_files_above, refuse_links_below
from keras_transgen.plotting.mosaic import image_mosaic
from keras_transgen.training import write_whole, write_whole_text

_FOLDER = "projector"
# A browser refuses larger images, so larger data go without pictures.
_LARGEST_SPRITE = 8192


class LatentProjector(keras.callbacks.Callback):
    """Writes the latent vectors of examples after an epoch, for TensorBoard's projector tab.

    Of a model with `encode`, such as a `VAE`, the posterior means; of a transfer model the features
    that its head receives. Each epoch is a tensor of its own to choose in the projector; labels
    and, of images, small pictures go with the points.

    Args:
        log_dir: Where TensorBoard looks.
        x: The examples, an array; some hundreds to some thousands.
        labels: A label for each, or rows of them with a name each in `label_names`.
        label_names: Names of the columns of `labels`.
        every: Epochs from one writing to the next; the first epoch always has one.
        batch_size: Examples at once. Defaults to 256.

    Raises:
        ValueError: If labels do not fit the examples, `every` is not positive, a link leads out of
            `log_dir`, or, when training starts, the model has neither `encode` nor `features`.

    Example:
        ```python
        import tempfile
        import keras_transgen as ktg

        images, labels = ktg.datasets.load_digits()
        vae = ktg.VAE(input_shape=(8, 8, 1), latent_dim=4)
        projector = ktg.callbacks.LatentProjector(tempfile.mkdtemp(), images[:300], labels[:300])
        vae.fit(images, epochs=1, verbose=0, callbacks=[projector])
        ```
    """

    def __init__(
        self,
        log_dir: str | Path,
        x: Any,
        labels: Any = None,
        label_names: Sequence[str] | None = None,
        every: int = 1,
        batch_size: int = 256,
    ) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be at least 1 epoch. Received: every={every}")
        self.log_dir = Path(log_dir)
        refuse_files_above(self.log_dir)
        self.x = np.asarray(x)
        self.labels = None if labels is None else np.asarray(labels).reshape(len(labels), -1)
        self.label_names = list(label_names or [])
        self.every = every
        self.batch_size = batch_size
        self._written: list[str] = []
        self._check_labels()

    def _check_labels(self) -> None:
        if self.labels is None:
            return
        if len(self.labels) != len(self.x):
            raise ValueError(
                "There must be a label for every example. "
                f"Received: {len(self.x)} examples, {len(self.labels)} labels"
            )
        columns = self.labels.shape[1]
        if columns > 1 and len(self.label_names or []) != columns:
            raise ValueError(
                "Several columns of labels need a name each in label_names. "
                f"Received: {columns} columns, label_names={self.label_names}"
            )

    def on_train_begin(self, logs: dict | None = None) -> None:
        if not (hasattr(self.model, "encode") or hasattr(self.model, "features")):
            raise ValueError(
                "LatentProjector needs a model with encode (a VAE) or features (a transfer model). "
                f"Received: {type(self.model).__name__}"
            )
        self._written = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if epoch % self.every:
            return
        folder = self.log_dir / _FOLDER
        refuse_links_below(self.log_dir, folder / "metadata.tsv")
        folder.mkdir(parents=True, exist_ok=True)
        if not self._written:
            self._write_labels(folder / "metadata.tsv")
            self._write_pictures(folder / "pictures.png")
        name = f"epoch_{epoch + 1:04d}"
        latents = self.latents()
        write_whole(
            str(folder / f"{name}.tsv"),
            lambda beside: np.savetxt(beside, latents, fmt="%.6g", delimiter="\t"),
        )
        self._written.append(name)
        self._write_configuration()

    def latents(self) -> np.ndarray:
        """The latent vectors of the examples, float32 `[count, size]`."""
        parts = []
        for start in range(0, len(self.x), self.batch_size):
            x = self.x[start : start + self.batch_size]
            encoded = (
                self.model.encode(x).mean()
                if hasattr(self.model, "encode")
                else self.model.features(keras.ops.convert_to_tensor(x), training=False)
            )
            parts.append(keras.ops.convert_to_numpy(encoded).reshape(len(x), -1))
        return np.concatenate(parts)

    def _write_labels(self, path: Path) -> None:
        if self.labels is None:
            return
        # One column goes without a heading, says the projector.
        heading = ["\t".join(self.label_names)] if self.labels.shape[1] > 1 else []
        rows = ["\t".join(map(str, row)) for row in self.labels]
        write_whole_text(path, "\n".join([*heading, *rows]) + "\n")

    def _write_pictures(self, path: Path) -> None:
        if not self._has_pictures():
            return
        span = getattr(self.model, "value_range", None) or (0.0, 1.0)
        sprite = image_mosaic(self.x, value_range=span, gap=0)
        write_whole(
            str(path), lambda beside: keras.utils.save_img(beside, 255 * sprite, scale=False)
        )

    def _has_pictures(self) -> bool:
        if self.x.ndim != 4 or self.x.shape[-1] not in (1, 3):
            return False
        side = int(np.ceil(np.sqrt(len(self.x))))
        return side * max(self.x.shape[1:3]) <= _LARGEST_SPRITE

    def _write_configuration(self) -> None:
        from google.protobuf import text_format
        from tensorboard.plugins import projector

        configuration = projector.ProjectorConfig()
        for name in self._written:
            entry = configuration.embeddings.add()
            entry.tensor_name = name
            entry.tensor_path = f"{_FOLDER}/{name}.tsv"
            if self.labels is not None:
                entry.metadata_path = f"{_FOLDER}/metadata.tsv"
            if self._has_pictures():
                entry.sprite.image_path = f"{_FOLDER}/pictures.png"
                height, width = self.x.shape[1:3]
                entry.sprite.single_image_dim.extend([width, height])
        # As projector.visualize_embeddings writes it, but through no link.
        text = text_format.MessageToString(configuration)
        write_whole_text(self.log_dir / projector.metadata.PROJECTOR_FILENAME, text)
