"""Trials share nothing that trains: each gets what the search was given, as it was given."""

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_transgen.generative.adversarial.augmentation import DifferentiableAugmentation
from keras_transgen.generative.likelihoods import Gaussian
from keras_transgen.generative.priors import Mixture
from keras_transgen.tuning.fresh_parts import fresh
from keras_transgen.tuning.sample_distance import some_rows


def test_priors_likelihoods_and_augmentations_begin_anew():
    given = {
        "likelihood": Gaussian(),
        "prior": Mixture(3),
        "several": [DifferentiableAugmentation("translation", target=0.6), "hinge", 0.5],
    }
    for _ in range(2):
        made = fresh(given)
        made["likelihood"].prepare((4,))
        made["prior"].prepare(2, (4,), True)
        assert float(made["likelihood"].log_sigma.value) == 0.0
        assert made["several"][1:] == ["hinge", 0.5]
        assert float(made["several"][0].probability.value) == 0.0
        made["likelihood"].log_sigma.assign(1.0)
        made["several"][0].probability.assign(0.5)
    # A prior of a shape that another trial chose does not come along.
    other = fresh(given["prior"])
    other.prepare(5, (4,), True)
    assert other.means.shape == (3, 5)


def test_pretrained_parts_begin_with_the_weights_they_were_given_with():
    encoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    made = fresh(encoder)
    assert made is not encoder
    for found, expected in zip(made.get_weights(), encoder.get_weights()):
        np.testing.assert_array_equal(found, expected)
    made.layers[0].kernel.assign_add(np.ones((3, 2)))
    assert not np.array_equal(made.get_weights()[0], encoder.get_weights()[0])


def test_variables_of_distributions():
    location = tf.Variable([1.0, 2.0])
    made = fresh(tfd.MultivariateNormalDiag(location, tf.ones(2)))
    made.variables[0].assign([5.0, 5.0])
    np.testing.assert_array_equal(location.numpy(), [1.0, 2.0])
    plain = tfd.MultivariateNormalDiag(tf.zeros(2), tf.ones(2))
    assert fresh(plain) is plain


def test_rows_of_a_sorted_set_are_of_all_its_classes():
    labels = np.repeat(np.arange(10), 100)
    values = np.arange(1000.0)
    data = tf.data.Dataset.from_tensor_slices((values, labels)).batch(64)
    for parts in ((values, labels), (data,)):
        found, classes = some_rows(parts, 200)
        assert len(found) == 200
        np.testing.assert_array_equal(found // 100, classes)
        assert np.bincount(classes, minlength=10).min() >= 8
