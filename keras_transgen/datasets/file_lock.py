"""One process at a time, and none that waits for a dead one."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: the final move is still atomic, two downloads are only wasteful.
    fcntl = None  # type: ignore[assignment]

# Neither a link nor a pipe that waits in the lock's place, nor a descriptor that children keep.
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC if fcntl is not None else 0
# What file systems without locks answer (NFS without lockd, Lustre without -o flock).
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


class UnsafeLockError(ValueError):
    """Something stands in a lock file's place that nobody locks."""


@contextlib.contextmanager
def file_lock(
    file: str | os.PathLike[str], purpose: str, tell: Callable[[str], object]
) -> Iterator[None]:
    """Holds a file's lock, across processes and threads, for the length of a `with`.

    The kernel releases the lock when its holder dies, however it dies.

    Args:
        file: Lock file; made when it is needed, removed when it is released.
        purpose: What the lock is held for, as a waiter is to read it ("downloading ...").
        tell: Called with one line, once, when another holds the lock and this caller waits.

    Yields:
        Nothing.

    Raises:
        UnsafeLockError: If a link, a file of another name or owner, or no file at all stands in
            the lock's place. Nothing is written to it.
    """
    if fcntl is None:
        yield
        return
    descriptor = _acquire(Path(file), tell)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _holder(purpose).encode(), 0)
        yield
    finally:
        # Removed while still held: who waits notices that the name no longer is this file.
        Path(file).unlink(missing_ok=True)
        # Closing is not enough where a forked child has inherited the descriptor.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


class LockHeldError(ValueError):
    """Another process holds a lock that this one does not wait for."""


def hold_lock(file: str | os.PathLike[str], purpose: str) -> Callable[[], None]:
    """Takes a file's lock, or says who has it; for work that two processes must not do at once.

    The kernel releases the lock when its holder dies, however it dies.

    Args:
        file: Lock file; made where there is none.
        purpose: What the lock is held for.

    Returns:
        What releases the lock and removes the file.

    Raises:
        LockHeldError: Another process has it.
        UnsafeLockError: See `file_lock`.
    """
    if fcntl is None:
        return lambda: None
    path = Path(file)
    while True:
        descriptor = _open(path)
        try:
            _check_is_a_lock(descriptor, path)
            if not _try_lock(descriptor):
                holder = os.pread(descriptor, 2000, 0).decode(errors="replace")
                raise LockHeldError(holder or "another process")
            if _is_the_file(descriptor, path):
                break
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, _holder(purpose).encode(), 0)

    def release() -> None:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        with contextlib.suppress(OSError):
            os.close(descriptor)

    return release


def _acquire(file: Path, tell: Callable[[str], object]) -> int:
    told = False
    while True:
        descriptor = _open(file)
        try:
            _check_is_a_lock(descriptor, file)
            if not _try_lock(descriptor):
                if not told:
                    holder = os.pread(descriptor, 2000, 0).decode(errors="replace")
                    tell(f"Waiting for {holder or 'another process'}")
                    told = True
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_the_file(descriptor, file):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _open(file: Path) -> int:
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | _SAFELY, 0o600)
    except OSError as error:
        if os.path.lexists(file) and (file.is_symlink() or not file.is_file()):
            raise _refusal(file, "no plain file") from error
        raise


def _check_is_a_lock(descriptor: int, file: Path) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise _refusal(file, "no plain file")
    if found.st_nlink > 1:
        raise _refusal(file, "a file that has another name, too")
    # A server may take root's files for nobody's.
    if os.geteuid() not in (0, found.st_uid):
        raise _refusal(file, f"a file of the user with the number {found.st_uid}")


def _refusal(file: Path, kind: str) -> UnsafeLockError:
    return UnsafeLockError(
        "expected a lock file of one's own, or none: remove what is there, and find out who put it "
        f"there. Received: {str(file)!r}, which is {kind}"
    )


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def _is_the_file(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _holder(purpose: str) -> str:
    return f"process {os.getpid()} on {socket.gethostname()}, which is {purpose}"
