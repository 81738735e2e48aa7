"""Samples of sound: the files hold what the model made, from the same seed each time."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.callbacks import AudioSamples
from keras_transgen.datasets import read_wav
from tests.callbacks.samplers import Sampler


def waves(count, rng):
    return rng.uniform(-1.2, 1.2, (count, 50)).astype("float32")


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.wav"))


def test_files_hold_the_samples(tmp_path):
    model = Sampler(waves)
    model.run([AudioSamples(8000, tmp_path, count=2, every=3, seed=5)], epochs=5)
    assert files(tmp_path) == [
        f"epoch_000{epoch}/sample_0{number}.wav" for epoch in (1, 4, 5) for number in (0, 1)
    ]
    assert model.asked == [(2, 5)] * 3
    expected = np.clip(waves(2, np.random.default_rng(5)), -1, 1)
    for number in (0, 1):
        found, rate = read_wav(tmp_path / f"epoch_0004/sample_0{number}.wav")
        assert rate == 8000
        # Half a step of 16 bits, and the largest positive value is a step less.
        np.testing.assert_allclose(found, expected[number], atol=1.01 / 2**15)


def test_conditions_and_waves_with_a_channel(tmp_path):
    condition = np.array([3, 1, 2])
    model = Sampler(lambda count, rng: waves(count, rng)[..., None])
    model.run([AudioSamples(8000, tmp_path, condition=condition)])
    assert model.asked[0][0] is condition
    assert len(files(tmp_path)) == 3


@pytest.mark.slow
@pytest.mark.parametrize("labels", [None, [0, 1] * 4])
def test_waves_of_each_class_and_of_lengths_of_their_own(labels, tmp_path):
    tones = [np.sin(np.arange(60 + 20 * k)).astype("float32") / 2 for k in (0, 1)] * 4
    classes = None if labels is None else 2
    model = ktg.WaveNet(8000, classes, layers_per_stack=3, residual_channels=4, seed=0)
    heard = AudioSamples(8000, tmp_path, count=3, seed=2)
    model.fit(tones, labels, epochs=1, verbose=0, callbacks=[heard])
    drawn = model.sample([0, 1], seed=2) if labels else model.sample(count=3, seed=2)
    assert len(files(tmp_path)) == len(drawn)
    longest = max(map(len, drawn))
    for number, wave in enumerate(drawn):
        found = read_wav(tmp_path / f"epoch_0001/sample_0{number}.wav").samples
        padded = np.pad(np.asarray(wave), (0, longest - len(wave)))
        np.testing.assert_allclose(found, padded, atol=1.01 / 2**15)


@pytest.mark.slow
def test_a_conditional_gan_is_heard_class_by_class(tmp_path):
    x = np.random.default_rng(0).uniform(-1, 1, (8, 32, 1)).astype("float32")
    model = ktg.ConditionalGAN(class_names=["a", "b", "c"], example_shape=(32, 1), filters=2)
    heard = AudioSamples(8000, tmp_path, seed=2)
    model.fit(x, ["a", "b", "c", "a"] * 2, epochs=1, verbose=0, callbacks=[heard])
    drawn = np.asarray(model.sample([0, 1, 2], seed=2))[..., 0]
    for number, wave in enumerate(drawn):
        found = read_wav(tmp_path / f"epoch_0001/sample_0{number}.wav").samples
        np.testing.assert_allclose(found, np.clip(wave, -1, 1), atol=1.01 / 2**15)


def test_the_last_epoch_has_samples_where_training_stops_early(tmp_path):
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", epoch == 1)
    )
    model = Sampler(waves)
    model.run([AudioSamples(8000, tmp_path, count=1, every=4), stop], epochs=9)
    assert files(tmp_path) == ["epoch_0001/sample_00.wav", "epoch_0002/sample_00.wav"]


def test_further_arguments_reach_the_model(tmp_path):
    model = Sampler(waves)
    model.sample = lambda what, seed, seconds: np.zeros((what, int(seconds * 100)), "float32")
    model.run([AudioSamples(100, tmp_path, count=1, sample_arguments={"seconds": 0.3})])
    assert len(read_wav(tmp_path / "epoch_0001/sample_00.wav").samples) == 30


def test_tensorboard_hears_them(tmp_path):
    Sampler(waves).run([AudioSamples(8000, None, count=2, log_dir=tmp_path)], epochs=2)
    events = [
        (event.step, value.tensor.string_val)
        for path in tmp_path.iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    ]
    assert [step for step, _ in events] == [0, 1]
    expected = np.clip(waves(2, np.random.default_rng(0)), -1, 1)
    sound, rate = tf.audio.decode_wav(events[1][1][0])
    assert int(rate) == 8000
    np.testing.assert_allclose(sound.numpy()[:, 0], expected[0], atol=1.01 / 2**15)


def test_wrong_settings(tmp_path):
    with pytest.raises(ValueError, match="neither"):
        AudioSamples(8000, None)
    with pytest.raises(ValueError, match="every=0"):
        AudioSamples(8000, tmp_path, every=0)
    with pytest.raises(ValueError, match="samples are waves"):
        Sampler(lambda count, rng: np.zeros((count, 8, 8, 1))).run([AudioSamples(8000, tmp_path)])
