"""A last batch smaller than the number of replicas leaves one without examples."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.training.moving_statistics import statistics_without_gaps
from tests.training.test_trainer import IMAGES, LABELS, classifier, compile_classifier


def values_of(variable) -> list[np.ndarray]:
    return [copy.numpy() for copy in variable.value.values]


@pytest.mark.slow
def test_batch_normalization_keeps_its_statistics_without_examples(two_replicas):
    """Batches of 8, 8 and 1: the second replica's statistics are those of two batches of 4."""
    with two_replicas.scope():
        model = classifier(keras.layers.BatchNormalization())
        compile_classifier(model, keras.optimizers.SGD(0.0), jit_compile=False)
    dense, norm = model.network.layers[0], model.network.layers[1]
    history = model.fit(IMAGES[:17], LABELS[:17], batch_size=8, shuffle=False, verbose=0)
    hidden = np.maximum(IMAGES[:17] @ dense.kernel.numpy() + dense.bias.numpy(), 0.0)
    expected = np.zeros(8)
    for rows in (slice(4, 8), slice(12, 16)):
        expected = norm.momentum * expected + (1 - norm.momentum) * hidden[rows].mean(axis=0)
    np.testing.assert_allclose(values_of(norm.moving_mean)[1], expected, atol=1e-6)
    assert np.isfinite(values_of(norm.moving_variance)).all()
    assert np.isfinite(history.history["loss"]).all()
    assert np.isfinite(model.predict(IMAGES, verbose=0)).all()


@pytest.mark.parametrize(("size", "kept"), [(0, True), (3, False)])
def test_a_diverged_replica_is_seen_to_be_one(size, kept, two_replicas):
    with two_replicas.scope():
        model = classifier(keras.layers.BatchNormalization())
    mean = model.network.layers[1].moving_mean

    @tf.function
    def step():
        with statistics_without_gaps(model, tf.constant(size)):
            mean.assign(tf.fill(mean.shape, np.nan))

    two_replicas.run(step)
    for copy in values_of(mean):
        assert np.isfinite(copy).all() == kept
