"""What a user asks samples to be: how many, how long, how daring."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from keras_transgen.sequences.sizes import check_whole
from keras_transgen.sequences.wavenet.clip_lengths import ClipLengths
from keras_transgen.sequences.wavenet.known_conditions import count_of
from keras_transgen.training.padded_sequences import lengths_of
from keras_transgen.training.replica_noise import whole_seed


class Sampled(Protocol):
    """What is asked of a model that samples waves."""

    sample_rate: int
    samples_per_frame: int | None
    clip_lengths: ClipLengths

    def check_labels(self, y: Any, lengths: np.ndarray | None) -> None:
        """Refuse labels that are none of the model's."""

    def groups_of(self, y: Any, lengths: Any) -> Any:
        """The group of each clip, ints `[count]`."""


def check_temperature(temperature: Any) -> None:
    """Refuse what is no number of at least 0."""
    is_number = isinstance(temperature, (int, float, np.number))
    if not is_number or isinstance(temperature, bool) or not 0.0 <= float(temperature) < math.inf:
        raise ValueError(
            f"temperature must be a number of at least 0. Received: temperature={temperature!r}"
        )


def asked_lengths(
    model: Sampled, labels: Any, seconds: Any, count: int | None, seed: int | None
) -> np.ndarray:
    """How many samples each wave shall have, ints `[count]`.

    Args:
        model: The model.
        labels: Entered, or `None`.
        seconds: As in `WaveNet.sample`.
        count: The same.
        seed: The same.

    Raises:
        ValueError: There is no length, none for each wave, or the labels are none of the model's.
    """
    model.check_labels(labels, None)
    number = 1 if count is None else count
    check_whole("count", number)
    if labels is not None:
        if count not in (None, count_of(labels)):
            raise ValueError(
                "There is one wave a label; leave count out. "
                f"Received: count={count} for {count_of(labels)} labels"
            )
        number = count_of(labels)
    if seconds is None and model.samples_per_frame is not None:
        return np.asarray(lengths_of(labels)) * model.samples_per_frame
    if seconds is None:
        seconds = _drawn(model, labels, number, seed)
    given = np.asarray(seconds, "float64")
    lengths = np.round(given * model.sample_rate)
    if given.shape not in ((), (number,)) or not np.all((lengths >= 1) & (lengths < 2**31)):
        raise ValueError(
            "seconds must be a number, or one for each wave, that holds at least one sample and "
            f"fewer than 2^31, {2**31 / model.sample_rate:,.0f} seconds. "
            f"Received: seconds={seconds!s:.100} for {number} waves"
        )
    return np.broadcast_to(lengths.astype("int64"), (number,))


def _drawn(model: Sampled, labels: Any, count: int, seed: int | None) -> np.ndarray:
    if not model.clip_lengths.has_counted:
        raise ValueError(
            "A model that was not trained knows no lengths: give seconds. Received: seconds=None"
        )
    # Other numbers than those of the samples.
    key = [whole_seed(seed) & 0xFFFFFFFF, 1 << 31]
    groups = np.asarray(model.groups_of(labels, np.zeros(count, "int32")))
    return model.clip_lengths.draw(groups, np.random.default_rng(key).random(count))
