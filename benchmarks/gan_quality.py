"""Seconds to 0.95 agreement of a conditional GAN on MNIST: our steps against each other and peers.

A digit classifier (at least 0.99 on real test images) judges samples; its time does not count.
Agreement alone is soonest for a generator that has collapsed to one picture a class. So samples
must differ within their classes, too: in the classifier's last features, at least half as much as
real digits do (the limit of `CollapseWarning`). Runs in pieces, which .bench/gan_quality.json
collects:

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
from keras_transgen.callbacks.collapse_warning import diversity

FOLDER = Path(__file__).parents[1] / ".bench"
RESULTS = FOLDER / "gan_quality.json"
JUDGE = FOLDER / "judge.keras"
GOAL, DIVERSE, BATCH, JUDGED = 0.95, 0.5, 64, 2000
OURS = ("shared", "two_stage")
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


def is_won(judged: tuple, margin: float = 0.0) -> bool:
    """Whether samples agree with their labels and differ from each other."""
    return judged[2] >= GOAL + margin and judged[3] >= DIVERSE


class Race(keras.callbacks.Callback):
    """Stops the clock every few seconds of training, judges samples, and goes on."""

    def __init__(self, judged, limit, every):
        super().__init__()
        self.judged, self.limit, self.every = judged, limit, every
        self.curve, self.spent, self.steps = [], 0.0, 0
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        now = time.perf_counter()
        if self.spent + now - self.start < self.every * (len(self.curve) + 1):
            return
        self.spent += now - self.start
        self.curve.append((round(self.spent, 1), self.steps, *self.judged()))
        print(*self.curve[-1], flush=True)
        if self.spent >= self.limit or is_won(self.curve[-1], margin=0.01):
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
        while spent < limit and (not curve or not is_won(curve[-1], margin=0.01)):
            while spent < every * (len(curve) + 1):
                spent += peer.ask(steps=20)
                steps += 20
            peer.ask(samples=str(made), labels=LABELS.tolist())
            curve.append((round(spent, 1), steps, *judge_of(np.load(made))))
            print(*curve[-1], flush=True)
        peer.close()
    return curve


def known() -> dict:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def seconds_to_agreement(curve) -> float:
    return next((judged[0] for judged in curve if judged[2] >= GOAL), float("inf"))


def seconds_to_goal(curve) -> float:
    return next((judged[0] for judged in curve if is_won(judged)), float("inf"))


def shown(seconds: list[float]) -> str:
    return ", ".join("never" if value == float("inf") else f"{value:.0f}" for value in seconds)


def report() -> None:
    results = known()
    rows = [
        (
            "side",
            "seconds to 0.95 agreement of diverse samples (each seed)",
            "median",
            "seconds to 0.95 agreement alone",
            "diversity then",
            "last: agreement, diversity",
            "milliseconds a step",
        )
    ]
    seconds, any_medians = {}, {}
    for side in (*OURS, *PEERS):
        runs = [results[key] for key in sorted(results) if key.split()[0] == side]
        if not runs:
            continue
        reached = [seconds_to_goal(curve) for curve in runs]
        alone = [seconds_to_agreement(curve) for curve in runs]
        then = [next((j[3] for j in curve if j[2] >= GOAL), float("nan")) for curve in runs]
        seconds[side], any_medians[side] = median(reached), median(alone)
        rows.append(
            (
                side,
                shown(reached),
                shown([seconds[side]]),
                shown(alone),
                ", ".join(f"{value:.2f}" for value in then),
                "; ".join(f"{curve[-1][2]:.2f}, {curve[-1][3]:.2f}" for curve in runs),
                f"{median([1000 * curve[-1][0] / curve[-1][1] for curve in runs]):.0f}",
            )
        )
    best = min((side for side in seconds if side in OURS), key=seconds.get)
    ours = seconds[best]
    diverse = verdict(ours, {side: value for side, value in seconds.items() if side in PEERS})
    alone = verdict(
        any_medians[best], {side: value for side, value in any_medians.items() if side in PEERS}
    )
    longest = max(curve[-1][0] for curve in results.values())
    publish(
        "Conditional GAN on MNIST: seconds to 0.95 agreement",
        "default settings, median of 3 seeds: at most 0.8 of both peers' seconds",
        rows,
        f"Quickest of ours: step={best!r}. With samples that differ from each other: {diverse}. By "
        f"agreement alone: {alone}. Agreement alone is soonest where a class is one picture, so "
        "the first is what counts here: diversity is that within classes, in the classifier's "
        f"features, over real digits', and {DIVERSE} is asked. Never: not within the race's "
        f"{longest:.0f} s of training. Peers: the same networks with the two-stage step of the "
        "Keras examples and of PyTorch's tutorial, embeddings as each library starts them, Adam "
        f"2e-4, beta_1=0.5, without a moving average. {JUDGED} samples judged each time; seeds "
        f"{', '.join(sorted({key.split()[1] for key in results}))}.",
        __file__,
    )


def verdict(ours: float, peers: dict[str, float]) -> str:
    """Our seconds over the peers', and whether the goal is reached."""
    if ours == float("inf"):
        return "ours never got there: missed"
    told = ", ".join(
        f"{ours / value:.2f} of {side}'s" if value < float("inf") else f"{side} never got there"
        for side, value in peers.items()
    )
    reached = bool(peers) and max(ours / value for value in peers.values()) <= 0.8
    return f"{told}: {'reached' if reached else 'missed'}"


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

        inner = keras.Model(
            classifier.inputs, [classifier.outputs[0], classifier.layers[-2].output]
        )
        real = diversity(inner.predict(test[0], batch_size=500, verbose=0)[1], test[1])

        def judged(samples):
            logits, features = inner.predict(samples, batch_size=500, verbose=0)
            agreement = float(np.mean(logits.argmax(axis=1) == LABELS))
            return agreement, round(diversity(features, LABELS) / real, 3)

        for seed in options.seeds:
            for side in options.sides:
                print(f"== {side} seed {seed}", flush=True)
                race = (
                    race_in_torch(seed, train, judged, options.seconds, options.every)
                    if side == "torch"
                    else race_in_keras(side, seed, train, judged, options.seconds, options.every)
                )
                RESULTS.write_text(json.dumps({**known(), f"{side} {seed}": race}))
    report()


if __name__ == "__main__":
    main()
