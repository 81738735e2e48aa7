"""An exported model of music, in this process and in one that has met TensorFlow alone."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones.audit import audit_module
from keras_transgen.generative.serving import stateless_seed
from tests.sequences.music.test_music_model import NOTES, disturbed, uncached
from tests.served import served_alone, signature_names

FRAMES = 16


@pytest.fixture(scope="module")
def model():
    return disturbed()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("music") / "module"
    model.export(folder)
    assert not audit_module(folder).unsafe
    return folder


def frames(answer):
    """Pieces as the model gives them: each frame from the lowest note, -1 for none."""
    return [[sorted(row[row >= 0].tolist()) for row in piece] for piece in answer["pitches"]]


def said(temperature, seed):
    return {"temperature": np.float32(temperature), "seed": np.int64(seed)}


def test_names(folder):
    names = signature_names(folder)
    assert names["sample"] == (["count", "seed", "temperature"], ["pitches"])
    assert names["harmonize"] == (["melody", "seed", "temperature"], ["pitches"])


@pytest.mark.slow
def test_the_likeliest_harmonies_are_those_of_the_model(model, folder):
    melodies = [[64, 64, None, 60, 68, 67], [66, None, None, 61, 60, 60]]
    given = np.array([[-1 if each is None else each for each in row] for row in melodies], "int32")
    answer = served_alone(folder, "harmonize", melody=given, **said(0.0, 0))
    assert answer["pitches"].shape == (2, FRAMES, NOTES)
    found = frames(answer)
    assert [piece[:6] for piece in found] == model.harmonize(melodies, temperature=0.0)
    # Behind its end the melody is the model's own.
    longer = [[*row, *[None] * (FRAMES - 6)] for row in melodies]
    assert found == model.harmonize(longer, temperature=0.0)


@pytest.mark.slow
def test_samples_are_those_of_the_whole_model_read_anew(model, folder):
    signature = tf.saved_model.load(str(folder)).signatures["sample"]

    def asked(seed):
        given = {"count": np.int32(2), **said(0.8, seed)}
        return frames({key: each.numpy() for key, each in signature(
            **{key: tf.constant(value) for key, value in given.items()}
        ).items()})  # fmt: skip

    uniforms = tf.random.stateless_uniform(
        [2, FRAMES * NOTES], stateless_seed(tf.constant(7, tf.int64))
    ).numpy()

    def drawn(row):
        def pick(logits, place, rank):
            p = np.exp(logits / 0.8 - np.max(logits / 0.8))
            total = np.cumsum(p)
            number = uniforms[row, place * NOTES + rank] * total[-1]
            return int(np.searchsorted(total, number, "right"))

        return pick

    free = np.zeros((FRAMES, NOTES), "int32")
    found = asked(7)
    assert found == [uncached(model, free, drawn(row)) for row in range(2)]
    assert asked(7) == found != asked(8)
