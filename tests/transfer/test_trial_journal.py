"""What was written down is taken, what is damaged or of another search is not."""

import numpy as np
import pytest

from keras_transgen.transfer.trial_journal import TrialJournal


def counting(values):
    calls = []

    def compute():
        calls.append(1)
        return np.asarray(values, "float32")

    return compute, calls


def test_a_trial_is_run_once_for_each_key(tmp_path):
    compute, calls = counting([[1.0, np.nan], [3.0, np.inf]])
    for _ in range(2):
        # Another object, as in another process.
        found = TrialJournal(tmp_path, "a" * 64).array("short_0.001_0", (2, 2), compute)
        np.testing.assert_array_equal(found, [[1.0, np.nan], [3.0, np.inf]])
    assert len(calls) == 1
    TrialJournal(tmp_path, "a" * 64).array("short_0.001_1", (2, 2), compute)
    TrialJournal(None, "a" * 64).array("short_0.001_0", (2, 2), compute)
    assert len(calls) == 3
    # The backup beside it is of the training that those trials led to.
    with pytest.raises(ValueError, match="training on other data"):
        TrialJournal(tmp_path, "b" * 64)


def test_damaged_files_and_objects_in_them_are_computed_again(tmp_path):
    compute, calls = counting([1.0, 2.0])
    journal = TrialJournal(tmp_path, "a" * 64)
    journal.array("one", (2,), compute)
    (file,) = tmp_path.rglob("one.npy")
    for content in (b"", file.read_bytes()[:40], b"PK\x03\x04"):
        file.write_bytes(content)
        np.testing.assert_array_equal(journal.array("one", (2,), compute), [1.0, 2.0])
    with open(file, "wb") as opened:
        np.save(opened, np.array([print], object), allow_pickle=True)
    np.testing.assert_array_equal(journal.array("one", (2,), compute), [1.0, 2.0])
    assert len(calls) == 5
    np.save(file, np.zeros(3, "float32"))
    np.testing.assert_array_equal(journal.array("one", (2,), compute), [1.0, 2.0])
    np.save(file, np.zeros(2, "complex64"))
    np.testing.assert_array_equal(journal.array("one", (2,), compute), [1.0, 2.0])
    # A header of many terabytes, and one that is no Python.
    content = file.read_bytes()
    for old, new in ((b"(2,), }         ", b"(9999999999999,)"), (b"{'descr'", b"((((((((")):
        assert old in content
        file.write_bytes(content.replace(old, new))
        np.testing.assert_array_equal(journal.array("one", (2,), compute), [1.0, 2.0])
    assert len(calls) == 9
