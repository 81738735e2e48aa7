"""A method of one's own is one formula: its gradients, its places, what it may not do."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.transfer.deltas import DELTAS, ParameterDelta, register_delta
from keras_transgen.transfer.deltas.targets import match_targets
from keras_transgen.transfer.structure_transfer import StructureTransfer
from tests.transfer.deltas.networks import BACKBONES, IMAGES, LABELS, values

PATH = "block_2_dense/kernel"


@pytest.fixture
def squared():
    """W = W0 + strength * sum(s)^2 * W0, where one s of two numbers serves kernel and bias."""

    class Squared(ParameterDelta):
        learning_rate = 1e-2

        def __init__(self, backbone, name="squared", strength=2.0):
            self.strength = strength
            self.shared = None
            chosen = match_targets(backbone, "block_2_dense", lambda target: True, "parameters")
            super().__init__(backbone, name, chosen)

        def make_own(self, target):
            if self.shared is None:
                self.shared = self.add_weight(shape=(2,), initializer="zeros", name="shared")
            return (self.shared,)

        def effective(self, base, *own):
            return base * (1.0 + self.strength * tf.reduce_sum(own[0]) ** 2)

        def arguments(self):
            return {"strength": self.strength}

    register_delta("squared")(Squared)
    yield Squared
    del DELTAS["squared"]


@pytest.mark.parametrize("kind", BACKBONES)
def test_gradients_follow_the_formula_and_add_up_over_the_parameters(squared, kind):
    delta = squared(BACKBONES[kind](), strength=3.0)
    base = {each.index: tf.Variable(each.variable.value) for each in delta.touched}
    delta.activate(base)
    delta.shared.assign([0.5, 0.25])
    given = [
        np.random.default_rng(number).normal(size=each.shape).astype("float32")
        for number, each in enumerate(delta.touched)
    ]
    (found,) = delta.own_gradients([tf.constant(each) for each in given]).values()
    inner = sum(
        (gradient * values()[target.path]).sum() for gradient, target in zip(given, delta.touched)
    )
    # d/ds_i of strength * (s_0 + s_1)^2 is 2 * strength * (s_0 + s_1), for both.
    np.testing.assert_allclose(found, [2 * 3.0 * 0.75 * inner] * 2, rtol=1e-5)


def test_a_parameter_without_gradient_and_slices_of_one(squared):
    delta = squared(BACKBONES["keras"](), strength=1.0)
    delta.activate({each.index: tf.Variable(each.variable.value) for each in delta.touched})
    delta.shared.assign([1.0, 0.0])
    paths = [each.path for each in delta.touched]
    slices = tf.IndexedSlices(tf.ones((1, 5)), tf.constant([2]), tf.constant([6, 5]))
    given = [slices if path == PATH else None for path in paths]
    (found,) = delta.own_gradients(given).values()
    np.testing.assert_allclose(found, [2 * values()[PATH][2].sum()] * 2, rtol=1e-5)
    assert list(delta.own_gradients([None] * len(paths)).values()) == [None]


def test_a_registered_method_is_known_to_the_model_and_its_files(squared, tmp_path):
    model = StructureTransfer(BACKBONES["keras"](), 3, method="squared", strength=0.5)
    delta = model.deltas["squared"]
    assert delta.strength == 0.5
    delta.shared.assign([0.3, 0.1])
    model.fit(IMAGES, LABELS, epochs=1, verbose=0)
    assert not np.allclose(delta.shared, [0.3, 0.1])
    logits = model.predict(IMAGES, verbose=0)
    model.save(tmp_path / "squared.keras")
    loaded = keras.saving.load_model(tmp_path / "squared.keras")
    np.testing.assert_allclose(loaded.predict(IMAGES, verbose=0), logits, atol=1e-5)
    with pytest.raises(ValueError, match=r"method='bias' takes targets.*strength=0.5"):
        StructureTransfer(BACKBONES["keras"](), 3, method="bias", strength=0.5)
