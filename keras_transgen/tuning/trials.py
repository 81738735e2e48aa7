"""The trials of a search as rows, the best first: for a table, a file or a figure."""

from __future__ import annotations

from typing import Any

from keras_transgen.tuning.search_space import MARKER

# Words that Keras Tuner keeps beside the hyperparameters of a Hyperband trial.
_OF_THE_TUNER = "tuner/"


def trial_table(tuner: Any) -> list[dict[str, Any]]:
    """All trials of a search, the best first, those without a score last.

    Args:
        tuner: A tuner of Keras Tuner, of whatever algorithm, after its search or within; its model
            need not be this package's.

    Returns:
        A dict for each trial, of values that JSON knows:

        - `"trial"`: its name in the tuner's folder.
        - `"status"`: Keras Tuner's word, `"COMPLETED"` for one that came to its end.
        - `"score"`: the objective; `None` unless completed.
        - `"best_epoch"`: the epoch with this score, from 1; `None` unless completed.
        - `"hyperparameters"`: names and values of those that exist in the trial and are searched.
        - `"message"`: why it failed, in one line; `None` if completed.

    Example:
        ```python
        import keras_tuner
        import keras_transgen as ktg

        (x, y), validation = ktg.datasets.load_digits_split(test_fraction=0.5)
        search = ktg.tuning.TransferHyperModel(
            ["digits"], 10, space={"kind": "feature", "head": "linear", "l2": [1e-3, 1e-1]}
        )
        tuner = keras_tuner.RandomSearch(search, search.objective, max_trials=1, directory="runs")
        tuner.search(x[:100], y[:100], validation_data=validation, verbose=0)
        rows = ktg.tuning.trial_table(tuner)
        print(rows[0]["score"], rows[0]["hyperparameters"])
        # As a data frame: pandas.json_normalize(rows)
        ```
    """
    sign = -1.0 if tuner.oracle.objective.direction == "max" else 1.0
    rows = [_row(trial) for trial in tuner.oracle.trials.values()]
    return sorted(rows, key=lambda row: (row["score"] is None, sign * (row["score"] or 0.0)))


def _row(trial: Any) -> dict[str, Any]:
    done = trial.status == "COMPLETED"
    return {
        "trial": trial.trial_id,
        "status": trial.status,
        "score": float(trial.score) if done else None,
        "best_epoch": int(trial.best_step) + 1 if done else None,
        "hyperparameters": {
            name: value
            for name, value in trial.hyperparameters.values.items()
            if name != MARKER and not name.startswith(_OF_THE_TUNER)
        },
        "message": None if done else last_line(trial.message or ""),
    }


def last_line(text: str) -> str:
    """What a traceback comes down to."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
