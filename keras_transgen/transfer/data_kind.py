"""What kind of data a model takes, and how files must be read for it: a record that it keeps."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from keras_transgen.training.config_from_file import FileConfigError, check_plain, shown

_LONGEST_SIDE = 2**12
_MOST_COLUMNS, _LONGEST_NAME = 100, 1000
_HIGHEST_RATE = 1_000_000
_MOST_SAMPLES = 2**26
_MOST_LETTERS = 2**20
_LONGEST_WORD = 12


def _whole(most: int) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most
    )


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def _is_range(value: Any) -> bool:
    return _is_pair(value, _is_number) and value[0] < value[1]


def _is_pair(value: Any, is_one: Callable[[Any], bool]) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(map(is_one, value))


def _are_columns(value: Any) -> bool:
    def is_column(each: Any) -> bool:
        if isinstance(each, str):
            return len(each) <= _LONGEST_NAME
        return isinstance(each, int) and not isinstance(each, bool) and each >= 0

    is_list = isinstance(value, (list, tuple)) and 0 < len(value) <= _MOST_COLUMNS
    return is_list and all(map(is_column, value))


def _is_alphabet(value: Any) -> bool:
    is_visible = isinstance(value, str) and all("!" <= each <= "~" for each in value)
    return is_visible and 0 < len(set(value)) == len(value)


def _optional(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


_KINDS: dict[str, dict[str, tuple[Callable[[Any], bool], str]]] = {
    "images": {
        "size": (lambda value: _is_pair(value, _whole(_LONGEST_SIDE)), "[height, width]"),
        "color_mode": (lambda value: value in ("rgb", "grayscale"), "'rgb' or 'grayscale'"),
        "value_range": (_is_range, "[low, high]"),
        "crop": (lambda value: isinstance(value, bool), "True or False"),
    },
    "text": {
        "columns": (_are_columns, "names or numbers of columns"),
        "kmers": (_whole(_LONGEST_WORD), "letters a word"),
        "alphabet": (_is_alphabet, "letters, each once"),
    },
    "sound": {
        "sample_rate": (_whole(_HIGHEST_RATE), "samples per second"),
        "samples": (_optional(_whole(_MOST_SAMPLES)), "a number of samples, or None"),
    },
    "sequences": {
        "alphabet": (_is_alphabet, "letters, each once"),
        "tokens": (lambda value: isinstance(value, bool), "True or False"),
        "length": (_optional(_whole(_MOST_LETTERS)), "a number of letters, or None"),
        "kmers": (_whole(_LONGEST_WORD), "letters a word"),
    },
}
KINDS = tuple(_KINDS)


def checked_data_kind(value: Any) -> str | None:
    """A record of the data that a model takes, as JSON.

    Args:
        value: A dict with `"kind"` and of that kind's entries any: for `"images"` the `"size"`
            `[height, width]`, `"color_mode"`, `"value_range"` and whether to `"crop"`; for
            `"text"` the `"columns"` of a table; for `"sound"` the `"sample_rate"` and, where all
            recordings are cut or padded to one length, its `"samples"`; for `"sequences"` the
            `"alphabet"`, whether letters are `"tokens"` (from 1) instead of one-hot, and the
            `"length"` that all are padded to, or the letters of the words, `"kmers"`, whose shares
            are taken; the last and an alphabet also for `"text"` that is sequences in a table.
            `None` for none.

    Raises:
        ValueError: It is something else, or an entry is out of its range.

    Example:
        ```python
        from keras_transgen.transfer.data_kind import checked_data_kind

        text = checked_data_kind({"kind": "sound", "sample_rate": 8000})
        assert text == '{"kind": "sound", "sample_rate": 8000}'
        ```
    """
    if value is None:
        return None
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise FileConfigError(
            f"data_kind must be a dict with 'kind' as one of {', '.join(KINDS)}. "
            f"Received: {shown(value)}"
        )
    entries = _KINDS[kind]
    for name, each in value.items():
        if name == "kind":
            continue
        check, expected = entries.get(name, (None, ""))
        if check is None:
            raise FileConfigError(
                f"data_kind of {kind} takes {', '.join(entries)}. Received: {shown(name)}"
            )
        if not check(each):
            raise FileConfigError(
                f"data_kind must have {name!r} as {expected}, within reason. Received: "
                f"{shown(each)}"
            )
    check_plain(dict(value), "data_kind")
    return json.dumps(dict(value))
