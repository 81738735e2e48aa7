"""DomainAdaptation: the harness, its first step in numbers, and what the penalty is for."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.transfer import DomainAdaptation, MaximumMeanDiscrepancy, ParameterTransfer
from tests.harness import (
    ModelCase,
    check_config_round_trip,
    check_file_in_new_process,
    check_right_weights_move,
    check_two_replicas,
    check_validation_logs,
)
from tests.transfer.tiny import IMAGES, LABELS, backbone

TARGET = (IMAGES[::-1] * 0.5 + 0.3).astype("float32")

CASE = ModelCase(
    make=lambda: DomainAdaptation(
        backbone(),
        3,
        penalty_weight=0.5,
        penalty=MaximumMeanDiscrepancy(widths=(0.5,)),
        learning_rate=0.01,
        name="adapted",
    ),
    data=(IMAGES, LABELS),
    compile=lambda model, **kwargs: model.compile(keras.optimizers.SGD(0.05), **kwargs),
    imports=("keras_transgen.transfer.domain_adaptation",),
    # Which rows of the target a replica draws, and their discrepancy, is its own.
    tolerance=None,
    fit={"target": TARGET},
)


@pytest.mark.slow
# The others are ParameterTransfer's own, which passes them.
@pytest.mark.parametrize(
    "check",
    [
        check_config_round_trip,
        check_validation_logs,
        check_right_weights_move,
        check_file_in_new_process,
        check_two_replicas,
    ],
)
@pytest.mark.long
def test_model(check, tools):
    check(CASE, tools)


def fixed_backbone():
    """Features: the mean of the image's two halves, which train by one factor each."""
    from keras_transgen.backbones import KerasBackbone

    inputs = keras.Input((8, 8, 1))
    x = keras.layers.AveragePooling2D((8, 4))(inputs)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(2, kernel_initializer="identity", name="mix")(x)
    return KerasBackbone(keras.Model(inputs, x), name="halves", value_range=(0.0, 1.0))


def test_logs_and_gradient_of_a_step():
    """With one row in the target every draw is known, and so is the step."""
    target = TARGET[:1]
    model = DomainAdaptation(
        fixed_backbone(),
        3,
        penalty_weight=2.0,
        penalty=MaximumMeanDiscrepancy(widths=(0.4,)),
        head_initialization="random",
        label_smoothing=0.0,
    )
    kernel = model.backbone.trainable_weights[0]
    start, head, bias = (w.numpy() for w in (kernel, model.head.kernel, model.head.bias))
    pooled = IMAGES.reshape(24, 8, 2, 4).mean(axis=(1, 3))
    pooled_target = np.repeat(target.reshape(1, 8, 2, 4).mean(axis=(1, 3)), 24, axis=0)

    def parts(mix):
        logits = tf.constant(pooled) @ mix @ head + bias
        task = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(tf.constant(LABELS), logits)
        )
        a, b = tf.constant(pooled) @ mix, tf.constant(pooled_target) @ mix
        squared = [
            tf.reduce_sum((x[:, None] - y[None]) ** 2, -1) for x, y in ((a, a), (b, b), (a, b))
        ]
        k_aa, k_bb, k_ab = (tf.reduce_mean(tf.exp(-each / (2 * 0.4**2))) for each in squared)
        return task, k_aa + k_bb - 2 * k_ab

    mix = tf.constant(start)
    with tf.GradientTape() as tape:
        tape.watch(mix)
        task, discrepancy = parts(mix)
        total = task + 2.0 * discrepancy
    expected = start - 0.1 * tape.gradient(total, mix).numpy()
    model.compile(keras.optimizers.SGD(0.1))
    logs = model.fit(IMAGES, LABELS, target=target, batch_size=24, verbose=0).history
    assert logs["discrepancy"][0] == pytest.approx(float(discrepancy), rel=1e-3)
    # As in validation, where there is no other domain.
    assert logs["loss"][0] == pytest.approx(float(task), rel=1e-3)
    np.testing.assert_allclose(kernel.numpy(), expected, atol=1e-5)


@pytest.mark.slow
def test_the_penalty_brings_the_domains_together():
    def left(weight):
        keras.utils.set_random_seed(0)
        model = DomainAdaptation(
            fixed_backbone(),
            3,
            penalty_weight=weight,
            penalty=MaximumMeanDiscrepancy(widths=(0.4,)),
            head_initialization="random",
            seed=0,
        )
        model.compile(keras.optimizers.Adam(0.1), jit_compile=False)
        model.fit(IMAGES, LABELS, target=TARGET, epochs=20, batch_size=24, verbose=0)
        features = [model.features(images).numpy() for images in (IMAGES, TARGET)]
        gap = np.linalg.norm(features[0].mean(0) - features[1].mean(0))
        return gap / np.concatenate(features).std()

    assert left(10.0) < 0.5 * left(0.0)


@pytest.mark.slow
def test_without_weight_it_is_parameter_transfer():
    arguments = {"learning_rate": 0.01, "seed": 3}
    adapted = DomainAdaptation(backbone(), 3, penalty_weight=0.0, **arguments)
    plain = ParameterTransfer(backbone(), 3, **arguments)
    fit = {"validation_data": (IMAGES, LABELS), "batch_size": 8, "verbose": 0}
    logs = adapted.fit(IMAGES, LABELS, target=TARGET, **fit).history
    expected = plain.fit(IMAGES, LABELS, **fit).history
    np.testing.assert_allclose(
        adapted.predict(IMAGES, verbose=0), plain.predict(IMAGES, verbose=0), atol=1e-5
    )
    # Validation data have no other domain.
    assert set(logs) - set(expected) == {"discrepancy"}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (None, r"unlabelled examples.*Received: target of type NoneType"),
        (TARGET[:0], "at least one example"),
        (TARGET[..., 0], "Received"),
    ],
)
def test_refuses_targets(target, message):
    with pytest.raises(ValueError, match=message):
        DomainAdaptation(backbone(), 3).fit(IMAGES, LABELS, target=target, verbose=0)


def test_refuses_arguments():
    with pytest.raises(ValueError, match=r"penalty_weight must be.*Received: penalty_weight=-1"):
        DomainAdaptation(backbone(), 3, penalty_weight=-1)
    with pytest.raises(ValueError, match=r"penalty must be a callable.*Received: penalty=0.5"):
        DomainAdaptation(backbone(), 3, penalty=0.5)
