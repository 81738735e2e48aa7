"""What a translator writes for the same sources, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_transgen.datasets.printable import printable
from keras_transgen.datasets.whole_file import refuse_files_above, write_whole_text


class Translations(keras.callbacks.Callback):
    """Shows what a model with `generate(sources)` writes, after an epoch.

    Args:
        sources: A few texts.
        targets: What would be right, shown beside; as many, or `None`.
        every: Epochs from one showing to the next; the first and the last epoch
            always have one. Defaults to 1.
        folder: Where `epoch_0001.txt`, ... go; `None` (default) for the screen alone.
        quiet: Whether to leave the screen alone. Defaults to `False`.
        **options: Arguments of `generate`, such as `beam_width`.

    Raises:
        ValueError: There are no sources, not as many targets, or `every` is not positive.

    Example:
        ```python
        import keras_transgen as ktg

        english, german = ["one dog", "two dogs"], ["ein Hund", "zwei Hunde"]
        vocabulary = ktg.Vocabulary.characters(english + german)
        model = ktg.SequenceToSequence(vocabulary, num_layers=1, model_dim=16)
        show = ktg.callbacks.Translations(english, german, max_tokens=8)
        model.fit(english, german, verbose=0, callbacks=[show])
        ```
    """

    def __init__(
        self,
        sources: Sequence[str],
        targets: Sequence[str] | None = None,
        every: int = 1,
        folder: str | Path | None = None,
        quiet: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        self.sources = list(sources)
        self.targets = None if targets is None else list(targets)
        if isinstance(sources, str) or not self.sources:
            raise ValueError(f"sources must be a list of texts. Received: sources={sources!r}")
        if self.targets is not None and len(self.targets) != len(self.sources):
            raise ValueError(
                "There must be as many targets as sources. "
                f"Received: {len(self.sources)} sources and {len(self.targets)} targets"
            )
        if every < 1:
            raise ValueError(f"every must be at least 1. Received: every={every}")
        self.every = every
        self.folder = None if folder is None else Path(folder)
        if self.folder is not None:
            refuse_files_above(self.folder)
        self.quiet = quiet
        self.options = options

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write them, now and then."""
        is_last = epoch + 1 == (self.params or {}).get("epochs")
        if epoch % self.every and not is_last:
            return
        found = self.model.generate(self.sources, **self.options)
        lines = []
        for number, (source, text) in enumerate(zip(self.sources, found)):
            lines += [f"{printable(source)}", f"  -> {printable(text)}"]
            if self.targets is not None:
                lines.append(f"   = {printable(self.targets[number])}")
        if not self.quiet:
            print(f"\nEpoch {epoch + 1}", *lines, sep="\n", flush=True)
        if self.folder is not None:
            write_whole_text(self.folder / f"epoch_{epoch + 1:04d}.txt", "\n".join(lines) + "\n")
