"""From a handle, as users write them, to a folder that holds a whole SavedModel.

The cache has tensorflow_hub's names, so that in a folder of both (`TFHUB_CACHE_DIR`) what one has
fetched the other finds; tensorflow_hub itself is not imported, since it does not import beside
today's setuptools. Unlike tensorflow_hub, a folder in the cache is not trusted for being there.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
import urllib.parse
import urllib.request
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from keras_transgen.backbones.archives import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_MEMBERS,
    MAX_RATIO,
    ArchiveError,
    is_archive,
    unpack_archive,
)
from keras_transgen.backbones.downloads import download
from keras_transgen.backbones.fetched_modules import ModuleCache, cache_folder, fault_of
from keras_transgen.backbones.saved_model_folder import (
    BrokenModuleError,
    HandleError,
    check_saved_model_folder,
)
from keras_transgen.datasets.printable import printable

__all__ = ["BrokenModuleError", "HandleError", "check_saved_model_folder", "resolve"]

_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
_FORMAT_QUERY = "tf-hub-format=compressed"


def resolve(
    handle: str | os.PathLike[str],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
    max_bytes: int | None = None,
    max_members: int = MAX_MEMBERS,
    max_ratio: float = MAX_RATIO,
) -> Path:
    """Finds or fetches a module and returns its folder.

    | handle | what happens |
    | --- | --- |
    | a folder, `file://` folder | is checked and returned |
    | a `.tar.gz`, `.tgz`, `.tar` or `.zip` file, by path or `file://` | is unpacked into the cache |
    | `https://tfhub.dev/...`, `https://www.kaggle.com/models/...`, any other http(s) address | is asked for its archive by TF-Hub's protocol |
    | an http(s) address that ends like an archive | is fetched as it stands |
    | `gs://` and whatever else `tf.io.gfile` reads | is copied into the cache |
    | `kaggle://owner/model/framework/variation[/version]` | goes through `kagglehub` |

    What is fetched arrives in a temporary folder, is checked, and is then moved into place in one
    step; of several processes that ask at once, one fetches and the others wait for it. A folder
    in the cache that is damaged, or no longer what was fetched, is fetched again, with a warning.

    Args:
        handle: The handle.
        cache_dir: Folder of the cache. Defaults to the environment variable `TFHUB_CACHE_DIR`,
            else `hub` under `KERAS_TRANSGEN_HOME` or `~/.cache/keras_transgen`. Nobody else may
            be able to write to it.
        progress: Whether to show progress on stderr. Defaults to True.
        max_bytes: Most bytes, packed and unpacked. Defaults to the environment variable
            `KERAS_TRANSGEN_MAX_BYTES`, else 16 GiB.
        max_members: Most files and folders in an archive. Defaults to 100,000.
        max_ratio: Most unpacked bytes per packed byte, beyond 256 MiB. Defaults to 200.

    Returns:
        A folder that holds a whole SavedModel.

    Raises:
        HandleError: When the handle leads nowhere.
        BrokenModuleError: When what it leads to is no whole SavedModel. A `HandleError` too.

    Example:
        ```python
        import tempfile

        from keras_transgen.backbones.handles import HandleError, resolve

        try:
            resolve("no/such/folder", cache_dir=tempfile.mkdtemp())
        except HandleError as error:
            assert "no/such/folder" in str(error)
        ```
    """  # noqa: E501 (a table's row is one line)
    handle = os.fspath(handle) if isinstance(handle, os.PathLike) else handle
    if not isinstance(handle, str) or not handle.strip():
        raise HandleError(f"expected a folder or a module's address. Received: handle={handle!r}")
    scheme = handle.partition("://")[0].lower() if "://" in handle else ""
    find = _FINDERS.get(scheme, _from_tensorflow_files)
    limits = _Limits(_max_bytes(max_bytes), max_members, max_ratio)
    return find(handle, ModuleCache(cache_folder(cache_dir), progress), limits)


@dataclass(frozen=True)
class _Limits:
    """What an archive may cost; the names are those of `unpack_archive`."""

    max_bytes: int
    max_members: int
    max_ratio: float


def _max_bytes(given: int | None) -> int:
    if given is not None:
        return given
    said = os.environ.get("KERAS_TRANSGEN_MAX_BYTES")
    if not said:
        return MAX_BYTES
    try:
        return int(said)
    except ValueError:
        raise HandleError(
            "expected KERAS_TRANSGEN_MAX_BYTES as a number of bytes, such as 34359738368. "
            f"Received: {said!r}"
        ) from None


def _unpack(handle: str, archive: Path, work: Path, limits: _Limits) -> Path:
    try:
        module = unpack_archive(archive, work / "module", name=printable(handle), **vars(limits))
        return _module_in(module)
    except ArchiveError as error:
        raise BrokenModuleError(str(error)) from error


def _module_in(folder: Path) -> Path:
    """The module in an unpacked archive: at its top, or in its one folder that is a module."""
    if not (folder / "saved_model.pb").exists():
        inside = list(folder.glob("*/saved_model.pb"))
        if len(inside) == 1:
            return inside[0].parent
    return folder


def _from_path(handle: str, cache: ModuleCache, limits: _Limits) -> Path:
    path = Path(handle).expanduser().absolute()
    if path.is_dir():
        check_saved_model_folder(path)
        return path
    if path.is_file():
        return _from_archive(path, cache, limits)
    raise HandleError(
        f"expected a folder, an archive or an address.{_suggestion(handle, path)} "
        f"Received: {handle!r}, and there is nothing at {path}"
    )


def _from_file_url(handle: str, cache: ModuleCache, limits: _Limits) -> Path:
    address = urllib.parse.urlsplit(handle)
    if address.netloc not in ("", "localhost"):
        raise HandleError(
            "expected file:/// and an absolute path (three slashes). "
            f"Received: {handle!r}, which names the host {address.netloc!r}"
        )
    return _from_path(urllib.request.url2pathname(address.path), cache, limits)


def _from_archive(file: Path, cache: ModuleCache, limits: _Limits) -> Path:
    if file.name in ("saved_model.pb", "variables.index"):
        folder = file.parent if file.name == "saved_model.pb" else file.parent.parent
        raise HandleError(
            f"expected the module's folder. Did you mean {str(folder)!r}? Received: {file}"
        )
    if file.suffix in (".keras", ".h5"):
        raise HandleError(
            "expected a SavedModel; a Keras file is loaded with keras.saving.load_model, and the "
            f"model passed in its place. Received: {file}"
        )
    if not is_archive(file):
        raise HandleError(
            f"expected a SavedModel's folder or archive ({', '.join(_ARCHIVES)}). "
            f"Received: {file}, which is neither"
        )
    # By content: another file under the same path is another module.
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return cache.get(
        str(file), lambda work: _unpack(str(file), file, work, limits), f"archive:{digest}"
    )


def _suggestion(handle: str, path: Path) -> str:
    if handle.startswith(("tfhub.dev/", "www.kaggle.com/", "kaggle.com/")):
        return f" Did you mean {'https://' + handle!r}?"
    there = next((parent for parent in path.parents if parent.is_dir()), path.parent)
    wanted = path.relative_to(there).parts[0]
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = difflib.get_close_matches(wanted, os.listdir(there), n=3, cutoff=0.5)
    if names:
        return f" Did you mean {' or '.join(repr(str(there / name)) for name in names)}?"
    if len(path.parts) > 3 and handle.count("/") in (3, 4) and not handle.startswith(("/", ".")):
        return f" A Kaggle model's handle begins with kaggle://, as in {'kaggle://' + handle!r}."
    return ""


def _from_web(handle: str, cache: ModuleCache, limits: _Limits) -> Path:
    def fetch(work: Path) -> Path:
        download(
            _archive_address(handle),
            work / "archive",
            progress=cache.progress,
            max_bytes=limits.max_bytes,
        )
        return _unpack(handle, work / "archive", work, limits)

    return cache.get(handle, fetch)


def _archive_address(handle: str) -> str:
    address = urllib.parse.urlsplit(handle)
    # A plain archive's address may be signed, and then bears no change.
    if not address.path.lower().endswith(_ARCHIVES) and _FORMAT_QUERY not in address.query:
        query = f"{address.query}&{_FORMAT_QUERY}" if address.query else _FORMAT_QUERY
        address = address._replace(query=query)
    return urllib.parse.urlunsplit(address._replace(fragment=""))


def _from_kaggle(handle: str, cache: ModuleCache, limits: _Limits) -> Path:
    name = handle.partition("://")[2].strip("/")
    if name.count("/") not in (3, 4):
        raise HandleError(
            "expected kaggle://owner/model/framework/variation, with /version at the end if one "
            f"is wanted. Received: {handle!r}"
        )
    try:
        import kagglehub
    except ImportError as error:
        raise HandleError(
            "expected kagglehub to be installed for a kaggle:// handle: pip install kagglehub. "
            f"Received: {handle!r}"
        ) from error
    try:
        folder = Path(kagglehub.model_download(name))
        fault = fault_of(folder)
        if fault is not None:
            warnings.warn(f"{fault} It is fetched again.", stacklevel=3)
            folder = Path(kagglehub.model_download(name, force_download=True))
    except Exception as error:  # Its errors differ from version to version.
        raise HandleError(
            "expected kagglehub to fetch the model; check the handle, the network and "
            f"kagglehub.login(). Received: {handle!r}, {type(error).__name__}: {error}"
        ) from error
    check_saved_model_folder(folder)
    return folder


def _from_tensorflow_files(handle: str, cache: ModuleCache, limits: _Limits) -> Path:
    return cache.get(handle, lambda work: _copy_with_tensorflow(handle, work, limits))


def _copy_with_tensorflow(handle: str, work: Path, limits: _Limits) -> Path:
    import tensorflow as tf

    scheme = handle.partition("://")[0]
    known = sorted({"http", "https", "kaggle"} | set(tf.io.gfile.get_registered_schemes()) - {""})
    if scheme not in known:
        raise HandleError(
            f"expected an address that begins with one of {', '.join(known)}, or a path. "
            f"Received: {handle!r}"
        )
    try:
        if not tf.io.gfile.isdir(handle):
            tf.io.gfile.copy(handle, str(work / "archive"))
            return _unpack(handle, work / "archive", work, limits)
        return _copy_folder(handle.rstrip("/"), work / "module", limits)
    except tf.errors.OpError as error:
        raise HandleError(
            "expected a module that TensorFlow can read there; check the address, the network and "
            f"the access rights. Received: {handle!r}, {type(error).__name__}: {error.message}"
        ) from error


def _copy_folder(source: str, target: Path, limits: _Limits) -> Path:
    import tensorflow as tf

    files, size = 0, 0
    for place, _, names in tf.io.gfile.walk(source):
        inside = PurePosixPath(place.rstrip("/")[len(source) :].strip("/"))
        for name in names:
            file = inside / name
            files += 1
            size += tf.io.gfile.stat(f"{place.rstrip('/')}/{name}").length
            # A store's names are no paths, and may hold anything.
            climbs = file.is_absolute() or ".." in file.parts or len(file.parts) > MAX_DEPTH
            if climbs or files > limits.max_members or size > limits.max_bytes:
                raise BrokenModuleError(
                    f"expected a folder of at most {limits.max_members:,} files and "
                    f"{limits.max_bytes:,} bytes, not more than {MAX_DEPTH} folders deep. "
                    f"Received: {source!r}, which has more, or {str(file)!r}"
                )
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            tf.io.gfile.copy(f"{place.rstrip('/')}/{name}", str(target / file))
    return target


_FINDERS: dict[str, Callable[[str, ModuleCache, _Limits], Path]] = {
    "": _from_path,
    "file": _from_file_url,
    "http": _from_web,
    "https": _from_web,
    "kaggle": _from_kaggle,
}
