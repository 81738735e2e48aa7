"""Loads a module once in a process that may be lost, where the audit is in doubt of its cost.

While TensorFlow reads a graph it computes what shapes depend on. Honest modules compute a few
numbers so, in more ways than can be followed without running them; a hostile one all of memory.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

from keras_transgen.backbones.audit.report import AuditReport, UnsafeModuleError

#: What loading may take: seconds of one core, and bytes, those of TensorFlow itself among them.
MAX_SECONDS = 30
MAX_BYTES = 3 * 2**29

# Libraries that bring ops of their own, where this process has imported them.
_OP_LIBRARIES = ("tensorflow_text",)

_CODE = """
import importlib, resource, sys
import tensorflow as tf
folder, seconds = sys.argv[1], int(sys.argv[2])
for library in sys.argv[3:]:
    importlib.import_module(library)
spent = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
resource.setrlimit(resource.RLIMIT_CPU, (int(spent) + seconds, int(spent) + seconds))
tf.saved_model.load(folder)
print("loaded")
"""

_passed: set[str] = set()


def try_to_load(folder: Path, digest: str, report: AuditReport, name: str) -> None:
    """Load a module in another process, within limits, where its report is in doubt.

    Args:
        folder: The module's folder, which nobody else can write.
        digest: The module's digest; what was tried once in this process is not tried again.
        report: What the audit said.
        name: What the error message calls the folder.

    Raises:
        UnsafeModuleError: Loading took too much, or failed.
    """
    if not report.doubtful or digest in _passed or not Path("/proc/self/status").exists():
        return
    bytes_held = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    libraries = [each for each in _OP_LIBRARIES if each in sys.modules]
    with subprocess.Popen(
        # Without -P, Python would import what lies in the working folder: a stranger's, perhaps.
        [sys.executable, "-P", "-c", _CODE, str(folder), str(MAX_SECONDS), *libraries],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
    ) as process:
        try:
            _watch(process, MAX_BYTES + 8 * bytes_held)
        finally:
            process.kill()
    if process.returncode != 0:
        raise UnsafeModuleError(name, report, report.doubtful)
    _passed.add(digest)


def _watch(process: subprocess.Popen, most: int) -> None:
    """Wait until a process ends or takes too much; at a limit of the system it would hang."""
    end = time.monotonic() + 4 * MAX_SECONDS
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
        with contextlib.suppress(OSError, IndexError):
            if 1024 * int(status.read_text().split("VmHWM:")[1].split()[0]) > most:
                return
