"""Workers that die in a distributed search are noticed, so that the search ends without them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_transgen.tuning.chief import role

_SUFFIX = ".alive"


@contextlib.contextmanager
def watch_workers(tuner: Any, patience: float = 120.0) -> Iterator[None]:
    """Around `tuner.search` of a distributed search: the chief does without workers that died.

    Keras Tuner's chief waits for ever for the trial of a worker that was killed. Within this
    context each worker gives a sign of life (a file in the tuner's folder, which chief and workers
    share anyway), and the chief ends the trial of one that gives none for `patience` seconds.
    With `max_retries_per_trial` of 1 or more, another worker takes the trial up again; otherwise it
    counts as failed. A worker started again under the same `KERASTUNER_TUNER_ID` is welcome.

    Alone, without chief and workers, it does nothing, so one script serves all.

    Args:
        tuner: The tuner, of whatever algorithm.
        patience: Seconds without a sign of life. Defaults to 120.

    Raises:
        ValueError: If `patience` is not above zero.

    Example:
        ```python
        import keras_tuner
        import keras_transgen as ktg

        images, _ = ktg.datasets.load_digits()
        search = ktg.tuning.VAEHyperModel((8, 8, 1), space={"network": "dense", "hidden_units": 16})
        tuner = keras_tuner.RandomSearch(
            search, search.objective, max_trials=1, directory="runs", max_retries_per_trial=1
        )
        with ktg.tuning.watch_workers(tuner):
            tuner.search(images[:64], validation_data=images[64:128], epochs=1, verbose=0)
        ```
    """
    if not patience > 0:
        raise ValueError(f"patience must be above zero. Received: patience={patience}")
    work = {"alone": None, "chief": _look_after_workers, "worker": _give_signs}[role()]
    if work is None:
        yield
        return
    stopped = threading.Event()
    thread = threading.Thread(
        target=work, args=(tuner, patience, stopped), name="keras-transgen-workers", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _give_signs(tuner: Any, patience: float, stopped: threading.Event) -> None:
    file = Path(tuner.project_dir) / f"{tuner.tuner_id}{_SUFFIX}"
    while True:
        # The content changes, since times of files are not exact on every shared disk.
        file.write_text(repr(time.time()))
        if stopped.wait(patience / 8):
            break
    # Whoever leaves in order is not missed.
    file.unlink(missing_ok=True)


def _look_after_workers(tuner: Any, patience: float, stopped: threading.Event) -> None:
    folder = Path(tuner.project_dir)
    # By this machine's own clock: what each worker last said, and when that was news.
    heard: dict[str, tuple[str, float]] = {}
    while not stopped.wait(patience / 8):
        now = time.monotonic()
        for file in folder.glob(f"*{_SUFFIX}"):
            # Whoever leaves in order takes the file along.
            with contextlib.suppress(FileNotFoundError):
                said = file.read_text()
                if heard.get(file.stem, ("", 0.0))[0] != said:
                    heard[file.stem] = (said, now)
        for worker, (_, since) in list(heard.items()):
            if now - since > patience:
                _do_without(tuner.oracle, worker, now - since)
                # Its next word would be news again.
                del heard[worker]
                (folder / f"{worker}{_SUFFIX}").unlink(missing_ok=True)


def _do_without(oracle: Any, worker: str, silence: float) -> None:
    from keras_tuner.engine.trial import TrialStatus

    trial = oracle.ongoing_trials.get(worker)
    if trial is not None:
        print(
            f"Worker {worker!r} has given no sign of life for {silence:.0f} seconds: trial "
            f"{trial.trial_id} is taken from it.",
            flush=True,
        )
        trial.status = TrialStatus.INVALID
        trial.message = f"Worker {worker!r} gave no sign of life for {silence:.0f} seconds."
        oracle.end_trial(trial)
    oracle.tuner_ids.discard(worker)
