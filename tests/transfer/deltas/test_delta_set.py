"""Deltas made of what a file says."""

import resource

import numpy as np
import pytest

from keras_transgen.transfer.deltas import Copy, DeltaSet
from keras_transgen.transfer.deltas.copy import CopyReport
from keras_transgen.transfer.structure_transfer import StructureTransfer
from tests.transfer.deltas.networks import keras_backbone


@pytest.fixture
def deltas():
    return DeltaSet(keras_backbone(), list)


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("copy", {"source": "http://a/b.tar.gz"}, "source is for the user of Copy"),
        ("copy", {"source": "digits"}, "source is for the user of Copy"),
        ("copy", {}, "needs source"),
        ("copy", {"report": 3}, "report of copied parameters"),
        ("copy", {"report": {"parameters": [{}], "unused": []}}, "report of copied parameters"),
        ("no", {}, "method must be one of"),
        (["lora"], {}, "method must be one of"),
        ("lora", [1], "arguments must be an object"),
        ("lora", {"rank": "2"}, "whole number"),
        ("lora", {"rank": [2]}, "whole number"),
        ("lora", {"alpha": "2"}, "none of method='lora'"),
        ("lora", {"alpha": float("nan")}, "alpha must be positive"),
        ("lora", {"no_such": 1}, "takes"),
        ("lora", {"backbone": 1}, "takes"),
        ("lora", {"targets": [3]}, "without look-around"),
        ("lora", {"targets": {"a": 1}}, "without look-around"),
        ("lora", {"targets": "https://a"}, "names no address"),
        ("adapter", {"activation": {"class_name": "function"}}, "must not describe"),
        ("adapter", {"activation": ["relu"]}, "activation must be a name"),
        ("last", {"groups": "all"}, "groups must be"),
        ("reinitialize", {"seed": "x"}, "invalid literal"),
        ("reinitialize", {"seed": [1]}, "none of method='reinitialize'"),
        ("reinitialize", {"from_group": 10**400}, "from_group must be"),
    ],
)
def test_what_a_file_may_not_say(method, arguments, message, deltas):
    with pytest.raises(ValueError, match=message):
        deltas.add_from_file("some", method, arguments)
    assert deltas.deltas == {}
    assert deltas.active is None


@pytest.mark.parametrize("name", [None, 3, ["a"], "../a", "a b", ""])
def test_names(name, deltas):
    with pytest.raises(ValueError, match="name must be made of"):
        deltas.add_from_file(name, "lora", {})


@pytest.mark.parametrize("method", ["lora", "adapter"])
def test_no_memory_is_taken_before_the_state_is_looked_at(method, deltas):
    honest = DeltaSet(keras_backbone(), list).add("a", method, {"rank": 2}).state()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"more variables|arrays must be those"):
        deltas.add_from_file("some", method, {"rank": 30_000_000}, honest)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024
    assert deltas.deltas == {}
    deltas.add_from_file("some", method, {"rank": 2}, honest)
    for key, value in deltas.deltas["some"].state().items():
        np.testing.assert_array_equal(value, honest[key])


def test_a_copy_comes_back_without_its_source(deltas):
    made = Copy(keras_backbone(), source=keras_backbone())
    again = deltas.add_from_file("copy", "copy", made.arguments(), made.state())
    assert isinstance(again.report, CopyReport)
    assert again.report == made.report


def test_states_of_another_kind(deltas):
    with pytest.raises(ValueError, match="arrays must be those"):
        deltas.add_from_file("some", "lora", {"rank": 2}, {"0.0": np.zeros((2, 2), "float32")})
    made = DeltaSet(keras_backbone(), list).add("a", "lora", {"rank": 2}).state()
    words = {key: value.astype("U8") for key, value in made.items()}
    with pytest.raises(ValueError, match="must be of numbers"):
        deltas.add_from_file("some", "lora", {"rank": 2}, words)


def test_a_file_holds_no_endless_deltas():
    config = StructureTransfer(keras_backbone(), 3, rank=2).get_config()
    one = config["deltas"]["specifications"][0]
    many = [{**one, "name": f"d{number}"} for number in range(1001)]
    with pytest.raises(ValueError, match="may hold 1,000 deltas"):
        StructureTransfer.from_config(
            {**config, "deltas": {**config["deltas"], "specifications": many}}
        )
