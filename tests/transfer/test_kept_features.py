"""A prediction of the validation data uses their features, and only while they are right."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones import KerasBackbone
from keras_transgen.transfer import FeatureTransfer
from tests.transfer.tiny import IMAGES, LABELS, CountedRows, backbone, counting_backbone

TRAIN, HELD = (IMAGES[:12], LABELS[:12]), (IMAGES[12:], LABELS[12:])


def dataset(x, y):
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(5)


def fitted(network=None, validation_data=HELD, **kwargs):
    model = FeatureTransfer(network or counting_backbone(), 3, l2=0.01, **kwargs)
    model.fit(*TRAIN, validation_data=validation_data, verbose=0)
    CountedRows.seen = 0
    return model


def logits(model, images):
    """Of the network and the head, one after the other."""
    x = images if model.preprocessing is None else model.preprocessing(images)
    features = np.asarray(model.backbone(x)).mean(axis=(1, 2))
    kernel, bias = model.head.get_weights()
    return features @ kernel + bias


@pytest.mark.parametrize("form", ["arrays", "tensor", "data set", "prepared"])
def test_validation_data_are_not_extracted_again(form):
    prepared = {"preprocessing": keras.layers.Rescaling(0.5)} if form == "prepared" else {}
    model = fitted(validation_data=dataset(*HELD) if form == "data set" else HELD, **prepared)
    given = {"data set": dataset(*HELD), "tensor": tf.constant(HELD[0])}.get(form, HELD[0].copy())
    found = model.predict(given, verbose=0)
    probabilities = model.predict_probabilities(given, verbose=0)
    assert CountedRows.seen == 0
    np.testing.assert_allclose(found, logits(model, HELD[0]), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(probabilities, keras.ops.softmax(found), rtol=1e-5)
    # Steps and callbacks want batches.
    model.predict(given, steps=1, verbose=0)
    assert CountedRows.seen


OTHERS = {
    "training data": TRAIN[0],
    "fewer": HELD[0][:11],
    "one value": np.where(np.arange(12)[:, None, None, None] == 7, 0.5, HELD[0]).astype("f4"),
    "other order": HELD[0][::-1],
    "other type": (HELD[0] * 255).astype("uint8"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_data_are_predicted_by_the_network(name):
    model = fitted(backbone())
    x = OTHERS[name].astype("float32") / (255 if name == "other type" else 1)
    found = model.predict(x, verbose=0)
    np.testing.assert_allclose(found, logits(model, x), rtol=1e-4, atol=1e-4)


def test_data_sets_in_another_order_are_predicted_as_they_come():
    data = dataset(*HELD)
    model = fitted(backbone(), validation_data=data)
    reverse = dataset(HELD[0][::-1].copy(), HELD[1])
    found = model.predict(reverse, verbose=0)
    np.testing.assert_allclose(found, logits(model, HELD[0][::-1]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("changed", ["backbone", "preprocessing", "head", "fit"])
def test_what_changed_since_is_seen(changed):
    scale = keras.layers.Normalization(axis=None)
    scale.adapt(IMAGES * 0.5)
    model = fitted(backbone(), preprocessing=scale)
    before = model.predict(HELD[0], verbose=0)
    if changed == "backbone":
        model.backbone.set_weights([weight * 1.1 for weight in model.backbone.get_weights()])
    elif changed == "preprocessing":
        scale.adapt(IMAGES * 2.0)
    elif changed == "head":
        model.head.set_weights([weight + 0.5 for weight in model.head.get_weights()])
    else:
        model.fit(HELD[0], (HELD[1] + 1) % 3, verbose=0)
    # Adapted numbers are constants of functions that Keras has traced.
    model.predict_function = None
    after = model.predict(HELD[0], verbose=0)
    assert np.abs(after - before).max() > 1e-2
    np.testing.assert_allclose(after, logits(model, HELD[0]), rtol=1e-3, atol=1e-3)


@keras.saving.register_keras_serializable(package="tests")
class AlwaysNoisy(keras.layers.Layer):
    def call(self, x):
        return x + tf.random.normal(tf.shape(x))


def test_a_network_that_answers_at_random_is_asked_again():
    inputs = keras.Input((8, 8, 1))
    network = keras.layers.Conv2D(4, 3)(AlwaysNoisy()(inputs))
    model = fitted(KerasBackbone(keras.Model(inputs, network), value_range=(0.0, 1.0)))
    first, second = (model.predict(HELD[0], verbose=0) for _ in range(2))
    assert np.abs(first - second).max() > 1e-4


def test_features_from_the_cache_are_right_too(tmp_path):
    for _ in range(2):
        model = fitted(backbone(), cache_dir=tmp_path)
        found = model.predict(HELD[0], verbose=0)
        np.testing.assert_allclose(found, logits(model, HELD[0]), rtol=1e-4, atol=1e-4)
