"""Schedules by hand."""

import keras
import pytest

from keras_transgen.generative.beta_schedules import CyclicalWarmup, LinearWarmup


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (LinearWarmup(4), {0: 0.0, 1: 0.25, 4: 1.0, 9: 1.0}),
        (LinearWarmup(2, start=4.0, end=1.0), {0: 4.0, 1: 2.5, 2: 1.0}),
        (CyclicalWarmup(8), {0: 0.0, 1: 0.25, 4: 1.0, 7: 1.0, 8: 0.0, 9: 0.25}),
        (CyclicalWarmup(4, 1.0, 1.0, 2.0), {0: 1.0, 3: 1.75, 4: 1.0}),
        (CyclicalWarmup(10), {2**31 + 5: pytest.approx(min(1.0, ((2**31 + 5) % 10) / 5))}),
    ],
)
def test_values(schedule, values):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    for step, value in values.items():
        assert float(schedule(step)) == value
        assert float(again(step)) == value


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearWarmup(0), "warmup_steps"),
        (lambda: CyclicalWarmup(0), "cycle_steps"),
        (lambda: CyclicalWarmup(5, 0.0), "warmup_share"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
