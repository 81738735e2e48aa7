"""A stranger who makes files: what they plant, and a watch over what comes of it."""

import contextlib
import copy
import hashlib
import http.server
import json
import os
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_WRITES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod")
_CONTACTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
_PROCESSES = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork")

_recording: list["Watch"] = []


class Watch:
    """What happened while somebody else's file was loaded.

    Args:
        folder: An empty folder. The store and the temporary folder lie in it, and a private folder
            that a file has no business in.
    """

    def __init__(self, folder: Path) -> None:
        self.home, self.temporary = folder / "home", folder / "temporary"
        self.private = folder / "private"
        for each in (self.home, self.temporary, self.private):
            each.mkdir()
        (self.private / "words.txt").write_text("private\n")
        self.hits: list[str] = []
        self.events: list[tuple[str, str]] = []
        hits = self.hits

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hits.append(self.path)
                self.send_response(404)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/module.tar.gz"

    def state(self) -> dict[str, str]:
        """The private folder: TensorFlow's own file access passes no hook of Python's."""
        return {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            for path in sorted(self.private.rglob("*"))
        }

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Fail if the block contacts anybody, starts a process, or writes where it must not."""
        before, self.events = self.state(), []
        _recording.append(self)
        try:
            yield
        finally:
            _recording.remove(self)
        assert not self.events, self.events
        assert not self.hits, self.hits
        assert self.state() == before, self.state()

    def saw(self, event: str, arguments: tuple) -> None:
        """Keep an event that must not be."""
        if event in _CONTACTS or event in _PROCESSES or self._imports(event, arguments):
            self.events.append((event, repr(arguments)))
        for path in _written(event, arguments):
            if not path.startswith((str(self.home), str(self.temporary), "/dev/null")):
                self.events.append((event, path))

    def _imports(self, event: str, arguments: tuple) -> bool:
        return event == "import" and str(arguments[0]).startswith("keras_transgen.")

    def hostile(self) -> dict[str, Any]:
        """What is planted, by what it is."""
        path = str(self.private / "planted")
        return {
            "address": self.address,
            "file address": f"file://{path}",
            "path": path,
            "path of a file": str(self.private / "words.txt"),
            "list of an address": [self.address],
            "function that fetches": _function("keras.utils", "get_file"),
            "function that downloads": _function("keras.datasets.mnist", "load_data"),
            "class entry of a function": _described("VGG16", "keras.applications"),
            "module on the disk": _described("TFSMLayer", "keras.layers", filepath=path),
            "file of words": _described(
                "StringLookup", "keras.layers", vocabulary=str(self.private / "words.txt")
            ),
            "code": {"class_name": "__lambda__", "config": {"value": "eyJ9"}},
            "backbone by address": {
                "class_name": "TransferModel",
                "module": "keras_transgen.transfer.transfer_model",
                "registered_name": "keras_transgen>TransferModel",
                "config": {"backbone": self.address, "num_classes": 2},
            },
        }


def _function(module: str, name: str) -> dict[str, Any]:
    return {"class_name": "function", "module": module, "config": name, "registered_name": name}


def _described(name: str, module: str, **config: Any) -> dict[str, Any]:
    return {"class_name": name, "module": module, "config": config, "registered_name": None}


def rewritten(
    source: Path, target: Path, change: Callable[[dict[str, Any]], None] = lambda config: None
) -> Path:
    """A copy of a `.keras` file with another configuration."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as other:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "config.json":
                config = json.loads(content)
                change(config)
                content = json.dumps(config).encode()
            other.writestr(name, content)
    return target


def own_configs(config: Any) -> Iterator[dict[str, Any]]:
    """The configurations of the package's classes in another one."""
    if isinstance(config, dict):
        if str(config.get("registered_name")).startswith("keras_transgen>"):
            yield config["config"]
        for value in config.values():
            yield from own_configs(value)
    elif isinstance(config, list):
        for value in config:
            yield from own_configs(value)


def planted(config: dict[str, Any], place: int, key: str, value: Any) -> dict[str, Any]:
    """A copy of a configuration with a value planted in the package's class at a place."""
    config = copy.deepcopy(config)
    list(own_configs(config))[place][key] = value
    return config


def _written(event: str, arguments: tuple) -> list[str]:
    """The paths that an event changes."""
    if event == "open":
        path, mode, flags = arguments
        # O_WRONLY and O_RDWR are the lowest two bits.
        writes = set("wax+") & set(mode or "") or (mode is None and flags & 3)
        return [_path(path, -1)] if writes and not isinstance(path, int) else []
    if event in ("os.rename", "os.link"):
        return [_path(arguments[0], arguments[2]), _path(arguments[1], arguments[3])]
    if event == "os.symlink":
        return [_path(arguments[1], arguments[2])]
    return [_path(arguments[0], arguments[-1])] if event in _WRITES else []


def _path(path: Any, folder: int) -> str:
    # What is changed through a descriptor has its name among the open files.
    name = os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else os.fsdecode(path)
    if folder >= 0 and not os.path.isabs(name):
        name = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), name)
    return os.path.abspath(name)


def _hook(event: str, arguments: tuple) -> None:
    for watch in _recording:
        watch.saw(event, arguments)


# Hooks cannot be taken out again; without a watch it does nothing.
sys.addaudithook(_hook)
