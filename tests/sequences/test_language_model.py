import itertools
import math

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.training import TrainerModel
from tests.harness import ModelCase, every_check

WORDS = ["to", "be", "or", "not", "the", "question", "sea", "of", "troubles"]


def sentences(count=24, seed=0):
    draws = np.random.default_rng(seed)
    return np.array(
        [" ".join(draws.choice(WORDS, draws.integers(1, 5))) for _ in range(count)], object
    )


TEXTS = sentences()
VOCABULARY = ktg.Vocabulary.characters(TEXTS)


def small(**settings):
    sizes = {"context_length": 32, "num_layers": 2, "model_dim": 16, "num_heads": 2, "dropout": 0.0}
    return ktg.LanguageModel(VOCABULARY, seed=0, **{**sizes, **settings})


def case(**settings):
    return ModelCase(
        make=lambda: small(**settings),
        data=(TEXTS,),
        compile=lambda model, **arguments: model.compile(keras.optimizers.Adam(3e-3), **arguments),
        outputs=("log_likelihood", (list(TEXTS[:5]),), {}),
        # A position that no text reaches has no gradient.
        may_move=lambda path: "position_embedding" in path,
        same_under_xla=not settings.get("dropout"),
        tolerance=None if settings.get("dropout") else 1e-5,
    )


CASES = {
    "rotary": case(),
    "learned positions, dropout": case(positions="learned", dropout=0.2),
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "check"), every_check(CASES))
def test_model(name, check, tools):
    check(CASES[name], tools)


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    model = small()
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(list(sentences(400, 1)), epochs=6, batch_size=16, verbose=0)
    return model


def by_hand(model, text):
    """log p of a text, one prediction after the other, nothing padded or packed."""
    tokens = VOCABULARY.encode(text, start=True, end=True)
    total = 0.0
    for place in range(1, len(tokens)):
        logits = np.asarray(model(np.array([tokens[:place]])))[0, -1].astype(float)
        total += scipy.special.log_softmax(logits)[tokens[place]]
    return total


@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_log_likelihood_is_the_sum_of_single_predictions(positions):
    model = small(positions=positions)
    texts = ["to be", "", "the sea of troubles", "a"]
    np.testing.assert_allclose(
        model.log_likelihood(texts), [by_hand(model, text) for text in texts], rtol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("positions", ["rotary", pytest.param("learned", marks=pytest.mark.long)])
def test_the_loss_of_packed_texts_is_that_of_each_alone(positions):
    """Rows shared by documents, several lengths, padding: the mean over tokens is the same."""
    model = small(positions=positions)
    texts = list(TEXTS)
    tokens = sum(len(text) + 1 for text in texts)
    expected = -sum(by_hand(model, text) for text in texts) / tokens
    found = model.evaluate(texts, batch_size=5, verbose=0, return_dict=True)
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(found["perplexity"], math.exp(expected), rtol=1e-4)


def test_bits():
    model = small()
    texts = ["to be", "or not"]
    nats = -model.log_likelihood(texts).sum()
    assert model.bits_per_character(texts) == pytest.approx(nats / math.log(2) / 11)
    assert model.bits_per_byte(texts) == pytest.approx(nats / math.log(2) / 11)
    wide = ktg.LanguageModel(ktg.Vocabulary.bytes(), context_length=8, num_layers=1, model_dim=8)
    ratio = wide.bits_per_character(["äöü"]) / wide.bits_per_byte(["äöü"])
    assert ratio == pytest.approx(2.0)


def test_texts_longer_than_the_context_are_predicted_from_half_of_it_at_least():
    model = small(context_length=8)
    text = "to be or not to be the question"
    tokens = VOCABULARY.encode(text, start=True, end=True)
    total, told, at = 0.0, 0, 0
    while told < len(tokens) - 1:
        window = tokens[at : at + 9]
        logits = np.asarray(model(np.array([window[:-1]])))[0].astype(float)
        logs = scipy.special.log_softmax(logits, axis=-1)
        for place in range(told - at, len(window) - 1):
            assert place + 1 >= min(4, told + 1)
            total += logs[place, window[place + 1]]
        told, at = at + len(window) - 1, at + 4
    np.testing.assert_allclose(model.log_likelihood([text]), [total], rtol=1e-5)


def greedy(model, prompt, count):
    """The likeliest tokens, the whole text read anew for each."""
    tokens = VOCABULARY.encode(prompt, start=True)
    context = model.context_length
    seen = list(tokens)
    for _ in range(count):
        logits = np.array(model(np.array([seen])))[0, -1]
        logits[[0, 1, 3]] = -np.inf
        token = int(logits.argmax())
        if token == 2:
            break
        tokens.append(token)
        seen.append(token)
        if len(seen) > context:
            seen = seen[-(context // 2) :]
    return VOCABULARY.decode(tokens)[len(prompt) :]


PROMPTS = ["to b", "", "the sea of t", "q", "or not to be "]


@pytest.mark.slow
def test_generation_from_caches_gives_the_tokens_of_the_whole_model(trained):
    found = trained.generate(PROMPTS, max_tokens=24, temperature=0.0)
    assert found == [greedy(trained, prompt, 24) for prompt in PROMPTS]
    assert len(set(found)) > 2


@pytest.mark.slow
def test_generation_goes_on_beyond_the_context():
    model = small(positions="learned", context_length=16)
    model.network.embedding.embeddings.assign(
        np.random.default_rng(0).normal(size=model.network.embedding.embeddings.shape)
    )
    (found,) = model.generate(["to be"], max_tokens=60, temperature=0.0)
    assert found == greedy(model, "to be", 60)


@pytest.mark.slow
def test_samples_by_hand(trained):
    """Token by token with the inverse of the cumulated probabilities, on the same numbers."""
    prompts = ["to ", "the "]
    for row, prompt in enumerate(prompts):
        uniforms = np.random.default_rng([7, row]).random(12, "float32")
        tokens = VOCABULARY.encode(prompt, start=True)
        for uniform in uniforms:
            logits = np.array(trained(np.array([tokens])))[0, -1].astype(float)
            logits[[0, 1, 3]] = -np.inf
            cumulated = np.cumsum(scipy.special.softmax(logits / 0.8))
            tokens.append(int(np.searchsorted(cumulated, uniform)))
            if tokens[-1] == 2:
                break
        expected = VOCABULARY.decode(tokens)[len(prompt) :]
        found = trained.generate(prompts, max_tokens=12, temperature=0.8, seed=7)
        assert found[row] == expected


@pytest.mark.slow
def test_seeds_fix_samples_and_none_draws_afresh(trained):
    prompts = [""] * 8
    first = trained.generate(prompts, max_tokens=16, seed=1)
    assert first == trained.generate(prompts, max_tokens=16, seed=1)
    assert first != trained.generate(prompts, max_tokens=16, seed=2)
    assert trained.generate(prompts, max_tokens=16) != trained.generate(prompts, max_tokens=16)
    # What a row draws does not depend on the others, nor on the longest that is asked for.
    assert trained.generate(prompts[:3], max_tokens=16, seed=1) == first[:3]


@pytest.mark.slow
def test_more_prompts_than_are_read_at_once(trained):
    prompts = [WORDS[place % 9] for place in range(70)]
    found = trained.generate(prompts, max_tokens=4, temperature=0.0)
    alone = {word: trained.generate([word], max_tokens=4, temperature=0.0)[0] for word in WORDS}
    assert found == [alone[prompt] for prompt in prompts]


def test_stop_tokens_end_a_text(trained):
    found = trained.generate(PROMPTS, max_tokens=24, temperature=0.0, stop=" ")
    whole = trained.generate(PROMPTS, max_tokens=24, temperature=0.0)
    assert found == [text[: text.find(" ") + 1] if " " in text else text for text in whole]


@pytest.fixture(scope="module")
def of_pieces():
    """A model that has learnt one sentence, in pieces."""
    texts = ["one big dog stands!", "oneness runs."] * 24
    vocabulary = ktg.Vocabulary.train(texts, size=34, kind="bpe")
    model = ktg.LanguageModel(vocabulary, 16, 1, 32, 2, dropout=0.0, seed=0)
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    model.fit(texts, epochs=30, verbose=0)
    return model


@pytest.mark.slow
def test_prompt_and_continuation_read_as_one_text(of_pieces):
    prompts = ["one big", "one big ", "oneness"]
    found = of_pieces.generate(prompts, max_tokens=14, temperature=0.0)
    assert found == [" dog stands!", "dog stands!", " runs."]
    whole = of_pieces.generate([""], max_tokens=14, temperature=0.0)[0]
    assert whole in ("one big dog stands!", "oneness runs.")


def test_a_piece_stops_a_text_wherever_it_stands_in_a_word(of_pieces):
    word = of_pieces.vocabulary.decode(of_pieces.vocabulary.encode("one big dog")[-1:])
    begun = "one big dog"[: -len(word)].rstrip() if word in ("dog", "og") else "one"
    found = of_pieces.generate([begun], max_tokens=14, temperature=0.0, stop=word)
    assert (begun + found[0]).endswith(word)
    assert len(found[0]) < len(of_pieces.generate([begun], max_tokens=14, temperature=0.0)[0])


def test_the_smallest_temperatures_take_the_likeliest(trained):
    expected = trained.generate(PROMPTS, max_tokens=8, temperature=0.0)
    assert trained.generate(PROMPTS, max_tokens=8, temperature=1e-50, seed=0) == expected
    assert trained.generate(PROMPTS, max_tokens=8, temperature=1e-5, seed=0) == expected


def test_numbers_of_numpy_and_large_ones_are_numbers(trained):
    given = {"max_tokens": 8, "temperature": 0.5, "top_k": VOCABULARY.size}
    expected = trained.generate(PROMPTS, seed=2**40, **given)
    assert expected != trained.generate(PROMPTS, seed=0, **given)
    given |= {"temperature": np.float32(0.5), "top_k": np.int64(2**40), "top_p": np.float64(1)}
    assert trained.generate(PROMPTS, seed=2**40, **given) == expected


@pytest.mark.slow
def test_short_trainings_are_not_compiled():
    model = small()
    model.fit(TEXTS, verbose=0)
    assert model.jit_compile is False
    model.compile_for(500)
    assert model.jit_compile is True


def test_iterators_and_generators_are_read_once():
    model = small()
    expected = model.log_likelihood(TEXTS[:3])
    for texts in (iter(TEXTS[:3]), map(str, TEXTS[:3]), (each for each in TEXTS[:3])):
        np.testing.assert_array_equal(model.log_likelihood(texts), expected)


def test_a_second_call_compiles_nothing(trained):
    trained.generate(["to be"], max_tokens=10, temperature=0.7, top_p=0.9, seed=0)
    functions = dict(trained.kept_functions)
    counts = [each.experimental_get_tracing_count() for each in functions.values()]
    trained.generate(["the question"], max_tokens=12, temperature=1.3, top_k=5, seed=3)
    assert trained.kept_functions.keys() == functions.keys()
    assert counts == [each.experimental_get_tracing_count() for each in functions.values()]


@pytest.mark.slow
def test_a_model_learns_what_follows():
    """Texts that are one of two: the likelihoods become their shares."""
    texts = ["ab"] * 30 + ["cd"] * 10
    vocabulary = ktg.Vocabulary.characters(texts)
    keras.utils.set_random_seed(1)
    model = ktg.LanguageModel(vocabulary, 8, 1, 16, 2, dropout=0.0, seed=0)
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(texts, epochs=40, batch_size=8, verbose=0)
    np.testing.assert_allclose(
        np.exp(model.log_likelihood(["ab", "cd", "ad"])), [0.75, 0.25, 0.0], atol=0.05
    )


@pytest.mark.long
def test_forms_of_data_give_the_same_training():
    texts = [str(text) for text in TEXTS]
    forms = {
        "list": texts,
        "tuple": tuple(texts),
        "array": np.array(texts),
        "bytes": [text.encode() for text in texts],
        "tensor": tf.constant(texts),
        "data set": tf.data.Dataset.from_tensor_slices(texts),
        "batches": tf.data.Dataset.from_tensor_slices(texts).batch(5),
        "generator": (text for text in texts),
        "rows": small()._rows(VOCABULARY.encode(texts, start=True, end=True), True),
    }
    losses = {}
    for name, data in forms.items():
        keras.utils.set_random_seed(0)
        model = small(num_layers=1)
        model.compile("adam", jit_compile=False)
        losses[name] = model.fit(data, verbose=0, validation_data=texts[:2]).history
    for name, history in losses.items():
        for key, value in losses["list"].items():
            np.testing.assert_allclose(history[key], value, rtol=1e-6, err_msg=f"{name}, {key}")


def test_a_stream_is_read_in_other_windows_each_epoch():
    model = small(context_length=4)
    stream = np.tile(np.arange(4, 4 + 10), 10)
    seen = []

    rows = model._rows([stream.tolist()], True)
    assert rows.shape[1] == 9
    for step in range(3):
        noise = model.draw_noise((tf.constant(rows),), tf.constant([0, step]), True)
        seen.append(model._windows((tf.constant(rows),), noise).numpy())
    assert all(window.shape == (len(rows), 5) for window in seen)
    assert not np.array_equal(seen[0], seen[1])
    pairs = set(itertools.pairwise(stream.tolist()))
    assert {
        pair for window in seen for row in window for pair in itertools.pairwise(row.tolist())
    } <= pairs
    # Evaluated, each token is predicted once.
    assert model._rows([stream.tolist()], False).shape == (25, 5)


@pytest.mark.slow
def test_two_replicas_with_unequal_lengths_are_one(two_replicas):
    rows = np.zeros((8, 33), "int32")
    rows[:4] = 5
    rows[4:, :4] = 6
    rows[:, 0] = 1

    def step():
        model = small()
        model.compile(keras.optimizers.SGD(1.0), jit_compile=False)
        history = model.fit(rows, batch_size=8, verbose=0, shuffle=False).history
        return [weight.numpy() for weight in model.trainable_weights], history["loss"][0]

    keras.utils.set_random_seed(0)
    one, loss = step()
    keras.utils.set_random_seed(0)
    with two_replicas.scope():
        two, together = step()
    assert together == pytest.approx(loss, abs=1e-6)
    for alone, mirrored in zip(one, two):
        np.testing.assert_allclose(alone, mirrored, atol=1e-6)


@pytest.mark.slow
def test_two_replicas_answer_as_one(two_replicas):
    """Inside of the strategy's scope and outside."""

    def answers(model):
        draws = np.random.default_rng(1)
        for weight in model.trainable_weights:
            weight.assign(draws.normal(size=weight.shape, scale=0.5))
        greedy = model.generate(PROMPTS, max_tokens=12, temperature=0.0)
        drawn = model.generate(PROMPTS, max_tokens=12, top_p=0.9, seed=0)
        return model.log_likelihood(TEXTS[:4]), greedy, drawn, model.bits_per_byte(TEXTS[:4])

    expected = answers(small())
    with two_replicas.scope():
        model = small()
        inside = answers(model)
    for found in (inside, answers(model)):
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
        assert found[1:3] == expected[1:3]
        assert found[3] == pytest.approx(expected[3], rel=1e-5)


@pytest.mark.long
def test_the_default_rate_warms_up_and_falls():
    model = small()
    model.fit(list(TEXTS), epochs=4, batch_size=2, verbose=0)
    rate = model.optimizer._learning_rate
    steps = int(model.optimizer.iterations.numpy())
    assert float(rate(0)) == 0.0
    assert float(rate(steps // 10)) == pytest.approx(1e-3, rel=0.05)
    assert float(rate(steps)) == pytest.approx(1e-4, rel=0.05)
    # Another fit is another training; a compiled one keeps what it was given.
    model.fit(list(TEXTS), epochs=1, batch_size=2, verbose=0)
    assert int(model.optimizer.iterations.numpy()) == steps // 4
    model.compile("sgd")
    model.fit(list(TEXTS), epochs=1, batch_size=2, verbose=0)
    assert isinstance(model.optimizer, keras.optimizers.SGD)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda m: m.fit([]), "no texts|no row"),
        (
            lambda m: m.fit(["a", ""]),
            r"at least one character.*1 empty in texts, the first in row 1",
        ),
        (lambda m: m.fit("to be"), "put one alone into a list"),
        (lambda m: m.fit(["a", 1]), "of one kind|must be strings"),
        (lambda m: m.fit([1.5, 2.0]), "whole numbers"),
        (lambda m: m.fit(np.zeros((2, 5))), "whole numbers"),
        (lambda m: m.fit(np.full((2, 5), 99)), r"from 0 to \d+.*from 99 to 99"),
        (lambda m: m.fit(np.zeros((2, 5), int)), "nothing to predict"),
        (lambda m: m.fit(np.ones((2, 40), int)), r"at most context_length \+ 1 = 33.*\[2, 40\]"),
        (lambda m: m.fit(["ab"], ["cd"]), "SequenceToSequence.*Received: y"),
        (lambda m: m.generate(["a" * 40]), r"at most context_length - 1 = 31.*40 tokens"),
        (lambda m: m.generate([]), "no texts|no row"),
        (lambda m: m.generate("a"), "put one alone into a list"),
        (lambda m: m.generate([1]), "prompts must be strings"),
        (
            lambda m: m.generate(["a"], max_tokens=0),
            "max_tokens must be a whole number of at least 1",
        ),
        (lambda m: m.generate(["a"], max_tokens=1.5), "max_tokens must be a whole number"),
        (lambda m: m.generate(["a"], top_p=2.0), "top_p"),
        (lambda m: m.generate(["a"], stop="ab"), "one token.*'ab'"),
        (lambda m: m.generate(["a"], stop=5), "one token"),
        (lambda m: m.generate(["\u4f60"]), "does not know these texts.*prompts with 100%"),
        (lambda m: m.log_likelihood(["\u4f60"]), "does not know these texts"),
        (lambda m: m.generate(["a"], temperature=0.0, top_k=2), "none drawn, at a temperature"),
        (lambda m: m.fit(TEXTS, np.zeros(24)), "texts alone.*Received: y"),
        (lambda m: m.fit(TEXTS, sample_weight=np.ones(24)), "texts alone.*sample_weight"),
        (lambda m: m.predict(["to be"]), "log_likelihood"),
        (lambda m: m.generate(None), "list of texts"),
        (lambda m: m.fit({"text": ["a"]}), "takes texts, a stream of tokens"),
        (
            lambda m: m.fit(tf.data.Dataset.from_tensor_slices(["a"]).repeat(), steps_per_epoch=1),
            "leave repeat",
        ),
        (lambda m: m.generate(["a"], stop="\u0416"), "one token"),
        (lambda m: m.log_likelihood([3]), "must be strings"),
        (lambda m: m.log_likelihood([]), "no texts|no row"),
        (lambda m: m.log_likelihood("to be"), "put one alone into a list"),
        (lambda m: m.log_likelihood(["a", None]), "row 1|missing"),
        (lambda m: m.evaluate(["a", ""]), "1 empty in texts, the first in row 1"),
        (lambda m: m.evaluate([3, 4]), "whole numbers|stream|rows of tokens"),
        (lambda m: m.fit(["to be"], validation_data=["a", ""]), "1 empty in texts"),
        (
            lambda m: m.fit(["\u4f60\u597d\u4f60\u597d a"]),
            "does not know these texts.*texts with 67%",
        ),
        (lambda m: m.evaluate(["\u4f60\u597d"]), "does not know these texts.*100% unknown"),
        (lambda m: m.generate(["a"], top_k=0), "top_k"),
        (lambda m: m.generate(["a"], top_p="a"), "top_p"),
        (lambda m: m.generate(["a"], temperature=1e39), "temperature"),
        (lambda m: m.generate(["a"], temperature=-0.5), "temperature"),
        (lambda m: m.generate(["a", None]), "row 1|missing"),
        (lambda m: m.fit([b"\xff\xfe"]), "UTF-8"),
        (lambda m: m.bits_per_character([""]), "at least one character"),
    ],
)
def test_errors(act, message):
    with pytest.raises(ValueError, match=message):
        act(small())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocabulary": ["a"]}, "must be a Vocabulary.*type list"),
        ({"context_length": 0}, "context_length must be a whole number of at least 1"),
        ({"num_layers": 1.5}, "num_layers"),
        ({"model_dim": 15}, "multiple of num_heads"),
        ({"model_dim": 6, "num_heads": 2}, "even size"),
        ({"dropout": 1.0}, "dropout"),
        ({"positions": "sines"}, "positions must be one of"),
    ],
)
def test_arguments_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        ktg.LanguageModel(**{"vocabulary": VOCABULARY, "num_heads": 2, **settings})


def test_it_is_a_trainer_model():
    assert isinstance(small(), TrainerModel)
