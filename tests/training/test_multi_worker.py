"""Two real processes train together and end alike, and as one process alone does."""

import json

import numpy as np
import pytest

from tests.training.test_trainer import CASES
from tests.training.workers import run_workers

# Processes of their own.
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What both workers ended with; one pair of processes trains all models."""
    folder = tmp_path_factory.mktemp("workers")
    run_workers("tests.training.multi_worker_training", str(folder))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_workers_end_with_identical_weights(name, folder):
    first, second = (np.load(folder / f"{name}_{worker}.npz") for worker in range(2))
    for key in first:
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)
    logs = [json.loads((folder / f"{name}_{worker}.json").read_text()) for worker in range(2)]
    assert logs[0] == logs[1]
    if CASES[name].tolerance is None:
        return  # Its noise or statistics differ between replicas by design.
    case = CASES[name]
    alone = case.ready()
    history = alone.fit(*case.data, batch_size=8, epochs=2, verbose=0)
    evaluated = alone.evaluate(*case.data, batch_size=8, verbose=0, return_dict=True)
    for key, weight in zip(first, alone.weights):
        np.testing.assert_allclose(first[key], weight.numpy(), atol=1e-5)
    for log in evaluated:
        np.testing.assert_allclose(logs[0][0][log], history.history[log], atol=1e-5, err_msg=log)
        np.testing.assert_allclose(logs[0][1][log], evaluated[log], atol=1e-5, err_msg=log)
