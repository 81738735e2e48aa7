"""Texts that a model writes while it trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras

from keras_transgen.datasets.printable import printable_lines
from keras_transgen.training import write_whole_text


class TextPreview(keras.callbacks.Callback):
    """Shows a few texts after an epoch, and keeps them in a folder.

    Args:
        write: Gives the texts.
        every: Epochs from one showing to the next.
        folder: Where `epoch_0001.txt`, ... go.
    """

    def __init__(self, write: Callable[[], list[str]], every: int, folder: Path) -> None:
        super().__init__()
        self.write, self.every, self.folder = write, every, folder

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write them, now and then."""
        if epoch % self.every:
            return
        text = "\n---\n".join(self.write())
        print(f"\nAfter epoch {epoch + 1}:\n{printable_lines(text)}\n", flush=True)
        write_whole_text(self.folder / f"epoch_{epoch + 1:04d}.txt", f"{text}\n")
