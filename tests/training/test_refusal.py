"""Files are refused by one kind of error, in text that moves no terminal."""

import warnings

import pytest
import tensorflow as tf

from keras_transgen.training.refusal import refusals

ESCAPE = "\x1b[2J"


@pytest.mark.parametrize(
    "error",
    [
        TypeError("x"),
        KeyError("x"),
        OSError(36, "File name too long"),
        RecursionError("x"),
        MemoryError(),
        tf.errors.InvalidArgumentError(None, None, "x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_error_becomes_a_value_error(error):
    with pytest.raises(ValueError, match=type(error).__name__) as refused, refusals("The file"):
        raise error
    assert refused.value.__cause__ is error


@pytest.mark.parametrize("kind", ["class", "function"])
def test_what_is_not_registered_is_named_first(kind):
    said = f"Could not locate {kind} 'Own'. Make sure custom classes are decorated. Full config"
    with pytest.raises(ValueError, match=rf"^A file names {kind} 'Own', .*Import the file"):
        with refusals("A file"):
            raise TypeError(said)


def test_a_value_error_stays():
    mine = UnicodeDecodeError("utf-8", b"x", 0, 1, "bad")
    with pytest.raises(UnicodeDecodeError) as refused, refusals("The file"):
        raise mine
    assert refused.value is mine


@pytest.mark.parametrize("kind", [ValueError, TypeError])
def test_escapes_are_spelt_out(kind):
    with pytest.raises(ValueError, match=r"\\x1b\[2J\nsecond") as refused, refusals("The file"):
        raise kind(f"{ESCAPE}\nsecond")
    assert refused.value.__suppress_context__
    assert refused.value.__cause__ is None


def test_escapes_in_a_cause_are_not_shown():
    inner = KeyError("x")
    inner.__cause__ = OSError(ESCAPE)
    with pytest.raises(ValueError, match="outer") as refused, refusals("The file"):
        raise ValueError("outer") from inner
    assert refused.value.__suppress_context__
    assert refused.value.__cause__ is None


def test_what_the_user_does_passes():
    with pytest.raises(KeyboardInterrupt), refusals("The file"):
        raise KeyboardInterrupt


def test_warnings_are_told_as_the_user_has_it():
    with pytest.warns(FutureWarning, match=r"^\\x1b\[2Jname$"), refusals("The file"):
        warnings.warn(f"{ESCAPE}name", FutureWarning, stacklevel=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="twice"), refusals("The file"):
            warnings.warn("twice", stacklevel=1)
        warnings.simplefilter("ignore")
        with refusals("The file"):
            warnings.warn("thrice", stacklevel=1)


def test_a_refused_file_warns_too():
    def load():
        with refusals("The file"):
            warnings.warn("before", stacklevel=1)
            raise ValueError("no")

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match="no"):
            load()
    assert [str(each.message) for each in told] == ["before"]
