"""Kinds of parameters told by path and shape, and patterns that match nothing."""

import re
import types

import pytest

from keras_transgen.transfer.deltas.targets import (
    Target,
    check_pattern,
    is_dense,
    is_depthwise,
    is_kernel,
    match_targets,
    matrix_shape,
    parameters_of,
    search_for,
)
from tests.transfer.deltas.networks import BACKBONES


def target(path, shape):
    return Target(0, types.SimpleNamespace(path=path, shape=shape))


@pytest.mark.parametrize(
    ("path", "shape", "kinds", "matrix"),
    [
        ("dense/kernel", (6, 5), {"kernel", "dense"}, (6, 5)),
        ("conv/kernel", (1, 1, 4, 6), {"kernel", "dense"}, (4, 6)),
        ("conv/kernel", (3, 2, 4, 6), {"kernel"}, (24, 6)),
        ("conv1d/kernel", (3, 4, 6), {"kernel"}, (12, 6)),
        ("dw/depthwise_kernel", (3, 3, 4, 2), {"kernel", "depthwise"}, (9, 8)),
        ("dw/kernel", (3, 3, 4, 1), {"kernel", "depthwise"}, (9, 4)),
        # Query and output kernels of 12 heads of 64: both are 768 x 768 matrices.
        ("attention/query/kernel", (768, 12, 64), {"kernel", "dense"}, (768, 768)),
        ("attention/attention_output/kernel", (12, 64, 768), {"kernel", "dense"}, (768, 768)),
        ("tokens/embeddings", (100, 8), set(), (100, 8)),
        ("bn/gamma", (4,), set(), None),
        ("attention/query/bias", (12, 64), set(), (12, 64)),
    ],
)
def test_kinds(path, shape, kinds, matrix):
    one = target(path, shape)
    found = {
        kind
        for kind, fits in (("kernel", is_kernel), ("dense", is_dense), ("depthwise", is_depthwise))
        if fits(one)
    }
    assert found == kinds
    if matrix is not None:
        assert matrix_shape(one) == matrix


@pytest.mark.parametrize("kind", BACKBONES)
def test_parameters_are_found_at_their_index(kind):
    backbone = BACKBONES[kind]()
    targets = parameters_of(backbone)
    assert len(targets) == 8
    assert all(backbone.weights[each.index] is each.variable for each in targets)
    assert not any("moving" in each.path for each in targets)


def test_patterns_choose_in_the_networks_order():
    backbone = BACKBONES["keras"]()
    chosen = match_targets(backbone, ["block_2.*kernel", "stem_conv"], is_kernel, "kernels")
    assert [each.path for each in chosen] == ["stem_conv/kernel", "block_2_dense/kernel"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("attention", "at least one of the backbone's kernels.*stem_conv/kernel.*'attention'"),
        (["stem_conv", "attention"], "'attention'"),
        ("bias$", "matches other parameters only: block_1_project/bias"),
        ("(", "regular expression"),
        ([], "targets must be a pattern"),
    ],
)
def test_patterns_that_match_nothing(pattern, message):
    with pytest.raises(ValueError, match=message):
        match_targets(BACKBONES["keras"](), pattern, is_kernel, "kernels")


def test_patterns_of_files_are_searched_for_in_linear_time():
    # Python's search takes 2^40 steps here.
    name = "a" * 40
    for pattern in ("(a+)+$x", "(a|a)*b", "(?:a?){40}b", "^(([a-z])+.)+[A-Z]([a-z])+$"):
        check_pattern(pattern)
        assert not search_for(pattern)(name)
    assert search_for("(a+)+$")(name)


def test_patterns_that_files_may_not_have():
    for pattern in ("(?=a)b", "(a)\\1", "(?<!a)b", "(", "a" * 1001, None, 3, ["a"]):
        with pytest.raises(ValueError, match="without look-around"):
            check_pattern(pattern)


@pytest.mark.parametrize("pattern", ["\x1b[2J(", "\x1b[2J", "a\nb(", "\u202e(", "("])
def test_what_a_pattern_says_reaches_no_terminal(pattern, capfd):
    with pytest.raises(ValueError, match="printable characters") as refused:
        check_pattern(pattern)
    assert str(refused.value).isprintable()
    logged = capfd.readouterr().err
    assert "\x1b" not in logged
    assert "\u202e" not in logged


@pytest.mark.parametrize(
    "pattern",
    ["block_1", "^block", "kernel$", "a|kernel$", "(?i)KERNEL", "b.*k", "x", "", "(?!block)dense"],
)
def test_both_searches_find_the_same(pattern):
    for path in ("block_1/kernel", "stem/bias", "dense/KERNEL_2", ""):
        assert search_for(pattern)(path) == (re.search(pattern, path) is not None)
