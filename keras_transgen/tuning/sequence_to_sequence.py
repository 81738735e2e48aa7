"""Searches for the translator that expects, or writes, held-out targets best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_transgen.sequences import SequenceToSequence, Vocabulary
from keras_transgen.sequences.paired_texts import is_token_batches, paired_texts
from keras_transgen.sequences.sequence_model import checked_vocabulary
from keras_transgen.sequences.sizes import check_whole
from keras_transgen.training.batches import split_last
from keras_transgen.tuning.domains import log_range
from keras_transgen.tuning.search_space import Hyperparameter
from keras_transgen.tuning.text_hyper_model import OF_ALL, TextHyperModel
from keras_transgen.tuning.translation_bleu import BLEU, TranslationBleu, require_sacrebleu

SCORES = ("loss", "bleu")
_KNOWN = (
    Hyperparameter("num_layers", (2, 3, 4)),
    Hyperparameter("model_dim", (64, 128, 256)),
    Hyperparameter("num_heads", 4),
    Hyperparameter("dropout", (0.1, 0.2, 0.3)),
    Hyperparameter("label_smoothing", (0.0, 0.1)),
    Hyperparameter("learning_rate", log_range(5e-4, 5e-3, 2e-3)),
    Hyperparameter("batch_tokens"),
    Hyperparameter("copying", allowed=(False, True)),
    *OF_ALL,
)


class SequenceToSequenceHyperModel(TextHyperModel):
    """A search over translators between texts of given vocabularies.

    It goes into any tuner of Keras Tuner as it is, whose `search` takes what
    `SequenceToSequence.fit` takes, and `validation_split` for two lists of texts. `space=` changes
    the search space as in `TransferHyperModel`:

    | name | default |
    | --- | --- |
    | `num_layers` | 2, 3, 4: of the encoder, and of the decoder |
    | `model_dim` | 64, 128, 256 |
    | `num_heads` | 4 |
    | `dropout` | 0.1, 0.2, 0.3 |
    | `label_smoothing` | 0, 0.1 |
    | `learning_rate` | 5e-4 to 5e-3, log; the highest of AdamW, as in `SequenceToSequence.fit` |
    | `batch_tokens`, `batch_size` | those of `tuner.search` |
    | `feedforward_dim`, `positions`, `copying` | the model's |
    | `jit_compile` | `"auto"` (also: `True`, `False`): whether XLA compiles a trial's training |

    The objective is `val_loss`, the mean of -log p over the tokens of held-out targets in nats,
    ends included and without label smoothing, so that trials of any smoothing can be compared; or
    `val_bleu`, BLEU of what the model writes for held-out sources, one likeliest token after the
    other. Rates are scheduled, and models made anew, as in `LanguageModelHyperModel`.

    Args:
        source_vocabulary: As in `SequenceToSequence`.
        target_vocabulary: As in `SequenceToSequence`. Defaults to the same.
        context_length: As in `SequenceToSequence`. Defaults to 256.
        space: What to change in the space above.
        score: `"loss"` (default) or `"bleu"` from 0 to 100, sacreBLEU's with its own tokens, which
            needs `pip install 'keras-transgen[text]'`.
        translations: How many held-out pairs, at most, are translated for BLEU after each epoch;
            the same ones for all trials. Defaults to 200.
        chief_timeout: As in `TransferHyperModel`.
        name: As in `keras_tuner.HyperModel`.
        tunable: As in `keras_tuner.HyperModel`.
        **arguments: Further arguments of `SequenceToSequence` for all trials, such as `seed`.

    Raises:
        ValueError: A hyperparameter, a choice or an argument does not exist or is out of its range,
            a `model_dim` is no multiple of a `num_heads`, or two vocabularies cannot be copied.
        ImportError: BLEU is asked for, and sacreBLEU is not installed.
        ConnectionError: The chief of a distributed search does not answer.

    Example:
        ```python
        import keras_tuner
        import keras_transgen as ktg

        english, german = ["one dog", "two dogs"] * 20, ["ein Hund", "zwei Hunde"] * 20
        vocabulary = ktg.Vocabulary.characters(english + german)
        search = ktg.tuning.SequenceToSequenceHyperModel(
            vocabulary, context_length=32, space={"num_layers": 1, "model_dim": [8, 16]}
        )
        tuner = keras_tuner.RandomSearch(search, search.objective, max_trials=1, directory="runs")
        tuner.search(english, german, validation_split=0.2, epochs=1, verbose=0)
        (best,) = tuner.get_best_models()
        best.save("translator.keras")
        ```

    Reference:
        Vaswani et al., "Attention is all you need", 2017; Post, "A call for clarity in reporting
        BLEU scores", 2018.
    """

    model_class = SequenceToSequence

    def __init__(
        self,
        source_vocabulary: Vocabulary,
        target_vocabulary: Vocabulary | None = None,
        context_length: int = 256,
        *,
        space: Mapping[str, Any] | None = None,
        score: str = "loss",
        translations: int = 200,
        chief_timeout: float = 600.0,
        name: str | None = None,
        tunable: bool = True,
        **arguments: Any,
    ) -> None:
        if score not in SCORES:
            raise ValueError(f"score must be one of {SCORES}. Received: score={score!r}")
        if score == "bleu":
            require_sacrebleu()
        check_whole("translations", translations)
        self.score, self.translations = score, translations
        target_vocabulary = target_vocabulary or source_vocabulary
        vocabularies = {
            "source_vocabulary": checked_vocabulary(source_vocabulary, "source_vocabulary"),
            "target_vocabulary": checked_vocabulary(target_vocabulary, "target_vocabulary"),
        }
        super().__init__(
            _KNOWN,
            space,
            vocabularies,
            context_length,
            {"score": score, **({"translations": translations} if score == "bleu" else {})},
            arguments,
            chief_timeout,
            name,
            tunable,
        )
        shared = source_vocabulary.equals(target_vocabulary)
        if not shared and True in self._space.possible("copying"):
            raise ValueError(
                "What is copied must mean the same on both sides: copying needs one vocabulary for "
                f"both. Received: two vocabularies and copying={self.space['copying']} in space="
            )

    @property
    def objective(self) -> keras_tuner.Objective:
        """The mean of -log p over the held-out targets' tokens, in nats, or BLEU."""
        return keras_tuner.Objective(BLEU, "max") if self.score == "bleu" else super().objective

    def logged(self, model: Any, validated: bool) -> set[str]:
        names = super().logged(model, validated)
        return names | {BLEU} if validated and self.score == "bleu" else names

    def scorers(self, kwargs: dict[str, Any]) -> list[keras.callbacks.Callback]:
        if self.score != "bleu":
            return []
        sources, targets = kwargs["validation_data"]
        if targets is None:
            raise ValueError(
                "BLEU compares texts: give tuner.search validation_data=(sources, targets), two "
                "lists of texts, or score='loss'. Received: batches of tokens"
            )
        count = min(self.translations, len(sources))
        rows = np.sort(np.random.default_rng(0).choice(len(sources), count, replace=False))
        return [TranslationBleu([sources[row] for row in rows], [targets[row] for row in rows])]

    def read(self, model: Any, x: Any, y: Any, kwargs: dict[str, Any]) -> tuple[Any, Any]:
        x, y = self.read_once("x", (x, y), lambda: _read(x, y))
        held_out = kwargs.get("validation_data")
        if held_out is not None:
            parts = held_out if isinstance(held_out, tuple) else (held_out, None)
            kwargs["validation_data"] = self.read_once(
                "validation_data", parts, lambda: _read(*parts)
            )
            kwargs.pop("validation_split", None)
        elif kwargs.get("validation_split") and y is not None:
            share = kwargs.pop("validation_split")
            columns = (np.array(x, object), np.array(y, object))
            (x, y), kwargs["validation_data"] = split_last(columns, share)
        return x, y


def _read(sources: Any, targets: Any = None, *others: Any) -> tuple[Any, Any]:
    """Two lists of texts; data sets of tokens as they are."""
    if others:
        raise ValueError(
            "validation_data must be (sources, targets), two lists of texts. "
            f"Received: {2 + len(others)} parts"
        )
    if targets is None and is_token_batches(sources):
        return sources, None
    return paired_texts(sources, targets)
