"""Training on a Ray cluster: Ray starts the workers, restarts them, and keeps the checkpoints."""

from __future__ import annotations

import inspect
import os
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_transgen.distributed.ray_extra import ray_module


def ray_trainer(
    train_function: Callable[..., Any],
    *,
    num_workers: int,
    config: dict[str, Any] | None = None,
    storage_path: str | os.PathLike[str] | None = None,
    name: str | None = None,
    max_failures: int = 3,
    use_gpu: bool = False,
    resources_per_worker: Mapping[str, float] | None = None,
    **kwargs: Any,
) -> Any:
    """Make Ray's own `TensorflowTrainer` for a function that trains models of this package.

    Ray runs the function once on each worker. There `keras_transgen.distributed.worker_strategy()`
    finds the cluster that Ray made, and `fit` trains on all of it. If a worker dies, Ray starts all
    anew, and a model that is fitted with `RayCheckpoint` goes on from its last epoch.

    Args:
        train_function: Called with `config`, or with nothing if it takes no argument.
        num_workers: Processes that train together.
        config: What `train_function` is called with.
        storage_path: Where checkpoints go: a folder or address that all machines see. Ray's
            default, `~/ray_results`, serves for one machine.
        name: Name of the run; its folder in `storage_path`. A run of the same name and path goes
            on from its last checkpoint.
        max_failures: How often the workers are started anew after one died. Defaults to 3.
        use_gpu: Whether each worker gets a GPU. Defaults to `False`.
        resources_per_worker: As in `ray.train.ScalingConfig`.
        **kwargs: Passed on to `TensorflowTrainer`, such as `datasets`.

    Returns:
        A `ray.train.tensorflow.TensorflowTrainer`: call its `fit()`.

    Raises:
        ImportError: If Ray is not installed.
        ValueError: If `num_workers` is not positive.

    Example:
        ```python no-run
        import keras_transgen as ktg

        def train(config):
            strategy = ktg.distributed.worker_strategy()
            images, _ = ktg.datasets.load_digits()
            with strategy.scope():
                vae = ktg.VAE(input_shape=images.shape[1:], latent_dim=8, seed=0)
            callbacks = [ktg.distributed.RayCheckpoint()]
            vae.fit(images, epochs=config["epochs"], batch_size=128, callbacks=callbacks)

        trainer = ktg.distributed.ray_trainer(
            train, num_workers=2, config={"epochs": 5}, storage_path="/mnt/shared/runs", name="vae"
        )
        result = trainer.fit()
        ```
    """
    train = ray_module("ray.train")
    if num_workers < 1:
        raise ValueError(f"Expected num_workers of at least 1. Received: num_workers={num_workers}")
    takes_config = bool(inspect.signature(train_function).parameters)
    resources = None if resources_per_worker is None else dict(resources_per_worker)

    def train_on_worker(given: dict[str, Any]) -> Any:
        # Ray asks for Keras 2 here; tf.keras, where a user's code uses it, shall be Keras 3.
        os.environ.pop("TF_USE_LEGACY_KERAS", None)
        return train_function(given) if takes_config else train_function()

    return ray_module("ray.train.tensorflow").TensorflowTrainer(
        train_on_worker,
        train_loop_config=config or {},
        scaling_config=train.ScalingConfig(
            num_workers=num_workers, use_gpu=use_gpu, resources_per_worker=resources
        ),
        run_config=train.RunConfig(
            name=name,
            storage_path=None if storage_path is None else os.fspath(storage_path),
            failure_config=train.FailureConfig(max_failures=max_failures),
        ),
        **kwargs,
    )


class RayCheckpoint(keras.callbacks.BackupAndRestore):
    """Keras' `BackupAndRestore` whose backup is a checkpoint of Ray Train.

    At the end of every epoch the first worker saves the weights, the optimizers and the state of
    the run, and all report to Ray, with the epoch's logs as metrics. When Ray has started the
    workers anew, all restore the last checkpoint that it had noted (it does so about a second after
    the report) and go on with the next epoch. One `fit` of a run may have it: a second one would
    restore the first one's model.

    Raises:
        ImportError: If Ray is not installed.
        RuntimeError: If it is made outside of a function that Ray Train runs.
    """

    def __init__(self) -> None:
        train = ray_module("ray.train")
        self._train = train
        self._rank = train.get_context().get_world_rank()
        # Keras deletes it at the end of training; Ray has its own copies.
        folder = tempfile.mkdtemp(prefix="keras-transgen-checkpoint-")
        last = train.get_checkpoint()
        if last is not None:
            last.to_directory(folder)
        super().__init__(folder, delete_checkpoint=True)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        numbers = {name: value for name, value in (logs or {}).items() if np.ndim(value) == 0}
        metrics = {name: float(np.asarray(value)) for name, value in numbers.items()}
        checkpoint = None
        if self._rank == 0:
            super().on_epoch_end(epoch, logs)
            checkpoint = self._train.Checkpoint.from_directory(self.backup_dir)
        self._train.report({"epoch": epoch + 1, **metrics}, checkpoint=checkpoint)
