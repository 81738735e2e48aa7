"""`BackupAndRestore` for several workers: one writes, all read."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class SharedBackup(keras.callbacks.BackupAndRestore):
    """Keras' `BackupAndRestore` in a folder that all workers of a cluster share.

    Of Keras' own, every worker would write and at the end delete the same files at the same time.
    Here the first worker does, and all workers restore from what it wrote, so that a run whose
    workers were killed goes on alike on all of them. On one machine it is Keras' own.

    Args:
        backup_dir: Folder on a file system that all workers see.
        **kwargs: As in `keras.callbacks.BackupAndRestore`.

    Example:
        ```python
        import numpy as np
        import keras_transgen as ktg

        vae = ktg.VAE(input_shape=(4,), latent_dim=2)
        vae.compile(jit_compile=False)
        backup = ktg.distributed.SharedBackup("backup")
        vae.fit(np.ones((8, 4), "float32"), epochs=1, callbacks=[backup], verbose=0)
        ```
    """

    def __init__(self, backup_dir: str, **kwargs: Any) -> None:
        super().__init__(backup_dir, **kwargs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self._writes():
            super().on_epoch_end(epoch, logs)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self._writes():
            super().on_train_batch_end(batch, logs)

    def on_train_end(self, logs: dict | None = None) -> None:
        if self._writes():
            super().on_train_end(logs)

    def _writes(self) -> bool:
        """Whether this process is the first worker, or the only one."""
        strategy = self.model.distribute_strategy
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return True
        resolver = strategy.cluster_resolver
        first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
        return resolver.task_type == first and resolver.task_id == 0
