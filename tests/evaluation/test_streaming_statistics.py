import numpy as np
import pytest

from keras_transgen.evaluation import StreamingStatistics


def streamed(rows, batch_size):
    statistics = StreamingStatistics()
    for start in range(0, len(rows), batch_size):
        statistics.update(rows[start : start + batch_size])
    return statistics


@pytest.mark.parametrize("count", [2, 511, 512, 1500])
def test_mean_and_covariance_agree_with_numpy(count):
    # A mean far from 0, where sums of squares would lose half of the digits.
    rows = np.random.default_rng(0).normal(1e6, 1.0, size=(count, 5))
    statistics = streamed(rows, 64)
    assert statistics.count == count
    np.testing.assert_allclose(statistics.mean, rows.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(
        statistics.covariance, np.cov(rows, rowvar=False), rtol=1e-8, atol=1e-9
    )


@pytest.mark.parametrize("batch_size", [1, 7, 512, 513, 5000])
def test_every_batch_size_gives_the_same_bits(batch_size):
    rows = np.random.default_rng(1).normal(size=(1300, 4))
    expected, statistics = streamed(rows, 100), streamed(rows, batch_size)
    np.testing.assert_array_equal(statistics.mean, expected.mean)
    np.testing.assert_array_equal(statistics.covariance, expected.covariance)


def test_reading_does_not_disturb_the_stream():
    rows = np.random.default_rng(1).normal(size=(700, 3)).astype("float32")
    statistics = StreamingStatistics()
    for row in np.array_split(rows, 7):
        statistics.update(row)
        if statistics.count > 1:
            _ = statistics.covariance
    np.testing.assert_array_equal(statistics.covariance, streamed(rows, 700).covariance)
    assert statistics.covariance.dtype == np.float64


def test_wrong_use_is_refused():
    statistics = StreamingStatistics()
    with pytest.raises(ValueError, match="at least 2 rows"):
        _ = statistics.mean
    statistics.update(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="Received: 1"):
        _ = statistics.covariance
    with pytest.raises(ValueError, match="Expected 3 features"):
        statistics.update(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="row 1"):
        statistics.update([[0.0, 0.0, 0.0], [0.0, np.nan, 0.0]])
    assert statistics.count == 1
