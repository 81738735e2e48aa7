"""What models of sequences share: how many steps the default schedule is made for."""

import numpy as np
import pytest

from keras_transgen.sequences.sequence_model import steps_of_fit


@pytest.mark.parametrize(
    ("args", "kwargs", "steps"),
    [
        ((), {}, 2),
        ((8, 3), {}, 15),
        ((), {"batch_size": 8, "epochs": 4}, 20),
        # One that goes on after its third epoch has one left.
        ((), {"batch_size": 8, "epochs": 4, "initial_epoch": 3}, 5),
        ((), {"steps_per_epoch": 7, "epochs": 4, "initial_epoch": 2}, 14),
    ],
)
def test_steps_are_counted_of_the_epochs_that_are_left(args, kwargs, steps):
    assert steps_of_fit(np.zeros([33, 5], "int32"), args, kwargs) == steps
