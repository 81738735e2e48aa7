"""Searches for the language model that expects held-out texts best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_transgen.sequences import LanguageModel, Vocabulary
from keras_transgen.sequences.sequence_model import checked_vocabulary
from keras_transgen.sequences.texts import holds_texts
from keras_transgen.tuning.domains import log_range
from keras_transgen.tuning.search_space import Hyperparameter
from keras_transgen.tuning.text_hyper_model import OF_ALL, TextHyperModel

_KNOWN = (
    Hyperparameter("num_layers", (2, 4, 6)),
    Hyperparameter("model_dim", (64, 128, 256)),
    Hyperparameter("num_heads", 4),
    Hyperparameter("dropout", (0.0, 0.1, 0.2)),
    Hyperparameter("learning_rate", log_range(3e-4, 3e-3, 1e-3)),
    *OF_ALL,
)


class LanguageModelHyperModel(TextHyperModel):
    """A search over language models of one vocabulary.

    It goes into any tuner of Keras Tuner as it is, whose `search` takes what `LanguageModel.fit`
    takes. `space=` changes the search space as in `TransferHyperModel`:

    | name | default |
    | --- | --- |
    | `num_layers` | 2, 4, 6 |
    | `model_dim` | 64, 128, 256 |
    | `num_heads` | 4 |
    | `dropout` | 0, 0.1, 0.2 |
    | `learning_rate` | 3e-4 to 3e-3, log; the highest of AdamW, as in `LanguageModel.fit` |
    | `batch_size` | that of `tuner.search` |
    | `feedforward_dim`, `positions` | the model's |
    | `jit_compile` | `"auto"` (also: `True`, `False`): whether XLA compiles a trial's training |

    The objective is `val_loss`, the mean of -log p over the tokens of held-out texts in nats, ends
    included. It can be compared for one vocabulary only, which therefore is an argument and no part
    of the space. Texts are turned into tokens once for all trials.

    Each trial's rate warms up and falls over the epochs of that trial, in each round of
    `keras_tuner.Hyperband` anew. `build(hyperparameters)` gives a new model, whose `fit` does so at
    the rate that was found.

    Args:
        vocabulary: As in `LanguageModel`.
        context_length: As in `LanguageModel`. Defaults to 256.
        space: What to change in the space above.
        chief_timeout: As in `TransferHyperModel`.
        name: As in `keras_tuner.HyperModel`.
        tunable: As in `keras_tuner.HyperModel`.
        **arguments: Further arguments of `LanguageModel` for all trials, such as `seed`.

    Raises:
        ValueError: A hyperparameter, a choice or an argument does not exist or is out of its range,
            or a `model_dim` is no multiple of a `num_heads`.
        ConnectionError: The chief of a distributed search does not answer.

    Example:
        ```python
        import keras_tuner
        import keras_transgen as ktg

        texts = ["to be or not to be", "that is the question"] * 20
        vocabulary = ktg.Vocabulary.characters(texts)
        search = ktg.tuning.LanguageModelHyperModel(
            vocabulary, context_length=32, space={"num_layers": 1, "model_dim": [8, 16]}
        )
        tuner = keras_tuner.RandomSearch(search, search.objective, max_trials=1, directory="runs")
        tuner.search(texts, validation_data=["to be that"], epochs=1, verbose=0)
        (best,) = tuner.get_best_models()
        best.save("language_model.keras")
        ```

    Reference:
        Radford et al., "Language models are unsupervised multitask learners", 2019.
    """

    model_class = LanguageModel

    def __init__(
        self,
        vocabulary: Vocabulary,
        context_length: int = 256,
        *,
        space: Mapping[str, Any] | None = None,
        chief_timeout: float = 600.0,
        name: str | None = None,
        tunable: bool = True,
        **arguments: Any,
    ) -> None:
        super().__init__(
            _KNOWN,
            space,
            {"vocabulary": checked_vocabulary(vocabulary)},
            context_length,
            {},
            arguments,
            chief_timeout,
            name,
            tunable,
        )

    def read(self, model: Any, x: Any, y: Any, kwargs: dict[str, Any]) -> tuple[Any, Any]:
        if y is not None:
            model.check_data(x, y, None, training=True)
        held_out = kwargs.get("validation_data")
        if isinstance(held_out, tuple) and not holds_texts(held_out) and len(held_out) > 1:
            model.check_data(*held_out[:2], None, training=False)
        if held_out is not None:
            kwargs["validation_data"] = self.read_once(
                "validation_data",
                (held_out,),
                lambda: model.entered("validation_data", held_out, False),
            )
        return self.read_once("x", (x,), lambda: model.entered("x", x, True)), y
