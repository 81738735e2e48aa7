"""How likely whole pieces are, however long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from keras_transgen.sequences.music.frame_network import FrameNetwork
from keras_transgen.sequences.music.piece_rows import with_start
from keras_transgen.sequences.token_rows import groups

# Pieces are read in parts of so many frames, each from the states that the one before left.
_FRAMES_AT_A_TIME = 128


class Judge(Protocol):
    """What likelihoods need of a model of music."""

    network: FrameNetwork

    def frame_nats(self, rows: Any, states: Any, training: bool) -> tuple[Any, Any]:
        """-log p of each frame after the first, and the states behind them."""

    def kept_function(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of tensors as TensorFlow runs it."""


def mean_log_likelihoods(model: Judge, pieces: Sequence[np.ndarray]) -> np.ndarray:
    """Log p of each piece divided by its frames, in nats.

    Args:
        model: The model.
        pieces: Tokens `[frames, max_notes]` of each.

    Returns:
        float64 `[count]`.
    """

    def nats(rows: tf.Tensor, states: list[Any]) -> tuple[Any, Any]:
        return model.frame_nats(rows, states, training=False)

    nats_of = model.kept_function("nats", nats)
    lengths = np.array([len(each) for each in pieces])
    found = np.zeros(len(pieces))
    for rows, filled, width in groups(lengths):
        array = np.zeros((len(filled), width + 1, pieces[0].shape[1] + 1), "int32")
        for line, row in zip(array, filled):
            line[: lengths[row] + 1] = with_start(pieces[row])
        states = model.network.empty_states(len(filled))
        for at in range(0, width, _FRAMES_AT_A_TIME):
            part = tf.constant(array[:, at : at + _FRAMES_AT_A_TIME + 1])
            of_frames, states = nats_of(part, states)
            found[rows] -= of_frames.numpy()[: len(rows)].sum(axis=1, dtype="float64")
    return found / lengths
