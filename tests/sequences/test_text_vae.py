import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.generative.beta_schedules import LinearWarmup
from tests.harness import ModelCase, every_check

WORDS = ["to be", "or not", "the sea", "of troubles", "a dream", "to sleep"]


def sentences(count=24, seed=0):
    draws = np.random.default_rng(seed)
    return [" ".join(draws.choice(WORDS, draws.integers(1, 3))) for _ in range(count)]


TEXTS = np.array(sentences(), object)
VOCABULARY = ktg.Vocabulary.characters(TEXTS)


def small(**settings):
    sizes = {"context_length": 32, "num_layers": 1, "model_dim": 16, "num_heads": 2}
    return ktg.TextVAE(VOCABULARY, 3, seed=0, **{**sizes, "dropout": 0.0, **settings})


def disturbed(**settings):
    model = small(**settings)
    draws = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(weight + draws.normal(size=weight.shape, scale=0.3))
    return model


def case(**settings):
    return ModelCase(
        make=lambda: small(**settings),
        data=(TEXTS,),
        compile=lambda model, **arguments: model.compile(keras.optimizers.Adam(3e-3), **arguments),
        outputs=("log_likelihood", (list(TEXTS[:5]),), {"num_samples": 3, "seed": 0}),
        # The noise of two replicas is not that of one.
        tolerance=None,
    )


CASES = {
    "free bits": case(),
    "warm-up, word dropout": case(free_bits=0.0, beta=LinearWarmup(10), word_dropout=0.3),
    "recurrent": case(decoder="gru", num_layers=2),
}
DECODERS = ["transformer", "gru"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "check"), every_check(CASES))
def test_model(name, check, tools):
    check(CASES[name], tools)


def log_p_by_hand(model, text, z):
    """log p(text|z), one token after the other, nothing padded."""
    tokens = VOCABULARY.encode(text, start=True, end=True)
    total = 0.0
    for place in range(1, len(tokens)):
        logits = model._logits(tf.constant([tokens[:place]]), tf.constant(z[None], tf.float32))
        total += scipy.special.log_softmax(logits[0, -1].numpy().astype(float))[tokens[place]]
    return total


@pytest.mark.slow
@pytest.mark.parametrize("decoder", DECODERS)
def test_the_loss_by_hand(decoder):
    """Means over texts of -log p(text|z) and of the KL, free bits by unit."""
    model = disturbed(free_bits=0.4, beta=0.7, decoder=decoder)
    texts = list(TEXTS[:6])
    posterior = model.encode(texts)
    mean, scale = posterior.mean().numpy().astype(float), posterior.stddev().numpy().astype(float)
    noise = np.random.default_rng(2).normal(size=(6, 3))
    rows = tf.constant(model.rows_of(texts, True))
    hidden = tf.zeros(rows[:, :-1].shape, tf.bool)
    given = (tf.constant(noise, tf.float32), hidden, model._beta_now())
    loss, (reconstruction, kl, _) = model._objective(rows, given, None, training=False)
    expected = -np.mean(
        [log_p_by_hand(model, text, z) for text, z in zip(texts, mean + scale * noise)]
    )
    by_unit = (mean**2 + scale**2 - 1 - 2 * np.log(scale)) / 2
    assert float(reconstruction) == pytest.approx(expected, rel=1e-5)
    assert float(kl) == pytest.approx(by_unit.sum(1).mean(), rel=1e-4)
    with_free_bits = np.maximum(by_unit.mean(0), 0.4).sum()
    assert float(loss) == pytest.approx(expected + 0.7 * with_free_bits, rel=1e-5)


def test_a_posterior_does_not_depend_on_the_padding():
    model = disturbed()
    alone = [model.encode([text]).mean().numpy()[0] for text in TEXTS[:5]]
    np.testing.assert_allclose(model.encode(TEXTS[:5]).mean(), alone, atol=1e-5)


def test_many_texts_are_read_by_length_and_answered_in_their_order():
    model = disturbed()
    texts = sentences(70, seed=4)
    few = [0, 1, 68, 69]
    found = model.encode(texts).mean().numpy()[few]
    np.testing.assert_allclose(found, model.encode([texts[row] for row in few]).mean(), atol=1e-5)
    assert np.ptp(found, axis=0).min() > 1e-2


@pytest.mark.slow
def test_the_gap_by_hand():
    """What the vector of the text before costs, and the own one, told token by token."""
    model = disturbed()
    model.latent_projection.kernel.assign(5.0 * model.latent_projection.kernel)
    texts = ["to be", "the sea", "to sleep or not"]
    z = model.encode(texts).mean().numpy()
    own = [log_p_by_hand(model, text, each) for text, each in zip(texts, z)]
    others = [log_p_by_hand(model, text, each) for text, each in zip(texts, np.roll(z, 1, axis=0))]
    expected = np.mean(own) - np.mean(others)
    assert model.reconstruction_gap(texts) == pytest.approx(expected, rel=1e-4)
    assert abs(expected) > 1e-2


@pytest.mark.long
def test_log_likelihood_is_importance_sampling():
    """Against the average over a fine grid of the one latent unit."""
    model = ktg.TextVAE(
        VOCABULARY, 1, context_length=32, num_layers=1, model_dim=16, num_heads=2, dropout=0.0
    )
    draws = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(weight + draws.normal(size=weight.shape, scale=0.3))
    # As wide as the prior, so that few samples will do.
    model.posterior_scale.bias.assign([0.6])
    text = "to be"
    grid = np.linspace(-5, 5, 101)
    logs = [log_p_by_hand(model, text, np.array([z])) for z in grid]
    weights = scipy.stats.norm.logpdf(grid) + np.log(grid[1] - grid[0])
    expected = scipy.special.logsumexp(np.array(logs) + weights)
    found = model.log_likelihood([text, "the sea"], num_samples=2000, seed=0)
    assert found[0] == pytest.approx(expected, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", DECODERS)
def test_decoding_gives_the_likeliest_tokens_of_the_whole_model(decoder):
    model = disturbed(decoder=decoder, num_layers=2)
    kernel = model.latent_projection.kernel
    kernel.assign(np.random.default_rng(3).normal(size=kernel.shape, scale=5.0))
    z = np.random.default_rng(0).normal(size=(3, 3)).astype("float32")
    expected = []
    for each in z:
        tokens = [1]
        while len(tokens) <= 20 and tokens[-1] != 2:
            logits = model._logits(tf.constant([tokens]), tf.constant(each[None]))[0, -1].numpy()
            logits[[0, 1, 3]] = -np.inf
            tokens.append(int(logits.argmax()))
        expected.append(VOCABULARY.decode(tokens))
    assert model.decode(z, max_tokens=20) == expected
    assert len(set(expected)) > 1


@pytest.mark.parametrize("decoder", DECODERS)
def test_draws_are_those_of_the_whole_model(decoder):
    """By the inverse of the cumulated probabilities, on the same uniform numbers."""
    model = disturbed(decoder=decoder)
    z = np.random.default_rng(0).normal(size=(2, 3)).astype("float32")
    expected = []
    for row, each in enumerate(z):
        uniforms = np.random.default_rng([5, row]).random(12, "float32")
        tokens = [1]
        for uniform in uniforms:
            logits = model._logits(tf.constant([tokens]), tf.constant(each[None]))[0, -1].numpy()
            logits = logits.astype(float) / 0.7
            logits[[0, 1, 3]] = -np.inf
            cumulated = np.cumsum(scipy.special.softmax(logits))
            tokens.append(int(np.searchsorted(cumulated, uniform)))
            if tokens[-1] == 2:
                break
        expected.append(VOCABULARY.decode(tokens))
    assert model.decode(z, max_tokens=12, temperature=0.7, seed=5) == expected


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    model = small(model_dim=32, free_bits=1.0, word_dropout=0.5)
    model.compile(keras.optimizers.Adam(5e-3))
    model.fit(sentences(300, 1), epochs=40, batch_size=32, verbose=0)
    return model


@pytest.mark.slow
def test_a_trained_model_reconstructs_and_its_vectors_say_something(trained):
    texts = WORDS[:4]
    assert trained.reconstruct(texts) == texts
    assert trained.reconstruction_gap(texts) > 3.0
    between = trained.interpolate("to be", "the sea", steps=5)
    assert (between[0], between[-1]) == ("to be", "the sea")
    logs = trained.evaluate(sentences(60, 2), verbose=0, return_dict=True)
    assert logs["active_units"] == 3.0


def test_a_decoder_that_ignores_z_has_no_gap():
    model = disturbed()
    model.latent_projection.kernel.assign(tf.zeros_like(model.latent_projection.kernel))
    assert model.reconstruction_gap(list(TEXTS)) == pytest.approx(0.0, abs=1e-5)


def test_samples_come_from_the_prior_by_seed(trained):
    first = trained.sample(5, seed=3)
    assert first == trained.sample(5, seed=3)
    assert first != trained.sample(5, seed=4)
    assert trained.sample(5) != trained.sample(5)
    z = np.random.default_rng(3).standard_normal((5, 3), "float32")
    assert trained.sample(5, seed=3, temperature=0.0) == trained.decode(z)


@pytest.mark.long
def test_two_replicas_agree_on_the_units_that_count(two_replicas):
    """With one noise for all, two replicas take the step of one."""

    class SameNoise(ktg.TextVAE):
        def draw_noise(self, data, seed, training):
            normal, hidden, beta = super().draw_noise(data, seed, training)
            return tf.zeros_like(normal), hidden, beta

    rows = small().rows_of(list(TEXTS[:8]), True)

    def step():
        model = SameNoise(
            VOCABULARY, 3, 32, num_layers=1, model_dim=16, num_heads=2, dropout=0.0, free_bits=0.05
        )
        model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
        model.fit(rows, batch_size=8, epochs=2, verbose=0, shuffle=False)
        return [weight.numpy() for weight in model.trainable_weights]

    keras.utils.set_random_seed(0)
    one = step()
    keras.utils.set_random_seed(0)
    with two_replicas.scope():
        two = step()
    for alone, mirrored in zip(one, two):
        np.testing.assert_allclose(alone, mirrored, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", DECODERS)
def test_two_replicas_answer_as_one(decoder, two_replicas):
    """Inside of the strategy's scope and outside."""

    def answers(model):
        likely = model.log_likelihood(TEXTS[:4], num_samples=5, seed=0)
        drawn = model.sample(3, seed=0), model.sample(3, seed=1, temperature=0.0)
        return likely, (*drawn, model.reconstruct(TEXTS[:3])), model.reconstruction_gap(TEXTS[:4])

    keras.utils.set_random_seed(0)
    expected = answers(disturbed(decoder=decoder))
    keras.utils.set_random_seed(0)
    with two_replicas.scope():
        model = disturbed(decoder=decoder)
        inside = answers(model)
    for found in (inside, answers(model)):
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
        assert found[1] == expected[1]
        assert found[2] == pytest.approx(expected[2], rel=1e-4)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda m: m.fit(["a", ""]), "1 empty in texts"),
        (lambda m: m.fit(["a" * 40]), r"at most 32 tokens.*texts of up to 41, 1 of them.*row 0"),
        (lambda m: m.fit("to be"), "put one alone into a list"),
        (lambda m: m.fit(["a"], ["b"]), "texts alone.*Received: y"),
        (lambda m: m.fit(np.zeros((2, 5))), "whole numbers"),
        (lambda m: m.fit(np.ones((2, 50), int)), r"rows of tokens.*\[2, 50\]"),
        (lambda m: m.fit(np.full((2, 5), 99)), "from 99 to 99"),
        (lambda m: m.encode([3]), "must be strings"),
        (lambda m: m.encode([]), "no texts|no row"),
        (lambda m: m.encode([""]), "1 empty in texts"),
        (lambda m: m.encode(["a" * 40]), "at most 32 tokens"),
        (lambda m: m.encode("to be"), "put one alone into a list"),
        (lambda m: m.reconstruct(["a" * 40]), "at most 32 tokens"),
        (lambda m: m.log_likelihood(["a" * 40]), "at most 32 tokens"),
        (lambda m: m.log_likelihood([None]), "row 0|missing"),
        (lambda m: m.evaluate(["a" * 40]), "at most 32 tokens"),
        (lambda m: m.interpolate("a", ""), "1 empty in texts"),
        (lambda m: m.interpolate("a", 3), "a string each"),
        (lambda m: m.fit(["\u4f60\u597d"]), "does not know these texts.*100% unknown"),
        (lambda m: m.sample(2.5), "count must be"),
        (lambda m: m.sample(1, temperature=-1), "temperature"),
        (lambda m: m.decode(np.zeros((2, 4))), r"\[count, 3\].*\[2, 4\]"),
        (lambda m: m.decode(np.zeros((0, 3))), r"\[0, 3\]"),
        (lambda m: m.decode(np.zeros((1, 3)), max_tokens=0), "max_tokens"),
        (lambda m: m.decode(np.zeros((1, 3)), temperature=-1), "temperature"),
        (lambda m: m.sample(0), "count must be"),
        (lambda m: m.interpolate("a", "b", steps=1), "steps must be"),
        (lambda m: m.log_likelihood(["a"], num_samples=0), "num_samples"),
        (lambda m: m.reconstruction_gap(["a"]), "at least 2"),
    ],
)
def test_errors(act, message):
    with pytest.raises(ValueError, match=message):
        act(small())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocabulary": "abc"}, "must be a Vocabulary.*type str"),
        ({"latent_dim": 0}, "latent_dim"),
        ({"word_dropout": 1.5}, "word_dropout"),
        ({"free_bits": -1}, "free_bits"),
        ({"beta": -1}, "beta"),
        ({"beta": "warm"}, "beta"),
        ({"decoder": "lstm"}, r"decoder must be one of \['gru', 'transformer'\].*'lstm'"),
    ],
)
def test_arguments_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        ktg.TextVAE(**{"vocabulary": VOCABULARY, **settings})
