"""Training models of sound and writing their waves, from the command."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import keras_transgen as ktg
from keras_transgen.cli.application import app
from keras_transgen.cli.generate import run_sample, run_train
from keras_transgen.cli.sound_train import read_recordings
from keras_transgen.datasets import read_wav, write_wav
from tests.cli.networks import save_waves

RATE = 4000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten low and ten high tones, in a folder a class."""
    return save_waves(tmp_path_factory.mktemp("sound") / "tones", RATE)


def saved(model, folder, rate=RATE) -> Path:
    folder.mkdir()
    model.save(folder / "model.keras")
    if rate:
        (folder / "sound.json").write_text(json.dumps({"sample_rate": rate}))
    return folder / "model.keras"


@pytest.fixture(scope="module")
def by_class(tmp_path_factory):
    """A WaveGAN of two classes, as it starts."""
    model = ktg.ConditionalGAN(
        example_shape=(64, 1), class_names=["low", "high"], latent_dim=2, filters=2, seed=0
    )
    return saved(model, tmp_path_factory.mktemp("sound") / "wavegan")


def test_recordings_have_classes_where_there_are_folders(folder, tmp_path):
    found = read_recordings(folder, None, None, None)
    assert found.class_names == ["high", "low"]
    assert found.sample_rate == RATE
    assert [len(wave) for wave in found.waves[:2]] == [
        len(read_wav(folder / "high" / f"{number}_x.wav").samples) for number in (0, 1)
    ]
    np.testing.assert_array_equal(found.labels, [0] * 10 + [1] * 10)
    alone = read_recordings(folder / "low", 2000, 0.1, None)
    assert alone.labels is None
    assert alone.class_names == []
    assert {len(wave) for wave in alone.waves} == {200}
    named = read_recordings(folder / "low", None, None, r"(?P<label>\d)_x\.wav")
    assert named.class_names == [str(number) for number in range(10)]
    with pytest.raises(ValueError, match="recording"):
        read_recordings(tmp_path, None, None, None)
    with pytest.raises(FileNotFoundError):
        read_recordings(tmp_path / "none", None, None, None)


@pytest.mark.slow
def test_a_wavegan_is_trained_on_classes_and_goes_on_at_its_rate(folder, tmp_path):
    output = tmp_path / "run"
    run_train(
        str(folder), model="wavegan", epochs=1, seconds=0.07, latent_dim=3, output=output, seed=1
    )
    assert json.loads((output / "sound.json").read_text()) == {"sample_rate": RATE}
    assert json.loads((output / "classes.json").read_text()) == ["high", "low"]
    model = ktg.load_model(output / "model.keras")
    # 280 samples, and the next length of strides of four.
    assert model.example_shape == (288, 1)
    assert model.class_names == ("high", "low")
    assert model.latent_dim == 3
    previews = sorted(each.name for each in (output / "samples" / "epoch_0001").iterdir())
    assert previews == ["sample_00.wav", "sample_01.wav"]
    wave, rate = read_wav(output / "recordings" / "1_00001.wav")
    assert rate == RATE
    expected = np.clip(model.sample([0, 1], seed=1), -1, 1)[1, :, 0]
    np.testing.assert_allclose(wave, expected, atol=2**-15)
    assert (output / "samples.png").stat().st_size > 1000


@pytest.mark.slow
def test_a_wavenet_is_trained_and_makes_waves_of_its_lengths(folder, tmp_path, capsys):
    output = tmp_path / "run"
    short = folder.parent / "short"
    for number, file in enumerate(sorted((folder / "low").iterdir())):
        wave = read_wav(file).samples[: 100 + 10 * number]
        short.mkdir(exist_ok=True)
        write_wav(short / file.name, wave, RATE)
    run_train(str(short), model="wavenet", epochs=1, output=output, seed=1)
    told = capsys.readouterr()
    assert "bits a sample, held out" in told.out + told.err
    model = ktg.load_model(output / "model.keras")
    assert model.sample_rate == RATE
    assert model.num_classes is None
    written = sorted((output / "recordings").iterdir())
    assert len(written) == 4
    lengths = [len(read_wav(each).samples) for each in written]
    assert all(60 < length < 350 for length in lengths)
    (file,) = run_sample(
        output / "model.keras", tmp_path / "one.wav", seconds=0.02, temperature=0.8, seed=4
    )
    expected = model.sample(seconds=0.02, temperature=0.8, seed=4, count=1)[0]
    np.testing.assert_allclose(read_wav(file).samples, expected, atol=2**-15)


def test_waves_stand_one_after_the_other_or_alone(by_class, tmp_path):
    model = ktg.load_model(by_class)
    (file,) = run_sample(by_class, tmp_path / "all.wav", count=2, seed=3)
    wave, rate = read_wav(file)
    assert rate == RATE
    made = np.clip(model.sample([0, 0, 1, 1], seed=3)[:, :, 0], -1, 1)
    assert len(wave) == 4 * 64 + 3 * RATE // 4
    for number in range(4):
        begin = number * (64 + RATE // 4)
        np.testing.assert_allclose(wave[begin : begin + 64], made[number], atol=2**-15)
    assert not wave[64 : 64 + RATE // 4].any()
    files = run_sample(by_class, tmp_path / "apart", condition="high", separate=True, seed=3)
    assert [each.name for each in files] == ["1_00000.wav"]
    np.testing.assert_allclose(
        read_wav(files[0]).samples, np.clip(model.sample([1], seed=3), -1, 1)[0, :, 0], atol=2**-15
    )


def test_the_rate_is_the_models(by_class, tmp_path):
    with pytest.raises(ValueError, match=r"on 4,000 samples a second.*--sample-rate 8000"):
        run_sample(by_class, tmp_path / "x.wav", sample_rate=8000)
    alone = saved(ktg.load_model(by_class), tmp_path / "alone", rate=None)
    with pytest.raises(ValueError, match="give --sample-rate"):
        run_sample(alone, tmp_path / "x.wav")
    assert not (tmp_path / "x.wav").exists()
    (file,) = run_sample(alone, tmp_path / "x.wav", sample_rate=8000)
    assert read_wav(file).sample_rate == 8000


def test_refused_samples(by_class, tmp_path):
    for wrong, message in (
        ({"output": tmp_path / "x.png"}, r"\.wav; or with --separate.*x\.png"),
        ({"seconds": 0.1}, "--seconds does not apply to ConditionalGAN"),
        ({"temperature": 0.8}, "--temperature does not apply"),
        ({"frames": 3}, "--frames does not apply"),
        ({"condition": "middle"}, "one of low, high"),
    ):
        with pytest.raises(ValueError, match=message):
            run_sample(by_class, **{"output": tmp_path / "x.wav", **wrong})
    images = saved(ktg.GAN((8, 8, 1), 2, filters=2), tmp_path / "images")
    with pytest.raises(ValueError, match="--sample-rate does not apply to GAN"):
        run_sample(images, tmp_path / "x.png", sample_rate=4000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["digits", "--model", "wavegan"], "a folder of recordings"),
        (
            ["x", "--model", "wavenet", "--latent-dim", "3"],
            "--latent-dim does not apply to wavenet",
        ),
        (["x", "--model", "wavegan", "--image-size", "8"], "--image-size does not apply"),
        (["x", "--model", "wavegan", "--transpose", "8"], "--transpose does not apply"),
        (["x", "--model", "gan", "--seconds", "8"], "--seconds does not apply to gan"),
        (["x", "--model", "music", "--pattern", "8"], "--pattern does not apply to music"),
        (["nowhere", "--model", "wavenet"], "Expected a folder of recordings"),
    ],
)
def test_options_of_other_models(options, message, tmp_path):
    place = str(tmp_path / "run")
    found = CliRunner().invoke(app, ["generate", "train", *options, "--output", place])
    assert found.exit_code != 0
    told = " ".join((found.output + str(found.exception)).split())
    assert message in told
    assert not (tmp_path / "run").exists()
