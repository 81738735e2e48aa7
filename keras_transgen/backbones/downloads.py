"""Fetch one file by HTTP: with progress, in several attempts, whole or not at all."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any

from keras_transgen.backbones.archives import MAX_BYTES
from keras_transgen.backbones.connection_watch import (
    ConnectionWatch,
    UnsafeRedirectError,
    WatchedOpener,
)
from keras_transgen.backbones.saved_model_folder import HandleError
from keras_transgen.datasets.printable import printable

_CHUNK = 2**18
_LONGEST_PAUSE = 30.0
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_ADVICE = {
    401: "the server wants a login: download the module in a browser and pass the file, or use "
    "kaggle://owner/model/framework/variation with kagglehub",
    403: "the server refuses access: if it is a Kaggle model, accept its terms there, then use "
    "kaggle://owner/model/framework/variation with kagglehub",
    404: "there is no such module: check the spelling and the version at the end of the handle",
    410: "the module was withdrawn: look for its successor on the publisher's page",
}


class _Interrupted(Exception):
    """An attempt that failed in a way another attempt may not."""

    def __init__(self, reason: str, pause: float = 0.0):
        super().__init__(reason)
        self.pause = pause


@dataclass
class _Transfer:
    url: str
    file: Path
    watch: ConnectionWatch
    max_bytes: int
    show: Callable[[int, int | None], object]
    # What proves that the rest, fetched later, is the rest of the same content.
    validator: str | None = None


def download(
    url: str,
    file: str | os.PathLike[str],
    *,
    progress: bool = True,
    attempts: int = 5,
    backoff: float = 0.5,
    timeout: float = 60.0,
    least_rate: float = 1000.0,
    time_limit: float = 24 * 3600.0,
    max_bytes: int = MAX_BYTES,
) -> None:
    """Fetches a URL into a file.

    Redirects are followed, never from https to anything else, nor from the public network into a
    private one. A broken connection is taken up
    again where it broke when the server can prove that the content is the same (`ETag` or
    `Last-Modified`), from the start otherwise.

    Args:
        url: An http or https URL.
        file: File to write. After an error it may hold a part: it belongs into a folder that
            the caller throws away.
        progress: Whether to show a bar on stderr. Defaults to True.
        attempts: Most attempts. Defaults to 5.
        backoff: Seconds to pause after the first failed attempt, doubled after each. Defaults
            to 0.5.
        timeout: Seconds of silence, or of fewer bytes than `least_rate`, after which an attempt
            has failed. Defaults to 60.
        least_rate: Fewest bytes a second, over `timeout` seconds. Defaults to 1,000.
        time_limit: Seconds that all attempts may take together. Defaults to a day, in which the
            least line that is of use, 200 kB a second, fetches the largest module.
        max_bytes: Largest file. Defaults to 16 GiB.
    """
    watch = ConnectionWatch(timeout, least_rate, time_limit)
    with watch, _progress_bar(url, progress) as show:
        transfer = _Transfer(url, Path(file), watch, max_bytes, show)
        for attempt in range(attempts):
            try:
                _attempt(transfer)
                return
            except _Interrupted as error:
                pause = max(backoff * 2**attempt, min(error.pause, _LONGEST_PAUSE))
                if attempt == attempts - 1 or pause >= watch.remaining():
                    raise HandleError(
                        f"expected to fetch the module, and {attempt + 1} attempts failed. Check "
                        "the network and the address (and HTTPS_PROXY where a proxy is needed), "
                        "or download the archive elsewhere and pass the file. "
                        f"Received: {url}, last error: {printable(error)}"
                    ) from error
                time.sleep(pause)


def _attempt(transfer: _Transfer) -> None:
    start = 0
    headers = {"User-Agent": "keras_transgen", "Accept-Encoding": "identity"}
    if transfer.validator and transfer.file.exists() and transfer.file.stat().st_size:
        start = transfer.file.stat().st_size
        headers |= {"Range": f"bytes={start}-", "If-Range": transfer.validator}
    with _open(transfer, headers) as response:
        resumed = response.status == 206
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            transfer.validator = None
            raise _Interrupted("the server resumed at another place than it was asked to")
        _refuse_web_page(transfer.url, response)
        transfer.validator = _validator(response.headers)
        transfer.watch.answered()
        _receive(transfer, response, start if resumed else 0)


def _open(transfer: _Transfer, headers: dict[str, str]) -> Any:
    try:
        request = urllib.request.Request(transfer.url, headers=headers)
        opener = urllib.request.build_opener(_CarefulRedirects, WatchedOpener(transfer.watch))
        return opener.open(request, timeout=transfer.watch.timeout)
    except urllib.error.HTTPError as error:
        with contextlib.closing(error):
            raise _status_error(transfer, error) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise HandleError(
                "expected a server with a valid certificate; check the address and the machine's "
                f"date and certificates. Received: {transfer.url}, {error.reason}"
            ) from error
        raise _interrupted(transfer, error) from error
    except UnsafeRedirectError as error:
        raise HandleError(
            "expected a redirect to a public address, as the first one is; pass the final address "
            f"if you trust it. Received: {transfer.url}, which leads to {error}"
        ) from error
    except (http.client.InvalidURL, UnicodeError) as error:
        raise HandleError(
            f"expected a URL; check its spelling. Received: {transfer.url!r}, {error}"
        ) from error
    except (http.client.HTTPException, OSError) as error:
        raise _interrupted(transfer, error) from error


def _interrupted(transfer: _Transfer, error: Exception) -> _Interrupted:
    if isinstance(error, urllib.error.URLError):
        said = str(error.reason)
    else:
        said = f"{type(error).__name__}: {error}"
    return _Interrupted(transfer.watch.reason or said)


def _status_error(transfer: _Transfer, error: urllib.error.HTTPError) -> Exception:
    if error.code == 416 and transfer.validator:
        transfer.validator = None
        return _Interrupted("the server cannot resume")
    if error.code in _TRY_AGAIN:
        pause = error.headers.get("Retry-After", "")
        return _Interrupted(f"HTTP status {error.code}", _number(pause) or 0)
    advice = _ADVICE.get(error.code, "check the address in a browser")
    return HandleError(
        f"expected a module at this address, but {advice}. "
        f"Received: {transfer.url}, HTTP status {error.code}"
    )


def _receive(transfer: _Transfer, response: Any, received: int) -> None:
    length = _number(response.headers.get("Content-Length", ""))
    expected = None if length is None else received + length
    _check_size(transfer, expected or 0)
    with transfer.file.open("ab" if received else "wb") as file:
        for chunk in _chunks(transfer, response):
            received += len(chunk)
            _check_size(transfer, received)
            file.write(chunk)
            transfer.show(received, expected)
    if transfer.watch.reason:
        raise _Interrupted(transfer.watch.reason)
    if expected is not None and received != expected:
        raise _Interrupted(f"the connection ended after {received:,} of {expected:,} bytes")


def _check_size(transfer: _Transfer, size: int) -> None:
    if size > transfer.max_bytes:
        raise HandleError(
            f"expected a module of at most {transfer.max_bytes:,} bytes; if you trust it, raise "
            "max_bytes, or download and unpack it yourself and pass the folder. "
            f"Received: {transfer.url}, {size:,} bytes or more"
        )


def _chunks(transfer: _Transfer, response: Any) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read1(_CHUNK)
        except (http.client.HTTPException, OSError, ValueError) as error:
            raise _interrupted(transfer, error) from error
        if not chunk:
            return
        transfer.watch.count(len(chunk))
        yield chunk


def _number(header: str) -> int | None:
    return int(header) if re.fullmatch(r"[0-9]{1,18}", header) else None


def _validator(headers: Message) -> str | None:
    tag = headers.get("ETag", "")
    # A weak tag promises the same meaning, not the same bytes.
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _refuse_web_page(url: str, response: Any) -> None:
    if response.headers.get_content_type() not in ("text/html", "application/xhtml+xml"):
        return
    try:
        page = response.read(4000).decode(errors="replace")
    except (http.client.HTTPException, OSError):
        page = ""
    title = re.search(r"<title[^>]*>(.*?)</title>", page, re.IGNORECASE | re.DOTALL)
    named = f" titled {' '.join(title.group(1).split())!r}" if title else ""
    raise HandleError(
        "expected an archive, and a web page came: the server may want a login or a consent "
        "(Kaggle does), or the handle names a page and not a module. Open it in a browser, use "
        "kaggle://owner/model/framework/variation with kagglehub, or download the archive and "
        f"pass the file. Received: {url}, a page{named} from {printable(response.url)}"
    )


class _CarefulRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects as a browser does, but never away from https."""

    def redirect_request(
        self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        allowed = ("https://",) if req.full_url.startswith("https://") else ("http://", "https://")
        if not newurl.lower().startswith(allowed):
            raise HandleError(
                "expected a redirect to a safe address; pass the final address if you trust it. "
                f"Received: {printable(req.full_url)}, which redirects to {printable(newurl)}"
            )
        # Else urllib reads the page that comes with a redirect, whatever its size.
        fp.close()
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def _progress_bar(url: str, progress: bool) -> Iterator[Callable[[int, int | None], object]]:
    if not progress:
        yield lambda received, expected: None
        return
    from rich import progress as bars

    from keras_transgen.datasets.screen import Screen

    columns = (
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Screen(stderr=True)) as bar:
        task = bar.add_task(f"Downloading {printable(url)}", total=None)
        yield lambda received, expected: bar.update(task, completed=received, total=expected)
