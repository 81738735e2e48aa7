"""Learning rates over steps and groups, computed by hand."""

import math

import keras
import numpy as np
import pytest

from keras_transgen.backbones import ParameterGroup
from keras_transgen.transfer.schedules import (
    LAST_SHARE,
    UnfreezeAt,
    WarmUp,
    layer_decay_factors,
    optimizer_by_group,
    unfreezing_steps,
    warm_up_and_decay,
)


def rates(schedule, steps):
    return [float(schedule(step)) for step in steps]


def test_warm_up_and_decay():
    schedule = warm_up_and_decay(0.2, steps=50, warm_up=0.2)
    assert float(schedule(0)) == pytest.approx(0.2 / 11)
    assert float(schedule(5)) == pytest.approx((0.2 / 11 + 0.2) / 2)
    assert float(schedule(10)) == pytest.approx(0.2)
    half_way = 0.2 * (LAST_SHARE + (1 - LAST_SHARE) * (1 + math.cos(math.pi / 2)) / 2)
    assert float(schedule(30)) == pytest.approx(half_way, rel=1e-4)
    assert float(schedule(50)) == pytest.approx(0.2 * LAST_SHARE, rel=1e-3)


def test_without_warm_up_or_without_an_end():
    assert float(warm_up_and_decay(0.2, 50, 0.0)(0)) == pytest.approx(0.2)
    assert rates(warm_up_and_decay(0.2, None, 0.1), [0, 49, 99, 9999]) == pytest.approx(
        [0.002, 0.1, 0.2, 0.2]
    )


def test_factors_and_starts():
    assert layer_decay_factors(4, 0.5) == [0.125, 0.25, 0.5, 1.0]
    assert unfreezing_steps(5, 8) == [8, 6, 4, 2, 0]
    assert unfreezing_steps(1, 8) == [0]


@pytest.mark.parametrize(
    "schedule",
    [WarmUp(0.3, 4), UnfreezeAt(0.3, 2), UnfreezeAt(warm_up_and_decay(0.3, 9, 0.3), 2)],
)
def test_schedules_are_saved(schedule):
    config = keras.optimizers.schedules.serialize(schedule)
    again = keras.optimizers.schedules.deserialize(config)
    assert rates(again, range(12)) == rates(schedule, range(12))


def test_each_group_moves_by_its_own_rate():
    groups = [
        ParameterGroup(name, (keras.Variable(np.zeros(2), name=name),)) for name in ("a", "b", "c")
    ]
    variables = [group.variables[0] for group in groups]
    optimizer = optimizer_by_group(
        groups, lambda index: keras.optimizers.SGD([0.1, UnfreezeAt(1.0, 1), 10.0][index])
    )
    optimizer.build(variables)
    gradients = [np.array([1.0, -1.0], "float32")] * 3
    optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
    np.testing.assert_allclose(variables[0], [-0.1, 0.1], rtol=1e-6)
    np.testing.assert_array_equal(variables[1], [0, 0])
    np.testing.assert_allclose(variables[2], [-10, 10], rtol=1e-6)
    optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
    np.testing.assert_allclose(variables[1], [-1.0, 1.0], rtol=1e-6)


def test_two_groups_with_one_path():
    groups = [ParameterGroup(n, (keras.Variable([0.0], name="kernel"),)) for n in ("a", "b")]
    with pytest.raises(ValueError, match=r"two groups have.*'kernel' in 'a' and 'b'"):
        optimizer_by_group(groups, lambda index: keras.optimizers.SGD())


@pytest.mark.parametrize(
    "call", [lambda: warm_up_and_decay(1, 2, 1.0), lambda: layer_decay_factors(2, 0.0)]
)
def test_refuses_shares_that_are_none(call):
    with pytest.raises(ValueError, match="must be in"):
        call()
