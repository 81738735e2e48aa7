"""Names in the place of functions."""

import pytest

from keras_transgen.training.registry import Registry


def test_what_is_registered_is_found_and_anything_else_named_with_what_there_is():
    shapes = Registry("shape")

    @shapes.register("square")
    def four():
        return 4

    @shapes.register("circle")
    class Endless:
        pass

    assert shapes.find("square") is four
    assert shapes["circle"] is Endless
    assert list(shapes) == ["square", "circle"]
    for wrong in ("triangle", 3, None, ["square"]):
        with pytest.raises(ValueError, match=r"shape must be one of \['circle', 'square'\] or 0\."):
            shapes.find(wrong, " or 0")


def defined(value):
    def entry():
        return value

    return entry


def test_the_same_definition_can_be_registered_again():
    """As by a notebook's cell that is run twice."""
    shapes = Registry("shape")
    shapes.register("one")(defined(1))
    shapes.register("one")(defined(2))
    assert shapes["one"]() == 2


def test_another_definition_does_not_take_a_name():
    shapes = Registry("shape")
    shapes.register("one")(defined(1))
    with pytest.raises(ValueError, match=r"shape='one' is .*entry: choose another name.*abs"):
        shapes.register("one")(abs)
    assert shapes["one"]() == 1


@pytest.mark.parametrize("name", [3, "", None, abs])
def test_what_is_no_name(name):
    """Nor does the decorator without its brackets register anything in silence."""
    with pytest.raises(ValueError, match=r"as in register\('mine'\)"):
        Registry("shape").register(name)


def test_what_is_no_entry():
    with pytest.raises(ValueError, match="Expected a function or class for shape='three'"):
        Registry("shape").register("three")(3)


def test_entries_may_have_to_derive_from_a_class():
    shapes = Registry("shape", lambda: Exception)
    assert shapes.register("value")(ValueError) is ValueError
    for wrong in (int, ValueError("made"), abs):
        with pytest.raises(ValueError, match="derived from Exception"):
            shapes.register("wrong")(wrong)
    assert list(shapes) == ["value"]
