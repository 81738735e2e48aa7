"""A model of sequences and its run, in a process that the test kills. Arguments: model, folder."""

import sys

import keras
import numpy as np

import keras_transgen as ktg
from keras_transgen.generative.beta_schedules import CyclicalWarmup
from tests.generative.resume_worker import Kill, optimizer_state

_DRAWS = np.random.default_rng(0)
TEXTS = [" ".join(_DRAWS.choice(["to", "be", "or", "not", "sea"], 4)) for _ in range(60)]
TARGETS = [text[::-1] for text in TEXTS]
VOCABULARY = ktg.Vocabulary.characters(TEXTS)
SIZES = {"context_length": 24, "num_layers": 1, "model_dim": 8, "num_heads": 2, "dropout": 0.2}
# Some longer than the context of eight frames.
PIECES = [_DRAWS.integers(63, 70, (_DRAWS.integers(1, 20), 2)).tolist() for _ in range(48)]
# Longer than eight contexts: read in windows that each epoch cuts anew.
STREAM = " ".join(TEXTS)


def language_model():
    return ktg.LanguageModel(VOCABULARY, **SIZES)


def translator():
    return ktg.SequenceToSequence(VOCABULARY, **SIZES)


def latent_model(**settings):
    return ktg.TextVAE(VOCABULARY, 2, **SIZES, word_dropout=0.3, beta=CyclicalWarmup(5), **settings)


def wavenet(**settings):
    return ktg.WaveNet(
        100, 2, layers_per_stack=3, residual_channels=4, skip_channels=4, window=20, **settings
    )


WAVES = [np.sin(np.arange(20 + 3 * n) / (2 + n % 2)).astype("float32") for n in range(48)]
LABELS = np.arange(48) % 2


def music_model():
    return ktg.MusicModel(
        (60, 72), 3, 8, num_layers=1, model_dim=8, note_dim=8, dropout=0.2, transpose=3
    )


MODELS = {
    "texts": (language_model, (TEXTS,), {"batch_size": 16}),
    "windows": (language_model, ([STREAM],), {"batch_size": 10}),
    "translator": (translator, (TEXTS, TARGETS), {"batch_tokens": 400}),
    "text_vae": (latent_model, (TEXTS,), {"batch_size": 16}),
    "recurrent": (lambda: latent_model(decoder="gru"), (TEXTS,), {"batch_size": 16}),
    "wavenet": (wavenet, (WAVES, LABELS), {"batch_size": 16}),
    "music": (music_model, (PIECES,), {"batch_size": 16}),
}


def run(name: str, folder: str | None, kill: bool) -> dict[str, list[np.ndarray]]:
    """At least 3 steps an epoch, 4 epochs; what the run ends with."""
    make, data, settings = MODELS[name]
    keras.utils.set_random_seed(11)
    model = make()
    if name != "texts":
        # One of them by its defaults: compiled by XLA, a rate that follows the steps.
        model.compile("adam", jit_compile=False)
    callbacks = []
    if folder:
        callbacks.append(keras.callbacks.BackupAndRestore(folder, save_freq=2))
    if kill:
        callbacks.append(Kill())
    model.fit(*data, epochs=4, callbacks=callbacks, verbose=0, **settings)
    assert int(model.progress.step.numpy()) >= 12
    return {
        "weights": [weight.numpy() for weight in model.weights],
        "optimizers": optimizer_state(model),
    }


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], kill=True)
