"""BLEU of what a translator writes for held-out sources, in the logs of each epoch."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType

import keras

BLEU = "val_bleu"


class TranslationBleu(keras.callbacks.Callback):
    """Logs `val_bleu`, from 0 to 100: sacreBLEU's of the greedy translations of a few sources.

    Args:
        sources: Strings.
        targets: What would be right, as many.
    """

    def __init__(self, sources: Sequence[str], targets: Sequence[str]) -> None:
        super().__init__()
        self.sources, self.targets = list(sources), list(targets)
        self._sacrebleu = require_sacrebleu()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None:
            found = self.model.generate(self.sources)
            logs[BLEU] = self._sacrebleu.corpus_bleu(found, [self.targets]).score


def require_sacrebleu() -> ModuleType:
    """The library that counts BLEU.

    Raises:
        ImportError: It is not installed.
    """
    try:
        return importlib.import_module("sacrebleu")
    except ModuleNotFoundError as error:
        raise ImportError(
            "Expected sacreBLEU, for score='bleu'. Install the extra 'text': "
            f"pip install 'keras-transgen[text]'; score='loss' needs nothing. Received: {error}"
        ) from error
