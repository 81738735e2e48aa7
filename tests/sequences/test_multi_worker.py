"""Two real processes train models of texts together and end alike, and as one alone does."""

import numpy as np
import pytest

from tests.sequences.multi_worker_cases import BATCH, CASES, EPOCHS
from tests.training.workers import run_workers

# Processes of their own.
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What both workers ended with; one pair of processes trains all models."""
    folder = tmp_path_factory.mktemp("workers")
    run_workers("tests.sequences.multi_worker_training", str(folder), timeout=900)
    return {name: [np.load(folder / f"{name}_{w}.npz") for w in range(2)] for name in CASES}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_workers_end_alike(name, results):
    first, second = results[name]
    for key in first:
        assert np.isfinite(first[key]).all(), key
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, (case, _) in CASES.items() if case.tolerance])
def test_two_workers_end_as_one(name, results):
    """The mean over tokens is one over those of all workers."""
    case, _ = CASES[name]
    alone = case.ready()
    history = alone.fit(*case.data, batch_size=BATCH, epochs=EPOCHS, verbose=0).history
    logs = alone.evaluate(*case.data, batch_size=BATCH, verbose=0, return_dict=True)
    first = results[name][0]
    for number, weight in enumerate(alone.weights):
        # The bias of keys has no gradient but rounding, of which Adam makes steps.
        np.testing.assert_allclose(
            first[f"weight {number}"], weight.numpy(), atol=3e-5, err_msg=weight.path
        )
    np.testing.assert_allclose(first["outputs"], case.result(alone)[0], rtol=1e-4)
    np.testing.assert_allclose(first["losses"], [*history["loss"], logs["loss"]], rtol=1e-5)
