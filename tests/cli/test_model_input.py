"""From recordings and sequences to a model's input, against arrays made by hand."""

import numpy as np
import pytest

from keras_transgen.cli.model_input import sequences_for, waves_for


def test_what_is_longer_than_the_model_takes_is_cut_and_said():
    record = {"kind": "sequences", "alphabet": "ACGT", "tokens": False, "length": 3}
    with pytest.warns(UserWarning, match="more than 3 letters.*cut at their end"):
        found = sequences_for(["ACGTT", "G"], record)
    np.testing.assert_array_equal(found[0], np.eye(4)[[0, 1, 2]])
    np.testing.assert_array_equal(found[1], [[0, 0, 1, 0], [0] * 4, [0] * 4])
    sound = {"kind": "sound", "sample_rate": 8000, "samples": 2}
    with pytest.warns(UserWarning, match="more than 2 samples"):
        waves = waves_for([np.array([1.0, 2.0, 3.0]), np.array([4.0])], sound, (None, 2, 1))
    np.testing.assert_array_equal(waves[..., 0], [[1, 2], [4, 0]])


@pytest.mark.filterwarnings("error")
def test_what_fits_is_taken_in_silence():
    record = {"kind": "sequences", "alphabet": "ACGT", "tokens": True, "length": 3}
    np.testing.assert_array_equal(sequences_for(["ACG", "T"], record), [[1, 2, 3], [4, 0, 0]])
