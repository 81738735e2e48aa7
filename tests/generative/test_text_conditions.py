import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.generative.adversarial.conditional_gan import ConditionalGAN
from tests.generative.adversarial.adversarial_models import (
    IMAGES,
    IMPORTS,
    LABELS,
    FixedNoiseConditionalGAN,
    plain_generator,
    tiny_conditional_gan,
)
from tests.generative.adversarial.test_gan import compile_with_steady_optimizers
from tests.harness import ModelCase, every_check
from tests.plotting.figure_checks import named_rows
from tests.served import served, served_alone

ENGLISH, CHINESE = np.array(["zero", "one", "two"]), np.array(["零", "一", "二"])
WORDS = [*ENGLISH, *CHINESE]
VOCABULARY = ktg.Vocabulary.characters(WORDS)
TEXTS = np.where(np.arange(24) % 2, ENGLISH[LABELS], CHINESE[LABELS])
SIZES = {"features": 4, "max_length": 6, "embedding_dim": 4, "filters": 4, "widths": (1, 2)}


def encoder(vocabulary=VOCABULARY):
    keras.utils.set_random_seed(0)
    return ktg.TextEncoder(vocabulary, **SIZES)


def text_gan(vocabulary=VOCABULARY, **kwargs):
    return tiny_conditional_gan(num_classes=None, condition_encoder=encoder(vocabulary), **kwargs)


CASE = ModelCase(
    make=lambda: FixedNoiseConditionalGAN(
        condition_encoder=encoder(),
        image_shape=(8, 8, 1),
        latent_dim=4,
        filters=2,
        embedding_dim=3,
        generator=plain_generator(embedding_dim=3),
        step="two_stage",
    ),
    data=(IMAGES, TEXTS),
    compile=compile_with_steady_optimizers,
    outputs=("sample", (TEXTS[:5], 0), {}),
    imports=IMPORTS,
    may_move=lambda path: "moving" in path or "average" in path or "condition_scale" in path,
)


@pytest.mark.parametrize(("name", "check"), every_check({"texts": CASE}))
def test_model(name, check, tools):
    check(CASE, tools)


@pytest.mark.long
def test_learns_what_words_of_two_languages_mean():
    """Zero, one and two lie at -2, 0 and 2, whatever they are called."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 512)
    data = (rng.normal(size=(512, 1)) * 0.2 + 2.0 * (labels[:, None] - 1)).astype("float32")
    words = np.where(rng.integers(0, 2, 512), ENGLISH[labels], CHINESE[labels])
    keras.utils.set_random_seed(0)
    gan = ConditionalGAN(
        image_shape=(1,), condition_encoder=ktg.TextEncoder(VOCABULARY, 16, 6), latent_dim=4,
        filters=8, embedding_dim=4, value_range=None, ema_decay=0.95, seed=0,
    )  # fmt: skip
    # Rates that fall end the turning around each other, whose phase hangs on rounding.
    rates = [keras.optimizers.schedules.CosineDecay(4e-3, 800) for _ in range(2)]
    gan.compile(*[keras.optimizers.Adam(rate, beta_1=0.5) for rate in rates], jit_compile=False)
    gan.fit(data, words, batch_size=64, epochs=100, verbose=0)
    for place, word in enumerate(WORDS):
        samples = gan.sample([word] * 500, seed=place)
        assert samples.mean() == pytest.approx(2.0 * (place % 3 - 1), abs=0.6)


class Batches(keras.utils.PyDataset):
    num_batches = 3

    def __getitem__(self, index):
        part = slice(8 * index, 8 * index + 8)
        return IMAGES[part], TEXTS[part]


@pytest.mark.parametrize("kind", ["list", "tensor", "data set", "PyDataset", "generator"])
@pytest.mark.long
def test_texts_of_every_kind_train_alike(kind):
    def fitted(*data, **kwargs):
        # Measured by the first batch of data that come in batches, by all rows of arrays.
        gan = text_gan(seed=0, standardize_conditions=False)
        gan.compile(*[keras.optimizers.SGD(0.1) for _ in range(2)], jit_compile=False)
        gan.fit(*data, verbose=0, shuffle=False, **kwargs)
        return gan

    expected = fitted(IMAGES, TEXTS, batch_size=8)
    batches = tf.data.Dataset.from_tensor_slices((IMAGES, TEXTS)).batch(8)
    given = {
        "list": (IMAGES, list(TEXTS)),
        "tensor": (IMAGES, tf.constant(TEXTS)),
        "data set": (batches,),
        "PyDataset": (Batches(),),
        "generator": (((x, y.numpy()) for x, y in batches),),
    }[kind]
    found = fitted(*given, **({"batch_size": 8} if len(given) == 2 else {}))
    for one, other in zip(found.condition_encoder.weights, expected.condition_encoder.weights):
        np.testing.assert_allclose(one, other, atol=1e-5)
    logs = found.evaluate(*given, verbose=0, return_dict=True) if kind != "generator" else {}
    assert all(np.isfinite(each) for each in logs.values())


@pytest.mark.parametrize("kind", ["characters", "pieces"])
@pytest.mark.long
def test_exports_take_strings(kind, tmp_path):
    sentences = [f"{word} is a number" for word in WORDS] * 4
    vocabulary = VOCABULARY if kind == "characters" else ktg.Vocabulary.train(sentences, size=22)
    gan = text_gan(vocabulary)
    gan.fit(IMAGES, TEXTS, batch_size=8, verbose=0)
    words = np.array(["two", "零"])
    expected = gan.sample(words, seed=1)
    assert np.abs(expected[0] - gan.sample(["one", "零"], seed=1)[0]).max() > 1e-4
    gan.export(tmp_path / "served")
    serve = served if kind == "pieces" else served_alone
    given = np.char.encode(words, "utf-8")
    found = serve(tmp_path / "served", "sample", condition=given, seed=np.int64(1))["samples"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    latent = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    network = gan.averaged_generator()
    alone = network.predict([latent, tf.constant(words)], verbose=0)
    np.testing.assert_allclose(alone, gan((latent, tf.constant(words))), atol=1e-5)
    gan.save(tmp_path / "gan.keras")
    again = ktg.load_model(tmp_path / "gan.keras")
    np.testing.assert_allclose(again.sample(words, seed=1), expected, atol=1e-6)
    judged = gan.discriminate(IMAGES[:2], words)
    np.testing.assert_allclose(again.discriminate(IMAGES[:2], words), judged, atol=1e-6)


def test_a_grid_has_a_row_for_each_text(monkeypatch):
    gan = text_gan()

    def bright(tokens, seed):
        place = [[*map(tuple, asked)].index(tuple(each)) for each in tokens]
        return np.ones((len(tokens), 8, 8, 1)) * (np.array(place) - 1.0)[:, *[None] * 3]

    asked = gan.condition_encoder.tokens(ENGLISH)
    monkeypatch.setattr(gan, "sample", bright)
    rows = named_rows(gan.sample_grid(4, conditions=ENGLISH))
    assert list(rows) == ["zero", "one", "two"]
    for name, brightness in (("zero", 0.0), ("one", 0.5)):
        assert (rows[name][:, 0] == brightness).sum() == 32
    assert (rows["two"] == 1.0).all()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (TEXTS[:-1], r"\[24, 23\]"),
        (["ß"] * 24, "knows nothing of some conditions"),
        (LABELS, r"strings \[batch\].*shape \[24\]"),
        (None, "conditions.*Received: None"),
    ],
)
def test_wrong_texts_are_refused_before_training(texts, message):
    gan = text_gan()
    with pytest.raises(ValueError, match=message):
        gan.fit(IMAGES, texts, verbose=0)
    assert int(gan.progress.step.numpy()) == 0
    with pytest.raises(ValueError, match="list, one for each sample"):
        gan.sample("two")
