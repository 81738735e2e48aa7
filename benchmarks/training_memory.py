"""Resident memory while a VAE and a GAN train: after 200 steps and after 1,000.

Each model trains in a process of its own, with epochs that begin and end meanwhile, so that what
grows by step and what grows by epoch would both be seen.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

BATCH, STEPS_PER_EPOCH = 64, 50
MODELS = ("vae", "gan")
MARK = "MiB by step: "


def resident() -> float:
    """Resident memory of this process in MiB, as Linux tells it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def worker(name: str, marks: list[int]) -> None:
    """Train up to the last mark and print the resident memory at each."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import numpy as np

    import keras_transgen as ktg

    keras.utils.set_random_seed(0)
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH * STEPS_PER_EPOCH, 28, 28, 1))
    pixels = pixels.astype("uint8")
    if name == "vae":
        model = ktg.VAE((28, 28, 1), 32)
        model.compile(steps_per_execution=1)
    else:
        model = ktg.GAN((28, 28, 1), filters=16)
        model.compile()
    memory: dict[int, float] = {}

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            step = int(self.model.progress.step.numpy())
            if step in marks:
                memory[step] = resident()
                print(f"{name}, step {step}: {memory[step]:.0f} MiB", file=sys.stderr, flush=True)

    epochs = -(-marks[-1] // STEPS_PER_EPOCH)
    model.fit(pixels, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[Watch()])
    print(MARK + json.dumps(memory), flush=True)


def measured(name: str, marks: list[int]) -> dict[int, float]:
    command = [sys.executable, __file__, "--worker", name, "--marks", *map(str, marks)]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    (line,) = [line for line in output.splitlines() if line.startswith(MARK)]
    return {int(step): value for step, value in json.loads(line.removeprefix(MARK)).items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--worker", choices=MODELS, help=argparse.SUPPRESS)
    arguments.add_argument("--marks", nargs="+", type=int, default=[200, 400, 600, 800, 1000])
    arguments.add_argument("--no-publish", action="store_true", help="only print")
    options = arguments.parse_args()
    if options.worker:
        worker(options.worker, options.marks)
        return
    from report import publish

    rows = [("model", *(f"step {mark:,} (MiB)" for mark in options.marks), "last / first")]
    ratios = {}
    for name in MODELS:
        memory = measured(name, options.marks)
        ratios[name] = memory[options.marks[-1]] / memory[options.marks[0]]
        values = [f"{memory[mark]:.0f}" for mark in options.marks]
        rows.append((name.upper(), *values, f"{ratios[name]:.3f}"))
    if options.no_publish:
        print(*rows, sep="\n")
        return
    first, last = options.marks[0], options.marks[-1]
    shown = ", ".join(f"{name.upper()} {ratio:.3f}" for name, ratio in ratios.items())
    verdict = "reached" if max(ratios.values()) <= 1.02 else "missed"
    publish(
        "Memory of training",
        f"flat over 1,000 steps: at most 1.02 times the memory of step {first}",
        rows,
        f"Step {last:,} over step {first}: {shown}: {verdict}. 28x28 images as bytes, batch "
        f"{BATCH}, {STEPS_PER_EPOCH} steps an epoch.",
        __file__,
    )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
