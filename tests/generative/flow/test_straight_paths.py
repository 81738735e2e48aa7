"""Paths, their velocities and the noise that is put back, by hand."""

import numpy as np
import tensorflow as tf

from keras_transgen.generative.flow.inpainting import noised_back
from keras_transgen.generative.flow.spherical import spherical_line
from keras_transgen.generative.flow.straight_paths import PREDICTIONS, place_at

NOISE = tf.constant([[1.0, -2.0], [0.5, 0.0]])
DATA = tf.constant([[3.0, 2.0], [-1.5, 4.0]])
TIMES = tf.constant([0.25, 1.0])


def test_places_go_from_noise_to_data():
    place = place_at(TIMES, NOISE, DATA)
    np.testing.assert_allclose(place, [[1.5, -1.0], [-1.5, 4.0]])
    np.testing.assert_array_equal(place_at(tf.zeros(2), NOISE, DATA), NOISE)


def test_what_was_predicted_gives_the_velocity():
    place = place_at(TIMES, NOISE, DATA)
    for name in PREDICTIONS:
        prediction = PREDICTIONS[name]()
        velocity = prediction.velocity(prediction.target(NOISE, DATA), place, TIMES)
        np.testing.assert_allclose(velocity, DATA - NOISE, atol=1e-6, err_msg=name)
    early = PREDICTIONS["noise"]().asked_at(tf.constant([0.0, 0.5]))
    np.testing.assert_allclose(early, [0.02, 0.5])


def test_noise_put_back_gives_the_variance_of_the_earlier_time():
    noise = tf.random.stateless_normal([2, 200_000], [0, 1])
    for time, earlier in ((0.6, 0.4), (1.0, 0.7), (0.05, 0.0)):
        # Data that are 0 leave the noise alone.
        place = (1.0 - time) * noise[0]
        back = np.asarray(noised_back(place, tf.constant(time), tf.constant(earlier), noise[1]))
        error = 5 / np.sqrt(2 * 200_000)
        np.testing.assert_allclose(back.std(), 1.0 - earlier, rtol=error)


def test_the_arc_between_two_vectors():
    a, b = np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])
    line = spherical_line(a, b, 3)
    np.testing.assert_allclose(line[0], [[1, 0], [np.sqrt(0.5), np.sqrt(2)], [0, 2]], atol=1e-6)
    # Equal and opposite vectors have no one arc.
    np.testing.assert_allclose(spherical_line(a, 3 * a, 3)[0], [[1, 0], [2, 0], [3, 0]])
    np.testing.assert_allclose(spherical_line(a, -a, 3)[0], [[1, 0], [0, 0], [-1, 0]], atol=1e-6)
    zeros = spherical_line(np.zeros((1, 2)), a, 2)
    np.testing.assert_allclose(zeros[0], [[0, 0], [1, 0]])
