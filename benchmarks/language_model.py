"""A character model on tinyshakespeare, by the configuration that nanoGPT's page has for a CPU.

The page reports 1.88 nats a character of the validation part (the last tenth) after 2,000 steps of
4 layers, 128 units, windows of 64 characters, 12 of them a step, without dropout. nanoGPT judges by
random windows; here each character of the part is predicted once.

With `--large` a larger network instead, for as long as 15 minutes on two cores are.
"""

import argparse
import time

import keras
import numpy as np
from report import publish, shared

import keras_transgen as ktg

STEPS, ROWS, CONTEXT = 2000, 12, 64
WARM_UP = 100
BUDGET, GOAL = 1800, 1.60


def data():
    text = (shared("data", "tinyshakespeare") / "input.txt").read_text()
    cut = int(0.9 * len(text))
    return ktg.Vocabulary.characters([text]), text[:cut], text[cut:]


def trained(vocabulary, stream, positions: str, rate: float, seed: int = 0):
    keras.utils.set_random_seed(seed)
    model = ktg.LanguageModel(
        vocabulary, CONTEXT, 4, 128, 4, dropout=0.0, positions=positions, seed=seed
    )
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, STEPS - WARM_UP, alpha=0.1, warmup_target=rate, warmup_steps=WARM_UP
    )
    model.compile(
        keras.optimizers.AdamW(schedule, beta_2=0.99, weight_decay=0.1, global_clipnorm=1.0)
    )
    epochs = 2
    start = time.process_time()
    model.fit(stream, batch_size=ROWS, epochs=epochs, steps_per_epoch=STEPS // epochs, verbose=0)
    return model, time.process_time() - start


class CPUClock(keras.callbacks.Callback):
    """Notes what a training has cost, and lets the rate fall with what is left of its budget."""

    def __init__(self, rate, seconds):
        super().__init__()
        self.rate, self.seconds, self.steps, self.spent = rate, seconds, 0, 0.0

    def on_train_begin(self, logs=None):
        self.start = time.process_time()

    def on_train_batch_begin(self, batch, logs=None):
        share = min(1.0, self.spent / self.seconds)
        warm = min(1.0, (self.steps + 1) / (2 * WARM_UP))
        cosine = 0.05 + 0.95 * 0.5 * (1.0 + np.cos(np.pi * share))
        self.model.optimizer.learning_rate = self.rate * warm * cosine

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        self.spent = time.process_time() - self.start
        if self.spent >= self.seconds:
            self.model.stop_training = True
        elif self.steps % 100 == 0:
            print(f"{self.steps} steps, {self.spent:.0f} s, {logs}", flush=True)


def large(options) -> None:
    """The largest network that its budget trains well; the part that judges is looked at once."""
    vocabulary, training, held_out = data()
    stream, judged = (np.array(vocabulary.encode(text)) for text in (training, held_out))
    if options.choose:
        # Settings are chosen on the last tenth of the training part.
        cut = int(0.9 * len(stream))
        stream, judged = stream[:cut], stream[cut:]
    keras.utils.set_random_seed(0)
    model = ktg.LanguageModel(
        vocabulary,
        options.context,
        options.layers,
        options.width,
        options.width // 32,
        dropout=options.dropout,
        seed=0,
    )
    model.compile(
        keras.optimizers.AdamW(options.rate, beta_2=0.99, weight_decay=0.1, global_clipnorm=1.0)
    )
    clock = CPUClock(options.rate, options.seconds)
    # An epoch of a stream draws as many windows as it has.
    model.fit(stream, batch_size=options.rows, epochs=10_000, verbose=0, callbacks=[clock])
    nats = model.evaluate(judged, verbose=0, return_dict=True)["loss"]
    if options.choose:
        print(f"{nats:.4f} nats a character of the chosen part, {clock.steps} steps, {options}")
        return
    rows = [
        ("network", "context", "rows a step", "steps", "nats a character", "parameters", "CPU s"),
        (
            f"{options.layers} layers of {options.width}, dropout {options.dropout:g}",
            f"{options.context}",
            f"{options.rows}",
            f"{clock.steps:,}",
            f"{nats:.3f}",
            f"{model.count_params():,}",
            f"{clock.spent:,.0f}",
        ),
    ]
    publish(
        "A character model of any size in 15 minutes (tinyshakespeare)",
        f"at most {GOAL:.2f} nats a character of the last tenth, in {BUDGET:,} CPU seconds",
        rows,
        f"{'Reached' if nats <= GOAL and clock.spent <= BUDGET + 5 else 'Missed'}: {nats:.3f}. One "
        "seed; settings by shorter runs that were judged by the last tenth of the training part.",
        __file__,
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--large", action="store_true")
    arguments.add_argument("--choose", action="store_true", help="judge by training text")
    arguments.add_argument("--seconds", type=float, default=BUDGET, help="CPU seconds")
    arguments.add_argument("--layers", type=int, default=6)
    arguments.add_argument("--width", type=int, default=192)
    arguments.add_argument("--context", type=int, default=256)
    arguments.add_argument("--rows", type=int, default=16)
    arguments.add_argument("--dropout", type=float, default=0.1)
    arguments.add_argument("--rate", type=float, default=2e-3)
    options = arguments.parse_args()
    if options.large:
        large(options)
        return
    vocabulary, training, held_out = data()
    stream, judged = (np.array(vocabulary.encode(text)) for text in (training, held_out))
    rows = [("positions", "highest rate", "nats a character", "parameters", "CPU seconds")]
    best = {}
    for positions, rate in (("learned", 1e-3), ("rotary", 1e-3), ("rotary", 2e-3)):
        model, seconds = trained(vocabulary, stream, positions, rate)
        nats = model.evaluate(judged, verbose=0, return_dict=True)["loss"]
        best[positions] = min(nats, best.get(positions, np.inf))
        rows.append(
            (positions, f"{rate:g}", f"{nats:.3f}", f"{model.count_params():,}", f"{seconds:.0f}")
        )
        print(rows[-1], flush=True)
    publish(
        "A character model by nanoGPT's configuration for a CPU (tinyshakespeare)",
        f"at most 1.85 nats a character after {STEPS:,} steps (nanoGPT's page: 1.88)",
        rows,
        f"{'Reached' if min(best.values()) <= 1.85 else 'Missed'}: {min(best.values()):.3f}; with "
        f"learned positions, as nanoGPT has them, {best['learned']:.3f}. One seed each; the part "
        "that judges also showed which rate is better.",
        __file__,
    )


if __name__ == "__main__":
    main()
