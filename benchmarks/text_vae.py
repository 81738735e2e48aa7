"""A VAE of captions (multi30k, English): what its latent vectors say, and what they cost.

The same decoder is trained as a plain language model, as often on the same captions. Settings
were chosen by the validation part; test_2016_flickr judges. CPU seconds are those of `fit`,
compilation and the validation part after each epoch included.
"""

import argparse
import gzip
import json
import time

import keras
import numpy as np
import tensorflow as tf
from report import publish, shared

import keras_transgen as ktg

BUDGET, SIZE, CONTEXT, LATENT_DIM, SAMPLES = 1800, 4000, 64, 8, 50
EPOCHS, RATE, WARM_UP = 16, 2e-3, 400
# Longest rows of the batches, start and end included, and how many rows they have.
WIDTHS, ROWS = (13, 17, 25, CONTEXT + 1), (128, 96, 64, 32)


def lines(part: str) -> list[str]:
    path = shared("data", "multi30k") / f"{part}.en.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [line.strip() for line in file.read().strip().split("\n")]


def batches(vocabulary, texts: list[str], training: bool) -> tf.data.Dataset:
    """Captions of similar lengths together, in batches of four shapes."""
    rows = vocabulary.encode(texts, start=True, end=True)
    data = tf.data.Dataset.from_generator(
        lambda: iter(rows), output_signature=tf.TensorSpec([None], tf.int32)
    ).cache()
    if training:
        data = data.shuffle(len(texts), seed=0)
    data = data.bucket_by_sequence_length(
        tf.size,
        [width + 1 for width in WIDTHS],
        [*ROWS, ROWS[-1]],
        pad_to_bucket_boundary=True,
        drop_remainder=training,
    )
    count = sum(1 for _ in data)
    return data.apply(tf.data.experimental.assert_cardinality(count)).prefetch(4)


def trained(model, data, steps: int, epochs: int, held_out) -> float:
    """CPU seconds of a training; the model is that of the epoch with the best validation loss."""
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, epochs * steps - WARM_UP, alpha=0.02, warmup_target=RATE, warmup_steps=WARM_UP
    )
    model.compile(
        keras.optimizers.AdamW(schedule, beta_2=0.98, weight_decay=0.01, global_clipnorm=1.0)
    )
    start = time.process_time()
    best = keras.callbacks.EarlyStopping("val_loss", patience=4, restore_best_weights=True)
    model.fit(data, epochs=epochs, validation_data=held_out, callbacks=[best], verbose=2)
    return time.process_time() - start


def judged(vae, captions: list[str], data) -> dict[str, float]:
    logs = vae.evaluate(data, verbose=0, return_dict=True)
    nats = -vae.log_likelihood(captions, num_samples=SAMPLES, seed=0)
    return {
        **{name: float(value) for name, value in logs.items()},
        "gap": vae.reconstruction_gap(captions),
        "nats": float(nats.mean()),
        "error": float(nats.std() / np.sqrt(len(nats))),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--decoder", default="transformer", choices=["transformer", "gru"])
    decoder = parser.parse_args().decoder
    training, held_out, test = lines("train"), lines("val"), lines("test_2016_flickr")
    vocabulary = ktg.Vocabulary.train(training, size=SIZE)

    keras.utils.set_random_seed(0)
    vae = ktg.TextVAE(vocabulary, LATENT_DIM, CONTEXT, decoder=decoder, seed=0)
    data = batches(vocabulary, training, True)
    seconds = trained(
        vae, data, int(data.cardinality()), EPOCHS, batches(vocabulary, held_out, False)
    )
    found = judged(vae, test, batches(vocabulary, test, False))
    print(json.dumps(found), f"{seconds:.0f} CPU seconds", flush=True)
    print(*vae.sample(6, seed=0), *vae.interpolate(test[0], test[1], 6), sep="\n", flush=True)

    keras.utils.set_random_seed(0)
    plain = ktg.LanguageModel(vocabulary, CONTEXT, num_layers=2, seed=0)
    rows = plain.rows_of(training, True)
    steps = -(-len(rows) // 32)
    plain_seconds = trained(plain, rows, steps, EPOCHS, held_out)
    plain_nats = float(-plain.log_likelihood(test).mean())

    share = found["active_units"] / LATENT_DIM
    cost = found["nats"] - plain_nats
    reached = share >= 0.9 and found["gap"] >= 3.0 and cost <= 2.0
    reached &= max(seconds, plain_seconds) <= BUDGET
    publish(
        f"A VAE of captions with a {decoder} decoder (multi30k, English)",
        "at least 0.9 of the units active, another caption's z costs at least 3 nats, -log p "
        f"within 2 nats of the same decoder as a plain language model; {BUDGET:,} CPU seconds each",
        [
            ("what", "VAE", "language model"),
            ("-log p of a caption, nats", f"{found['nats']:.2f}", f"{plain_nats:.2f}"),
            ("active units", f"{found['active_units']:.0f} of {LATENT_DIM}", ""),
            ("nats more with another caption's z", f"{found['gap']:.2f}", ""),
            ("KL, nats", f"{found['kl']:.2f}", ""),
            ("-log p(caption given z), nats", f"{found['reconstruction']:.2f}", ""),
            ("parameters", f"{vae.count_params():,}", f"{plain.count_params():,}"),
            ("CPU seconds of training", f"{seconds:.0f}", f"{plain_seconds:.0f}"),
        ],
        f"{'Reached' if reached else 'Missed'}: {share:.2f} of the units, {found['gap']:.1f} nats, "
        f"{cost:+.2f} nats against the language model (standard error of the mean over captions "
        f"{found['error']:.2f}). Free bits of 0.5 a unit, beta 1 throughout; log p by "
        f"{SAMPLES} importance samples, which overstate -log p. One seed.",
        __file__,
    )


if __name__ == "__main__":
    main()
