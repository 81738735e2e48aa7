"""The sizes of a network of sequences."""

from __future__ import annotations

from typing import Any

from keras_transgen.sequences.sequence_model import check_whole


def check_sizes(dropout: float, **sizes: Any) -> None:
    """Refuse sizes that are no numbers of things, and a share that is none.

    Args:
        dropout: Share dropped.
        **sizes: Whole numbers of at least 1, by the name of their argument.

    Raises:
        ValueError: One is not.
    """
    for name, size in sizes.items():
        check_whole(name, size)
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"dropout must be in [0, 1). Received: dropout={dropout!r}")
