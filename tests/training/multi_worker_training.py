"""What each worker of the test runs; arguments: the case, True or False for XLA, a folder."""

import json
import sys
from pathlib import Path

import tensorflow as tf

# The strategy must exist before TensorFlow starts anything else.
STRATEGY = tf.distribute.MultiWorkerMirroredStrategy()

import keras  # noqa: E402
import numpy as np  # noqa: E402


def main(name: str, jit_compile: bool, folder: Path) -> None:
    from keras_transgen.training import worker_statistics
    from tests.training.test_trainer import CASES

    case = CASES[name]
    with STRATEGY.scope():
        model = case.ready(jit_compile=jit_compile)
    history = model.fit(*case.data, batch_size=8, epochs=2, verbose=0)
    averages = [average for _, average in worker_statistics._AVERAGES.values()]
    # Traced once for all epochs; a function made anew each time would warn of it.
    assert [average.experimental_get_tracing_count() for average in averages] in ([], [1])
    assert averages or name != "two networks"
    logs = {}
    if name != "two networks":
        # After training, with statistics that all workers share.
        logs = model.evaluate(*case.data, batch_size=8, verbose=0, return_dict=True)
    worker = STRATEGY.cluster_resolver.task_id
    np.savez(folder / f"weights_{worker}.npz", *[weight.numpy() for weight in model.weights])
    (folder / f"logs_{worker}.json").write_text(json.dumps([history.history, logs]))


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    main(sys.argv[1], sys.argv[2] == "True", Path(sys.argv[3]))
