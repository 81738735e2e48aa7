"""Read biological sequences from FASTA files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from keras_transgen.datasets.file_content import file_text
from keras_transgen.datasets.printable import printable

MAX_BYTES = 2**30
_DIGIT = re.compile("[0-9]")
_NO_SYMBOL = re.compile(r"[^!-~]")


class FastaRecord(NamedTuple):
    """A sequence of a file.

    Attributes:
        name: The first word behind `>`.
        description: The rest of that line.
        sequence: The letters.
    """

    name: str
    description: str
    sequence: str


def read_fasta(
    path: str | Path, *, upper: bool = True, encoding: str = "utf-8", max_bytes: int = MAX_BYTES
) -> list[FastaRecord]:
    """The sequences of a FASTA file, gzipped or not, in its order.

    Empty lines, spaces within sequences and lines of comments, which begin with `;`, are passed
    over, and so is the `*` at a protein's end. Gaps (`-`) stay, and what else is a visible ASCII
    character; digits alone, as in files of masks, but not among letters.

    Args:
        path: The file.
        upper: Make small letters, which often mark repeats, large. Defaults to `True`.
        encoding: Of names and descriptions. Defaults to UTF-8.
        max_bytes: Most bytes, after unpacking. Defaults to 1 GiB.

    Returns:
        A list of named tuples `(name, description, sequence)`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If there is text before the first `>`, no sequence at all, an empty one, one
            without a name, or what is no FASTA file.

    Example:
        ```python
        import tempfile
        from pathlib import Path
        from keras_transgen.datasets import one_hot_sequences, read_fasta

        path = Path(tempfile.mkdtemp()) / "two.fa"
        path.write_text(">a first one\\nACGT\\nAC\\n>b\\nggg\\n")
        records = read_fasta(path)
        assert records[0] == ("a", "first one", "ACGTAC")
        x = one_hot_sequences([record.sequence for record in records])
        assert x.shape == (2, 6, 4)
        ```

    Reference:
        Pearson and Lipman, Improved tools for biological sequence comparison, 1988.
    """
    text = file_text(path, max_bytes, "read_fasta", encoding)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    records: list[FastaRecord] = []
    name, description, begin = "", "", 0
    parts: list[str] = []

    def close() -> None:
        sequence = "".join(parts).removesuffix("*")
        digit = _DIGIT.search(sequence)
        if digit and not sequence.isdecimal():
            raise _refusal(
                "letters alone, or digits alone as in masks; take the numbers of positions out",
                f"{digit[0]!r} in {name!r}",
                begin,
                path,
            )
        if not sequence:
            raise _refusal(
                "a sequence behind each line with '>'", f"none for {name!r}", begin, path
            )
        records.append(FastaRecord(name, description, sequence.upper() if upper else sequence))
        parts.clear()

    for number, line in enumerate(lines, 1):
        if line.startswith(">"):
            if begin:
                close()
            if not line[1:].strip():
                raise _refusal("a name behind '>'", "none", number, path)
            name, description = (*line[1:].strip().split(maxsplit=1), "")[:2]
            begin = number
            continue
        if line.startswith(";"):
            continue
        letters = "".join(line.split())
        if letters and not begin:
            raise _refusal("a FASTA file, which begins with '>'", repr(letters[:40]), number, path)
        found = _NO_SYMBOL.search(letters)
        if found:
            raise _refusal("letters in a sequence", repr(found[0]), number, path)
        parts.append(letters)
    if not begin:
        raise ValueError(
            f"Expected a FASTA file with a sequence. Received: {printable(path)}, which has none"
        )
    close()
    return records


def _refusal(expected: str, received: str, line: int, path: str | Path) -> ValueError:
    return ValueError(
        f"Expected {expected}. Received: {printable(received)} in line {line} of {printable(path)}"
    )
