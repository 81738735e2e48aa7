"""Small networks with fixed weights, and the data that each takes, in files."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets import write_wav


def save_letter_counter(folder: Path) -> Path:
    """Strings to how often each of the letters a to z is in them: a SavedModel."""
    module = tf.Module()
    module.scale = tf.Variable(tf.ones([26]))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def call(texts):
        letters = tf.strings.unicode_decode(texts, "UTF-8").to_tensor(0) - ord("a")
        return tf.reduce_sum(tf.one_hot(letters, 26), 1) * module.scale

    module.__call__ = call
    tf.saved_model.save(module, str(folder))
    return folder


def save_network(path: Path, shape: tuple, *layers: keras.layers.Layer, dtype="float32") -> Path:
    """Layers on an input, as a .keras file."""
    keras.utils.set_random_seed(3)
    keras.Sequential([keras.Input(shape, dtype=dtype), *layers]).save(path)
    return path


def save_waves(folder: Path, rate: int = 4000) -> Path:
    """Low and high tones of several lengths, a folder a class."""
    rng = np.random.default_rng(0)
    for name, pitch in (("low", 100.0), ("high", 900.0)):
        (folder / name).mkdir(parents=True)
        for number in range(10):
            count = int(rng.integers(900, 1200))
            angle = 2 * np.pi * pitch * np.arange(count) / rate + rng.uniform(0, 6)
            write_wav(folder / name / f"{number}_x.wav", 0.5 * np.sin(angle), rate)
    return folder


def save_sequences(folder: Path, length: int | None = None) -> dict[str, list[str]]:
    """Sequences rich in A, and rich in G: a FASTA file a class."""
    rng = np.random.default_rng(1)
    folder.mkdir()
    written = {}
    for name, weights in (("rich", (0.7, 0.1, 0.1, 0.1)), ("poor", (0.1, 0.1, 0.7, 0.1))):
        written[name] = [
            "".join(rng.choice(list("ACGT"), length or int(rng.integers(20, 30)), p=weights))
            for _ in range(15)
        ]
        text = "".join(
            f">{name}{number} class={name}\n{each}\n" for number, each in enumerate(written[name])
        )
        (folder / f"{name}.fa").write_text(text)
    return written
