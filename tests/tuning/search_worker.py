"""A search in a process of its own: alone, as chief or as worker, by Keras Tuner's environment.

Arguments: the folder, the number of trials, after how many trials' beginnings to kill itself (0:
never), and how long a trial takes at least, in seconds.
"""

import os
import signal
import sys
import time

import keras
import keras_tuner

from keras_transgen.tuning import TransferHyperModel, watch_workers
from tests.tuning.tiny import few_digits, tiny_network

PATIENCE = 4.0


class Trials(keras.callbacks.Callback):
    """Counts trials, and dies in the one it was told to die in."""

    def __init__(self, kill_in: int, seconds: float):
        super().__init__()
        self.begun = 0
        self.kill_in = kill_in
        self.seconds = seconds

    def __deepcopy__(self, memo):
        return self

    def on_train_begin(self, logs=None):
        self.begun += 1
        if self.begun == self.kill_in:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.seconds)


def main(folder: str, trials: int, kill_in: int, seconds: float) -> None:
    # The same weights in every process: a worker's network is the chief's.
    keras.utils.set_random_seed(0)
    search = TransferHyperModel(
        [tiny_network()],
        10,
        space={"kind": "feature", "head": "linear", "l2": {"min_value": 0.01, "max_value": 1.0}},
        cache_dir=f"{folder}/features",
    )
    tuner = keras_tuner.RandomSearch(
        search,
        search.objective,
        max_trials=trials,
        seed=1,
        directory=folder,
        project_name="search",
        max_retries_per_trial=1,
    )
    train, validation = few_digits()
    with watch_workers(tuner, patience=PATIENCE):
        tuner.search(
            *train, validation_data=validation, verbose=0, callbacks=[Trials(kill_in, seconds)]
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
