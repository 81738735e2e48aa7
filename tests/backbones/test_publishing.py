"""What a backbone publishes is a module like any other: called, trained and audited again."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.backbones import KerasBackbone, SavedModelBackbone
from keras_transgen.backbones.audit import audit_module
from tests.backbones import tiny_modules as tiny

IMAGES = np.random.default_rng(0).uniform(size=(6, 8, 8, 1)).astype("float32")


def network(**kwargs) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(3, 3, name="block_1_conv", **kwargs),
            keras.layers.BatchNormalization(name="block_1_bn", momentum=0.5),
            keras.layers.Dropout(0.5, name="drop"),
            keras.layers.Flatten(),
            keras.layers.Dense(4, name="block_2_dense"),
        ]
    )


def test_a_keras_network_comes_back_as_a_module_that_trains(tmp_path):
    backbone = KerasBackbone(network())
    backbone.freeze_to(0)
    flags = [weight.trainable for weight in backbone.weights]
    backbone.export(tmp_path)
    assert [weight.trainable for weight in backbone.weights] == flags
    assert audit_module(tmp_path).call_takes_training

    again = ktg.load_backbone(tmp_path, trainable=True, normalization="adapt")
    np.testing.assert_allclose(again(IMAGES), backbone(IMAGES), rtol=1e-5, atol=1e-6)
    names = [(g.name, len(g.variables), len(g.statistics)) for g in again.parameter_groups()]
    assert names == [("block_1", 4, 2), ("block_2", 2, 0)]
    again(IMAGES, training=True)
    convolved = backbone.network.layers[0](IMAGES).numpy()
    mean, _ = again.parameter_groups()[0].statistics
    # Half way from zeros to the batch's mean, which is what a momentum of one half says.
    np.testing.assert_allclose(mean, 0.5 * convolved.mean((0, 1, 2)), rtol=1e-5)


def test_regularisation_goes_along(tmp_path):
    backbone = KerasBackbone(network(kernel_regularizer=keras.regularizers.L2(0.1)))
    backbone.export(tmp_path)
    again = ktg.load_backbone(tmp_path, trainable=True)
    again(IMAGES)
    kernel = backbone.network.get_layer("block_1_conv").kernel.numpy()
    np.testing.assert_allclose(again.losses[0], 0.1 * np.square(kernel).sum(), rtol=1e-5)


def test_a_module_is_published_with_what_it_has_learnt(tmp_path):
    folder = tiny.convolution_module(tmp_path / "module")
    backbone = SavedModelBackbone(folder)
    before = backbone(IMAGES)
    kernel = backbone.parameter_groups()[-1].variables[0]
    kernel.assign(2.0 * kernel.value)
    backbone.export(tmp_path / "published")
    again = SavedModelBackbone(tmp_path / "published", trainable=True, normalization="adapt")
    # The last layer is linear.
    np.testing.assert_allclose(again(IMAGES), 2.0 * before, rtol=1e-5)
    names = [[group.name for group in each.parameter_groups()] for each in (again, backbone)]
    assert names[0] == names[1]
    assert [v.path for v in again.trainable_variables] == [
        v.path for group in backbone.parameter_groups() for v in group.variables
    ]


def test_tables_go_along(tmp_path):
    words = keras.layers.StringLookup(vocabulary=["kingfisher", "wren"])
    text = keras.Sequential(
        [keras.Input((2,), dtype="string"), words, keras.layers.Embedding(3, 2, name="birds")]
    )
    birds = np.array([["wren", "owl"]])
    expected = text(tf.constant(birds)).numpy()
    KerasBackbone(text).export(tmp_path / "once")
    once = SavedModelBackbone(tmp_path / "once")
    np.testing.assert_array_equal(once(birds), expected)
    once.export(tmp_path / "twice")
    np.testing.assert_array_equal(SavedModelBackbone(tmp_path / "twice")(birds), expected)


def test_several_outputs_and_an_open_shape(tmp_path):
    inputs = keras.Input((None, None, 1))
    one = keras.layers.Conv2D(2, 3, name="one")(inputs)
    two = keras.layers.Conv2D(3, 3, name="two")(one)
    backbone = KerasBackbone(keras.Model(inputs, two), output_layers=["one", "two"])
    backbone.export(tmp_path)
    first, second = ktg.load_backbone(tmp_path)(IMAGES)
    np.testing.assert_allclose(first, backbone(IMAGES)[0], rtol=1e-5, atol=1e-6)
    served = tf.saved_model.load(tmp_path).signatures["serving_default"](tf.constant(IMAGES))
    np.testing.assert_array_equal(served["features_1"], second)


def test_what_cannot_be_published(tmp_path):
    with pytest.raises(ValueError, match="SavedModel"):
        KerasBackbone(network()).export(tmp_path, format="litert")


def test_an_open_contract_asks_for_the_shape(tmp_path):
    class Doubling(keras.Model):
        def call(self, x, training=False):
            return self.dense(x)

    model = Doubling()
    model.dense = keras.layers.Dense(2, name="dense")
    model(np.zeros((1, 3), "float32"))
    backbone = KerasBackbone(model)
    with pytest.raises(ValueError, match="input_signature="):
        backbone.export(tmp_path)
    backbone.export(tmp_path, input_signature=tf.TensorSpec([None, 3]))
    x = np.ones((2, 3), "float32")
    np.testing.assert_allclose(ktg.load_backbone(tmp_path)(x), backbone(x), rtol=1e-6)


def test_no_link_in_the_folder_is_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "variables").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="leads away"):
        KerasBackbone(network()).export(tmp_path / "published")
    with pytest.raises(ValueError, match="leads away"):
        ktg.VAE((4,), latent_dim=2).export(tmp_path / "published")
    assert list((tmp_path / "elsewhere").iterdir()) == []
