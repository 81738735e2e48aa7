"""What two replicas cost on one machine: two logical devices, or two worker processes on loopback.

Two replicas share the cores of one and the batch of one, so the work is the same and what the ratio
shows is the price of taking part: gradients summed, variables mirrored, twice as many small pieces.
Each side is a process of its own, taken in turn; its time is the best of a few stretches of steps
after the first, which traces.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

BATCH = 64
MODELS = ("vae", "gan")
SIDES = ("one", "replicas", "workers")
MARK = "milliseconds a step: "


def model_of(name):
    """A dense VAE of MNIST's size and a small convolutional GAN, with the data of an epoch."""
    import keras
    import numpy as np

    import keras_transgen as ktg

    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    if name == "vae":
        model = ktg.VAE((784,), 32, seed=0)
        # One step a call, as on replicas.
        model.compile(steps_per_execution=1)
        return model, random.random((BATCH * 40, 784)).astype("float32")
    model = ktg.GAN((28, 28, 1), 64, filters=16, seed=0)
    model.compile()
    return model, random.uniform(-1, 1, (BATCH * 40, 28, 28, 1)).astype("float32")


def worker(name: str, side: str, stretches: int) -> None:
    """Train and print the best milliseconds of a step."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    if side == "replicas":
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration() for _ in range(2)],
        )
        from keras_transgen.distributed import mirrored_strategy

        strategy = mirrored_strategy(["CPU:0", "CPU:1"])
    elif side == "workers":
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        strategy = tf.distribute.get_strategy()
    with strategy.scope():
        model, data = model_of(name)
    steps = len(data) // BATCH
    model.fit(data, batch_size=BATCH, verbose=0)
    milliseconds = []
    for _ in range(stretches):
        start = time.perf_counter()
        model.fit(data, batch_size=BATCH, verbose=0)
        milliseconds.append(1000 * (time.perf_counter() - start) / steps)
    print(MARK + json.dumps(min(milliseconds)), flush=True)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def measured(name: str, side: str, stretches: int) -> float:
    """Milliseconds of a step of a side, run in processes of its own; the slowest worker's."""
    count = 2 if side == "workers" else 1
    addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
    processes = []
    for index in range(count):
        environment = dict(os.environ)
        if side == "workers":
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            environment["TF_CONFIG"] = json.dumps(task)
        command = [sys.executable, __file__, "--worker", name, side, str(stretches)]
        processes.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        )
    outputs = [process.communicate(timeout=1800)[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit(f"A process of {name}, {side}, failed.")
    lines = [line for output in outputs for line in output.splitlines() if line.startswith(MARK)]
    return max(json.loads(line.removeprefix(MARK)) for line in lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments.add_argument("--repeats", type=int, default=3, help="processes of each side, in turn")
    arguments.add_argument("--stretches", type=int, default=5, help="epochs of 40 steps, timed")
    arguments.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    arguments.add_argument("--no-publish", action="store_true", help="only print")
    options = arguments.parse_args()
    if options.worker:
        name, side, stretches = options.worker
        worker(name, side, int(stretches))
        return
    from report import median, publish

    header = ("model", *(f"{side} (ms a step)" for side in ("one replica", "two replicas")))
    rows = [(*header, "ratio", "two workers (ms a step)", "ratio")]
    verdicts = []
    for name in options.models:
        times: dict[str, list[float]] = {side: [] for side in SIDES}
        for _ in range(options.repeats):
            for side in SIDES:
                times[side].append(measured(name, side, options.stretches))
                print(f"{name}, {side}: {times[side][-1]:.1f} ms", flush=True)
        one, replicas, workers = (median(times[side]) for side in SIDES)
        rows.append(
            (
                {"vae": "VAE, dense, 784 values", "gan": "GAN, 28x28, 16 filters"}[name],
                f"{one:.1f}",
                f"{replicas:.1f}",
                f"{replicas / one:.2f}",
                f"{workers:.1f}",
                f"{workers / one:.2f}",
            )
        )
        verdicts.append(
            f"the {name.upper()}'s step took {replicas / one:.2f} times one replica's time on two "
            f"replicas and {workers / one:.2f} times on two workers"
        )
    if options.no_publish:
        print(*rows, sep="\n")
        return
    text = "; ".join(verdicts)
    publish(
        "Cost of replicas and workers",
        f"none set: the same global batch of {BATCH} on the same cores",
        rows,
        f"{text[0].upper()}{text[1:]}. Two logical CPU devices in a process, and two processes on "
        "loopback; all share the machine's cores, so 1 is the least that could be expected.",
        __file__,
    )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
