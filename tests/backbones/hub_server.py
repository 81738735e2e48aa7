"""A loopback server that speaks TF-Hub's protocol, with faults on demand.

Use it as a context manager; other test files may import it:

    with HubServer() as hub:
        handle = hub.add_module("/google/tiny/1", folder)
        hub.add_fault("/google/tiny/1", Fault(drop_after=1000, times=1))
        resolve(handle, cache_dir=...)
        assert len(hub.requests) == 2
"""

from __future__ import annotations

import hashlib
import http.server
import io
import tarfile
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

PAGE = b"<!DOCTYPE html><html><head><title>Sign in to\n Kaggle</title></head></html>"


@dataclass
class Fault:
    """What goes wrong with the answers for one path, `times` times (-1: always)."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)  # sent with `status`
    redirect: str | None = None
    html: bool = False
    truncate_after: int | None = None  # the file itself is cut: Content-Length agrees
    drop_after: int | None = None  # the connection ends: Content-Length promised more
    content_length: int | None = None  # what is claimed, whatever is sent
    change_content: bytes | None = None  # from now on the path has this content
    seconds_per_chunk: float = 0.0  # slow, 64 chunks a file
    times: int = -1


@dataclass(frozen=True)
class Request:
    """One line of the log."""

    path: str
    query: str
    headers: dict[str, str]
    status: int


@dataclass
class _File:
    content: bytes
    protocol: bool
    validator: bool | str

    @property
    def tag(self) -> str:
        strong = f'"{hashlib.md5(self.content).hexdigest()}"'
        return f"W/{strong}" if self.validator == "weak" else strong


class HubServer:
    """Serves modules as tfhub.dev and Kaggle do: an archive for `?tf-hub-format=compressed`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._files: dict[str, _File] = {}
        self._faults: dict[str, list[Fault]] = {}
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.hub = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def add_module(self, path: str, folder: str | Path, *, validator: bool | str = True) -> str:
        """Serves a folder at a handle, and returns the handle. Without the query: a page.

        `validator` says whether files have an ETag; it may be `"weak"`.
        """
        self._files[path] = _File(pack_tar_gz(folder), True, validator)
        return self.url(path)

    def add_file(self, path: str, content: bytes, *, validator: bool = True) -> str:
        """Serves bytes as they are, with or without a query."""
        self._files[path] = _File(content, False, validator)
        return self.url(path)

    def add_fault(self, path: str, fault: Fault) -> None:
        """Adds a fault to a path; faults of one path are used up in turn."""
        self._faults.setdefault(path, []).append(fault)

    def content(self, path: str) -> bytes:
        return self._files[path].content

    def _next_fault(self, path: str) -> Fault:
        for fault in self._faults.get(path, []):
            if fault.times != 0:
                fault.times -= 1
                return fault
        return Fault()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        hub: HubServer = self.server.hub  # type: ignore[attr-defined]
        address = urllib.parse.urlsplit(self.path)
        fault = hub._next_fault(address.path)
        file = hub._files.get(address.path)
        if file and fault.change_content is not None:
            file.content = fault.change_content
        self.close_connection = True
        if fault.status or (file is None and not fault.redirect):
            self._reply(fault.status or 404, b"", fault.headers)
        elif fault.redirect:
            self._reply(302, b"", {"Location": fault.redirect})
        elif fault.html or (file.protocol and "tf-hub-format=compressed" not in address.query):
            self._reply(200, PAGE, {"Content-Type": "text/html; charset=utf-8"})
        else:
            self._send_file(file, fault)

    def _send_file(self, file: _File, fault: Fault) -> None:
        content = file.content[: fault.truncate_after]
        headers = {"Content-Type": "application/gzip"}
        status, start = 200, 0
        if file.validator:
            headers["ETag"] = file.tag
            wanted = self.headers.get("Range", "")
            if wanted and self.headers.get("If-Range") == file.tag:
                status, start = 206, int(wanted.removeprefix("bytes=").rstrip("-"))
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        if fault.content_length is not None:
            headers["Content-Length"] = str(fault.content_length)
        self._reply(status, body, headers, fault.drop_after, fault.seconds_per_chunk)

    def _reply(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str],
        drop_after: int | None = None,
        pause: float = 0.0,
    ) -> None:
        hub: HubServer = self.server.hub  # type: ignore[attr-defined]
        address = urllib.parse.urlsplit(self.path)
        # Logged before it is sent: who has the answer finds it in the log.
        hub.requests.append(Request(address.path, address.query, dict(self.headers), status))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        body = body[:drop_after]
        step = max(1, len(body) // 64) if pause else max(1, len(body))
        try:
            for start in range(0, len(body), step):
                self.wfile.write(body[start : start + step])
                self.wfile.flush()
                time.sleep(pause)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def log_message(self, *arguments: object) -> None:
        """Keeps the test's output clean; the log is `HubServer.requests`."""


def pack_tar_gz(folder: str | Path) -> bytes:
    """A folder as the hub packs it: names relative to the folder, gzip."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(folder, arcname=".")
    return packed.getvalue()


def save_tiny_module(folder: str | Path, scale: float = 2.0, size: int = 1000) -> Path:
    """Saves a SavedModel that multiplies by `scale`, with `size` more variable elements."""
    import numpy as np
    import tensorflow as tf

    class Tiny(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = tf.Variable(scale)
            # Random, so that it does not compress: faults need bytes to hit.
            noise = np.random.default_rng(0).normal(size=size).astype("float32")
            self.noise = tf.Variable(noise)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
            return inputs * self.scale

    tf.saved_model.save(Tiny(), str(folder))
    return Path(folder)
