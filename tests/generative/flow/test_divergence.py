"""The divergence against the trace of a Jacobian computed by hand."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.flow.divergence import DIVERGENCES, with_divergence

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(6, 6)).astype("float32")
PLACES = RNG.normal(size=(4, 3, 2)).astype("float32")


def velocity(place):
    """sin of a linear map: its Jacobian is cos(M x) times the rows of M."""
    flat = tf.reshape(place, [-1, 6])
    return tf.reshape(tf.sin(tf.matmul(flat, MATRIX, transpose_b=True)), [-1, 3, 2])


def expected():
    return (np.cos(PLACES.reshape(4, 6) @ MATRIX.T) * np.diag(MATRIX)).sum(1)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_exact(jit_compile):
    @tf.function(jit_compile=jit_compile)
    def computed(place):
        probes = DIVERGENCES["exact"]((3, 2), tf.zeros([0, 4, 3, 2]))
        return with_divergence(velocity, place, probes)

    speed, divergence = computed(tf.constant(PLACES))
    np.testing.assert_allclose(speed, velocity(tf.constant(PLACES)), atol=1e-5)
    np.testing.assert_allclose(divergence, expected(), atol=1e-4)


def test_random_probes_have_the_trace_for_their_mean():
    noise = tf.random.stateless_uniform([1000, 4, 3, 2], [0, 1])
    probes = DIVERGENCES["hutchinson"]((3, 2), noise)
    assert probes.number == 1000
    _, divergence = with_divergence(velocity, tf.constant(PLACES), probes)
    # The variance of an estimate is that of the symmetric part's entries off the diagonal.
    jacobians = np.cos(PLACES.reshape(4, 6) @ MATRIX.T)[:, :, None] * MATRIX
    both = jacobians + jacobians.transpose(0, 2, 1)
    variance = 0.5 * (both**2).sum((1, 2)) - 0.5 * (np.diagonal(both, 0, 1, 2) ** 2).sum(1)
    error = abs(np.asarray(divergence) - expected())
    assert (error < 5 * np.sqrt(variance / 1000)).all()


def test_a_velocity_that_does_not_depend_on_the_place():
    probes = DIVERGENCES["exact"]((3, 2), tf.zeros([0, 4, 3, 2]))
    _, divergence = with_divergence(lambda x: tf.ones([4, 3, 2]), tf.constant(PLACES), probes)
    np.testing.assert_array_equal(divergence, np.zeros(4))
