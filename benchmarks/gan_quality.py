"""Seconds to 0.95 agreement of a conditional GAN on MNIST: our steps against each other and peers.

A digit classifier (at least 0.99 on real test images) judges samples; its time does not count. Runs
in pieces, which .bench/gan_quality.json collects:

    python benchmarks/gan_quality.py --sides shared torch --seeds 0 1 2 --seconds 400
    python benchmarks/gan_quality.py --report
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from adversarial_peers import TorchPeer, keras_example
from report import median, publish, shared

import keras_transgen as ktg

FOLDER = Path(__file__).parents[1] / ".bench"
RESULTS = FOLDER / "gan_quality.json"
JUDGE = FOLDER / "judge.keras"
GOAL, BATCH, JUDGED = 0.95, 64, 2000
OURS = ("one_stage", "shared", "two_stage")
PEERS = ("keras", "torch")
LABELS = np.arange(JUDGED) % 10


def mnist() -> tuple:
    return ktg.datasets.load_idx_folder(shared("data", "mnist"), (-1.0, 1.0))


def judge(train: tuple, test: tuple) -> keras.Model:
    """A classifier that knows real digits: trained once, kept for all runs."""
    if JUDGE.exists():
        return keras.saving.load_model(JUDGE)
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.4),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], jit_compile=False)
    model.fit(*train, batch_size=128, epochs=4, verbose=2)
    accuracy = model.evaluate(*test, verbose=0)[1]
    if accuracy < 0.99:
        raise SystemExit(f"The judge is right on {accuracy:.4f} of the test images only.")
    FOLDER.mkdir(exist_ok=True)
    model.save(JUDGE)
    return model


class Race(keras.callbacks.Callback):
    """Stops the clock every few seconds of training, judges samples, and goes on."""

    def __init__(self, agreement, limit, every):
        super().__init__()
        self.agreement, self.limit, self.every = agreement, limit, every
        self.curve, self.spent, self.steps = [], 0.0, 0
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        now = time.perf_counter()
        if self.spent + now - self.start < self.every * (len(self.curve) + 1):
            return
        self.spent += now - self.start
        self.curve.append((round(self.spent, 1), self.steps, self.agreement()))
        print(*self.curve[-1], flush=True)
        if self.spent >= self.limit or self.curve[-1][2] >= GOAL + 0.025:
            self.model.stop_training = True
        self.start = time.perf_counter()


def race_in_keras(side, seed, train, judge_of, limit, every):
    keras.utils.set_random_seed(seed)
    step = side if side in OURS else "auto"
    model = ktg.ConditionalGAN(10, (28, 28, 1), step=step, seed=seed)
    if side in OURS:

        def samples():
            return model.sample(LABELS, seed=1)
    else:
        model = keras_example(model)

        def samples():
            parts = np.split(LABELS, 8)
            return np.concatenate(
                [
                    model.generated(
                        keras.random.normal((len(part), model.latent_dim)), part, training=False
                    )
                    for part in parts
                ]
            )

    images, labels = train
    data = tf.data.Dataset.from_tensor_slices((images, labels))
    data = data.shuffle(20_000, seed=seed).batch(BATCH, drop_remainder=True).prefetch(2)
    race = Race(lambda: judge_of(samples()), limit, every)
    model.fit(data, epochs=1000, verbose=0, callbacks=[race])
    return race.curve


def race_in_torch(seed, train, judge_of, limit, every):
    with tempfile.TemporaryDirectory() as folder:
        data, made = Path(folder, "data.npz"), Path(folder, "samples.npy")
        np.savez(data, images=train[0], labels=train[1])
        peer = TorchPeer(
            {
                "size": 28, "channels": 1, "latent_dim": 128, "filters": 64, "batch": BATCH,
                "classes": 10, "embedding_dim": 128, "data": str(data), "seed": seed,
                "rate": 2e-4, "threads": len(os.sched_getaffinity(0)),
            }
        )  # fmt: skip
        spent, steps, curve = 0.0, 0, []
        while spent < limit and (not curve or curve[-1][2] < GOAL + 0.025):
            while spent < every * (len(curve) + 1):
                spent += peer.ask(steps=20)
                steps += 20
            peer.ask(samples=str(made), labels=LABELS.tolist())
            curve.append((round(spent, 1), steps, judge_of(np.load(made))))
            print(*curve[-1], flush=True)
        peer.close()
    return curve


def known() -> dict:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def seconds_to_goal(curve) -> float:
    return next((spent for spent, _, agreement in curve if agreement >= GOAL), float("inf"))


def report() -> None:
    results = known()
    seconds, rows = {}, [("side", "seconds to 0.95 (each seed)", "median", "milliseconds a step")]
    for side in (*OURS, *PEERS):
        runs = {key: value for key, value in results.items() if key.split()[0] == side}
        if not runs:
            continue
        reached = [seconds_to_goal(runs[key]) for key in sorted(runs)]
        seconds[side] = median(reached)
        per_step = median([1000 * curve[-1][0] / curve[-1][1] for curve in runs.values()])
        shown = ", ".join(f"{value:.0f}" for value in reached)
        rows.append((side, shown, f"{seconds[side]:.0f}", f"{per_step:.0f}"))
    ours = {side: value for side, value in seconds.items() if side in OURS}
    best = min(ours, key=ours.get)
    ratios = {side: seconds[best] / seconds[side] for side in PEERS if side in seconds}
    shown = ", ".join(f"{value:.2f} of {side}'s" for side, value in ratios.items())
    verdict = "reached" if ratios and max(ratios.values()) <= 0.8 else "missed"
    publish(
        "Conditional GAN on MNIST: seconds to 0.95 agreement",
        "default settings, median of 3 seeds: at most 0.8 of both peers' seconds",
        rows,
        f"Quickest of ours: step={best!r}; its time is {shown}: {verdict}. Peers: the same "
        "networks with the two-stage step of the Keras examples and of PyTorch's tutorial, Adam "
        f"2e-4, beta_1=0.5, without a moving average. {JUDGED} samples judged each time.",
        __file__,
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sides", nargs="+", default=[*OURS, *PEERS])
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments.add_argument("--seconds", type=float, default=600, help="of training, at most")
    arguments.add_argument("--every", type=float, default=5, help="seconds between judgements")
    arguments.add_argument("--report", action="store_true", help="only write what is known")
    options = arguments.parse_args()
    if not options.report:
        train, test = mnist()
        classifier = judge(train, test)

        def agreement(samples):
            predicted = classifier.predict(samples, batch_size=500, verbose=0).argmax(axis=1)
            return float(np.mean(predicted == LABELS))

        for seed in options.seeds:
            for side in options.sides:
                print(f"== {side} seed {seed}", flush=True)
                race = (
                    race_in_torch(seed, train, agreement, options.seconds, options.every)
                    if side == "torch"
                    else race_in_keras(side, seed, train, agreement, options.seconds, options.every)
                )
                RESULTS.write_text(json.dumps({**known(), f"{side} {seed}": race}))
    report()


if __name__ == "__main__":
    main()
