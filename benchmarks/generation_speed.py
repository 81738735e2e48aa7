"""Generation and training of a language model, in CPU seconds: caches, no caches, PyTorch.

The same network with the same weights on each side, 64 prompts, 32 tokens each, the likeliest
ones; all sides must give the same tokens. Without caches the whole prefix is read anew for each
token, in a compiled loop of one width and in a graph whose prefix grows; the quicker one counts.
PyTorch 2.13 has key/value caches and fused attention of its own, runs in its own process and
environment, and takes turns with us, on two threads each. Compilation is not on the clock.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "2")

import keras
import numpy as np
import tensorflow as tf
from adversarial_peers import TorchPeer
from report import median, publish, shared

import keras_transgen as ktg

BATCH, TOKENS, THREADS, CACHED, TRAINING = 64, 32, 2, 15.0, 1.2
PROMPTS = (16, 128)
CONTEXT, LAYERS, DIM, HEADS, ROWS = 256, 4, 128, 4, 32


def of_the_network(model):
    """Our weights in the order in which PyTorch's network has its layers."""
    found = {weight.path.split("network/", 1)[1]: weight.numpy() for weight in model.weights}
    order = ["embedding/embeddings", "position_embedding/embeddings"]
    attention = [f"attention/{part}" for part in ("query", "key", "value", "output")]
    for block in range(LAYERS):
        for name in ("attention_norm", *attention, "feedforward_norm", "inner", "outer"):
            parts = ("gamma", "beta") if name.endswith("norm") else ("kernel", "bias")
            order += [f"block_{block}/{name}/{part}" for part in parts]
    order += ["final_norm/gamma", "final_norm/beta"]
    assert sorted(order) == sorted(found)
    return {f"{number:04d}": found[name] for number, name in enumerate(order)}


def without_caches(model, width):
    """Two ways to read the whole prefix anew for each token: functions from prompts to tokens."""

    def likeliest(tokens, place):
        features = model.features(tokens)
        logits = model.network.logits(tf.gather(features, place, axis=1))
        return tf.argmax(logits, axis=-1, output_type=tf.int32)

    @tf.function(jit_compile=True, autograph=False)
    def of_one_width(prompts):
        tokens = tf.pad(prompts, [[0, 0], [0, TOKENS]], constant_values=4)

        def step(count, tokens):
            token = likeliest(tokens, width + count - 1)
            at = (tf.constant(0), width + count)
            return count + 1, keras.ops.slice_update(tokens, at, token[:, None])

        return tf.while_loop(lambda count, _: count < TOKENS, step, (0, tokens))[1][:, width:]

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)], autograph=False)
    def next_of(tokens):
        return likeliest(tokens, tf.shape(tokens)[1] - 1)

    def growing(prompts):
        tokens = prompts
        for _ in range(TOKENS):
            tokens = tf.concat([tokens, next_of(tokens)[:, None]], axis=1)
        return tokens[:, width:]

    return {"compiled, of one width": of_one_width, "a graph whose prefix grows": growing}


def on_the_clock(function):
    start = time.process_time()
    found = function()
    return time.process_time() - start, found


def generation(model, peer, text, repeats, folder):
    """Rows of the table, and the worst ratio to the quicker side without caches."""
    rows, ratios = [], []
    starts = np.random.default_rng(0).integers(0, len(text) - 256, BATCH)
    for width in PROMPTS:
        prompts = [text[start : start + width - 1] for start in starts]
        tokens = np.array([[1, *each] for each in model.vocabulary.encode(prompts)], "int32")
        path = folder / f"prompts_{width}.npy"
        np.save(path, tokens)
        sides = {
            "ours, caches": lambda p=prompts: model.generate(p, TOKENS, temperature=0),
            **{
                name: lambda f=f, t=tokens: f(tf.constant(t)).numpy()
                for name, f in without_caches(model, width).items()
            },
        }
        first = {name: side() for name, side in sides.items()}
        _, torch = peer.ask(prompts=str(path), tokens=TOKENS)
        expected = model.vocabulary.encode(first.pop("ours, caches"))
        agree = np.mean(np.array(torch) == expected)
        for name, found in first.items():
            assert np.mean(found == expected) > 0.99, name
        seconds = {name: [] for name in (*sides, "PyTorch, caches")}
        for _ in range(repeats):
            for name, side in sides.items():
                seconds[name].append(on_the_clock(side)[0])
            seconds["PyTorch, caches"].append(peer.ask(prompts=str(path), tokens=TOKENS)[0])
        ours, *without, theirs = (median(each) for each in seconds.values())
        ratios.append((min(without) / ours, theirs / ours))
        rows += [
            (f"{name}, prompts of {width}", f"{median(each):.3f}", f"{median(each) / ours:.2f}")
            for name, each in seconds.items()
        ]
        print(*rows[-4:], f"PyTorch's tokens agree: {agree:.3f}", sep="\n", flush=True)
    return rows, ratios


def training(model, peer, tokens, repeats, folder, steps=20):
    rows = np.random.default_rng(1).integers(0, len(tokens) - CONTEXT - 1, (steps, ROWS))
    batches = tokens[rows[..., None] + np.arange(129)]
    path = folder / "rows.npy"
    np.save(path, batches)
    model.compile(keras.optimizers.AdamW(1e-3, beta_2=0.99, weight_decay=0.1, global_clipnorm=1.0))
    data = batches.reshape(-1, 129).astype("int32")

    def ours():
        return model.fit(data, batch_size=ROWS, epochs=1, shuffle=False, verbose=0)

    ours()
    first = peer.ask(rows=str(path), steps=1)[1]
    seconds = {"ours": [], "PyTorch": []}
    for _ in range(repeats):
        seconds["ours"].append(on_the_clock(ours)[0] / steps)
        seconds["PyTorch"].append(peer.ask(rows=str(path), steps=steps)[0] / steps)
    one, other = (median(each) for each in seconds.values())
    return (
        [
            (f"a training step, {name}", f"{median(each):.3f}", f"{median(each) / one:.2f}")
            for name, each in seconds.items()
        ],
        other / one,
        first,
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeats", type=int, default=3)
    options = arguments.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    text = (shared("data", "tinyshakespeare") / "input.txt").read_text()
    vocabulary = ktg.Vocabulary.characters([text])
    keras.utils.set_random_seed(0)
    model = ktg.LanguageModel(
        vocabulary, CONTEXT, LAYERS, DIM, HEADS, dropout=0.0, positions="learned", seed=0
    )
    tokens = np.array(vocabulary.encode(text))
    # A few steps, so that the likeliest tokens are no ties.
    model.fit(tokens[:100_000], batch_size=ROWS, epochs=1, steps_per_epoch=10, verbose=0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = folder / "weights.npz"
        np.savez(weights, **of_the_network(model))
        sizes = {"size": vocabulary.size, "context": CONTEXT, "layers": LAYERS, "dim": DIM,
                 "heads": HEADS}  # fmt: skip
        settings = {"threads": THREADS, "weights": str(weights), "sizes": sizes}
        peer = TorchPeer(settings, "torch_language_worker.py")
        rows, ratios = generation(model, peer, text, options.repeats, folder)
        trained, faster, _ = training(model, peer, tokens, options.repeats, folder)
        peer.close()
    least = min(ratio for ratio, _ in ratios)
    said = "Reached" if least >= CACHED else "Missed"
    also = "reached" if faster >= TRAINING else "missed"
    publish(
        "Generation by a language model: caches, no caches, PyTorch",
        f"{BATCH} prompts, {TOKENS} tokens: at least {CACHED:.0f} times quicker than reading the "
        f"prefix anew; a training step at most 1/{TRAINING} of PyTorch's",
        [("side", "CPU seconds", "over ours"), *rows, *trained],
        f"{said}: {', '.join(f'{a:.1f}' for a, _ in ratios)} times quicker than the quicker side "
        f"without caches after prompts of {', '.join(map(str, PROMPTS))} tokens, and "
        f"{', '.join(f'{b:.2f}' for _, b in ratios)} times than PyTorch with its caches. Training: "
        f"{also}, PyTorch's step costs {faster:.2f} of ours. {model.count_params():,} parameters, "
        f"medians of {options.repeats}, {THREADS} threads each; training by {ROWS} rows of 128.",
        __file__,
    )


if __name__ == "__main__":
    main()
