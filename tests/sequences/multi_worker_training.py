"""What each worker of the test runs: all models in turn under one strategy. Argument: a folder."""

import sys
from pathlib import Path

import tensorflow as tf

# The strategy must exist before TensorFlow starts anything else.
STRATEGY = tf.distribute.MultiWorkerMirroredStrategy()

import keras  # noqa: E402
import numpy as np  # noqa: E402


def main(folder: Path) -> None:
    from tests.sequences.multi_worker_cases import BATCH, CASES, EPOCHS

    worker = STRATEGY.cluster_resolver.task_id
    for name, (case, jit_compile) in CASES.items():
        with STRATEGY.scope():
            model = case.ready(jit_compile=jit_compile)
        history = model.fit(*case.data, batch_size=BATCH, epochs=EPOCHS, verbose=0).history
        logs = model.evaluate(*case.data, batch_size=BATCH, verbose=0, return_dict=True)
        arrays = {f"weight {i}": weight.numpy() for i, weight in enumerate(model.weights)}
        arrays["outputs"] = case.result(model)[0]
        arrays["losses"] = np.array([*history["loss"], logs["loss"]])
        np.savez(folder / f"{name}_{worker}.npz", **arrays)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    main(Path(sys.argv[1]))
