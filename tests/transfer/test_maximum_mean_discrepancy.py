"""MaximumMeanDiscrepancy against scikit-learn's kernel and the Gaussians' closed form."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.distance import cdist
from scipy.stats import norm
from sklearn.metrics.pairwise import rbf_kernel

from keras_transgen.transfer import MaximumMeanDiscrepancy
from tests.transfer.domains import two_domains


def reference(a, b, widths):
    total = 0.0
    for width in widths:
        gamma = 1 / (2 * width**2)
        total += rbf_kernel(a, a, gamma).mean() + rbf_kernel(b, b, gamma).mean()
        total -= 2 * rbf_kernel(a, b, gamma).mean()
    return total / len(widths)


def test_against_scikit_learn():
    a, b = two_domains()
    found = MaximumMeanDiscrepancy(widths=(1.0, 3.0))(a, b)
    assert float(found) == pytest.approx(reference(a, b, (1.0, 3.0)), rel=1e-4)


def test_widths_follow_the_features():
    a, b = two_domains()
    both = np.concatenate([a, b])
    scale = np.sqrt((cdist(both, both) ** 2).mean())
    penalty = MaximumMeanDiscrepancy(multiples=(0.5, 2.0))
    expected = reference(a, b, (0.5 * scale, 2.0 * scale))
    assert float(penalty(a, b)) == pytest.approx(expected, rel=1e-4)
    assert float(penalty(100 * a, 100 * b)) == pytest.approx(expected, rel=1e-3)


def test_closed_form_of_two_gaussians():
    """E k of normals: width / sqrt(width^2 + 2), times exp(-m^2 / (2 (width^2 + 2))) across."""
    # Quantiles stand for draws without their sampling error.
    a = norm.ppf((np.arange(1000) + 0.5) / 1000)[:, None]
    b = a + 1.5
    width = 0.8
    inner = width / np.sqrt(width**2 + 2)
    expected = 2 * inner * (1 - np.exp(-(1.5**2) / (2 * (width**2 + 2))))
    found = float(MaximumMeanDiscrepancy(widths=(width,))(a, b))
    assert found == pytest.approx(expected, abs=2e-3)


def test_equal_sets_have_none():
    a, _ = two_domains()
    assert float(MaximumMeanDiscrepancy()(a, a)) == pytest.approx(0.0, abs=1e-6)
    constant = np.ones((4, 3), "float32")
    assert float(MaximumMeanDiscrepancy()(constant, constant)) == pytest.approx(0.0, abs=1e-6)


def test_gradient_is_the_difference_quotient():
    a, b = (x[:5].astype("float32") for x in two_domains())
    penalty = MaximumMeanDiscrepancy(widths=(3.0,))
    start = tf.constant(a)
    with tf.GradientTape() as tape:
        tape.watch(start)
        value = penalty(start, b)
    gradient = tape.gradient(value, start).numpy()
    for row, column in ((0, 0), (3, 4)):
        step = np.zeros_like(a)
        step[row, column] = 1e-3
        quotient = (reference(a + step, b, (3.0,)) - reference(a - step, b, (3.0,))) / 2e-3
        assert gradient[row, column] == pytest.approx(quotient, rel=0.02, abs=1e-5)


def test_compiled_and_from_config():
    a, b = (x.astype("float32") for x in two_domains())
    penalty = MaximumMeanDiscrepancy(multiples=(1.0, 2.0))
    config = keras.saving.serialize_keras_object(penalty)
    again = keras.saving.deserialize_keras_object(config)
    compiled = tf.function(again, jit_compile=True)(a, b)
    assert float(compiled) == pytest.approx(float(penalty(a, b)), rel=1e-5)


@pytest.mark.parametrize("wrong", [{"widths": ()}, {"widths": (1.0, -1.0)}, {"multiples": (0.0,)}])
def test_refuses_widths(wrong):
    with pytest.raises(ValueError, match=r"at least one number above 0. Received"):
        MaximumMeanDiscrepancy(**wrong)
