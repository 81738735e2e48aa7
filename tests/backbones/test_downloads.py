"""Servers that keep their visitors, on real sockets; all of it must end, soon and by itself."""

import itertools
import socket
import threading
import time

import pytest

from keras_transgen.backbones import connection_watch
from keras_transgen.backbones.downloads import download
from keras_transgen.backbones.saved_model_folder import HandleError

pytestmark = pytest.mark.timeout(60)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\n"


class RawServer:
    """Answers every connection with what a generator yields, until the visitor goes."""

    def __init__(self, *answers):
        self.answers = answers
        self.visits = self.sent = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/m.tar.gz"
        self._closing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:
                return
            answer = self.answers[min(self.visits, len(self.answers) - 1)]
            self.visits += 1
            threading.Thread(target=self._answer, args=(visitor, answer), daemon=True).start()

    def _answer(self, visitor, answer):
        with visitor:
            try:
                if not visitor.recv(65536):
                    return
                for piece in answer() if callable(answer) else [answer]:
                    if self._closing:
                        return
                    visitor.sendall(piece)
                    self.sent += len(piece)
            except OSError:
                pass

    def close(self):
        self._closing = True
        self._listener.close()


@pytest.fixture
def serve():
    servers = []

    def start(*answers):
        servers.append(RawServer(*answers))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def dripping(start, drop=b"x", pause=0.05):
    def answer():
        yield start
        while True:
            time.sleep(pause)
            yield drop

    return answer


def redirect(target):
    return f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()


def flood(start, piece):
    return lambda: itertools.chain([start], itertools.repeat(piece))


def fails(url, file, within=4.0, **options):
    started = time.monotonic()
    options = {"timeout": 0.5, "attempts": 1, "backoff": 0.01} | options
    with pytest.raises(HandleError) as error:
        download(url, file, progress=False, **options)
    assert time.monotonic() - started < within
    assert "Received: " in str(error.value)
    return str(error.value)


ENDLESS = {
    "bytes of the file": dripping(OK + b"Content-Length: 1000000\r\n\r\n"),
    "bytes without a length": dripping(OK + b"\r\n"),
    "chunks": dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "a chunk's size": dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "trailers": dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
    "trailers in a flood": flood(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n" * 99),
    "100 Continue": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "100 Continue in a flood": flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 99),
    "the status line": dripping(b"HTTP/1.1 200 ", b"O"),
    "a header": dripping(OK + b"X-Long: ", b"y"),
    "a web page": dripping(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", b"<"),
    "an error's headers": dripping(b"HTTP/1.1 500 No\r\nX-Long: ", b"y"),
    "nothing": dripping(b"", b""),
}


@pytest.mark.parametrize("answer", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_server_that_drips_is_left(serve, tmp_path, answer):
    fails(serve(answer).url, tmp_path / "file")


@pytest.mark.parametrize("answer", ENDLESS.values(), ids=ENDLESS.keys())
def test_all_attempts_lie_within_the_time_limit(serve, tmp_path, answer):
    options = {"timeout": 0.4, "least_rate": 0.0, "attempts": 1000, "time_limit": 1.0}
    fails(serve(answer).url, tmp_path / "file", **options)


def test_a_tls_handshake_that_drips(serve, tmp_path):
    server = serve(dripping(b"\x16\x03\x03\x40\x00", b"\x02"))
    fails(server.url.replace("http:", "https:"), tmp_path / "file")


def test_the_reason_is_said(serve, tmp_path):
    message = fails(serve(ENDLESS["bytes of the file"]).url, tmp_path / "file")
    assert "fewer than 1000 a second" in message
    endless = serve(ENDLESS["bytes of the file"]).url
    message = fails(endless, tmp_path / "file", least_rate=1.0, time_limit=1.0)
    assert "more than 1 seconds in all" in message


def test_a_slow_line_that_gets_somewhere_is_waited_for(serve, tmp_path):
    def slow():
        yield OK + b"Content-Length: 4000\r\n\r\n"
        for _ in range(20):
            time.sleep(0.1)
            yield b"x" * 200

    download(serve(slow).url, tmp_path / "file", progress=False, attempts=1, timeout=0.5)
    assert (tmp_path / "file").read_bytes() == b"x" * 4000


def test_another_attempt_after_a_server_that_dripped(serve, tmp_path):
    server = serve(ENDLESS["100 Continue"], OK + b"Content-Length: 3\r\n\r\nabc")
    download(server.url, tmp_path / "file", progress=False, timeout=0.5, backoff=0.01)
    assert (tmp_path / "file").read_bytes() == b"abc"
    assert server.visits == 2


def test_what_is_announced_as_too_large_is_not_read(serve, tmp_path):
    server = serve(flood(OK + b"Content-Length: 5000\r\n\r\n", b"x" * 100))
    assert "at most 4,999 bytes" in fails(server.url, tmp_path / "file", max_bytes=4999)
    assert not (tmp_path / "file").exists()
    server = serve(OK + b"Content-Length: " + b"9" * 18 + b"\r\n\r\n")
    assert "999,999 bytes or more" in fails(server.url, tmp_path / "file")


@pytest.mark.parametrize(
    "start",
    [OK + b"\r\n", OK + b"Content-Length: \xb2\r\n\r\n", OK + b"Content-Length: -5\r\n\r\n"],
)
def test_what_is_not_announced_is_cut_at_the_limit(serve, tmp_path, start):
    server = serve(flood(start, b"x" * 1000))
    assert "at most 50,000 bytes" in fails(server.url, tmp_path / "file", max_bytes=50_000)
    assert (tmp_path / "file").stat().st_size <= 50_000


def test_what_comes_after_the_announced_bytes_is_not_taken(serve, tmp_path):
    server = serve(flood(OK + b"Content-Length: 3\r\n\r\nabc", b"more"))
    download(server.url, tmp_path / "file", progress=False, attempts=1, timeout=2.0)
    assert (tmp_path / "file").read_bytes() == b"abc"


def test_the_page_of_a_redirect_is_not_read(serve, tmp_path):
    target = serve(OK + b"Content-Length: 3\r\n\r\nabc")
    moved = f"HTTP/1.1 302 Found\r\nLocation: {target.url}\r\n\r\n".encode()
    server = serve(flood(moved, b"x" * 2**16))
    download(server.url, tmp_path / "file", progress=False, attempts=1, timeout=2.0)
    assert (tmp_path / "file").read_bytes() == b"abc"
    assert server.sent < 2**25


def test_redirects_in_a_circle_and_without_end(serve, tmp_path):
    numbers = itertools.count()

    def elsewhere():
        yield redirect(f"/{next(numbers)}")

    server = serve(elsewhere)
    assert "302" in fails(server.url, tmp_path / "file")
    assert server.visits <= 11
    server = serve(redirect("/m.tar.gz"))
    assert "302" in fails(server.url, tmp_path / "file")
    assert server.visits <= 5


def test_redirects_that_trickle_lie_within_the_time_limit(serve, tmp_path):
    numbers = itertools.count()

    def later():
        time.sleep(0.4)
        yield redirect(f"/{next(numbers)}")

    message = fails(serve(later).url, tmp_path / "file", time_limit=1.0, within=2.5)
    # Whichever of the two clocks is read first.
    assert "in all" in message or "timed out" in message


@pytest.mark.parametrize("scheme", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_redirects_to_other_kinds_of_address(serve, tmp_path, scheme):
    server = serve(redirect(scheme))
    fails(server.url, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_nobody_on_the_public_network_sends_us_into_a_private_one(serve, tmp_path, monkeypatch):
    inner = serve(OK + b"Content-Length: 6\r\n\r\nsecret")
    outer = serve(redirect(inner.url))
    places = iter([True, False])
    monkeypatch.setattr(connection_watch, "_is_public", lambda address: next(places))
    assert "public" in fails(outer.url, tmp_path / "file")
    assert (outer.visits, (tmp_path / "file").exists()) == (1, False)
    assert inner.visits == 0


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("::1", False),
        ("fe80::1%eth0", False),
    ],
)
def test_which_networks_are_public(address, public):
    assert connection_watch._is_public(address) == public


def test_a_server_that_asks_for_years_of_patience(serve, tmp_path):
    server = serve(b"HTTP/1.1 503 Busy\r\nRetry-After: 999999999\r\nContent-Length: 0\r\n\r\n")
    message = fails(server.url, tmp_path / "file", attempts=5, time_limit=5.0)
    assert "503" in message
    server = serve(
        "HTTP/1.1 503 Busy\r\nRetry-After: ²\r\nContent-Length: 0\r\n\r\n".encode("latin1")
    )
    fails(server.url, tmp_path / "file", attempts=2)


def test_a_host_of_many_addresses_that_do_not_answer(tmp_path, monkeypatch):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    place = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [place] * 100_000)

    def slow(self, place):
        time.sleep(min(self.gettimeout(), 0.2))
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket.socket, "connect", slow)
    fails(f"http://127.0.0.1:{port}/m", tmp_path / "file", time_limit=1.0, attempts=9)
    listener.close()


def test_what_a_server_says_cannot_act_on_a_terminal(serve, tmp_path):
    for answer in (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>\x1b[2Jowned\x07</title>",
        b"HTTP/1.1 2\x1b[2J00 OK\r\n\r\n",
        b"HTTP/1.1 302 F\r\nLocation: file:///\x1b[2J\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n\x1b[2J\r\n",
    ):
        assert fails(serve(answer).url, tmp_path / "file").isprintable()


def test_no_thread_is_left(serve, tmp_path):
    before = threading.active_count()
    server = serve(OK + b"Content-Length: 3\r\n\r\nabc")
    download(server.url, tmp_path / "file", progress=False)
    deadline = time.monotonic() + 5
    while threading.active_count() > before + 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before + 1  # the server's own
