"""How far a search is, on the screen, and its limits of steps and of time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from keras_transgen.cli.options import progress_bar


class TimeIsOver(BaseException):
    """A search's time is over: no error, which Keras Tuner would count against a trial."""


@contextlib.contextmanager
def search_progress(
    console: Any, tuner: Any, trials: int, minutes: float | None, steps: int | None
) -> Iterator[Any]:
    """A bar of trials while it lasts; gives the callback that moves it and keeps the limits.

    Args:
        console: Where the bar is.
        tuner: A tuner.
        trials: How many trials there will be.
        minutes: Minutes after which `TimeIsOver` is raised.
        steps: Steps after which a trial ends.
    """
    import keras

    ends = None if minutes is None else time.monotonic() + 60 * minutes
    with progress_bar(console) as progress:
        bar = progress.add_task("searching", total=trials, completed=len(tuner.oracle.end_order))

        class ShowTrial(keras.callbacks.Callback):
            """Keras Tuner copies callbacks for each trial; a display is one for all."""

            def __deepcopy__(self, memo: dict) -> Any:
                return self

            def on_train_begin(self, logs: dict | None = None) -> None:
                self.steps = 0
                self._watch()

            def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
                self.steps += 1
                if steps is not None and self.steps >= steps:
                    self.model.stop_training = True
                self._watch()

            def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
                name = tuner.oracle.objective.name
                now = f", {name} {logs[name]:.4g}" if logs and name in logs else ""
                best = tuner.oracle.get_best_trials()
                scores = [trial.score for trial in best if trial.score is not None]
                so_far = f", best so far {scores[0]:.4g}" if scores else ""
                progress.update(
                    bar,
                    description=f"epoch {epoch + 1}{now}{so_far}",
                    completed=len(tuner.oracle.end_order),
                )

            def _watch(self) -> None:
                if ends is not None and time.monotonic() >= ends:
                    raise TimeIsOver

        yield ShowTrial()
        progress.update(bar, completed=len(tuner.oracle.end_order))
