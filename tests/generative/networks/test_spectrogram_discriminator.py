"""The discriminator of spectrograms: what it hears, what it does not, what is refused."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.networks.spectrogram_discriminator import spectrogram_discriminator

RATE = 8000
TIMES = np.arange(800) / RATE


def tone(hertz, phase=0.0, loudness=0.5):
    return (loudness * np.sin(2 * np.pi * hertz * TIMES + phase))[:, None]


def test_pitch_and_loudness_are_heard_and_phases_hardly():
    waves = [tone(1000), -tone(1000), tone(1000, 1.0), tone(1500), tone(1000, loudness=0.1)]
    logits = spectrogram_discriminator((800, 1), RATE, 4)(np.stack(waves)).numpy()[:, 0]
    plain, turned, moved, higher, quieter = logits
    assert turned == pytest.approx(plain, abs=1e-6)
    # The ends of a tone differ by its phase.
    assert abs(moved - plain) < 0.2 * min(abs(higher - plain), abs(quieter - plain))


def test_its_penalty_has_a_gradient_in_silence():
    """R1 differentiates twice; the root in a spectrogram would have none."""
    network = spectrogram_discriminator((80, 1), RATE, 2)
    waves = tf.zeros((2, 80, 1))
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(waves)
            logits = network(waves)
        penalty = tf.reduce_sum(tf.square(inner.gradient(logits, waves)))
    zero = tf.UnconnectedGradients.ZERO
    variables = [each.value for each in network.trainable_variables]
    found = outer.gradient(penalty, variables, unconnected_gradients=zero)
    assert penalty.numpy() == 0.0
    assert all(np.isfinite(each).all() for each in found)


def test_a_condition_is_projected_on_and_classes_have_logits():
    network = spectrogram_discriminator((80, 1), RATE, 2, embedding_dim=3, auxiliary_classes=5)
    wave, rng = tone(440)[None, :80], np.random.default_rng(0)
    first, second = rng.normal(size=(2, 1, 3)).astype("float32")
    logit = lambda embedding: network([wave, embedding])[0].numpy()  # noqa: E731
    # Linear in the embedding.
    half = logit((first + second) / 2)
    np.testing.assert_allclose(half, (logit(first) + logit(second)) / 2, rtol=1e-4, atol=1e-6)
    assert abs(logit(first) - logit(second)).max() > 1e-4
    assert network([wave, first])[1].shape == (1, 5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"example_shape": (80, 2)}, "one channel"),
        ({"example_shape": (0, 1)}, "one channel"),
        ({"example_shape": (8, 8, 1)}, "one channel"),
        ({"example_shape": (None, 1)}, "one channel"),
        ({"example_shape": (80, 1), "filters": 0}, "filters must be a whole number"),
        ({"example_shape": (80, 1), "sample_rate": 1.5}, "sample_rate must be a whole number"),
        ({"example_shape": (80, 1), "sample_rate": 10**12}, "at most 131,072 samples"),
        ({"example_shape": (80, 1), "conditioning": "concatenation"}, "the wave alone"),
    ],
)
def test_what_has_no_spectrogram(wrong, message):
    with pytest.raises(ValueError, match=message):
        spectrogram_discriminator(**{"sample_rate": RATE, "embedding_dim": 3, **wrong})
