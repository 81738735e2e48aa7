"""A step of flow matching on 28x28 images beside the same U-Net and step in PyTorch."""

import argparse
import math
import os
import time

import numpy as np
from adversarial_peers import TorchPeer
from report import median, publish

import keras_transgen as ktg

SIZE, CLASSES, WIDTH, BATCH, GOAL = 28, 10, 32, 64, 1.2


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5, help="turns of each side")
    arguments.add_argument("--steps", type=int, default=8, help="steps a turn")
    options = arguments.parse_args()
    rng = np.random.default_rng(0)
    count = options.steps * BATCH
    images = rng.uniform(-1, 1, (count, SIZE, SIZE, 1)).astype("float32")
    labels = np.arange(count) % CLASSES
    flow = ktg.FlowMatching((SIZE, SIZE, 1), num_classes=CLASSES, width=WIDTH)

    def ours() -> float:
        start = time.perf_counter()
        flow.fit(images, labels, batch_size=BATCH, verbose=0)
        return time.perf_counter() - start

    settings = {
        "size": SIZE, "channels": 1, "classes": CLASSES, "width": WIDTH, "seed": 0,
        "embedding_dim": flow.embedding_dim, "batch": BATCH,
        "threads": len(os.sched_getaffinity(0)),
    }  # fmt: skip
    peers = {
        name: TorchPeer({**settings, "channels_last": last}, "torch_flow_worker.py")
        for name, last in (("PyTorch", False), ("PyTorch, channels last", True))
    }
    sides = {"keras_transgen": ours}
    own = sum(math.prod(weight.shape) for weight in flow.trainable_weights)
    for name, peer in peers.items():
        theirs = peer.ask(parameters=True)
        if theirs != own:
            raise AssertionError(f"the networks differ: {theirs:,} and {own:,} parameters")
        sides[name] = lambda peer=peer: peer.ask(steps=options.steps)
    for side in sides.values():
        side()  # Traces, compiles, warms up.
    taken = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, side in sides.items():
            taken[name].append(side() / options.steps)
    for peer in peers.values():
        peer.close()
    medians = {name: median(values) for name, values in taken.items()}
    for name, values in taken.items():
        print(name, [round(value, 3) for value in values])
    best = min(value for name, value in medians.items() if name in peers)
    ratio = best / medians["keras_transgen"]
    publish(
        "Flow matching: a step beside PyTorch's",
        f"{SIZE}x{SIZE}, batch {BATCH}, the same U-Net: at least {GOAL} times PyTorch's speed",
        [
            ("side", "seconds a step (median)", "images a second"),
            *((name, f"{value:.3f}", f"{BATCH / value:.0f}") for name, value in medians.items()),
        ],
        f"{ratio:.2f} times the faster of PyTorch's: "
        f"{'reached' if ratio >= GOAL else 'missed'}. {own:,} parameters on both sides, which keep "
        "a moving average; wall time on the same cores in turns.",
        __file__,
    )


if __name__ == "__main__":
    main()
