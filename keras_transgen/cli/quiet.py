"""TensorFlow without its start-up lines and warnings of its inner workings."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# What fails is told by an exception, and its errors are often of no consequence.
_QUIET = "3"
# Informations and warnings of its C++ libraries, and the error that there is no GPU.
_LINE = re.compile(
    rb"[IW]\d{4} \d\d:\d\d:|[IW]0000 |WARNING: All log messages before absl::"
    rb"|\d{4}-\d\d-\d\d [\d:.]+: [IW] |E\d{4} .*(?:cuInit|cuda)",
)


def import_tensorflow() -> None:
    """Import TensorFlow; unless the user says which of its lines to show, none is.

    Whoever sets `TF_CPP_MIN_LOG_LEVEL` sees what TensorFlow shows at that level.
    """
    if os.environ.setdefault(LEVEL, _QUIET) != _QUIET or "tensorflow" in sys.modules:
        import tensorflow  # noqa: F401

        return
    with _without_startup_lines():
        import tensorflow as tf

        # Looking for GPUs says something, too.
        tf.config.list_physical_devices("GPU")
    tf.get_logger().setLevel(logging.ERROR)
    from absl import logging as absl_logging

    absl_logging.set_verbosity(absl_logging.ERROR)


def fit_verbosity() -> int:
    """What `fit` shows: a bar where somebody looks on, a line an epoch in files and pipes."""
    return 1 if sys.stdout.isatty() else 2


@contextlib.contextmanager
def _without_startup_lines() -> Iterator[None]:
    """Its libraries write to the error stream before their logging is set up, at any level."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            written.seek(0)
            for line in written:
                if not _LINE.match(line):
                    os.write(2, line)
