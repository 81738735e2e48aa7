import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.backbones.audit import audit_module
from tests.sequences.test_language_model import small as language_model
from tests.sequences.test_sequence_to_sequence import BOTH, disturbed
from tests.sequences.test_sequence_to_sequence import small as translator
from tests.sequences.test_text_vae import disturbed as latent_model
from tests.served import served_alone

PROMPTS = ["to be", "", "the sea of"]


def exported(model, folder):
    """The module as TensorFlow loads it, which the package's own audit finds clean."""
    model.export(folder)
    report = audit_module(folder)
    assert not report.unsafe
    return tf.saved_model.load(folder).signatures


def texts_of(found):
    return [text.decode() for text in found["texts"].numpy()]


def alone(folder, name, imports=(), **inputs):
    """What a process answers that has met TensorFlow alone."""
    found = served_alone(folder / "module", name, imports, **inputs)
    return [text.decode() for text in found["texts"].tolist()]


@pytest.mark.slow
def test_a_language_model_generates_as_in_python(tmp_path):
    model = disturbed(language_model())
    # What has been used is exported too, with the functions that it keeps.
    model.generate(PROMPTS, max_tokens=12, temperature=0.0)
    model.log_likelihood(PROMPTS)
    generate = exported(model, str(tmp_path / "module"))["generate"]
    given = {"max_tokens": tf.constant(12), "seed": tf.constant(0, tf.int64)}
    greedy = generate(texts=tf.constant(PROMPTS), temperature=tf.constant(0.0), **given)
    assert texts_of(greedy) == model.generate(PROMPTS, max_tokens=12, temperature=0.0)
    drawn = [
        texts_of(
            generate(
                texts=tf.constant(PROMPTS),
                temperature=tf.constant(1.0),
                max_tokens=tf.constant(12),
                seed=tf.constant(seed, tf.int64),
            )
        )
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    given = {"max_tokens": np.int32(12), "seed": np.int64(0), "temperature": np.float32(0.0)}
    found = alone(tmp_path, "generate", texts=np.array(PROMPTS), **given)
    assert found == model.generate(PROMPTS, max_tokens=12, temperature=0.0)
    assert len(set(found)) > 1


@pytest.mark.parametrize("copying", [False, True])
@pytest.mark.long
def test_a_translator_generates_as_in_python(copying, tmp_path):
    model = disturbed(translator(*([BOTH] if copying else []), copying=copying))
    signatures = exported(model, str(tmp_path / "module"))
    sources = ["a", "abcd", "dd"]
    given = {"texts": tf.constant(sources), "max_tokens": tf.constant(8)}
    assert texts_of(signatures["generate"](**given)) == model.generate(sources, max_tokens=8)
    found = signatures["beam_search"](**given, length_penalty=tf.constant(1.0))
    assert texts_of(found) == model.generate(sources, beam_width=5, max_tokens=8)
    given = {"max_tokens": np.int32(8), "length_penalty": np.float32(1.0)}
    found = alone(tmp_path, "beam_search", texts=np.array(sources), **given)
    assert found == model.generate(sources, beam_width=5, max_tokens=8)
    assert any(found)


@pytest.mark.parametrize("decoder", ["transformer", "gru"])
@pytest.mark.long
def test_a_text_vae_answers_as_in_python(decoder, tmp_path):
    model = latent_model(decoder=decoder)
    signatures = exported(model, str(tmp_path / "module"))
    texts = ["to be", "the sea"]
    encoded = signatures["encode"](texts=tf.constant(texts))
    posterior = model.encode(texts)
    np.testing.assert_allclose(encoded["mean"], posterior.mean(), atol=1e-5)
    np.testing.assert_allclose(encoded["scale"], posterior.stddev(), atol=1e-5)
    z = np.random.default_rng(0).normal(size=(3, 3)).astype("float32")
    assert texts_of(signatures["decode"](latents=tf.constant(z))) == model.decode(z)
    again = signatures["reconstruct"](texts=tf.constant(texts))
    assert texts_of(again) == model.reconstruct(texts)
    sampled = signatures["sample"](
        count=tf.constant(4), temperature=tf.constant(1.0), seed=tf.constant(3, tf.int64)
    )
    assert len(texts_of(sampled)) == 4
    assert alone(tmp_path, "reconstruct", texts=np.array(texts)) == model.reconstruct(texts)
    assert alone(tmp_path, "decode", latents=z) == model.decode(z)


@pytest.mark.long
def test_pieces_travel_with_the_module(tmp_path):
    pytest.importorskip("tensorflow_text")
    texts = ["to be or not to be", "the sea of troubles", "to sleep"] * 20
    vocabulary = ktg.Vocabulary.train(texts, size=22)
    model = disturbed(ktg.LanguageModel(vocabulary, 16, 1, 16, 2, seed=0))
    generate = exported(model, str(tmp_path / "module"))["generate"]
    found = generate(
        texts=tf.constant(["to be ", "the"]),
        max_tokens=tf.constant(6),
        temperature=tf.constant(0.0),
        seed=tf.constant(0, tf.int64),
    )
    expected = model.generate(["to be ", "the"], max_tokens=6, temperature=0.0)
    assert texts_of(found) == expected
    given = {"max_tokens": np.int32(6), "seed": np.int64(0), "temperature": np.float32(0.0)}
    texts = np.array(["to be ", "the"])
    assert alone(tmp_path, "generate", ("tensorflow_text",), texts=texts, **given) == expected


def test_a_signature_of_ones_own_is_refused(tmp_path):
    with pytest.raises(ValueError, match="leave input_signature out"):
        language_model().export(tmp_path / "x", input_signature=tf.TensorSpec([None], tf.string))
