"""Texts for `keras-transgen text`: documents, lines and pairs, from files, folders and tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from keras_transgen.cli.columns import column_of, columns_of

MAX_BYTES = 2**30


def read_texts(
    paths: Sequence[Path], text: str | None, header: bool | None, lines: bool
) -> list[str]:
    """Texts of files and folders, or of a column of a table.

    Args:
        paths: Text files and folders of them (`.txt`, `.txt.gz`), or one table.
        text: Columns of a table; `None` for `"text"`.
        header: Whether a table has one; `None` for what its columns tell.
        lines: Whether each line of a file is a text, or the whole file one.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: There is no text, or the data cannot be read so.
    """
    from keras_transgen.datasets import text_table

    if any(is_table(path) for path in paths):
        if len(paths) != 1:
            raise ValueError(
                f"Expected one table, or files of texts. Received: {', '.join(map(str, paths))}"
            )
        columns = ["text"] if text is None else columns_of(text)
        return text_table(paths[0], columns, None, header=header).texts
    refuse_columns(paths[0], {"--text": text, "--header": header})
    texts = [content for file in _files(paths) for content in _content(file, lines)]
    if not texts:
        raise ValueError(
            "Expected a text with at least one character. "
            f"Received: none in {', '.join(map(str, paths))}"
        )
    return texts


def read_pairs(
    paths: Sequence[Path], source: str | None, target: str | None, header: bool | None
) -> tuple[list[str], list[str]]:
    """Texts and what they are to become: two columns of a table, or two files line by line.

    Args:
        paths: A table, or two text files of equally many lines.
        source: Column of the first; `None` for `"source"`.
        target: Column of the second; `None` for `"target"`.
        header: Whether a table has one; `None` for what its columns tell.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: They are not as many, one of a pair is empty, or the data cannot be read so.
    """
    from keras_transgen.datasets import text_table

    if len(paths) == 1 and is_table(paths[0]):
        columns = [column_of(source or "source"), column_of(target or "target")]
        found = [text_table(paths[0], each, None, header=header).texts for each in columns]
        return found[0], found[1]
    if len(paths) != 2 or any(is_table(path) or path.is_dir() for path in paths):
        raise ValueError(
            "Expected one table (CSV, TSV) with a column for each side, or two text files, line by "
            f"line the translation of each other. Received: {', '.join(map(str, paths))}"
        )
    refuse_columns(paths[0], {"--source": source, "--target": target, "--header": header})
    sides = [read_lines(path) for path in paths]
    if len(sides[0]) != len(sides[1]):
        raise ValueError(
            "Both files must have equally many lines, each the translation of the other's. "
            f"Received: {len(sides[0]):,} in {paths[0]}, {len(sides[1]):,} in {paths[1]}"
        )
    # A line that is empty in both is none; in one of them it is a gap.
    kept = [(a, b) for a, b in zip(*sides) if a.strip() or b.strip()]
    for number, pair in enumerate(zip(*sides), 1):
        if bool(pair[0].strip()) != bool(pair[1].strip()):
            raise ValueError(
                "A line must not be empty in one of the files alone. Leave it out of both, or "
                f"complete it. Received: line {number} of {paths[bool(pair[0].strip())]}"
            )
    if not kept:
        raise ValueError(f"Expected pairs of texts. Received: empty files, such as {paths[0]}")
    return [a for a, _ in kept], [b for _, b in kept]


def read_lines(path: Path) -> list[str]:
    """The lines of a file, without their ends; no line behind the last end.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no text in UTF-8.
    """
    from keras_transgen.datasets.file_content import file_text

    return lines_of(file_text(path, MAX_BYTES, "text"))


def lines_of(text: str) -> list[str]:
    """The lines of a text, without their ends; no line behind the last end."""
    # Not `splitlines`, which also divides at characters that stand within a text.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def is_table(path: Path) -> bool:
    """Whether a file is a table by its name."""
    from keras_transgen.datasets.file_suffixes import TABLE_SUFFIXES

    return path.name.lower().endswith(TABLE_SUFFIXES)


def held_out_texts(texts: list[str], share: float = 0.05) -> tuple[list[str], list[str]]:
    """Texts to train on, and the last of them, or the end of the only one.

    Args:
        texts: The texts.
        share: Of the characters, or texts, that are held out. Defaults to 0.05.
    """
    if len(texts) > 1:
        count = max(1, int(share * len(texts)))
        return texts[:-count], texts[-count:]
    (text,) = texts
    at = len(text) - max(1, int(share * len(text)))
    return [text[:at]], [text[at:]]


def _files(paths: Sequence[Path]) -> list[Path]:
    from keras_transgen.datasets.file_suffixes import TEXT_SUFFIXES
    from keras_transgen.datasets.folder_walk import found_files

    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = [Path(each.path) for each in found_files(str(path), [])]
        inside = sorted(each for each in inside if each.name.lower().endswith(TEXT_SUFFIXES))
        if not inside:
            raise ValueError(
                f"Expected text files ({', '.join(TEXT_SUFFIXES)}) in each folder. "
                f"Received: none in {path}"
            )
        files += inside
    return files


def _content(file: Path, lines: bool) -> list[str]:
    found = read_lines(file)
    return [line for line in found if line.strip()] if lines else _whole(found)


def _whole(lines: list[str]) -> list[str]:
    text = "\n".join(lines).strip("\n")
    return [text] if text.strip() else []


def refuse_columns(path: Path, options: dict[str, object]) -> None:
    """Refuse options of tables beside a text file."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ValueError(
            f"Only tables (CSV, TSV) have columns: leave out {', '.join(given)}. Received: {path}"
        )
