"""A stranger's text on its way to a screen, a log or an error message."""

from __future__ import annotations

LONGEST = 1000


def printable(text: object, longest: int = LONGEST) -> str:
    r"""Text in which nothing acts on a terminal: one line, every invisible character spelt out.

    Names in modules, archives, images and web pages are their author's. Escape sequences among
    them would clear the screen, change its title or forge what the program says, characters that
    turn the direction of writing would show another name than there is, and a line break would
    add a line in the program's voice. `repr` does the same for strings that stand in quotes.

    Args:
        text: What a stranger wrote; anything that `str` takes.
        longest: Most characters; the middle of a longer text is left out. Defaults to 1,000.

    Returns:
        The text with control, format and unassigned characters, half surrogates and every space
        but the plain one as Python writes them: `\x1b`, `\u202e`.
    """
    text = str(text)
    if len(text) > longest:
        half = longest // 2
        text = f"{text[:half]} ... {text[-half:]}"
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def printable_lines(text: object) -> str:
    r"""`printable` for a text of the program's own lines, such as an error message: `\n` stays."""
    return "\n".join(printable(line, len(line)) for line in str(text).split("\n"))
