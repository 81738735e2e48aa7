import io

import pytest
from rich.table import Table
from rich.text import Text

from keras_transgen.datasets.screen import Screen

HOSTILE = "[/b] [link=http://evil]x[/link] :smile: \x1b]0;owned\x07\x1b[2J\u202e"
SHOWN = r"[/b] [link=http://evil]x[/link] :smile: \x1b]0;owned\x07\x1b[2J\u202e"


def printed(*things, **options):
    text = io.StringIO()
    screen = Screen(file=text, force_terminal=True, color_system=None, width=200)
    for thing in things:
        screen.print(thing, **options)
    return text.getvalue()


@pytest.mark.parametrize("highlight", [True, False])
def test_text_is_text(highlight):
    assert printed(HOSTILE, highlight=highlight) == SHOWN + "\n"
    assert printed({"name": HOSTILE}).count("\x1b") == 0
    assert printed("one\ntwo") == "one\ntwo\n"


def test_a_table_shows_every_part_as_it_is():
    table = Table(title=HOSTILE, caption=HOSTILE)
    table.add_column(HOSTILE, footer=HOSTILE)
    table.add_row(HOSTILE)
    table.show_footer = True
    found = printed(table)
    assert found.count(SHOWN) == 5
    assert "\x1b" not in found.replace("\x1b[1m", "")


def test_the_programs_own_styles_stay():
    text = io.StringIO()
    Screen(file=text, force_terminal=True, color_system="standard").print(
        Text("unsafe", "bold red")
    )
    assert text.getvalue() == "\x1b[1;31munsafe\x1b[0m\n"
