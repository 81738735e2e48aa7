"""A second Python process that has met none of the test's models: it loads files and calls them.

Run as a module it serves requests from its standard input; `FreshProcess` is the test's side.
"""

import contextlib
import importlib
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any


class FreshProcess:
    """Starts the process on the first call and keeps it for the session.

    Args:
        home: The process's KERAS_TRANSGEN_HOME, so that it shares no module store with the tests.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._process: subprocess.Popen | None = None

    def call(self, path: Any, method: str, *args: Any, imports: tuple = (), **kwargs: Any) -> Any:
        """Load the `.keras` file at `path` there and return what `model.method(...)` returns."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fresh_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parents[1],
                env={**os.environ, "KERAS_TRANSGEN_HOME": str(self._home)},
            )
        request = pickle.dumps((str(path), method, args, kwargs, imports))
        self._process.stdin.write(struct.pack("q", len(request)) + request)
        self._process.stdin.flush()
        (length,) = struct.unpack("q", self._process.stdout.read(8))
        error, result = pickle.loads(self._process.stdout.read(length))
        if error:
            raise AssertionError(f"in the new process:\n{error}")
        return result

    def close(self) -> None:
        if self._process is not None:
            self._process.stdin.close()
            self._process.wait(timeout=30)


def _serve() -> None:
    import gc
    import traceback

    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What libraries print must not mix with the answers.
    import keras

    import keras_transgen as ktg

    # The session is cleared before each call, which searches for garbage: not in the libraries.
    gc.freeze()
    while header := requests.read(8):
        path, method, args, kwargs, imports = pickle.loads(
            requests.read(struct.unpack("q", header)[0])
        )
        error, result = "", None
        try:
            for module in imports:
                importlib.import_module(module)
            keras.backend.clear_session()
            result = getattr(ktg.load_model(path), method)(*args, **kwargs)
            with contextlib.suppress(AttributeError):
                result = keras.tree.map_structure(lambda v: v.numpy(), result)
        except Exception:
            error = traceback.format_exc()
        answer = pickle.dumps((error, result))
        answers.write(struct.pack("q", len(answer)) + answer)
        answers.flush()


if __name__ == "__main__":
    _serve()
