"""What a generative model sounds like, epoch by epoch, from the same noise."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_transgen.datasets.wave_file import write_wav
from keras_transgen.datasets.whole_file import refuse_files_above, refuse_links_below

_MOST_CLASSES = 16


class AudioSamples(keras.callbacks.Callback):
    """Writes samples of sound after an epoch, and after the last one; each time from one seed.

    For any model with `sample(count_or_condition, seed=)` that makes waves `[count, samples]` or
    `[count, samples, 1]`. What lies beyond [-1, 1] is cut off.

    Args:
        sample_rate: Samples per second.
        folder: Where `epoch_0001/sample_00.wav`, ... go; `None` for no files.
        count: Samples each time, of a model without conditions.
        condition: Conditions to sample for. Defaults to each class once, sixteen at most.
        every: Epochs from one time to the next; the first and the last epoch always have samples,
            also where training stops early.
        seed: Of the noise.
        log_dir: Where TensorBoard looks; `None` for no TensorBoard audio.
        sample_arguments: Further arguments of the model's `sample`, such as `{"seconds": 0.5}`.
        root: Folder that the files must stay in; a link between it and `folder` is refused.
            Defaults to `folder`.

    Raises:
        ValueError: If there is neither a folder nor a `log_dir`, `every` is not positive, or the
            model has no `sample` or makes other things than waves.

    Example:
        ```python
        import tempfile
        import numpy as np
        import keras_transgen as ktg

        seconds = np.arange(64) / 8000
        tones = np.sin(2 * np.pi * np.linspace(200, 900, 32)[:, None] * seconds)
        vae = ktg.VAE(input_shape=(64,), latent_dim=2, likelihood="gaussian")
        sound = ktg.callbacks.AudioSamples(8000, tempfile.mkdtemp(), count=2)
        vae.fit(tones.astype("float32"), epochs=1, verbose=0, callbacks=[sound])
        ```
    """

    def __init__(
        self,
        sample_rate: int,
        folder: str | Path | None = "samples",
        count: int = 4,
        condition: Any = None,
        every: int = 1,
        seed: int = 0,
        log_dir: str | Path | None = None,
        sample_arguments: dict[str, Any] | None = None,
        root: str | Path | None = None,
    ) -> None:
        super().__init__()
        if folder is None and log_dir is None:
            raise ValueError(
                "Samples must go somewhere: give folder= or log_dir=. Received: neither"
            )
        if every < 1:
            raise ValueError(f"every must be at least 1 epoch. Received: every={every}")
        self.sample_rate = sample_rate
        self.folder = None if folder is None else Path(folder)
        self.count, self.condition = count, condition
        self.every, self.seed = every, seed
        self.log_dir, self.root = log_dir, root
        self.sample_arguments = dict(sample_arguments or {})
        self._epoch = self._written = -1
        self._writer: Any = None
        if self.folder is not None:
            refuse_files_above(self.folder)
            # Before training, and not after its first epoch.
            self.place(0, 0)

    def place(self, epoch: int, number: int) -> Path:
        """The file of a sample of an epoch, both counted from zero.

        Raises:
            ValueError: If a link leads out of `root`.
        """
        assert self.folder is not None
        file = self.folder / f"epoch_{epoch + 1:04d}" / f"sample_{number:02d}.wav"
        refuse_links_below(self.folder if self.root is None else self.root, file)
        return file

    def waves(self) -> np.ndarray:
        """Samples of the model as it stands, float32 `[count, samples]` in [-1, 1]."""
        found = self.model.sample(**self._asked(), seed=self.seed, **self.sample_arguments)
        if isinstance(found, list):
            # Of a length of their own each: silence follows the shorter ones.
            found = keras.utils.pad_sequences(found, padding="post", dtype="float32")
        waves = np.asarray(found, "float32")
        if waves.ndim == 3 and waves.shape[2] == 1:
            waves = waves[:, :, 0]
        if waves.ndim != 2:
            raise ValueError(
                "AudioSamples needs a model whose samples are waves, [count, samples] or [count, "
                f"samples, 1]. Received: samples of shape {list(waves.shape)}"
            )
        return np.clip(np.nan_to_num(waves), -1.0, 1.0)

    def _asked(self) -> dict[str, Any]:
        """What of `sample`'s arguments says what to draw, by whatever name the model has for it."""
        condition, classes = self.condition, getattr(self.model, "num_classes", None)
        if condition is None and classes:
            condition = np.arange(min(classes, _MOST_CLASSES))
        names = inspect.signature(self.model.sample).parameters
        if condition is None and "count" in names:
            return {"count": self.count}
        return {next(iter(names)): self.count if condition is None else condition}

    def on_train_begin(self, logs: dict | None = None) -> None:
        if not callable(getattr(self.model, "sample", None)):
            raise ValueError(
                "AudioSamples needs a model with sample, such as a VAE or a GAN of waves. "
                f"Received: {type(self.model).__name__}"
            )
        self._epoch = self._written = -1

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch
        is_last = epoch + 1 == (self.params or {}).get("epochs")
        if epoch % self.every == 0 or is_last:
            self._write(epoch)

    def on_train_end(self, logs: dict | None = None) -> None:
        if self._epoch > self._written:
            # Training stopped before its last epoch.
            self._write(self._epoch)
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self, epoch: int) -> None:
        waves = self.waves()
        self._written = epoch
        if self.folder is not None:
            for number, wave in enumerate(waves):
                place = self.place(epoch, number)
                place.parent.mkdir(parents=True, exist_ok=True)
                write_wav(place, wave, self.sample_rate)
        if self.log_dir is not None:
            self._log(waves, epoch)

    def _log(self, waves: np.ndarray, epoch: int) -> None:
        import tensorflow as tf

        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.log_dir))
        with self._writer.as_default():
            tf.summary.audio(
                type(self).__name__,
                waves[:, :, None],
                self.sample_rate,
                step=epoch,
                max_outputs=len(waves),
            )
        self._writer.flush()
