"""What all transformers of two domains do alike."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from keras_transgen.transfer.subspace import (
    CORAL,
    SubspaceAlignment,
    TransferComponentAnalysis,
)
from tests.transfer.subspace.domains import two_domains

METHODS = {
    "subspace alignment": SubspaceAlignment(3),
    "CORAL": CORAL(0.5),
    "transfer components": TransferComponentAnalysis(3, mu=0.5),
}


@pytest.fixture(params=METHODS)
def method(request):
    return clone(METHODS[request.param])


def test_fit_transform_is_fit_then_transform(method):
    source, target = two_domains()
    expected = clone(method).fit_transform(source, target)
    assert method.fit(source, target) is method
    for one, other in zip(
        expected, (method.transform_source(source), method.transform_target(target))
    ):
        np.testing.assert_allclose(one, other, atol=1e-10)
    # Rows are transformed one by one, so that new ones can be.
    np.testing.assert_allclose(method.transform_source(source[:7]), expected[0][:7], atol=1e-10)


def test_parameters_are_scikit_learns(method):
    again = clone(method)
    assert again is not method
    assert again.get_params() == method.get_params()
    assert type(method).__name__ in repr(method)


def test_refuses_before_fit_and_other_widths(method):
    source, target = two_domains()
    with pytest.raises(NotFittedError):
        method.transform_source(source)
    method.fit(source, target)
    with pytest.raises(
        ValueError, match=r"features \[count, 6\].*Received: features.shape=\(80, 5"
    ):
        method.transform_source(source[:, :5])


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (np.zeros((4, 3)), np.zeros((4, 2)), "same number of features"),
        (np.zeros((1, 3)), np.zeros((4, 3)), "at least 2 rows in source"),
        (np.full((4, 3), np.nan), np.zeros((4, 3)), "finite values in source"),
        (np.zeros((4, 3, 1)), np.zeros((4, 3)), r"source of shape \[count, features\]"),
    ],
)
def test_refuses_what_are_no_two_domains(method, source, target, message):
    with pytest.raises(ValueError, match=message):
        method.fit(source, target)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (SubspaceAlignment(7), "between 1 and 6.*Received: num_components=7"),
        (SubspaceAlignment(2.5), "whole number.*Received: num_components=2.5"),
        (TransferComponentAnalysis(0), "between 1 and 139.*Received: num_components=0"),
        (TransferComponentAnalysis(2, mu=0.0), "above 0. Received: mu=0.0"),
        (CORAL(-1.0), "at least 0. Received: regularization=-1.0"),
    ],
)
def test_refuses_parameters_out_of_range(method, message):
    with pytest.raises(ValueError, match=message):
        method.fit(*two_domains())
