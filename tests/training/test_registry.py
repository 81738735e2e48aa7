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


def test_a_name_can_be_given_anew():
    shapes = Registry("shape")
    shapes.register("one")(1)
    shapes.register("one")(2)
    assert shapes == {"one": 2}
