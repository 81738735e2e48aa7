"""What all models of texts share: how texts come in."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.sequences.scheduled_model import ScheduledModel
from keras_transgen.sequences.texts import as_texts, holds_texts
from keras_transgen.sequences.token_codecs import END, UNKNOWN
from keras_transgen.sequences.vocabulary import Vocabulary
from keras_transgen.training.entrance import FIT_DATA, PARTS


class SequenceModel(ScheduledModel):
    """A `ScheduledModel` over tokens, to which texts come in.

    Args:
        **kwargs: Passed to `TrainerModel`.
    """

    context_length: int
    feature_dim: int

    # Data on their way in

    def refuse_labels(self, name: str) -> None:
        """Say of a model of texts alone that it takes no others.

        Args:
            name: Of what was given.

        Raises:
            ValueError: Always, of a model that takes none.
        """
        raise ValueError(
            f"A {type(self).__name__} takes texts alone, neither labels nor weights. To write "
            "texts of one kind put its name in front of each; to translate there is "
            f"SequenceToSequence, to classify FeatureTransfer. Received: {name}"
        )

    def rows_of(self, texts: list[str], training: bool) -> np.ndarray:
        """Texts as rows of tokens, int32 `[count, length]`.

        Args:
            texts: Strings, none empty.
            training: Whether they are trained on.
        """
        raise NotImplementedError

    def entered(self, name: str, value: Any, training: bool) -> Any:
        """Texts as rows of tokens; rows of tokens as they are."""
        if name in ("y", "sample_weight") and value is not None:
            self.refuse_labels(name)
        if name in ("x", "validation_data") and holds_texts(value):
            # Few texts in a list are not the parts of validation data.
            return self.rows_of(as_texts(value), training and name == "x")
        return super().entered(name, value, training)

    # Training

    @takes_any_data(*FIT_DATA, training=True)
    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train the model, with the arguments and the result of `keras.Model.fit`.

        Args:
            x: Texts (a list, tuple, array, series, data set or generator of strings), or rows of
                tokens `[count, length]`; of a language model a stream of them `[length]` too.
            y: Nothing; there are no labels.
            *args: As in `keras.Model.fit`.
            **kwargs: As in `keras.Model.fit`; `validation_data` is texts too.

        Raises:
            ValueError: The data are no texts or tokens, or a text is empty or longer than the
                model reads.
        """
        self.compile_for(steps_of_fit(x, args, kwargs))
        return super().fit(x, y, *args, **kwargs)

    @takes_any_data(*PARTS)
    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluate the model, with the arguments and the result of `keras.Model.evaluate`."""
        if not self.compiled:
            self.compile()
        if isinstance(x, (np.ndarray, tf.Tensor)):
            self.check_data(x, y, kwargs.get("sample_weight"), training=False)
        return super().evaluate(x, y, *args, **kwargs)

    # What a network of features needs

    def features(self, tokens: Any, training: bool = False) -> Any:
        """What the model says of each token, `[batch, length, feature_dim]`.

        Args:
            tokens: Ints `[batch, length]`, padded.
            training: Whether to drop.
        """
        raise NotImplementedError

    def tokens_of(self, texts: Any) -> tf.Tensor:
        """The tokens of strings `[batch]` as `features` takes them, in a graph.

        Args:
            texts: Strings.
        """
        raise NotImplementedError

    def batch_shape(self) -> tuple[int | None, ...] | None:
        return (None, None)

    def takes_several_inputs(self) -> bool:
        """Texts in a list are texts, not inputs."""
        return False


def checked_vocabulary(vocabulary: Any, name: str = "vocabulary") -> Vocabulary:
    """A vocabulary, or an error that says how to make one.

    Args:
        vocabulary: What the user gave.
        name: Of the argument.
    """
    if not isinstance(vocabulary, Vocabulary):
        raise ValueError(
            f"{name} must be a Vocabulary: Vocabulary.train(texts, size), .characters(texts) or "
            f".bytes(). Received: {name} of type {type(vocabulary).__name__}"
        )
    return vocabulary


def checked_tokens(tokens: Any, vocabulary: Vocabulary, name: str = "x") -> np.ndarray:
    """Tokens of a vocabulary, as an array.

    Args:
        tokens: Ints.
        vocabulary: Whose tokens they are.
        name: What messages call them.

    Raises:
        ValueError: They are none.
    """
    array = np.asarray(tokens)
    is_whole = array.dtype.kind in "iu"
    if not is_whole or (array.size and not 0 <= array.min() <= array.max() < vocabulary.size):
        values = f", values from {array.min()} to {array.max()}" if is_whole else ""
        raise ValueError(
            f"Tokens of this vocabulary are whole numbers from 0 to {vocabulary.size - 1}; texts "
            f"are strings. Received: {name} of type {array.dtype}{values}"
        )
    return array


def check_known(tokens: list[list[int]], name: str = "texts") -> None:
    """Refuse texts that are written in another vocabulary's tokens.

    Args:
        tokens: Of all texts.
        name: What messages call them.

    Raises:
        ValueError: More than half of the tokens are not known.
    """
    numbers = np.concatenate([np.asarray(each, int) for each in tokens])
    told = numbers[numbers > END]
    unknown = np.mean(told == UNKNOWN) if len(told) else 0.0
    if unknown > 0.5:
        raise ValueError(
            "The model's vocabulary does not know these texts: make one from them, or one of "
            "bytes, which knows all. A model keeps the vocabulary that it was made with. "
            f"Received: {name} with {unknown:.0%} unknown tokens"
        )


def steps_of_fit(x: Any, args: tuple, kwargs: dict[str, Any]) -> int | None:
    """How many steps a `fit` will take, where its data tell.

    Args:
        x: Its data.
        args: What it was given after data and labels.
        kwargs: The same by name.
    """
    batch_size = args[0] if args else kwargs.get("batch_size")
    epochs = args[1] if len(args) > 1 else kwargs.get("epochs", 1)
    # Of a `fit` that goes on from an epoch, those that are left.
    epochs -= kwargs.get("initial_epoch", 0)
    steps = kwargs.get("steps_per_epoch")
    first = keras.tree.flatten(x)[0] if isinstance(x, dict) else x
    if steps is None and isinstance(first, (np.ndarray, tf.Tensor)):
        steps = math.ceil(first.shape[0] / (batch_size or 32))
    if steps is None and isinstance(x, tf.data.Dataset):
        # Below zero where nobody knows.
        steps = max(0, int(x.cardinality()))
    return steps * epochs if steps else None
