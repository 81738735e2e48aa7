"""What each worker of the test runs: all models in turn under one strategy. Argument: a folder."""

import json
import sys
from pathlib import Path

import tensorflow as tf

# The strategy must exist before TensorFlow starts anything else.
STRATEGY = tf.distribute.MultiWorkerMirroredStrategy()

import keras  # noqa: E402
import numpy as np  # noqa: E402


def main(folder: Path) -> None:
    from keras_transgen.training import moving_statistics
    from tests.training.test_trainer import CASES

    worker = STRATEGY.cluster_resolver.task_id
    for name, case in CASES.items():
        with STRATEGY.scope():
            model = case.ready(jit_compile=name != "classifier")
        history = model.fit(*case.data, batch_size=8, epochs=2, verbose=0)
        _, average = moving_statistics._AVERAGES.get(model, ([], None))
        assert average is not None or name != "two networks"
        # Traced once for all epochs; a function made anew each time would warn of it.
        assert average is None or average.experimental_get_tracing_count() == 1
        logs = {}
        if name != "two networks":
            # After training, with statistics that all workers share.
            logs = model.evaluate(*case.data, batch_size=8, verbose=0, return_dict=True)
        weights = [weight.numpy() for weight in model.weights]
        np.savez(folder / f"{name}_{worker}.npz", *weights)
        (folder / f"{name}_{worker}.json").write_text(json.dumps([history.history, logs]))


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    main(Path(sys.argv[1]))
