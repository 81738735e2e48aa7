import sys
import unicodedata

import pytest

from keras_transgen.datasets.printable import printable, printable_lines


@pytest.mark.parametrize(
    "text", ["dense/kernel:0", "größer als Ångström", "花/犬.png", "\N{DOG FACE} [bold]", ""]
)
def test_what_is_written_stays(text):
    assert printable(text) == text


@pytest.mark.slow
def test_nothing_that_acts_is_left():
    kinds = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    acting = [chr(code) for code in range(sys.maxunicode + 1)]
    acting = [each for each in acting if unicodedata.category(each) in kinds]
    assert {"\x1b", "\x9b", "\r", "\x7f", "\u202e", "\u2028", "\udcff"} <= set(acting)
    for each in acting:
        said = printable(f"a{each}b")
        assert said.isprintable()
        # Nothing is hidden either: the text says which character it was.
        assert said == f"a{each.encode('unicode_escape').decode()}b"


def test_a_long_name_is_cut_in_its_middle():
    said = printable("begin" + "x" * 10**6 + "end")
    assert len(said) < 1100
    assert said.startswith("begin")
    assert said.endswith("end")


def test_other_things_are_written_by_str():
    class Named:
        def __str__(self):
            return "\x1b[2J"

    assert printable(Named()) == r"\x1b[2J"


def test_lines_of_a_message_stay():
    assert printable_lines("one\n\x1b[2Jtwo\r") == "one\n\\x1b[2Jtwo\\r"
