"""What every benchmark shares: sides run in turn, medians, ratios, and a section in RESULTS.md."""

import importlib.metadata
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
SHARED = Path(os.environ.get("KERAS_TRANSGEN_SHARED", Path(__file__).parents[2] / "shared"))
PACKAGES = ("tensorflow", "keras", "tensorflow-probability", "numpy")


def shared(*parts: str) -> Path:
    """A path in the folder of real data and modules, or an end that says why."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        raise SystemExit(f"This benchmark needs {path}; set KERAS_TRANSGEN_SHARED to its folder.")
    return path


def in_turn(sides: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each side, run in turn so that a noisy machine treats them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def median(seconds: list[float]) -> float:
    return statistics.median(seconds)


def machine() -> str:
    """The machine and versions, for a line under each result."""
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{cores} CPU core{'s' * (cores != 1)} ({platform.machine()}{_vectors()}), "
        f"Python {platform.python_version()}, " + ", ".join(versions)
    )


def _vectors() -> str:
    """Whether the cores compute on 512 bits at once, which changes what convolutions cost."""
    flags = Path("/proc/cpuinfo")
    if not flags.exists():
        return ""
    return ", AVX-512" if "avx512f" in flags.read_text() else ", no AVX-512"


def _setting() -> str:
    """TensorFlow leaves its faster convolutions off on CPUs without AVX-512, unless this is set."""
    value = os.environ.get("TF_ENABLE_ONEDNN_OPTS")
    return "" if value is None else f"TF_ENABLE_ONEDNN_OPTS={value} "


def publish(claim: str, goal: str, rows: list[tuple[str, ...]], verdict: str, script: str) -> None:
    """Print a result and put it, in place of an older one of the same claim, into RESULTS.md.

    Args:
        claim: Heading.
        goal: What was to be reached.
        rows: Table rows, the first one its header.
        verdict: One or two sentences: reached, or missed by how much and why.
        script: File name of the benchmark.
    """
    header, *body = rows
    lines = [
        f"## {claim}",
        "",
        f"Goal: {goal}",
        "",
        "| " + " | ".join(header) + " |",
        "|" + " --- |" * len(header),
        *["| " + " | ".join(row) + " |" for row in body],
        "",
        verdict,
        "",
        f"`{_setting()}python benchmarks/{Path(script).name}`, "
        f"{time.strftime('%Y-%m-%d')}, {machine()}.",
        "",
    ]
    section = "\n".join(lines)
    print(section)
    text = RESULTS.read_text() if RESULTS.exists() else _INTRODUCTION
    pattern = re.compile(rf"^## {re.escape(claim)}\n.*?(?=^## |\Z)", re.M | re.S)
    if pattern.search(text):
        text = pattern.sub(lambda _: section + "\n", text)
    else:
        text = text.rstrip() + "\n\n" + section
    RESULTS.write_text(text.rstrip() + "\n")


_INTRODUCTION = """# Results

One section a claim, each from the script named under it: both sides in one run, in turn. Machines
are shared and noisy, so read the ratios; seconds are for scale.
"""
