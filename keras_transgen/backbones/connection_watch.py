"""HTTP connections that end: after a time in all, and where a server is slower than a rate.

A socket's own time limit is for silence, and begins anew with every byte. A server that sends one
byte a minute, `100 Continue` or header lines for ever would hold its visitor as long as it likes.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import ipaddress
import socket
import threading
import time
import urllib.request
from types import TracebackType
from typing import Any

_LOOKS = 10


class UnsafeRedirectError(ValueError):
    """A server on the public network that sends its visitor into a private one."""


class ConnectionWatch:
    """Shuts a connection whose server takes too long.

    A connection must bring an answer within `timeout` seconds, and from then on, in every
    `timeout` seconds, at least `least_rate` bytes a second. All of them together must come to an
    end within `time_limit`.

    Args:
        timeout: Seconds after which a connection is looked at.
        least_rate: Bytes a second of the file itself.
        time_limit: Seconds for everything: names, connections, redirects, attempts, pauses.
    """

    def __init__(self, timeout: float, least_rate: float, time_limit: float):
        self.timeout = timeout
        self.reason = ""
        self._least_rate = least_rate
        self._time_limit = time_limit
        self._end = time.monotonic() + time_limit
        self._socket: socket.socket | None = None
        self._since, self._received = time.monotonic(), 0
        self._from_public = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> ConnectionWatch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def remaining(self) -> float:
        """Seconds that are left of all."""
        return self._end - time.monotonic()

    def over(self) -> bool:
        """Whether no time is left; `reason` says so then."""
        if self.remaining() > 0:
            return False
        self.reason = f"it took more than {self._time_limit:g} seconds in all"
        return True

    def count(self, received: int) -> None:
        """Notes bytes of the file that have arrived."""
        self._received += received

    def answered(self) -> None:
        """Notes that headers have arrived, after which the rate counts."""
        self._since, self._received = time.monotonic(), 0

    def connect(
        self, address: tuple[str, int], timeout: Any = None, source_address: Any = None
    ) -> socket.socket:
        """A connection to the first address of a host that answers, under watch.

        Raises:
            UnsafeRedirectError: When an earlier connection led to the public network and this one
                does not.
            OSError: When none answers in time.
        """
        failed: OSError = OSError("the name has no address")
        for *kind, _, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            if self.over():
                raise TimeoutError(self.reason)
            self._check_network(str(place[0]))
            made = socket.socket(*kind)
            made.settimeout(max(0.01, min(self.timeout, self.remaining())))
            try:
                made.connect(place)
            except OSError as error:
                made.close()
                failed = error
                continue
            # What went wrong with an earlier connection does not count against this one.
            self.reason = ""
            self.answered()
            self._socket = made
            return made
        raise failed

    def secured(self, made: socket.socket) -> None:
        """Notes the encrypted connection that has taken a connection's place."""
        self._socket = made

    def _check_network(self, address: str) -> None:
        public = _is_public(address)
        if self._from_public and not public:
            raise UnsafeRedirectError(f"the address {address}, which is not on the public network")
        self._from_public = public

    def _look(self) -> None:
        while not self._stopped.wait(min(1.0, self.timeout / _LOOKS)):
            since = time.monotonic() - self._since
            if self.over():
                self._shut()
            elif since > self.timeout:
                if self._received < self._least_rate * self.timeout:
                    self.reason = (
                        f"{self._received:,} bytes of the file came in {since:.3g} seconds, fewer "
                        f"than {self._least_rate:g} a second"
                    )
                    self._shut()
                self.answered()

    def _shut(self) -> None:
        if self._socket is not None:
            # Not the encrypted socket's own method, which would go on reading in the clear.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _is_public(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_global


class _Watched(http.client.HTTPConnection):
    def __init__(self, host: str, *, watch: ConnectionWatch, **options: Any):
        super().__init__(host, **options)
        self._watch = watch
        # The standard library has no other hook for how a connection is made.
        self._create_connection = watch.connect


class _WatchedAndSecure(_Watched, http.client.HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        self._watch.secured(self.sock)


class WatchedOpener(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens `http://` and `https://` addresses under a watch, with the system's certificates."""

    def __init__(self, watch: ConnectionWatch):
        super().__init__()
        self._watch = watch

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(functools.partial(_Watched, watch=self._watch), req)  # type: ignore[arg-type]

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(functools.partial(_WatchedAndSecure, watch=self._watch), req)  # type: ignore[arg-type]
