"""The console that everything is printed on: a stranger's text is shown, and does nothing."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from keras_transgen.datasets.printable import printable_lines


class Screen(Console):
    r"""A Rich console for which all text is text.

    Square brackets are no markup, colons no pictures, and characters that act on a terminal are
    spelt out, in lines, tables and titles alike. What shall have a style is a `rich.text.Text`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:  # type: ignore[override]
        """The text, with what would act on a terminal spelt out."""
        return super().render_str(printable_lines(text), **options)
