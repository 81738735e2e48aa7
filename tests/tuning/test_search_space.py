"""The language of `space=`, and what a tuner sees of it."""

import keras
import keras_tuner
import numpy as np
import pytest

from keras_transgen.tuning.domains import Choices, Fixed, Range, domain_of
from keras_transgen.tuning.search_space import MARKER, Hyperparameter, SearchSpace

KNOWN = (
    Hyperparameter("kind", ("a", "b"), allowed=("a", "b", "c")),
    Hyperparameter("method", ("x", "y"), {"kind": ("b", "c")}),
    Hyperparameter("rank", (4, 8), {"method": ("x",)}),
    Hyperparameter("rate", {"min_value": 1e-4, "max_value": 1e-2, "sampling": "log"}),
    Hyperparameter("extra"),
)


def space_of(given=None, **fixed):
    return SearchSpace("Searcher", KNOWN, given, fixed)


def hyperparameters(space, **values):
    """As an oracle hands them to a trial."""
    hp = keras_tuner.HyperParameters()
    hp.values = values
    space.declare(hp)
    return hp


@pytest.mark.parametrize(
    ("given", "domain"),
    [
        ([1, 2], Choices((1, 2), (1, 2))),
        ((1, 0.5), Choices((1.0, 0.5), (1.0, 0.5))),
        (["sweep", 0.1], Choices(("sweep", "0.1"), ("sweep", 0.1))),
        ([None, "r1"], Choices(("none", "r1"), (None, "r1"))),
        ({"no": 0, "yes": 1}, Choices(("no", "yes"), (0, 1))),
        ([True, False], Choices(("True", "False"), (True, False))),
        ([np.float32(2.0)], Fixed(2.0)),
        ("word", Fixed("word")),
        (None, Fixed(None)),
        ({"min_value": 1, "max_value": 9, "step": 2}, Range(1, 9, 2, "linear", 1)),
        ({"min_value": 1, "max_value": 9.0}, Range(1.0, 9.0, None, "linear", 1.0)),
    ],
)
def test_what_may_be_given(given, domain):
    assert domain_of("name", given) == domain


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "at least one choice"),
        ({}, "at least one choice"),
        ([1, 1], "must differ"),
        ({"min_value": 2, "max_value": 1}, "min_value below max_value"),
        ({"min_value": 0.0, "max_value": 1.0, "sampling": "log"}, "above zero"),
        ({"min_value": 0.0, "max_value": 1.0, "steps": 3}, "min_value below max_value"),
        ({"min_value": 0.0}, "min_value below max_value"),
        ({"min_value": 0.0, "max_value": 1.0, "default": 2.0}, "must lie in it"),
    ],
)
def test_what_may_not(given, message):
    with pytest.raises(ValueError, match=f"{message}.*Received.*name"):
        domain_of("name", given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"knd": "a"}, "Did you mean 'kind'"),
        ({"kind": ["a", "z"]}, r"must be of \['a', 'b', 'c'\].*z"),
        ({"kind": []}, "at least one choice"),
        ({"kind": "a", "rank": 4}, "must be possible.*rank"),
        ({"kind": "b", "method": {"min_value": 1, "max_value": 2}}, "range of 'method'"),
    ],
)
def test_wrong_spaces_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        space_of(given)


def test_a_tuner_samples_what_exists_and_nothing_else():
    """Of Keras Tuner's own oracle: a rank exactly for kind b and method x."""
    space = space_of()
    oracle = keras_tuner.oracles.RandomSearchOracle(max_trials=40, seed=1)
    hp = oracle.get_space()
    space.declare(hp)
    oracle.update_space(hp)
    seen = set()
    for trial in range(40):
        hp = oracle.get_space()
        hp.values = oracle.populate_space(str(trial))["values"]
        values = space.read(hp)
        expected = {"kind", "rate"}
        expected |= {"method"} if values["kind"] == "b" else set()
        expected |= {"rank"} if values.get("method") == "x" else set()
        assert set(values) == expected
        assert 1e-4 <= values["rate"] <= 1e-2
        seen.add((values["kind"], values.get("method"), values.get("rank")))
    assert seen == {("a", None, None), ("b", "x", 4), ("b", "x", 8), ("b", "y", None)}


def test_fixed_values_shrink_the_space_and_open_conditions():
    space = space_of({"kind": "c", "method": "x", "rate": 0.5, "extra": [1, 2]})
    hp = hyperparameters(space)
    assert [each.name for each in hp.space] == [MARKER, "rank", "extra"]
    assert not any(each.conditions for each in hp.space)
    assert space.read(hp) == {"kind": "c", "method": "x", "rank": 4, "rate": 0.5, "extra": 1}
    assert set(space_of({"kind": "a"}).described()) == {"kind", "rate"}


def test_a_condition_may_be_a_function():
    known = (*KNOWN, Hyperparameter("width", (1, 2), {"extra": lambda value: value is not None}))
    space = SearchSpace("Searcher", known, {"kind": "a", "extra": [None, "some"]}, {})
    assert "width" not in space.read(hyperparameters(space, extra="none"))
    assert space.read(hyperparameters(space, extra="some", width=2))["width"] == 2


def test_choices_beyond_the_defaults():
    space = space_of({"kind": ["a", "c"]})
    values = space.read(hyperparameters(space, kind="c", method="y", rate=1e-3))
    assert values == {"kind": "c", "method": "y", "rate": 1e-3}


def test_layers_and_single_precision_come_back_as_they_were_given():
    layer = keras.layers.Dense(1)
    space = space_of({"kind": "a", "extra": {"one": layer, "none": None}, "rate": [0.1, 0.2]})
    hp = hyperparameters(space, extra="one", rate=float(np.float32(0.1)))
    assert space.read(hp) == {"kind": "a", "extra": layer, "rate": 0.1}


def test_another_space_is_told_by_its_marker():
    space = space_of()
    assert space.label == space_of().label
    others = [space_of({"rate": 0.1}), space_of({"kind": "a"}), space_of(num_classes=3)]
    assert len({space.label, *(other.label for other in others)}) == 4
    for other in others:
        with pytest.raises(ValueError, match=r"another space.*overwrite=True.*Received: Searcher"):
            other.read(hyperparameters(space))


def test_the_space_of_another_scope_is_read_there():
    """A user's own HyperModel may hold two of the package's."""
    space = space_of()
    hp = keras_tuner.HyperParameters()
    hp.Choice("mine", [1, 2])
    with hp.name_scope("inner"):
        values = space.read(hp)
    assert values["kind"] == "a"
    assert {"mine", "inner/kind", f"inner/{MARKER}"} <= set(hp.values)
