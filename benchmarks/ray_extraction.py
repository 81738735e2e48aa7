"""Feature extraction on a Ray cluster: images a second by workers, memory at ten times the data.

Each side is a process of its own with a local cluster. The rate is taken over the later half of the
files that the workers wrote, so that starting them and loading the module are not in it; memory is
the peak of the largest worker, and of the process that asks. `--rows 64` tries it without
publishing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from report import machine, publish, shared

MODULE = "mobilenet_v1_025_224_feature_vector"
ROWS = 512
TIMES = 10
ROWS_PER_FILE = 16
MARK = "measured: "


def write_images(folder: Path, rows: int) -> None:
    """Photograph-like JPEG files: few different ones, under many names."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    folder.mkdir()
    for row in range(rows):
        file = folder / f"{row:06}.jpg"
        if row < 32:
            coarse = random.integers(0, 256, (16, 16, 3), "uint8")
            Image.fromarray(coarse).resize((320, 240), Image.BICUBIC).save(file, quality=90)
        else:
            os.link(folder / f"{row % 32:06}.jpg", file)


def high_water(pid: int | str) -> float:
    """Peak resident memory of a living process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


class WorkerMemory(threading.Thread):
    """Watches the peak of every worker while they live."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0.0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.2):
            for entry in Path("/proc").iterdir():
                try:
                    if entry.name.isdigit() and b"MapWorker" in (entry / "cmdline").read_bytes():
                        self.peak = max(self.peak, high_water(entry.name))
                except OSError:
                    continue  # It ended in the meantime.


def child(images: str, workers: int) -> None:
    """Extract, and print the rate and the peaks of memory."""
    import pyarrow.parquet as parquet
    import ray

    from keras_transgen.distributed import extract_with_ray

    ray.init(
        address="local",
        num_cpus=workers + 1,
        object_store_memory=200 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    watch = WorkerMemory()
    watch.start()
    with tempfile.TemporaryDirectory() as output:
        rows = extract_with_ray(
            str(shared("hub", MODULE)),
            images,
            output,
            image_size=224,
            rows_per_file=ROWS_PER_FILE,
            num_workers=workers,
            progress=False,
        )
        assert rows == len(os.listdir(images))
        files = sorted(Path(output).glob("*.parquet"), key=lambda file: file.stat().st_mtime)
        # Of the later half alone: in the earlier one workers are still starting.
        half = files[len(files) // 2 :]
        timed = sum(parquet.read_metadata(file).num_rows for file in half[1:])
        seconds = half[-1].stat().st_mtime - half[0].stat().st_mtime
    watch.over.set()
    measured = {
        "rate": timed / seconds if seconds else float("nan"),
        "worker": watch.peak,
        "driver": high_water("self"),
    }
    ray.shutdown()
    print(MARK + json.dumps(measured), flush=True)


def run(images: Path, workers: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", str(images), "--workers", str(workers)]
    environment = {"RAY_USAGE_STATS_ENABLED": "0", "TF_CPP_MIN_LOG_LEVEL": "2", **os.environ}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    (line,) = [each for each in done.stdout.splitlines() if each.startswith(MARK)]
    return json.loads(line.removeprefix(MARK))


def main(rows: int) -> None:
    many = rows * TIMES
    with tempfile.TemporaryDirectory() as folder:
        few_images, many_images = Path(folder, "few"), Path(folder, "many")
        write_images(few_images, rows)
        write_images(many_images, many)
        once, two, one = run(few_images, 2), run(many_images, 2), run(many_images, 1)
    table = [
        ("images", "workers", "images a second", "peak of a worker", "peak of the driver"),
        *(
            (
                f"{count:,}",
                str(workers),
                f"{side['rate']:,.0f}",
                f"{side['worker']:,.0f} MiB",
                f"{side['driver']:,.0f} MiB",
            )
            for count, workers, side in ((rows, 2, once), (many, 2, two), (many, 1, one))
        ),
    ]
    memory = max(two["worker"] / once["worker"], two["driver"] / once["driver"])
    verdict = (
        f"Memory ratio {memory:.3f}: {'reached' if memory <= 1.1 else 'missed'}. Two workers are "
        f"{two['rate'] / one['rate']:.2f} times as fast as one, on the cores named below, which "
        "Ray's own processes and the reading share."
    )
    if rows != ROWS:
        print(table, verdict, machine(), sep="\n")
        return
    publish(
        "Feature extraction on a Ray cluster",
        "flat: ten times the images, at most 1.1 times the resident memory of workers and driver",
        table,
        verdict,
        __file__,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--child")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.workers)
    else:
        main(given.rows)
