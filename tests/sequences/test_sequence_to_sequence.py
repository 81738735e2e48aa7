import itertools
import math

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

import keras_transgen as ktg
from tests.harness import ModelCase, every_check


def pairs(count=24, seed=0, longest=6):
    """Words of a few letters, and the same backwards in capitals."""
    draws = np.random.default_rng(seed)
    sources = [
        "".join(draws.choice(list("abcd"), draws.integers(1, longest))) for _ in range(count)
    ]
    return sources, [each[::-1].upper() for each in sources]


SOURCES, TARGETS = (np.array(each, object) for each in pairs())
SOURCE = ktg.Vocabulary.characters(["abcd"])
TARGET = ktg.Vocabulary.characters(["ABCD"])
BOTH = ktg.Vocabulary.characters(["abcdABCD"])


def small(*vocabularies, **settings):
    sizes = {"context_length": 16, "num_layers": 1, "model_dim": 16, "num_heads": 2, "dropout": 0.0}
    return ktg.SequenceToSequence(
        *(vocabularies or (SOURCE, TARGET)), seed=0, **{**sizes, **settings}
    )


def case(*vocabularies, **settings):
    return ModelCase(
        make=lambda: small(*vocabularies, **settings),
        data=(SOURCES, TARGETS),
        compile=lambda model, **arguments: model.compile(keras.optimizers.Adam(3e-3), **arguments),
        outputs=("log_likelihood", (list(SOURCES[:5]), list(TARGETS[:5])), {}),
        may_move=lambda path: "position_embedding" in path or "dropout" in path,
        same_under_xla=not settings.get("dropout"),
        tolerance=None if settings.get("dropout") else 1e-5,
    )


CASES = {
    "two vocabularies": case(),
    "one vocabulary, copying": case(BOTH, copying=True),
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "check"), every_check(CASES))
def test_model(name, check, tools):
    check(CASES[name], tools)


def disturbed(model, scale=0.5, seed=1):
    """A model whose answers are far from uniform."""
    draws = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(weight + draws.normal(size=weight.shape, scale=scale))
    return model


def logs_by_hand(model, source, tokens):
    """log p of each token of the vocabulary after given ones; nothing is padded."""
    encoded = model.source_vocabulary.encode(source, end=True)
    given = (np.array([encoded]), np.array([tokens]))
    logits, features, memory, hidden = model._decoded(*map(tf.constant, given), False)
    logits = logits[0, -1].numpy().astype(float)
    if model.pointer is None:
        return scipy.special.log_softmax(logits)
    # By the paper's formula, a loop over the places of the source.
    written, places = model.pointer(features, model.pointer.key(memory), hidden[:, 0])
    gate = float(written[0, -1, 0])
    probabilities = gate * scipy.special.softmax(logits)
    for token, share in zip(encoded, places[0, -1].numpy()):
        probabilities[token] += (1 - gate) * share
    return np.log(probabilities)


def by_hand(model, source, target):
    tokens = model.target_vocabulary.encode(target, start=True, end=True)
    return sum(
        logs_by_hand(model, source, tokens[:place])[tokens[place]]
        for place in range(1, len(tokens))
    )


MODELS = {
    "two vocabularies": lambda: disturbed(small()),
    "copying": lambda: disturbed(small(BOTH, copying=True)),
    "learned": lambda: disturbed(small(positions="learned")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_log_likelihood_is_the_sum_of_single_predictions(name):
    """Of pairs that share padded batches with longer ones."""
    model = MODELS[name]()
    sources, targets = SOURCES[:8], TARGETS[:8]
    expected = [by_hand(model, source, target) for source, target in zip(sources, targets)]
    np.testing.assert_allclose(model.log_likelihood(sources, targets), expected, rtol=1e-4)


@pytest.mark.slow
def test_the_loss_is_the_mean_over_tokens():
    model = MODELS["two vocabularies"]()
    nats = -model.log_likelihood(SOURCES, TARGETS).sum()
    expected = nats / sum(len(target) + 1 for target in TARGETS)
    for settings in ({"batch_size": 5}, {"batch_tokens": 30}):
        found = model.evaluate(SOURCES, TARGETS, verbose=0, return_dict=True, **settings)
        assert found["loss"] == pytest.approx(expected, rel=1e-5)
        assert found["perplexity"] == pytest.approx(math.exp(expected), rel=1e-4)


def test_label_smoothing_is_the_cross_entropy_with_smoothed_labels():
    model = disturbed(small(label_smoothing=0.2))
    source = tf.constant([[4, 5, 2]])
    target = tf.constant([[1, 6, 7, 2, 0]])
    loss, mean = model._objective(source, target, True)
    logits = np.asarray(model((source, target[:, :-1])))[0, :3].astype(float)
    labels = np.full((3, TARGET.size), 0.2 / TARGET.size)
    labels[np.arange(3), [6, 7, 2]] += 0.8
    expected = -(labels * scipy.special.log_softmax(logits, axis=-1)).sum(-1).mean()
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    plain = -scipy.special.log_softmax(logits, axis=-1)[np.arange(3), [6, 7, 2]].mean()
    assert float(mean) == pytest.approx(plain, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_greedy_generation_gives_the_tokens_of_the_whole_model(name):
    model = MODELS[name]()
    sources = ["a", "bcd", "abca"]
    expected = []
    for source in sources:
        tokens = [1]
        while len(tokens) < 8 and tokens[-1] != 2:
            logs = logs_by_hand(model, source, tokens)
            logs[[0, 1, 3]] = -np.inf
            tokens.append(int(logs.argmax()))
        expected.append(model.target_vocabulary.decode(tokens))
    assert model.generate(sources, max_tokens=7) == expected


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("name", MODELS)
def test_beam_search_finds_what_brute_force_finds(name, penalty):
    model = MODELS[name]()
    letters = sorted(set(model.target_vocabulary.codec.characters))[:8]
    texts = ["".join(each) for size in range(3) for each in itertools.product(letters, repeat=size)]
    source = "abc"
    scores = model.log_likelihood([source] * (len(texts) - 1), texts[1:])
    scores = np.concatenate([[by_hand(model, source, "")], scores])
    scores /= np.array([len(text) + 1 for text in texts]) ** penalty
    (found,) = model.generate([source], beam_width=64, length_penalty=penalty, max_tokens=3)
    assert found == texts[int(scores.argmax())]


@pytest.mark.long
def test_a_model_learns_to_turn_words_around():
    keras.utils.set_random_seed(0)
    sources, targets = pairs(800, seed=1)
    model = small(BOTH, model_dim=32)
    model.fit(sources, targets, epochs=30, batch_tokens=256, verbose=0)
    held_out = pairs(60, seed=2)
    found = model.generate(held_out[0], beam_width=3)
    assert np.mean([one == other for one, other in zip(found, held_out[1])]) >= 0.95


@pytest.mark.slow
def test_copying_writes_letters_that_were_never_trained_on():
    """Names are copied, which a model without a pointer cannot write."""
    vocabulary = ktg.Vocabulary.characters(["abcdefghxyz"])
    draws = np.random.default_rng(0)
    words = ["".join(draws.choice(list("abcdefgh"), draws.integers(2, 5))) for _ in range(600)]
    unseen = ["xyz", "zx", "yyx", "zyx"]

    def share(copying):
        keras.utils.set_random_seed(0)
        model = small(vocabulary, copying=copying, model_dim=32)
        model.compile(keras.optimizers.Adam(3e-3), jit_compile=False)
        model.fit(words, words, epochs=12, batch_tokens=512, verbose=0)
        found = model.generate(unseen, max_tokens=6)
        letters = [letter for text in found for letter in text]
        return np.mean([letter in "xyz" for letter in letters]) if letters else 0.0

    assert share(True) > share(False) + 0.3


@pytest.mark.long
def test_two_replicas_with_40_and_8_tokens_are_one(two_replicas):
    draws = np.random.default_rng(0)
    sources = draws.integers(4, 8, (8, 10)).astype("int32")
    targets = draws.integers(4, 8, (8, 11)).astype("int32")
    targets[:, 0] = 1
    targets[4:, 3:], sources[4:, 3:] = 0, 0
    data = tf.data.Dataset.from_tensors((sources, targets))

    def step():
        model = small()
        model.compile(keras.optimizers.SGD(1.0), jit_compile=False)
        history = model.fit(data, verbose=0).history
        return [weight.numpy() for weight in model.trainable_weights], history["loss"][0]

    keras.utils.set_random_seed(0)
    one, loss = step()
    keras.utils.set_random_seed(0)
    with two_replicas.scope():
        two, together = step()
    assert together == pytest.approx(loss, abs=1e-6)
    for alone, mirrored in zip(one, two):
        np.testing.assert_allclose(alone, mirrored, atol=2e-6)


@pytest.mark.parametrize("copying", [False, True])
@pytest.mark.long
def test_two_replicas_answer_as_one(copying, two_replicas):
    """Inside of the strategy's scope and outside."""

    def answers(model):
        disturbed(model)
        searched = model.generate(SOURCES[:4], beam_width=3, max_tokens=8)
        greedy = model.generate(SOURCES[:4], max_tokens=8)
        drawn = model.generate(SOURCES[:4], max_tokens=8, temperature=1.0, seed=0)
        return model.log_likelihood(SOURCES[:4], TARGETS[:4]), searched, greedy, drawn

    def made():
        model = small(BOTH, copying=copying)
        for weight in model.trainable_weights:
            weight.assign(tf.zeros_like(weight))
        return model

    expected = answers(made())
    with two_replicas.scope():
        inside = answers(made())
        model = made()
    for found in (inside, answers(model)):
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
        assert found[1:] == expected[1:]


@pytest.mark.long
def test_forms_of_data_give_the_same_training():
    sources, targets = [str(each) for each in SOURCES], [str(each) for each in TARGETS]
    both = tf.data.Dataset.from_tensor_slices((sources, targets))
    forms = {
        "lists": (sources, targets),
        "arrays": (np.array(sources), np.array(targets)),
        "tensors": (tf.constant(sources), tf.constant(targets)),
        "data set": (both, None),
        "batches": (both.batch(5), None),
        "generators": (iter_of(sources), iter_of(targets)),
    }
    losses = {}
    for name, (x, y) in forms.items():
        keras.utils.set_random_seed(0)
        model = small()
        model.compile("adam", jit_compile=False)
        held_out = both if name == "data set" else (sources, targets)
        losses[name] = model.fit(x, y, verbose=0, validation_data=held_out).history
    for name, history in losses.items():
        for key, value in losses["lists"].items():
            np.testing.assert_allclose(history[key], value, rtol=1e-6, err_msg=f"{name}, {key}")


def iter_of(texts):
    return (text for text in texts)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda m: m.fit(["a"]), "Each source needs a target"),
        (lambda m: m.fit(["a", "b"], ["A"]), "2 sources and 1 targets"),
        (lambda m: m.fit(["a", ""], ["A", "B"]), "1 empty in sources, the first in row 1"),
        (lambda m: m.fit(["a", "b"], ["A", ""]), "1 empty in targets, the first in row 1"),
        (lambda m: m.fit("a", "A"), "put one alone into a list"),
        (lambda m: m.fit(["a" * 20], ["A"]), r"larger context_length.*sources of up to 21.*row 0"),
        (lambda m: m.fit(["a"], ["A" * 16]), "targets of up to 17"),
        (lambda m: m.fit([1], [2]), "must be strings"),
        (lambda m: m.generate(["a" * 16]), "sources of at most 16 tokens. Received: one of 17"),
        (lambda m: m.generate([""]), "at least one character"),
        (lambda m: m.generate(["a"], beam_width=0), "beam_width must be .* at least 1"),
        (lambda m: m.generate(["a"], beam_width=2.5), "beam_width"),
        (lambda m: m.generate(["a"], max_tokens=0), "max_tokens"),
        (lambda m: m.generate(["a"], length_penalty=-1), "length_penalty must be at least 0"),
        (lambda m: m.generate(["a"], beam_width=2, temperature=1.0), "draws nothing"),
        (lambda m: m.generate(["a"], temperature=-1), "temperature"),
        (lambda m: m.log_likelihood(["a"], ["A", "B"]), "1 sources and 2 targets"),
        (lambda m: m.log_likelihood(["a"], [""]), "1 empty in targets"),
        (lambda m: m.log_likelihood(["a" * 20], ["A"]), "sources of up to 21"),
        (lambda m: m.log_likelihood([1], ["A"]), "must be strings"),
        (lambda m: m.evaluate(["a"], ["A" * 16]), "targets of up to 17"),
        (lambda m: m.evaluate(["a"]), "Each source needs a target"),
        (lambda m: m.generate([]), "no texts|no row"),
        (lambda m: m.generate("a"), "put one alone into a list"),
        (lambda m: m.generate([None]), "row 0|missing"),
        (lambda m: m.generate(["a"], beam_width=-1), "beam_width must be"),
        (lambda m: m.generate(["a"], top_p=0.0), "top_p"),
        (lambda m: m.generate(["a"], top_p=0.5), "none drawn, at a temperature of 0"),
        (lambda m: m.generate(["a"], length_penalty=2.0), "give beam_width too"),
        (lambda m: m.generate(["a"], beam_width=2, top_k=3), "draws nothing.*top_k=3"),
        (lambda m: m.generate(["\u4f60"]), "does not know these texts.*sources"),
        (lambda m: m.predict(["a"]), r"generate\(sources\)"),
        (lambda m: m.fit(["a"], ["A"], batch_size=0), "batch_size must be"),
        (lambda m: m.fit(["a"], ["A"], batch_tokens=-5), "batch_tokens must be"),
        (lambda m: m.fit(["a"], ["A"], sample_weight=[1.0]), "takes no weights.*sample_weight"),
        (lambda m: m.fit(["a"], ["A"], validation_data=["a"]), "validation_data=.sources"),
        (lambda m: m.fit(["a"], ["A"], validation_data=np.array(["a"])), "validation_data="),
        (lambda m: m.fit(["a"], ["A"], validation_data=(["a"], ["A"], [1.0])), "without weights"),
        (lambda m: m.fit(["a"], ["A"], validation_split=0.5), "rows on both sides"),
        (lambda m: m.fit(tf.data.Dataset.from_tensors(("a", "A")).repeat()), "leave repeat"),
        (lambda m: m.fit(tf.data.Dataset.from_tensors(("a", "A")).take(0)), "no texts|no row"),
        (lambda m: m.fit(tf.data.Dataset.from_tensors(("a", "A")), ["A"]), "leave y out"),
        (
            lambda m: m.fit(
                tf.data.Dataset.from_tensors(([[4] * 30], [[1, *[4] * 9, 2]])), epochs=1
            ),
            r"sources at most 16 long.*\[1, 30\]",
        ),
        # Those of another model: its vocabularies the other way around.
        (lambda m: m.fit(["AB"], ["A"]), "does not know these texts.*sources with 100%"),
        (lambda m: m.fit(["ab"], ["a"]), "does not know these texts.*targets with 100%"),
        (
            lambda m: m.fit(
                tf.data.Dataset.from_tensors((np.full((1, 2), 99), np.ones((1, 2), int)))
            ),
            "sources of type int64, values from 99 to 99",
        ),
    ],
)
def test_errors(act, message):
    with pytest.raises(ValueError, match=message):
        act(small())


@pytest.mark.long
def test_the_last_pairs_are_held_out():
    keras.utils.set_random_seed(0)
    whole = small()
    keras.utils.set_random_seed(0)
    split = small()
    whole.fit(
        list(SOURCES[:18]),
        list(TARGETS[:18]),
        validation_data=(list(SOURCES[18:]), list(TARGETS[18:])),
        verbose=0,
    )
    split.fit(list(SOURCES), list(TARGETS), validation_split=0.25, verbose=0)
    assert split.history.history == whole.history.history


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (("ab",), {}, "must be a Vocabulary.*type str"),
        ((SOURCE, TARGET), {"copying": True}, "one vocabulary for both"),
        ((SOURCE,), {"label_smoothing": 1.0}, "label_smoothing must be in"),
        ((SOURCE,), {"num_layers": 0}, "num_layers"),
        ((SOURCE,), {"feedforward_dim": 0}, "feedforward_dim"),
        ((SOURCE,), {"model_dim": 10, "num_heads": 4}, "multiple of num_heads"),
    ],
)
def test_arguments_out_of_range(arguments, settings, message):
    with pytest.raises(ValueError, match=message):
        ktg.SequenceToSequence(*arguments, **settings)
