import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.datasets.wave_file import Wave
from keras_transgen.sequences.decoding.uniforms import uniform_rows
from keras_transgen.sequences.wavenet.generation import rounded_samples
from keras_transgen.training.padded_sequences import padded
from tests.harness import ModelCase, every_check

RATE = 100
SIZES = {
    "num_stacks": 1,
    "layers_per_stack": 3,
    "residual_channels": 6,
    "skip_channels": 5,
    "head_channels": 7,
    "condition_channels": 4,
    "positions": 3,
    "window": None,
    "seed": 0,
}


def clips(count=24, seed=0):
    """Tones of two pitches, of 12 to 40 samples."""
    draws = np.random.default_rng(seed)
    waves = [
        np.float32(0.6 * np.sin(np.arange(draws.integers(12, 41)) * (0.3 + 0.5 * (row % 2))))
        for row in range(count)
    ]
    return waves, np.arange(count) % 2


WAVES, LABELS = clips()
SPEAKERS = np.arange(24) // 2 % 3
FRAMES = [
    np.float32(np.random.default_rng(n).normal(size=(-(-len(w) // 10), 2)))
    for n, w in enumerate(WAVES)
]


def encoder():
    return keras.layers.Dense(3, name="encoder")


def small(**settings):
    keras.utils.set_random_seed(1)
    return ktg.WaveNet(RATE, **{"levels": 16, "num_classes": 2, **SIZES, **settings})


def framed(**settings):
    return small(
        num_classes=None,
        condition_encoder=encoder(),
        condition_shape=(None, 2),
        samples_per_frame=10,
        **settings,
    )


def ragged(arrays):
    lengths = [len(each) for each in arrays]
    return tf.RaggedTensor.from_row_lengths(np.concatenate(arrays), lengths)


def arrays(sequences):
    """Sequences as they are once they have entered, whose rows the harness counts."""
    return keras.tree.map_structure(np.asarray, padded(ragged(sequences)))


def case(make, labels, asked):
    return ModelCase(
        make=make,
        data=(arrays(WAVES), labels),
        compile=lambda model, **arguments: model.compile(keras.optimizers.Adam(3e-3), **arguments),
        outputs=("log_likelihood", (WAVES[:3], asked), {}),
        # Lengths are counted, and the scale of conditions is measured once.
        may_move=lambda path: "clip_lengths" in path or "condition_scale" in path,
    )


CASES = {
    "mu_law": case(small, LABELS, LABELS[:3]),
    "logistics": case(
        lambda: small(distribution="logistics", components=2, num_speakers=3),
        np.stack([LABELS, SPEAKERS], axis=1),
        np.stack([LABELS, SPEAKERS], axis=1)[:3],
    ),
    "frames": case(framed, arrays(FRAMES), FRAMES[:3]),
}


@pytest.mark.parametrize(("name", "check"), every_check(CASES))
def test_model(check, name, tools):
    check(CASES[name], tools)


MODELS = {
    "mu_law": (small, LABELS),
    "logistics": (lambda: small(distribution="logistics", components=3), LABELS),
    "speakers": (lambda: small(num_speakers=3), (LABELS, SPEAKERS)),
    "frames": (framed, FRAMES),
    "frames, logistics": (lambda: framed(distribution="logistics"), FRAMES),
    "alone": (lambda: small(num_classes=None, positions=1), None),
}


def some(labels, count):
    return tuple(each[:count] for each in labels) if isinstance(labels, tuple) else labels[:count]


def louder(model):
    """Weights so large that what a network says depends on what it hears."""
    draws = np.random.default_rng(0)
    for weight in model.trainable_weights:
        if not weight.path.endswith("parameters/bias"):
            weight.assign(draws.normal(size=weight.shape, scale=0.5))
    return model


def by_full_pass(model, waves, labels, uniforms, temperature):
    """What the whole network draws of each sample, given the waves themselves before it."""
    inputs = waves if labels is None else (waves, labels)
    parameters = model(inputs)
    return model.distribution.waves(
        model.distribution.draw(parameters, uniforms[:, : waves.shape[1]], temperature)
    ).numpy()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rows", [1, 3])
def test_queues_give_the_samples_of_the_full_pass(name, rows, tmp_path):
    make, labels = MODELS[name]
    model = louder(make())
    asked = None if labels is None else some(labels, rows)
    seconds = 0.4 if "frames" not in name else len(FRAMES[0]) * 0.1
    if "frames" in name:
        asked = [FRAMES[0] + row for row in range(rows)]
    arguments = {"count": rows} if asked is None else {}
    waves = model.sample(asked, seconds=seconds, temperature=0.9, seed=3, **arguments)
    assert waves.shape == (rows, round(seconds * RATE))
    draws = model.distribution.uniforms
    steps = rounded_samples(waves.shape[1])
    uniforms = uniform_rows(rows, steps * draws, 3).reshape(rows, steps, draws)
    known = None if asked is None else model.entered("labels", asked, False)
    expected = by_full_pass(model, waves, known, uniforms, 0.9)
    np.testing.assert_array_equal(waves, expected)
    assert len(np.unique(waves)) > 4
    # Each row alone, and after a file.
    model.save(tmp_path / "model.keras")
    again = ktg.load_model(tmp_path / "model.keras").sample(
        asked, seconds=seconds, temperature=0.9, seed=3, **arguments
    )
    np.testing.assert_array_equal(waves, again)


def test_samples_by_hand():
    """One sample after the other, from what the network says of what was drawn so far."""
    model = louder(small())
    uniforms = uniform_rows(1, 256, 5)[0]
    levels = []
    for place in range(20):
        wave = model.distribution.waves(np.array([[*levels, 0]])).numpy()
        # Its length says how far in the clip a sample is.
        padded = np.pad(wave, ((0, 0), (0, 20 - wave.shape[1])))
        logits = np.asarray(model((padded, np.array([1]))))[0, place].astype(float)
        levels.append(
            int(np.searchsorted(np.cumsum(scipy.special.softmax(logits)), uniforms[place]))
        )
    found = model.sample([1], seconds=0.2, seed=5)
    np.testing.assert_allclose(found[0], model.distribution.waves(levels).numpy(), atol=1e-6)


def test_a_second_call_compiles_nothing():
    model = small()
    first = model.sample([0, 1], seconds=0.3, seed=0)
    second = model.sample([1, 0], seconds=0.2, temperature=0.5, seed=1)
    assert model.kept_functions["generate"].experimental_get_tracing_count() == 1
    assert (first.shape, second.shape) == ((2, 30), (2, 20))
    # Rows draw by the seed and their place alone, so that a shorter wave begins alike.
    same = small(positions=1)
    long = same.sample([0, 1], seconds=0.3, seed=0)
    np.testing.assert_array_equal(same.sample([0], seconds=0.2, seed=0)[0], long[0, :20])
    assert not np.array_equal(same.sample([0], seconds=0.2, seed=1)[0], long[0, :20])


def test_likelihood_is_the_sum_of_single_predictions():
    model = louder(small())
    waves = [WAVES[0], WAVES[1][:1], WAVES[2]]
    expected = []
    for wave, label in zip(waves, LABELS):
        logits = np.asarray(model((wave[None], np.array([label]))))[0].astype(float)
        levels = model.distribution.quantized(wave).numpy()
        logs = scipy.special.log_softmax(logits, axis=-1)
        expected.append(logs[np.arange(len(wave)), levels].sum())
    found = model.log_likelihood(waves, LABELS[:3])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    bits = -sum(expected) / np.log(2) / sum(map(len, waves))
    assert model.bits_per_sample(waves, LABELS[:3]) == pytest.approx(bits, rel=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_is_a_mean_over_samples_whatever_pads_them(name):
    make, labels = MODELS[name]
    model = louder(make())
    likelihood = model.log_likelihood(WAVES, labels)
    alone = [
        model.log_likelihood(
            [wave],
            None
            if labels is None
            else tuple(each[row : row + 1] for each in labels)
            if isinstance(labels, tuple)
            else labels[row : row + 1],
        )[0]
        for row, wave in enumerate(WAVES[:4])
    ]
    np.testing.assert_allclose(likelihood[:4], alone, rtol=1e-5)
    logs = model.evaluate(WAVES, labels, batch_size=5, verbose=0, return_dict=True)
    expected = -likelihood.sum() / sum(map(len, WAVES))
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)


@pytest.mark.slow
def test_padded_arrays_with_lengths_are_lists():
    model = louder(small())
    lengths = np.array([len(wave) for wave in WAVES])
    array = np.full((len(WAVES), 50), np.nan, "float32")
    for row, wave in zip(array, WAVES):
        row[: len(wave)] = wave
    expected = model.log_likelihood(WAVES, LABELS)
    np.testing.assert_allclose(model.log_likelihood(array, LABELS, lengths), expected, rtol=1e-5)
    histories = []
    for data, arguments in ((WAVES, {}), (array, {"lengths": lengths})):
        model = small()
        model.compile("adam", jit_compile=False)
        history = model.fit(data, LABELS, verbose=0, validation_data=(WAVES, LABELS), **arguments)
        histories.append([history.history["loss"], history.history["val_loss"]])
    np.testing.assert_allclose(*histories, rtol=1e-6)
    with pytest.raises(ValueError, match="lengths must be whole numbers"):
        model.fit(array, LABELS, lengths=lengths + 30)


@pytest.mark.slow
def test_data_sets_train_as_arrays_do():
    labels = [["low", "high"][label] for label in LABELS]
    data = tf.data.Dataset.from_tensor_slices((ragged(WAVES), labels)).batch(8)
    results = []
    for given in ((data,), (WAVES, labels)):
        model = small(class_names=["low", "high"])
        model.compile("adam", jit_compile=False)
        model.fit(*given, batch_size=None if len(given) == 1 else 8, shuffle=False, verbose=0)
        results.append(model.log_likelihood(WAVES, labels))
    np.testing.assert_allclose(*results, rtol=1e-5)


def test_a_sample_hears_its_receptive_field_and_nothing_else():
    model = louder(small(num_classes=None, positions=1))
    wave = np.float32(np.random.default_rng(0).uniform(-1, 1, (1, 40)))
    assert model.receptive_field == 8
    before = np.asarray(model(wave))[0]
    for place in (0, 11, 31):
        changed = wave.copy()
        changed[0, place] = -changed[0, place]
        moved = np.abs(np.asarray(model(changed))[0] - before).max(axis=1) > 1e-6
        heard = np.flatnonzero(moved)
        assert heard.min() == place + 1
        assert heard.max() == min(39, place + 8)


@pytest.mark.slow
def test_names_are_learnt_and_sampled_by():
    model = ktg.WaveNet(RATE, 2, levels=16, **SIZES)
    model.compile("adam", jit_compile=False)
    model.fit(WAVES, [["high", "low"][label] for label in LABELS], verbose=0)
    assert model.class_names == ("high", "low")
    by_name = model.sample(["low", "high"], seconds=0.1, seed=0)
    np.testing.assert_array_equal(by_name, model.sample([1, 0], seconds=0.1, seed=0))


@pytest.mark.slow
def test_each_clip_has_a_length_of_its_own():
    """Half a second and two seconds, by class."""
    draws = np.random.default_rng(0)
    labels = np.arange(60) % 2
    lengths = np.exp(draws.normal(np.log([50, 200])[labels], 0.1)).astype(int)
    model = small()
    model.compile("adam", jit_compile=False)
    with pytest.raises(ValueError, match="give seconds"):
        model.sample([0])
    model.fit([np.zeros(n, "float32") for n in lengths], labels, epochs=2, verbose=0)
    mean, deviation = model.clip_lengths.moments()
    for label in (0, 1):
        logs = np.log(lengths[labels == label] / RATE)
        np.testing.assert_allclose(mean[label], logs.mean(), atol=0.05)
        assert deviation[label] == pytest.approx(logs.std(), abs=0.15)
    waves = model.sample(np.repeat([0, 1], 30), seed=0)
    found = np.array([len(wave) for wave in waves])
    assert len(set(found)) > 20
    assert abs(np.log(found[:30] / 50).mean()) < 0.15
    assert abs(np.log(found[30:] / 200).mean()) < 0.15
    again = model.sample(np.repeat([0, 1], 30), seed=0)
    assert all(np.array_equal(one, other) for one, other in zip(waves, again))


def test_frames_give_the_length():
    model = framed()
    found = model.sample(FRAMES[:3], seed=0)
    assert [len(wave) for wave in found] == [10 * len(frames) for frames in FRAMES[:3]]


@pytest.mark.slow
def test_it_learns():
    """Tones that a network of one layer predicts: far fewer nats than their levels have alone."""
    waves, labels = clips(64)
    model = small(window=24, num_speakers=None)
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    model.fit(waves, labels, epochs=40, verbose=0)
    levels = np.concatenate([model.distribution.quantized(wave).numpy() for wave in waves])
    shares = np.bincount(levels) / len(levels)
    alone = -np.sum(shares * np.log2(np.maximum(shares, 1e-9)))
    assert model.bits_per_sample(*clips(16, 9)) < 0.5 * alone


WRONG = {
    "another rate": (([Wave(WAVES[0], 44100)], [0]), "sample_rate=100.*44100"),
    "two rates": (([Wave(WAVES[0], RATE), Wave(WAVES[1], 50)], [0, 1]), "50, 100"),
    "integers": (([np.ones(9, "int16")], [0]), "32768"),
    "too loud": (([np.full(9, 1.5, "float32")], [0]), r"up to 1\.5"),
    "NaN": (([WAVES[0], np.full(9, np.nan, "float32")], [0, 1]), "row 1"),
    "nothing": (([], []), "empty"),
    "an empty wave": (([WAVES[0], np.zeros(0, "float32")], [0, 1]), "1 empty"),
    "one wave": ((WAVES[0], [0]), "list of arrays"),
    "stereo": ((np.zeros((2, 9, 2), "float32"), [0, 1]), "average channels"),
    "words": ((["a", "b"], [0, 1]), "floats"),
    "labels outside": ((WAVES[:2], [0, 2]), "from 0 to 1"),
    "negative labels": ((WAVES[:2], [0, -1]), "from -1 to 0"),
    "no labels": ((WAVES[:2], None), "labels"),
    "fewer labels": ((WAVES[:3], [0, 1]), "same number of rows"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused(name):
    data, message = WRONG[name]
    model = small()
    start = [weight.numpy() for weight in model.weights]
    with pytest.raises(ValueError, match=message):
        model.fit(*data, verbose=0)
    with pytest.raises(ValueError):
        model.bits_per_sample(*data)
    for one, weight in zip(start, model.weights):
        np.testing.assert_array_equal(one, weight.numpy())


@pytest.mark.parametrize(
    ("wave", "label"), [(0.5, 7), (2.0, 0)], ids=["labels outside", "values outside"]
)
def test_later_batches_are_looked_at(wave, label):
    x = np.full((16, 9), 0.5, "float32")
    y = np.zeros(16, "int32")
    x[12], y[12] = wave, label
    model = small()
    model.compile("adam", jit_compile=False)
    with pytest.raises(ValueError, match="in every batch"):
        model.fit(tf.data.Dataset.from_tensor_slices((x, y)).batch(8), verbose=0)


@pytest.mark.slow
def test_silence_and_clips_shorter_than_the_receptive_field():
    model = small(layers_per_stack=6)
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    silent = [np.zeros(n, "float32") for n in (1, 2, 20, 30)]
    history = model.fit(silent, [0, 1, 0, 1], epochs=60, verbose=0).history["loss"]
    assert history[-1] < 0.5 < history[0]
    found = model.sample([0], seconds=0.05, temperature=0.0, seed=0)[0]
    np.testing.assert_allclose(found, np.full(5, model.distribution.waves(8).numpy()), rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sample_rate": 0}, "sample_rate"),
        ({"num_classes": 1}, "num_classes"),
        ({"distribution": "gauss"}, "distribution"),
        ({"levels": 1}, "levels"),
        ({"window": 1}, "window"),
        ({"num_stacks": 1, "layers_per_stack": 1}, "two layers"),
        ({"layers_per_stack": 10**6}, "layers_per_stack must .* at most 24"),
        ({"num_stacks": 100, "layers_per_stack": 5}, "at most 400"),
        ({"num_stacks": 10**9}, "num_stacks must .* at most 100"),
        ({"samples_per_frame": 8}, "condition_encoder"),
        ({"num_classes": 2, "condition_encoder": keras.layers.Dense(2)}, "both"),
        ({"condition_encoder": keras.layers.Dense(2)}, "condition_shape"),
        (
            {"condition_encoder": keras.layers.Dense(2), "condition_shape": (None, 3)},
            "samples_per_frame",
        ),
    ],
)
def test_wrong_arguments(settings, message):
    with pytest.raises(ValueError, match=message):
        ktg.WaveNet(**{"sample_rate": 8000, **settings})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": [0], "seconds": 0.0}, "seconds"),
        ({"labels": [0], "seconds": [0.1, 0.2]}, "seconds"),
        ({"labels": [0], "seconds": 1e9}, r"fewer than 2\^31, [\d,]+ seconds"),
        ({"labels": [0], "seconds": 0.1, "seed": 1.5}, "seed must be a whole number"),
        ({"labels": [0], "seconds": 0.1, "temperature": -1.0}, "temperature"),
        ({"labels": [3], "seconds": 0.1}, "from 0 to 1"),
        ({"labels": None, "seconds": 0.1}, "labels"),
        ({"labels": [0], "seconds": 0.1, "count": 2}, "count"),
    ],
)
def test_wrong_samples(arguments, message):
    with pytest.raises(ValueError, match=message):
        small().sample(**arguments)


def test_frames_that_do_not_fit_their_waves():
    model = framed()
    with pytest.raises(ValueError, match="ceil"):
        model.fit(WAVES[:2], [FRAMES[0], np.zeros((20, 2), "float32")], verbose=0)


@pytest.mark.slow
def test_classes_weigh():
    """A class of weight zero moves nothing."""
    results = []
    for waves in (WAVES, [w if label else w[::-1] for w, label in zip(WAVES, LABELS)]):
        model = small()
        model.compile("adam", jit_compile=False)
        model.fit(waves, LABELS, class_weight={0: 0.0, 1: 2.0}, verbose=0)
        results.append(model.log_likelihood(WAVES, LABELS))
    np.testing.assert_allclose(*results, rtol=1e-5)


def test_exports_say_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="save it"):
        small().export(tmp_path / "exported")
