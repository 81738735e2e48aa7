import numpy as np
import pytest

from keras_transgen.datasets import audio_folder, write_wav


def record(path, value, count=80, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_wav(path, np.full(count, value), rate)


@pytest.fixture
def folder(tmp_path):
    for name, value in [("yes/b.wav", 0.25), ("yes/a.WAV", 0.125), ("no/deep/c.wav", -0.5)]:
        record(tmp_path / name, value)
    (tmp_path / "no" / "notes.txt").write_text("no recording")
    record(tmp_path / "no" / ".hidden.wav", 0.0)
    return tmp_path


def test_folders_are_classes(folder):
    waves, labels, class_names, paths = audio_folder(folder)
    assert class_names == ("no", "yes")
    assert labels.tolist() == [0, 1, 1]
    assert [wave[0] for wave in waves] == [-0.5, 0.125, 0.25]
    assert [path.rsplit("/", 1)[1] for path in paths] == ["c.wav", "a.WAV", "b.wav"]
    other = audio_folder(folder, class_names=["yes", "maybe", "no"])
    assert other.class_names == ("yes", "maybe", "no")
    assert other.labels.tolist() == [2, 0, 0]
    unlabelled = audio_folder(folder, labelled=False)
    assert (unlabelled.labels, unlabelled.class_names) == (None, None)
    assert len(unlabelled.waves) == 3


def test_names_of_files_say_the_class(tmp_path):
    for number, name in enumerate(["10_ann_0.wav", "2_bob_0.wav", "sub/2_ann_1.wav"]):
        record(tmp_path / name, number / 8)
    waves, labels, class_names, _ = audio_folder(tmp_path, pattern=r"(?P<label>\d+)_.*\.wav")
    assert class_names == ("2", "10")
    assert labels.tolist() == [1, 0, 0]
    assert labels.dtype == np.int64
    assert [wave[0] for wave in waves] == [0, 0.125, 0.25]


def test_all_have_one_rate_and_no_more_than_the_seconds(tmp_path):
    record(tmp_path / "a" / "x.wav", 0.5, count=1600, rate=16000)
    record(tmp_path / "b" / "y.wav", 0.5, count=100)
    with pytest.warns(UserWarning, match=r"rates \(1 at 8,000, 1 at 16,000\).* to 8,000 samples"):
        waves, *_ = audio_folder(tmp_path, 8000)
    assert [len(wave) for wave in waves] == [800, 100]
    # Away from the ends the filter leaves a constant as it is.
    np.testing.assert_allclose(waves[0][100:-100], 0.5, atol=1e-3)
    with pytest.warns(UserWarning, match="several sample rates"):
        waves, *_ = audio_folder(tmp_path, 8000, seconds=0.05)
    assert [len(wave) for wave in waves] == [400, 100]


def test_silence_follows_shorter_ones_where_all_shall_have_one_length(folder):
    waves, *_ = audio_folder(folder, 8000, seconds=0.02, pad=True)
    whole, *_ = audio_folder(folder, 8000)
    for wave, own in zip(waves, whole):
        assert wave.shape == (160,)
        assert wave.dtype == np.float32
        np.testing.assert_array_equal(wave[: len(own)], own)
        assert not wave[len(own) :].any()
    with pytest.raises(ValueError, match="with pad=True"):
        audio_folder(folder, pad=True)


def test_folders_and_names_that_do_not_fit_are_refused(folder):
    with pytest.raises(ValueError, match=r"1 of 3 files that it does not match.*a\.WAV"):
        audio_folder(folder, pattern=r"(?P<label>[bc]?)\.wav|(a)\.wav")
    # Matched, without a label.
    with pytest.raises(ValueError, match=r"2 of 3 files that it does not match.*a\.WAV"):
        audio_folder(folder, pattern=r"(?P<label>c?)b?a?\.(wav|WAV)")
    with pytest.raises(ValueError, match="group 'label'"):
        audio_folder(folder, pattern=r".*\.wav")
    with pytest.raises(ValueError, match="regular expression"):
        audio_folder(folder, pattern="(")
    with pytest.raises(ValueError, match=r"two classes.*3 example\(s\) of the class '\.'"):
        audio_folder(folder, pattern=r".(?P<label>\.).*")
    with pytest.raises(ValueError, match=r"among class_names=\['yes'\].*'no' in .*c\.wav"):
        audio_folder(folder, class_names=["yes"])
    with pytest.raises(ValueError, match="either a pattern"):
        audio_folder(folder, pattern=r"(?P<label>.).*", labelled=False)
    for seconds in (0, -1, 1e-5, float("nan")):
        with pytest.raises(ValueError, match="at least one sample"):
            audio_folder(folder, seconds=seconds)
    with pytest.raises(ValueError, match=r"max_bytes=700 together.*file 3 of 3"):
        audio_folder(folder, max_bytes=700)
    with pytest.raises(ValueError, match=r"max_bytes=.*padded to 1e\+09 seconds"):
        audio_folder(folder, seconds=1e9, pad=True)
    with pytest.raises(FileNotFoundError, match="folder of recordings"):
        audio_folder(folder / "absent")
    (folder / "yes" / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"broken\.wav"):
        audio_folder(folder)
    (folder / "void").mkdir()
    with pytest.raises(ValueError, match=r"no recordings in \['void'\]"):
        audio_folder(folder)


@pytest.mark.shared_data
def test_spoken_digits(shared_folder):
    waves, labels, class_names, paths = audio_folder(
        shared_folder / "data/spoken_digits", pattern=r"(?P<label>\d)_.*\.wav"
    )
    assert class_names == tuple("0123456789")
    assert np.bincount(labels).tolist() == [100] * 10
    assert [path.rsplit("/", 1)[1][0] for path in paths] == [class_names[label] for label in labels]
    assert 0.3 < np.mean([len(wave) for wave in waves]) / 8000 < 0.6
