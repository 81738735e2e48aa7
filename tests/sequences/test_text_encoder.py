import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg

TEXTS = ["good film indeed", "bad film", "a good one", "so bad it hurts", "good good", "bad"] * 6
LABELS = ["pos", "neg"] * 18
VOCABULARY = ktg.Vocabulary.characters(TEXTS)
SIZES = {"context_length": 32, "num_layers": 1, "model_dim": 16, "num_heads": 2, "seed": 0}


def language_model():
    keras.utils.set_random_seed(0)
    model = ktg.LanguageModel(VOCABULARY, **SIZES)
    model.compile("adam", jit_compile=False)
    model.fit(TEXTS, verbose=0)
    return model


def translator():
    keras.utils.set_random_seed(0)
    return ktg.SequenceToSequence(VOCABULARY, **SIZES)


def text_vae():
    keras.utils.set_random_seed(0)
    return ktg.TextVAE(VOCABULARY, latent_dim=4, **SIZES)


MODELS = {"language model": language_model, "encoder": translator, "text VAE": text_vae}


@pytest.mark.parametrize("name", MODELS)
def test_features_are_those_of_the_model(name):
    model = MODELS[name]()
    backbone = ktg.load_backbone(model)
    assert backbone.carries_masks()
    found = backbone(tf.constant(["bad", "good film"])).numpy()
    for row, text in enumerate(["bad", "good film"]):
        tokens = VOCABULARY.encode(text, start=name != "encoder", end=True)
        expected = model.features(np.array([tokens])).numpy()[0]
        np.testing.assert_allclose(found[row, : len(tokens)], expected, atol=1e-5)


def test_texts_longer_than_the_context_are_cut():
    backbone = ktg.load_backbone(language_model())
    whole, cut = backbone(tf.constant(["good " * 20])), backbone(tf.constant([("good " * 20)[:30]]))
    np.testing.assert_allclose(whole, cut, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_features_serve_a_classifier_alone_and_among_longer_texts(name, tmp_path):
    model = ktg.FeatureTransfer(ktg.load_backbone(MODELS[name]()), 2, seed=0)
    model.fit(TEXTS, LABELS, verbose=0)
    assert np.mean(model.classify(TEXTS, names=True, verbose=0) == np.array(LABELS)) == 1.0
    alone = model.predict(["bad"], verbose=0)
    among = model.predict(["bad", "good film of more words"], verbose=0)
    np.testing.assert_allclose(alone[0], among[0], atol=1e-5)
    model.save(tmp_path / "model.keras")
    again = ktg.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(["bad"], verbose=0), alone, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda backbone: ktg.ParameterTransfer(backbone, 2, learning_rate=1e-3, seed=0),
        lambda backbone: ktg.StructureTransfer(
            backbone, 2, method="lora", rank=2, learning_rate=1e-3, seed=0
        ),
    ],
    ids=["parameter", "lora"],
)
def test_its_parameters_are_tuned(make, tmp_path):
    language = language_model()
    parameters = language.trainable_weights
    before = [weight.numpy() for weight in parameters]
    model = make(ktg.load_backbone(language))
    labels = [int(label == "pos") for label in LABELS]
    model.fit(TEXTS, labels, epochs=2, verbose=0)
    if isinstance(model, ktg.StructureTransfer):
        # Kernels have moved by matrices of rank 2, and nothing else has.
        moves = {each.path: each.numpy() - old for old, each in zip(before, parameters)}
        ranks = {
            path: np.linalg.matrix_rank(np.atleast_2d(move), 1e-6) for path, move in moves.items()
        }
        kernels = {path: 2 for path in moves if path.endswith("kernel")}
        assert len(kernels) == 6
        assert {path: rank for path, rank in ranks.items() if rank} == kernels
    else:
        changed = [not np.array_equal(old, new.numpy()) for old, new in zip(before, parameters)]
        assert sum(changed) >= len(before) - 2
    model.save(tmp_path / "model.keras")
    again = ktg.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        again.predict(TEXTS[:2], verbose=0), model.predict(TEXTS[:2], verbose=0), atol=1e-5
    )


@pytest.mark.slow
def test_a_file_of_a_model_is_a_backbone(tmp_path):
    model = language_model()
    model.save(tmp_path / "model.keras")
    one = ktg.load_backbone(tmp_path / "model.keras")(tf.constant(["bad"]))
    np.testing.assert_allclose(one, ktg.load_backbone(model)(tf.constant(["bad"])), atol=1e-6)
