import itertools

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.sequences.music.note_codec import END
from keras_transgen.sequences.music.piece_rows import with_start
from tests.harness import ModelCase, every_check

RANGE, NOTES = (60, 68), 3


def pieces(count=24, seed=0, longest=14):
    """Voices that move by steps, with rests, of several lengths."""
    draws = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        length = draws.integers(1, longest + 1)
        voices = 62 + np.cumsum(draws.integers(-1, 2, (length, 3)), axis=0).clip(-2, 6)
        made.append(
            [
                sorted({int(p) for p in frame[: draws.integers(0, 4)]})
                for frame in np.minimum(voices, 68)
            ]
        )
    return made


def as_array(given):
    array = np.empty(len(given), object)
    array[:] = given
    return array


PIECES = pieces()


def small(**settings):
    sizes = {"context_length": 16, "num_layers": 2, "model_dim": 8, "note_dim": 8, "dropout": 0.0}
    return ktg.MusicModel(RANGE, NOTES, seed=0, period=4, **{**sizes, **settings})


def disturbed(**settings):
    """One whose answers differ from frame to frame."""
    model = small(**settings)
    draws = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(draws.normal(size=weight.shape, scale=0.6))
    return model


@pytest.fixture(scope="module")
def model():
    """One for all that only asks, so that what it compiles is compiled once."""
    return disturbed()


def case(**settings):
    drawn = bool(settings)
    return ModelCase(
        make=lambda: small(**settings),
        data=(as_array(PIECES),),
        compile=lambda model, **arguments: model.compile(keras.optimizers.Adam(3e-3), **arguments),
        outputs=("log_likelihood", (PIECES[:5],), {}),
        same_under_xla=not settings.get("dropout"),
        tolerance=None if drawn else 1e-5,
    )


CASES = {
    # No window is cut and nothing transposed, so that replicas draw nothing.
    "whole pieces": case(),
    "windows, other keys, dropout": case(context_length=4, transpose=(-2, 2), dropout=0.2),
}


@pytest.mark.parametrize(("name", "check"), every_check(CASES))
def test_model(name, check, tools):
    check(CASES[name], tools)


# Likelihood


def whole(model):
    """The whole model, as a function of rows of any length that is traced once."""
    spec = tf.TensorSpec([None, None, NOTES + 1], tf.int32)
    return tf.function(lambda rows: model(rows), input_signature=[spec], autograph=False)


def by_hand(model, piece):
    """log p of a piece, one note after the other, the whole model read anew for each."""
    (tokens,) = model.codec.tokens([piece])
    read, total = whole(model), 0.0
    for place in range(len(tokens)):
        for rank in range(NOTES):
            if rank and tokens[place, rank - 1] == END:
                break
            # What comes later is hidden by being something else.
            seen = tokens[: place + 1].copy()
            seen[-1, rank:] = END
            logits = np.asarray(read(with_start(seen)[None]))[0, -1, rank].astype(float)
            total += scipy.special.log_softmax(logits)[tokens[place, rank]]
    return total


@pytest.mark.slow
def test_log_likelihood_is_the_sum_of_single_predictions(model):
    # Silence is music too.
    chosen = [*PIECES[:4], [[]], [[], [], []], [[60, 61, 62]]]
    expected = [by_hand(model, piece) / len(piece) for piece in chosen]
    np.testing.assert_allclose(model.log_likelihood(chosen), expected, rtol=1e-5)


def test_the_probabilities_of_all_sets_of_notes_sum_to_one(model):
    """Of a frame after others: with three of nine pitches at most, 130 sets."""
    before = [[60, 64], [], [68]]
    every = [list(s) for n in range(NOTES + 1) for s in itertools.combinations(range(60, 69), n)]
    assert len(every) == 1 + 9 + 36 + 84
    together = model.log_likelihood([[*before, each] for each in every]) * 4
    log_p = together - model.log_likelihood([before])[0] * 3
    assert np.exp(log_p).sum() == pytest.approx(1.0, abs=1e-5)
    # And they differ.
    assert log_p.std() > 0.5


def test_the_order_of_notes_does_not_matter(model):
    one, other = model.log_likelihood([[[60, 64, 67], [61]], [[67, 60, 64, 60], [61]]])
    assert one == other


@pytest.mark.parametrize("length", [128, 129, 300])
def test_pieces_of_any_length_are_read_in_parts(length, model):
    """Each frame from all that came before it, however long ago."""
    draws = np.random.default_rng(2)
    piece = [sorted({int(p) for p in draws.integers(60, 69, 2)}) for _ in range(length)]
    rows = tf.constant(with_start(model.codec.tokens([piece])[0])[None])
    nats = model.frame_nats(rows, None, training=False)[0].numpy()[0]
    np.testing.assert_allclose(model.log_likelihood([piece])[0], -nats.mean(), rtol=1e-5)


@pytest.mark.slow
def test_the_loss_is_the_mean_over_frames():
    model = disturbed()
    lengths = np.array([len(piece) for piece in PIECES])
    # Which are those by hand, as another test holds.
    expected = -(model.log_likelihood(PIECES) * lengths).sum() / lengths.sum()
    assert model.evaluate(PIECES, batch_size=5, verbose=0) == pytest.approx(expected, rel=1e-5)
    for jit_compile in (False, True):
        model.compile(keras.optimizers.SGD(0.0), jit_compile=jit_compile)
        logs = model.fit(PIECES, batch_size=5, verbose=0, validation_data=PIECES).history
        assert logs["loss"] == pytest.approx([expected], rel=1e-5)
        assert logs["val_loss"] == pytest.approx([expected], rel=1e-5)


# What is written


def uncached(model, given, pick):
    """Frames note by note, the whole model read anew for each note.

    Args:
        model: The model.
        given: Tokens, 0 where one is picked.
        pick: From logits, frame and rank to a token.
    """
    read, found = whole(model), []
    for place, row in enumerate(given):
        frame = np.full(NOTES, END, "int32")
        for rank in range(NOTES):
            if rank and frame[rank - 1] == END:
                break
            rows = with_start(np.stack([*found, frame]))[None]
            logits = np.asarray(read(rows))[0, -1, rank].astype(float)
            frame[rank] = row[rank] or pick(logits, place, rank)
        found.append(frame)
    return model.codec.frames(np.stack(found))


def likeliest(logits, place, rank):
    return int(logits.argmax())


def drawn(seed, row, temperature=1.0, top_p=1.0):
    """The inverse of the cumulated probabilities, on the numbers of a row."""
    uniforms = np.random.default_rng([seed, row]).random(16 * NOTES * 4, "float32")

    def pick(logits, place, rank):
        p = scipy.special.softmax(logits / temperature)
        if top_p == 1.0:
            order = np.arange(len(p))
        else:
            order = np.argsort(-p, kind="stable")
            p = p[order]
            p = np.where(np.cumsum(p) - p < top_p, p, 0.0)
        cumulated = np.cumsum(p)
        at = np.searchsorted(cumulated, uniforms[place * NOTES + rank] * cumulated[-1], "right")
        return int(order[at])

    return pick


def open_frames(count):
    return np.zeros((count, NOTES), "int32")


@pytest.mark.slow
def test_samples_are_those_of_the_whole_model_read_anew(model):
    assert model.sample(1, 12, temperature=0.0) == [uncached(model, open_frames(12), likeliest)]
    found = model.sample(2, 12, temperature=0.8, seed=3)
    assert found == [uncached(model, open_frames(12), drawn(3, row, 0.8)) for row in range(2)]
    found = model.sample(1, 12, top_p=0.7, seed=3)
    assert found == [uncached(model, open_frames(12), drawn(3, 0, top_p=0.7))]


@pytest.mark.slow
def test_continuations_are_those_of_the_whole_model_read_anew(model):
    """Of beginnings of several lengths, together."""
    begun = [[[60], [62, 64]], [[]], [[60, 65, 68]] * 5]
    found = model.continue_from(begun, frames=6, seed=5)
    for row, (piece, after) in enumerate(zip(begun, found)):
        given = np.concatenate([model.codec.tokens([piece])[0], open_frames(6)])
        expected = uncached(model, given, drawn(5, row))
        assert expected[: len(piece)] == [sorted(frame) for frame in piece]
        assert after == expected[len(piece) :]


def test_harmonies_keep_the_melody_and_are_those_of_the_whole_model_read_anew(model):
    melodies = [[64, 64, None, 60, 68, 67], [66, None]]
    found = model.harmonize(melodies, seed=1)
    for row, (melody, piece) in enumerate(zip(melodies, found)):
        given = open_frames(len(melody))
        given[:, 0] = [0 if pitch is None else pitch - 60 + 3 for pitch in melody]
        assert piece == uncached(model, given, drawn(1, row))
        for pitch, frame in zip(melody, piece):
            assert pitch is None or frame[-1] == pitch
    assert any(len(frame) > 1 for frame in found[0])


@pytest.mark.slow
def test_samples_have_the_frequencies_of_the_likelihood(model):
    """Four thousand first frames: the share of each set against its probability."""
    first = [tuple(piece[0]) for piece in model.sample(4000, 1, seed=0)]
    every = [list(s) for n in range(NOTES + 1) for s in itertools.combinations(range(60, 69), n)]
    p = np.exp(model.log_likelihood([[each] for each in every]))
    share = np.array([first.count(tuple(each)) for each in every]) / len(first)
    assert (abs(share - p) < 5 * np.sqrt(p * (1 - p) / len(first)) + 1e-3).all()


def test_seeds_fix_samples_and_none_draws_afresh(model):
    first = model.sample(5, 8, seed=1)
    assert first == model.sample(5, 8, seed=1) != model.sample(5, 8, seed=2)
    assert model.sample(5, 8) != model.sample(5, 8)
    # A piece depends neither on the others nor on how long it goes on.
    assert model.sample(2, 20, seed=1)[1][:8] == first[1]


def test_a_second_call_compiles_nothing(model):
    model.sample(3, 10, temperature=0.7, seed=0)
    functions = dict(model.kept_functions)
    counts = [each.experimental_get_tracing_count() for each in functions.values()]
    model.sample(4, 16, temperature=1.3, seed=3)
    model.harmonize([[60] * 9] * 3, seed=3)
    model.continue_from([[[60]]] * 4, frames=12)
    assert model.kept_functions.keys() == functions.keys()
    assert counts == [each.experimental_get_tracing_count() for each in functions.values()]


# Training


@pytest.mark.slow
def test_it_learns_which_frame_follows():
    """Two chords in turn, the third one of two by chance: nats a frame as they must be."""
    draws = np.random.default_rng(0)
    made = [
        [[60, 64], [62, 65, 67], [60, 64], [62, 66] if draws.random() < 0.75 else []]
        for _ in range(200)
    ]
    keras.utils.set_random_seed(0)
    model = small(model_dim=16, note_dim=16)
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(made, epochs=15, batch_size=16, verbose=0)
    p = np.mean([len(piece[3]) == 2 for piece in made])
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    assert -model.log_likelihood(made).mean() == pytest.approx(entropy / 4, abs=0.02)
    always = model.continue_from([made[0][:1]], frames=2, seed=0)
    assert always == [[[62, 65, 67], [60, 64]]]


@pytest.mark.slow
def test_transposed_pieces_are_learnt_in_all_keys():
    one = [[60, 62], [61, 63], [60, 62]]
    model = small(model_dim=16, note_dim=16, transpose=(0, 4))
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit([one] * 16, epochs=60, batch_size=16, verbose=0)
    higher = [[pitch + 4 for pitch in frame] for frame in one]
    other = [[60, 63], [61, 64], [60, 63]]
    found = model.log_likelihood([one, higher, other])
    # The key is one of five, and then nothing is left open.
    np.testing.assert_allclose(found[:2], -np.log(5) / 3, atol=0.15)
    assert found[2] < -1.5


@pytest.mark.long
def test_two_replicas_with_unequal_lengths_are_one(two_replicas):
    made = [[[60, 64]] * 14] * 4 + [[[62], []]] * 4

    def step():
        model = small()
        model.compile(keras.optimizers.SGD(1.0), jit_compile=False)
        history = model.fit(made, batch_size=8, verbose=0, shuffle=False).history
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
    def answers(model):
        return (
            model.log_likelihood(PIECES[:4]),
            model.sample(2, 6, seed=0),
            model.harmonize([[64, 65]], temperature=0.0),
        )

    expected = answers(disturbed())
    with two_replicas.scope():
        model = disturbed()
        inside = answers(model)
    for found in (inside, answers(model)):
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
        assert found[1:] == expected[1:]


@pytest.mark.long
def test_forms_of_data_give_the_same_training():
    forms = {
        "list": PIECES,
        "tuple": tuple(PIECES),
        "array": as_array(PIECES),
        "arrays of frames": [[np.array(frame, int) for frame in piece] for piece in PIECES],
        "ragged": tf.ragged.constant(PIECES),
        "generator": (piece for piece in PIECES),
    }
    losses = {}
    for name, data in forms.items():
        keras.utils.set_random_seed(0)
        model = small()
        model.compile("adam", jit_compile=False)
        losses[name] = model.fit(data, verbose=0, validation_data=PIECES[:3]).history
    for name, history in losses.items():
        for key, value in losses["list"].items():
            np.testing.assert_allclose(history[key], value, rtol=1e-6, err_msg=f"{name}, {key}")


@pytest.mark.slow
def test_the_default_rate_warms_up_and_falls():
    model = small()
    model.fit(PIECES, epochs=4, batch_size=2, verbose=0)
    rate = model.optimizer._learning_rate
    steps = int(model.optimizer.iterations.numpy())
    assert steps == 48
    assert float(rate(0)) == 0.0
    assert float(rate(steps)) == pytest.approx(2e-4, rel=0.05)


@pytest.mark.slow
def test_it_comes_back_from_a_file(tmp_path):
    model = disturbed(transpose=(-2, 3))
    model.save(tmp_path / "music.keras")
    loaded = ktg.load_model(tmp_path / "music.keras")
    assert loaded.sample(2, 6, seed=4) == model.sample(2, 6, seed=4)
    assert loaded.transpose == (-2, 3)
    assert loaded.codec == model.codec


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda m: m.fit([]), "a list of pieces"),
        (lambda m: m.fit([[]]), "at least one frame"),
        (lambda m: m.fit([[60, 61]]), "put one piece alone into a list"),
        (lambda m: m.fit([[[60.5]]]), "whole number"),
        (lambda m: m.fit([[[59]]]), r"from 60 to 68.*59 in x\[0\]\[0\]"),
        (lambda m: m.fit([[[60]]], [1]), "neither labels nor weights. Received: y"),
        (lambda m: m.fit([[[60]]], validation_data=[[[70]]]), r"validation_data\[0\]\[0\]"),
        (lambda m: m.fit(np.zeros((2, 5))), "rows of their tokens.*shape .2, 5"),
        (lambda m: m.fit(np.zeros((2, 5, 4))), "type float64"),
        (lambda m: m.fit(np.full((2, 5, 4), 12)), "below 12"),
        (lambda m: m.fit(np.zeros((2, 1, 4), int)), r"shape \[2, 1, 4\]"),
        (lambda m: m.evaluate([[[60]], []]), r"at least one frame.*x\[1\]"),
        (lambda m: m.log_likelihood([]), "a list of pieces"),
        (lambda m: m.log_likelihood([[[80]]]), "from 60 to 68"),
        (
            lambda m: m.log_likelihood([[[60], [60, 61, 62, 63]]]),
            r"at most max_notes=3 pitches.*at least 4. Received: 4 in pieces\[0\]\[1\]",
        ),
        (lambda m: m.continue_from([[[60], [59, 61]]]), r"transpose.*59 in pieces\[0\]\[1\]"),
        (lambda m: m.sample(0), "count must be a whole number of at least 1"),
        (lambda m: m.sample(1, 1.5), "frames must be a whole number"),
        (lambda m: m.sample(1, 10**12), "frames must .* at most 1,000,000"),
        (lambda m: m.sample(10**9, 1000), "count must .* at most 100,000"),
        (lambda m: m.sample(1, 4, seed=0.5), "seed must be a whole number"),
        (lambda m: m.fit("ab"), "takes pieces, .*read_midi.* type str"),
        (lambda m: m.sample(1, temperature=-1.0), "temperature"),
        (lambda m: m.sample(1, top_p=0.0), "top_p"),
        (lambda m: m.continue_from([]), "a list of pieces"),
        (lambda m: m.continue_from([[[60]]], frames=0), "frames must be"),
        (lambda m: m.harmonize([[59]]), r"from 60 to 68.*melodies\[0\]\[0\]"),
        (lambda m: m.harmonize([]), "a list of melodies"),
    ],
)
def test_errors(act, message):
    with pytest.raises(ValueError, match=message):
        act(small())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pitch_range": (60,)}, "pitch_range"),
        ({"max_notes": 0}, "max_notes must be a whole number of at least 1"),
        ({"context_length": 0}, "context_length"),
        ({"num_layers": 1.5}, "num_layers"),
        ({"num_layers": 10**9}, "num_layers must .* at most 1,000"),
        ({"model_dim": 0}, "model_dim"),
        ({"note_dim": 0}, "note_dim"),
        ({"period": 0}, "period"),
        ({"dropout": 1.0}, "dropout"),
        ({"transpose": (1, 2)}, "transpose"),
    ],
)
def test_arguments_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        ktg.MusicModel(**settings)
