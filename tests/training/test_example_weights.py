"""One check of weights for every model, and one meaning."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.training.example_weights import weights_by_class
from keras_transgen.transfer import FeatureTransfer, StructureTransfer, TransferModel
from tests.transfer.tiny import IMAGES, LABELS, backbone

KINDS = {
    "TransferModel": lambda **kwargs: TransferModel(backbone(), 3, seed=0, **kwargs),
    "FeatureTransfer": lambda **kwargs: FeatureTransfer(backbone(), 3, l2=0.1, seed=0, **kwargs),
    "StructureTransfer": lambda **kwargs: StructureTransfer(
        backbone(), 3, method="lora", rank=2, seed=0, **kwargs
    ),
}
WRONG = [
    ({0: 1.0, 1: -2.0}, "must not be negative"),
    ({0: 1.0, 3: 2.0}, r"do not exist.*Received: \[3\]"),
    ({-1: 2.0}, r"do not exist"),
    ([1.0, 2.0, 1.0], r"dict\(enumerate"),
    ({"cats": 2.0}, "numbers of classes"),
    ({0: float("nan")}, "must be finite numbers"),
    ({0: float("inf")}, "must be finite numbers"),
    ({0: "2"}, "must be finite numbers"),
    ({0: 0.0, 1: 0.0, 2: 0.0}, "one at least must be positive"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_transfer_refuses_the_same(kind):
    model = KINDS[kind]()
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(8)
    for weights, message in WRONG:
        for arguments in ({"x": IMAGES, "y": LABELS}, {"x": data}):
            with pytest.raises(ValueError, match=message):
                model.fit(**arguments, class_weight=weights, verbose=0)


def _trained(kind, *data, **kwargs):
    keras.utils.set_random_seed(0)
    model = KINDS[kind]()
    # Adam's first step tells of signs only.
    model.compile(keras.optimizers.SGD(0.5))
    model.fit(*data, shuffle=False, verbose=0, **kwargs)
    return np.concatenate([weight.numpy().ravel() for weight in model.head.weights])


@pytest.mark.parametrize("kind", ["TransferModel", "FeatureTransfer"])
def test_classes_left_out_weigh_one_and_both_weights_are_multiplied(kind):
    own = np.linspace(0.5, 2.0, 24).astype("float32")
    by_class = np.array([1.0, 3.0, 1.0], "float32")[LABELS]
    expected = _trained(kind, IMAGES, LABELS, sample_weight=own * by_class)
    both = _trained(kind, IMAGES, LABELS, sample_weight=own, class_weight={1: 3.0})
    np.testing.assert_allclose(both, expected, rtol=1e-5, atol=1e-6)
    rows = np.eye(3, dtype="float32")[LABELS]
    both = _trained(kind, IMAGES, rows, sample_weight=own, class_weight={1: 3.0})
    np.testing.assert_allclose(both, expected, rtol=1e-4, atol=1e-5)
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS, own)).batch(32)
    np.testing.assert_allclose(
        _trained(kind, data, class_weight={1: 3.0}), expected, rtol=1e-4, atol=1e-5
    )
    alone = _trained(kind, IMAGES, LABELS, sample_weight=by_class)
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(32)
    for given in ((IMAGES, LABELS), (data,)):
        np.testing.assert_allclose(
            _trained(kind, *given, class_weight={1: 3.0}), alone, rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize(
    "weights", [np.full(24, -1.0), np.full(24, np.nan), np.zeros(24), np.array(["a"] * 24)]
)
def test_wrong_sample_weights(weights):
    with pytest.raises(ValueError, match="Sample weights must"):
        KINDS["TransferModel"]().fit(IMAGES, LABELS, sample_weight=weights, verbose=0)
    vae = ktg.VAE((8, 8, 1), 2)
    with pytest.raises(ValueError, match="Sample weights must"):
        vae.fit(IMAGES, sample_weight=weights, verbose=0)


def test_several_labels_have_no_classes_to_weigh():
    model = TransferModel(backbone(), 3, task="multi_label")
    with pytest.raises(ValueError, match="use sample_weight"):
        model.fit(IMAGES, np.eye(3)[LABELS], class_weight={0: 2.0}, verbose=0)


def test_players_refuse_weights_of_arrays_and_data_sets():
    model = ktg.ConditionalGAN(num_classes=3, image_shape=(8, 8, 1), value_range=(0.0, 1.0))
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(8)
    for given in ((IMAGES, LABELS), (data,)):
        for weights in ({0: 1.0, 1: 1.0, 2: 2.0}, {0: 2.0}):
            with pytest.raises(ValueError, match="does not weigh examples"):
                model.fit(*given, class_weight=weights, verbose=0)
    with pytest.raises(ValueError, match="does not weigh examples"):
        model.fit(IMAGES, LABELS, sample_weight=np.ones(24), verbose=0)


def test_a_vae_weighs_classes():
    assert np.isfinite(
        ktg.VAE((8, 8, 1), 2).fit(IMAGES, LABELS, class_weight={1: 2.0}, verbose=0).history["loss"]
    )
    with pytest.raises(ValueError, match="pass y with class_weight"):
        ktg.VAE((8, 8, 1), 2).fit(IMAGES, class_weight={1: 2.0}, verbose=0)


def test_weights_by_class_are_numpys():
    weights = weights_by_class({np.int64(2): np.float32(4.0)}, 4)
    np.testing.assert_array_equal(weights, [1.0, 1.0, 4.0, 1.0])
