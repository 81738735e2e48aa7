"""How far a search is, on the screen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from keras_transgen.cli.options import progress_bar


@contextlib.contextmanager
def search_progress(console: Any, tuner: Any, trials: int) -> Iterator[Any]:
    """A bar of trials while it lasts; gives the callback that moves it.

    Args:
        console: Where the bar is.
        tuner: A tuner.
        trials: How many trials there will be.
    """
    import keras

    with progress_bar(console) as progress:
        bar = progress.add_task("searching", total=trials, completed=len(tuner.oracle.end_order))

        class ShowTrial(keras.callbacks.Callback):
            """Keras Tuner copies callbacks for each trial; a display is one for all."""

            def __deepcopy__(self, memo: dict) -> Any:
                return self

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

        yield ShowTrial()
        progress.update(bar, completed=len(tuner.oracle.end_order))
