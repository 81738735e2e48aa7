"""Ray starts two workers, restarts them when one is killed, and they end alike."""

import sys

import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.distributed import RayCheckpoint, ray_trainer
from tests.distributed import ray_functions

pytestmark = pytest.mark.long


@pytest.mark.slow
def test_a_killed_worker_is_restarted_and_both_end_alike(ray_cluster, tmp_path):
    trainer = ray_trainer(
        ray_functions.train_two_models,
        num_workers=2,
        config={"folder": str(tmp_path)},
        storage_path=tmp_path / "runs",
        name="two_models",
        max_failures=1,
    )
    result = trainer.fit()
    assert result.error is None
    assert (tmp_path / "killed").exists()
    assert result.metrics["epoch"] == ray_functions.EPOCHS
    assert np.isfinite(result.metrics["loss"])
    # Killed within the third epoch, both gone on from the last checkpoint that Ray had noted: the
    # second epoch's, or on a machine under load the first one's.
    epochs = [(tmp_path / f"epochs_{worker}.txt").read_text() for worker in range(2)]
    assert epochs[0] in ("0 1 2 2 3 ", "0 1 2 1 2 3 ")
    assert epochs[0] == epochs[1]
    for name in ("transfer", "vae"):
        first, second = (np.load(tmp_path / f"{name}_{worker}.npz") for worker in range(2))
        assert len(first) > 6
        for key in first:
            assert np.isfinite(first[key]).all()
            np.testing.assert_array_equal(first[key], second[key], err_msg=f"{name}, {key}")
    # Of the transfer model, which draws no noise, one process takes the same steps.
    alone = ray_functions.transfer_model()
    images, labels = ray_functions.digits()
    alone.fit(
        images, labels, epochs=ray_functions.EPOCHS, batch_size=ray_functions.BATCH, verbose=0
    )
    trained = np.load(tmp_path / "transfer_0.npz")
    assert len(trained) == len(alone.weights)
    for key, weight in zip(trained, alone.weights):
        np.testing.assert_allclose(trained[key], weight.numpy(), atol=1e-4, err_msg=weight.path)


def test_no_workers_are_refused():
    with pytest.raises(ValueError, match="Received: num_workers=0"):
        ray_trainer(ray_functions.train_two_models, num_workers=0)


def test_a_checkpoint_of_ray_needs_ray_to_run_the_function():
    with pytest.raises(RuntimeError):
        RayCheckpoint()


@pytest.mark.parametrize(
    "call",
    [
        lambda path: ray_trainer(ray_functions.train_two_models, num_workers=2),
        lambda path: ktg.distributed.extract_with_ray("digits", path, path, image_size=8),
        lambda path: ktg.distributed.sample_with_ray("model.keras", path, 8),
        lambda path: ktg.distributed.read_features(path),
        lambda path: RayCheckpoint(),
    ],
    ids=["trainer", "extract", "sample", "read", "checkpoint"],
)
def test_without_ray_the_extra_is_named(call, monkeypatch, tmp_path):
    # What Python itself does where a package is not installed.
    for name in ("ray", "ray.train", "ray.data", "pyarrow", "pyarrow.fs"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'keras-transgen\[ray\]'"):
        call(tmp_path)
