"""From what files hold to what a model takes: sound and sequences in the form of its record."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_transgen.cli.kmers import kmer_features

if TYPE_CHECKING:
    import numpy as np

ALPHABETS = {4: "DNA", 20: "PROTEIN"}


def input_shape(model_or_backbone: Any) -> tuple[int | None, ...] | None:
    """Shape of raw input with the batch first; `None` where it is not known."""
    backbone = getattr(model_or_backbone, "backbone", model_or_backbone)
    if getattr(model_or_backbone, "preprocessing", None) is not None:
        return None
    return getattr(backbone.input_contract, "shape", None)


def refuse_other_input(backbone: Any, kind: str) -> None:
    """Refuse a backbone that takes another kind of data, before its data are read.

    Raises:
        ValueError: Its input has another shape or dtype.
    """
    contract = backbone.input_contract
    shape: Any = getattr(contract, "shape", None)
    dtype = getattr(contract, "dtype", None)
    is_known = shape is not None
    wrong = {
        "text": (dtype != "string", "strings [batch]"),
        "sound": (
            dtype == "string" or (is_known and not _takes_waves(shape)),
            "sound [batch, samples] or [batch, samples, 1]",
        ),
        "sequences": (
            dtype == "string" or (is_known and len(shape) not in (2, 3)),
            "sequences [batch, length, letters], or tokens [batch, length]",
        ),
    }
    is_wrong, expected = wrong[kind]
    if is_wrong:
        raise ValueError(
            f"These data need a backbone that takes {expected}; or say with --kind what the data "
            f"are. Received: {backbone.name!r} with input {contract}"
        )


def _takes_waves(shape: tuple[int | None, ...]) -> bool:
    return len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, None))


def sound_record(
    shape: tuple[int | None, ...] | None, sample_rate: int, seconds: float | None
) -> dict[str, Any]:
    """How recordings are read for a model.

    Raises:
        ValueError: It takes recordings of one length, and another is wanted.
    """
    wanted = None if seconds is None else round(seconds * sample_rate)
    own = None if shape is None else shape[1]
    if own is not None and wanted not in (None, own):
        raise ValueError(
            f"This backbone takes {own} samples only; leave out --seconds. "
            f"Received: --seconds {seconds:g}, {wanted} samples at {sample_rate} a second"
        )
    if wanted == 0:
        raise ValueError(
            f"--seconds must hold a sample at least. Received: --seconds {seconds:g} at "
            f"{sample_rate} a second"
        )
    return {"kind": "sound", "sample_rate": sample_rate, "samples": own or wanted}


def sequence_record(
    shape: tuple[int | None, ...] | None,
    alphabet: str | None,
    length: int | None,
) -> dict[str, Any]:
    """How sequences are read for a model: one-hot, or as numbers of letters.

    Raises:
        ValueError: The alphabet must be said, or does not fit, or the length.
    """
    from keras_transgen import datasets

    tokens = shape is not None and len(shape) == 2
    letters = None if shape is None or tokens else shape[2]
    if alphabet is None:
        known = ALPHABETS.get(letters or 4) if not tokens else "DNA"
        if known is None:
            raise ValueError(
                f"This backbone takes {letters} letters: say which, in its order, with --alphabet. "
                "Received: no --alphabet"
            )
        alphabet = getattr(datasets, known)
    # Refuses what is none.
    datasets.one_hot_sequences([], alphabet)
    if letters not in (None, len(alphabet)):
        raise ValueError(
            f"This backbone takes {letters} letters, so --alphabet must have as many. "
            f"Received: --alphabet {alphabet}, {len(alphabet)} letters"
        )
    own = None if shape is None else shape[1]
    if own is not None and length not in (None, own):
        raise ValueError(
            f"This backbone takes sequences of {own} letters only; leave out --length. "
            f"Received: --length {length}"
        )
    return {"kind": "sequences", "alphabet": alphabet, "tokens": tokens, "length": own or length}


def waves_for(
    waves: Sequence[np.ndarray], record: dict[str, Any], shape: tuple[int | None, ...] | None
) -> Any:
    """Recordings as an array, cut or padded to one length, or as a list where any length goes."""
    import numpy as np

    made: Any = list(waves)
    samples = record.get("samples")
    if samples is not None:
        _tell_of_cutting(waves, samples, "Recordings", "samples")
        made = np.zeros((len(waves), samples), "float32")
        for row, wave in zip(made, waves):
            row[: len(wave)] = wave[:samples]
    if shape is None or len(shape) != 3:
        return made
    return made[..., None] if samples is not None else [wave[:, None] for wave in made]


def _tell_of_cutting(items: Sequence[Any], length: int | None, what: str, of: str) -> None:
    if length is not None and any(len(each) > length for each in items):
        # Without counts, so that it is said once however many parts are read.
        warnings.warn(
            f"{what} of more than {length} {of}, which is what the model takes, are cut at their "
            "end.",
            stacklevel=3,
        )


def sequences_for(sequences: Sequence[str], record: dict[str, Any]) -> Any:
    """Sequences one-hot or as numbers from 1 (0 is padding), as an array or a list of arrays.

    Where the model takes one length, longer ones are cut at their end. Where it takes shares of
    words of letters, these are counted in the whole of each.
    """
    import numpy as np

    from keras_transgen.datasets import one_hot_sequences

    if record.get("kmers") is not None:
        return kmer_features(sequences, record)
    alphabet, length = record.get("alphabet", "ACGT"), record.get("length")
    _tell_of_cutting(sequences, length, "Sequences", "letters")
    cut = [each[:length] for each in sequences]
    if not record.get("tokens"):
        if length is not None or len(set(map(len, cut))) == 1:
            return one_hot_sequences(cut, alphabet, length=length)
        return [one_hot_sequences([each], alphabet)[0] for each in cut]
    # Codes for several letters are no tokens; small letters are, as in one-hot arrays.
    rows = [
        one_hot_sequences([each], alphabet, ambiguity=False)[0].argmax(-1).astype("int32") + 1
        for each in cut
    ]
    if length is None:
        return rows if len(set(map(len, rows))) > 1 else np.stack(rows)
    made = np.zeros((len(rows), length), "int32")
    for row, tokens in zip(made, rows):
        row[: len(tokens)] = tokens
    return made
