"""A module without its layers' functions computes, trains and saves what the whole one does."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones import SavedModelBackbone
from keras_transgen.backbones.saved_model_pruning import pruned_folder
from tests.backbones.tiny_modules import plain_module

tf_keras = pytest.importorskip("tf_keras")
X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")


@tf.custom_gradient
def doubled_gradient(x):
    return x, lambda upstream: 2.0 * upstream


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    layers = tf_keras.layers
    inner = tf_keras.Sequential(
        [
            tf_keras.Input((4,)),
            layers.Dense(5, kernel_regularizer=tf_keras.regularizers.L2(0.1)),
            layers.BatchNormalization(),
            layers.Activation(doubled_gradient),
        ]
    )
    inputs = tf_keras.Input((4,))
    model = tf_keras.Model(
        inputs, layers.Dense(3, activation="tanh", kernel_regularizer="l2")(inner(inputs))
    )
    folder = tmp_path_factory.mktemp("keras2")
    model.save(str(folder), save_format="tf")
    return folder


def gradients(module):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(module(X, training=False) ** 2)
        loss += sum(each() for each in module.regularization_losses)
    return loss, tape.gradient(loss, module.trainable_variables)


def test_what_it_computes_is_the_same(folder):
    whole = tf.saved_model.load(str(folder))
    with pruned_folder(folder) as lean:
        assert lean != folder
        size = (lean / "saved_model.pb").stat().st_size
        assert size < 0.75 * (folder / "saved_model.pb").stat().st_size
        module = tf.saved_model.load(str(lean))
    assert not lean.exists()
    for training in (False, True):
        expected = whole(X, training=training)
        np.testing.assert_array_equal(module(X, training=training), expected)
    assert [each.name for each in module.variables] == [each.name for each in whole.variables]
    for found, expected in zip(gradients(module), gradients(whole), strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, found, expected)
    found = module.signatures["serving_default"](tf.constant(X))
    expected = whole.signatures["serving_default"](tf.constant(X))
    tf.nest.map_structure(np.testing.assert_array_equal, found, expected)


def test_a_backbone_of_it_is_saved_again_whole(folder, tmp_path):
    backbone = SavedModelBackbone(str(folder), trainable=True)
    # The moving statistics have moved above in other copies, not in the files.
    whole = tf.saved_model.load(str(folder))
    expected = whole(X, training=False)
    np.testing.assert_allclose(backbone(X), expected, rtol=1e-6)
    assert len(backbone.trainable_variables) == 6
    assert len(backbone.regularization_functions()) == len(whole.regularization_losses)
    tapped = backbone.tap([backbone.layer_names()[0]])
    assert tapped(X) is not None
    backbone.export(str(tmp_path / "again"))
    again = tf.saved_model.load(str(tmp_path / "again"))
    np.testing.assert_allclose(again(X, training=False), expected, rtol=1e-6)


def test_other_modules_stay_whole(tmp_path):
    module = plain_module(tmp_path)
    with pruned_folder(module) as found:
        assert found == module


def test_modules_that_read_their_own_files_stay_whole(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("a\nb\n")
    lookup = tf_keras.layers.StringLookup(vocabulary=str(words))
    model = tf_keras.Sequential([tf_keras.Input((1,), dtype="string"), lookup])
    model.table_file = tf.saved_model.Asset(str(words))
    tf.saved_model.save(model, str(tmp_path / "module"))
    with pruned_folder(tmp_path / "module") as found:
        assert found == tmp_path / "module"
