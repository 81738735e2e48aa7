"""Whether a worker of a distributed search reaches its chief, and how long it waits for that."""

from __future__ import annotations

import os
import socket
import time

ADDRESS = "KERASTUNER_ORACLE_IP"
PORT = "KERASTUNER_ORACLE_PORT"
TUNER_ID = "KERASTUNER_TUNER_ID"
_BETWEEN_TRIES = 0.5


def role() -> str:
    """What this process is in a search: `"chief"`, `"worker"` or `"alone"`.

    Keras Tuner's environment variables tell.
    """
    if ADDRESS not in os.environ:
        return "alone"
    # As Keras Tuner takes it.
    return "chief" if "chief" in os.environ.get(TUNER_ID, "") else "worker"


def wait_for_chief(seconds: float = 600.0) -> str | None:
    """Wait until the chief of a distributed search answers; Keras Tuner itself waits an hour.

    The package's HyperModels call it when they are made and after each trial. In a process that is
    no worker it does nothing.

    Args:
        seconds: How long to wait at most. Defaults to 600, ten minutes: a chief answers only once
            its own program has come to `tuner.search`.

    Returns:
        The chief's address, `None` where there is none to wait for.

    Raises:
        ConnectionError: It did not answer in that time; the address is named.

    Example:
        ```python
        import keras_transgen as ktg

        assert ktg.tuning.wait_for_chief() is None  # no worker of a search
        ```
    """
    if role() != "worker":
        return None
    host, port = os.environ[ADDRESS], os.environ.get(PORT, "")
    if not port.isdigit():
        raise ValueError(
            f"{PORT} must be the chief's port. Received: {ADDRESS}={host!r}, {PORT}={port!r}"
        )
    address = f"{host}:{port}"
    end = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection((host, int(port)), timeout=max(1.0, _BETWEEN_TRIES)):
                return address
        except OSError as error:
            if time.monotonic() >= end:
                raise ConnectionError(
                    f"The chief of this search does not answer at {address}: {error}. Is a process "
                    f"with {TUNER_ID}='chief' running there, has it come to tuner.search, and may "
                    f"this machine reach the port? Received: {ADDRESS}={host!r}, {PORT}={port!r}, "
                    f"tried for {seconds:g} seconds"
                ) from error
        time.sleep(_BETWEEN_TRIES)
