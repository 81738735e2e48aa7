import functools
import warnings

import keras
import numpy as np
import pytest

from keras_transgen.backbones import InputContract, KerasBackbone, load_model
from tests.harness import LAYER_CHECKS, LayerCase, every_check

IMAGES = np.random.default_rng(0).random((16, 8, 8, 1)).astype("float32")


def network(dropout: float = 0.0) -> keras.Model:
    images = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, name="block_1_conv")(images)
    x = keras.layers.BatchNormalization(name="block_1_bn")(x)
    x = keras.layers.ReLU(name="block_1_relu")(x)
    x = keras.layers.Conv2D(6, 3, use_bias=False, name="block_2_conv")(x)
    x = keras.layers.BatchNormalization(name="block_2_bn")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(images, x, name="tiny")


def classifier(backbone: keras.layers.Layer) -> keras.Model:
    # Functional around functional, and training=True asked for: the hardest case for the policy.
    images = keras.Input((8, 8, 1))
    model = keras.Model(images, keras.layers.Dense(3)(backbone(images, training=True)))
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return model


def moved_in_fit(backbone: keras.layers.Layer) -> set[str]:
    before = {weight.path: weight.numpy() for weight in backbone.weights}
    classifier(backbone).fit(IMAGES, np.arange(16) % 3, verbose=0)
    return {
        weight.path
        for weight in backbone.weights
        if not np.array_equal(before[weight.path], weight.numpy())
    }


STATISTICS = {
    f"block_{block}_bn/moving_{name}" for block in (1, 2) for name in ("mean", "variance")
}


def backbone(**arguments) -> KerasBackbone:
    return KerasBackbone(network(), **arguments)


LAYERS = {
    name: LayerCase(make=functools.partial(backbone, **arguments), inputs=IMAGES)
    for name, arguments in {
        "frozen": {},
        "trainable": {"trainable": True},
        # The head sees the second output, through which everything of the network trains.
        "cut at two scales": {"trainable": True, "output_layers": ["block_1_relu", "pool"]},
    }.items()
}


@pytest.mark.parametrize(("name", "check"), every_check(LAYERS, LAYER_CHECKS))
def test_layer(name, check, tools):
    check(LAYERS[name], tools)


# Normalisation policy


def test_frozen_backbone_stays_bit_for_bit_in_fit():
    assert moved_in_fit(KerasBackbone(network(dropout=0.5))) == set()


def test_frozen_statistics_stay_and_every_parameter_trains():
    backbone = KerasBackbone(network(), trainable=True)
    trained = {weight.path for weight in backbone.trainable_weights}
    assert {"block_1_bn/gamma", "block_1_bn/beta"} < trained
    assert moved_in_fit(backbone) == trained
    assert not trained & STATISTICS
    # And statistics are what it computes with: an example's output does not depend on the others.
    np.testing.assert_allclose(
        backbone(IMAGES, training=True)[:2], backbone(IMAGES[:2], training=True), atol=1e-6
    )


def test_adapted_statistics_move():
    backbone = KerasBackbone(network(), trainable=True, normalization="adapt")
    assert moved_in_fit(backbone) == {weight.path for weight in backbone.weights}


def test_policy_outlives_switching_trainable_and_layers():
    backbone = KerasBackbone(network(), trainable=True)
    model = classifier(backbone)
    model.trainable = False
    assert moved_in_fit(backbone) == set()
    model.trainable = True
    backbone.network.get_layer("block_1_bn").trainable = True
    assert not moved_in_fit(backbone) & STATISTICS


def test_flags_of_single_variables_are_left_alone():
    # Biases only, as StructureTransfer asks for it.
    backbone = KerasBackbone(network(), trainable=True)
    wanted = {"block_1_conv/bias", "block_1_bn/beta"}
    for weight in backbone.trainable_weights:
        weight.trainable = weight.path in wanted
    assert moved_in_fit(backbone) == wanted


def test_what_the_user_froze_can_train_again():
    model = network()
    model.get_layer("block_1_conv").trainable = False
    backbone = KerasBackbone(model, trainable=True)
    assert len(backbone.trainable_weights) == 7
    backbone.freeze_to(0)
    assert len(backbone.trainable_weights) == 3
    backbone.freeze_to(None)
    assert len(backbone.trainable_weights) == 7


def test_adapting_leaves_frozen_groups_alone():
    backbone = KerasBackbone(network(), trainable=True, normalization="adapt")
    backbone.freeze_to("block_1")
    assert moved_in_fit(backbone) == {
        weight.path for weight in backbone.weights if weight.path.startswith("block_2")
    }


def test_normalisation_without_scale_and_offset():
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.BatchNormalization(center=False, scale=False)]
    )
    with pytest.raises(ValueError, match="nothing that can be trained"):
        KerasBackbone(model, trainable=True)
    assert KerasBackbone(model).parameter_groups() == []


def test_normalisation_inside_a_layer_of_ones_own():
    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__(name="block_1")
            self.parts = [keras.layers.Dense(3), keras.layers.BatchNormalization()]

        def build(self, shape):
            self.parts[0].build(shape)
            self.parts[1].build((None, 3))

        def call(self, x, training=None):
            return self.parts[1](self.parts[0](x), training=training)

    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), Block()])
    moved = moved_in_fit(KerasBackbone(model, trainable=True))
    assert len(moved) == 4
    assert not any("moving" in path for path in moved)


def test_dropout_follows_training_only_while_the_backbone_trains():
    trained = KerasBackbone(network(dropout=0.5), trainable=True)
    assert not np.array_equal(trained(IMAGES, training=True), trained(IMAGES))
    frozen = KerasBackbone(network(dropout=0.5))
    np.testing.assert_array_equal(frozen(IMAGES, training=True), frozen(IMAGES))


# Contract, groups, cutting


def test_output_is_the_models():
    model = network()
    np.testing.assert_array_equal(KerasBackbone(model)(IMAGES), model(IMAGES))


def test_cut_gives_the_layers_outputs():
    model = network()
    first = keras.Model(model.input, model.get_layer("block_1_relu").output)(IMAGES)
    cut = KerasBackbone(model, output_layers="block_1_relu")
    np.testing.assert_array_equal(cut(IMAGES), first)
    assert len(cut.weights) == 6
    both = KerasBackbone(model, output_layers=["block_1_relu", "pool"])(IMAGES)
    np.testing.assert_array_equal(both[0], first)
    np.testing.assert_array_equal(both[1], model(IMAGES))
    listed = KerasBackbone(model, output_layers=["block_1_relu"])
    (only,) = listed(IMAGES)
    np.testing.assert_array_equal(only, first)
    assert listed.compute_output_shape((None, 8, 8, 1)) == [(None, *first.shape[1:])]


def test_contract_and_errors():
    backbone = KerasBackbone(network(), value_range=(0, 1))
    assert backbone.input_contract == InputContract((None, 8, 8, 1), "float32", (0, 1))
    with pytest.warns(UserWarning, match=r"measured in \[0, 255\]"):
        backbone.check_inputs(np.linspace(0, 255, 64).reshape(1, 8, 8, 1))
    with pytest.raises(ValueError, match="images of 8 x 8"):
        backbone(np.zeros((1, 9, 9, 1), "float32"))
    with pytest.raises(ValueError, match=r"\['block_3'\].*block_2_conv"):
        KerasBackbone(network(), output_layers=["block_3"])
    with pytest.raises(ValueError, match="must be built"):
        KerasBackbone(keras.Sequential([keras.layers.Dense(2)]))
    with pytest.raises(ValueError, match=r"must be a keras\.Model"):
        KerasBackbone(keras.layers.Dense(2))


def test_several_inputs():
    inputs = {"a": keras.Input((2,), name="a"), "b": keras.Input((3,), name="b")}
    output = keras.layers.Concatenate()([inputs["a"], inputs["b"]])
    backbone = KerasBackbone(keras.Model(inputs, output))
    assert set(backbone.input_contract) == {"a", "b"}
    assert backbone({"a": np.zeros((4, 2)), "b": np.ones((4, 3))}).shape == (4, 5)
    assert backbone.compute_output_shape({"a": (None, 2), "b": (None, 3)}) == (None, 5)


def test_groups():
    groups = KerasBackbone(network()).parameter_groups()
    assert [group.name for group in groups] == ["block_1", "block_2"]
    assert [group.parameter_count for group in groups] == [9 * 4 + 4 + 8, 9 * 4 * 6 + 12]
    assert [len(group.statistics) for group in groups] == [2, 2]


def test_digest_does_not_depend_on_made_up_names():
    def automatic(filters: int = 4, gain: float = 1.0, dtype: str = "float32") -> KerasBackbone:
        keras.utils.set_random_seed(0)
        return KerasBackbone(
            keras.Sequential(
                [
                    keras.Input((8, 8, 1)),
                    keras.layers.Conv2D(filters, 3, dtype=dtype),
                    keras.layers.LeakyReLU(gain),
                    keras.layers.Flatten(),
                ]
            )
        )

    backbone = automatic()
    assert automatic().digest() == backbone.digest()
    trained = automatic()
    trained.trainable = True
    assert trained.digest() == backbone.digest()
    assert automatic(gain=0.5).digest() != backbone.digest()
    assert automatic(dtype="mixed_bfloat16").digest() != backbone.digest()
    assert automatic(filters=5).digest() != backbone.digest()
    cut = KerasBackbone(backbone.network, output_layers=backbone.network.layers[1].name)
    assert cut.digest() != backbone.digest()
    trained.weights[0].assign_add(np.full((3, 3, 1, 4), 1e-6))
    assert trained.digest() != backbone.digest()


def test_digest_survives_the_file(tmp_path):
    backbone = KerasBackbone(network(), trainable=True, output_layers="pool")
    classifier(backbone).save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras").layers[1]
    assert loaded.digest() == backbone.digest()


def test_frozen_groups_survive_the_file_with_the_optimizers_state(tmp_path):
    backbone = KerasBackbone(network(), trainable=True)
    backbone.freeze_to("block_1")
    model = classifier(backbone)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(IMAGES, np.arange(16) % 3, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert [weight.path for weight in loaded.layers[1].trainable_weights] == [
        "block_2_conv/kernel",
        "block_2_bn/gamma",
        "block_2_bn/beta",
    ]
    for one, other in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_mixed_precision_outputs():
    keras.config.set_dtype_policy("mixed_bfloat16")
    backbone = KerasBackbone(network(), trainable=True)
    assert backbone(IMAGES).dtype == "bfloat16"
    assert all(weight.dtype == "float32" for weight in backbone.weights)


@pytest.mark.slow
def test_a_network_of_keras_applications():
    model = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, include_top=False, weights=None, pooling="avg"
    )
    scales = KerasBackbone(model, output_layers=["block_3_expand_relu", "block_6_expand_relu"])
    assert scales.compute_output_shape((None, 32, 32, 3)) == [(None, 8, 8, 48), (None, 4, 4, 96)]
    backbone = KerasBackbone(model, trainable=True)
    names = [group.name for group in backbone.parameter_groups()]
    blocks = [f"block_{number}" for number in range(1, 17)]
    assert names == ["Conv1", "expanded_conv", *blocks, "Conv_1"]
    statistics = [w.numpy() for w in backbone.non_trainable_weights]
    outer = keras.Sequential([keras.Input((32, 32, 3)), backbone, keras.layers.Dense(2)])
    outer.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True), jit_compile=False)
    outer.fit(np.random.rand(4, 32, 32, 3), np.array([0, 1, 0, 1]), verbose=0)
    for before, weight in zip(statistics, backbone.non_trainable_weights, strict=True):
        np.testing.assert_array_equal(before, weight.numpy())


@pytest.mark.parametrize("form", [lambda image: image, lambda image: [image]])
def test_taps_take_images_of_another_size(form):
    image = keras.Input((8, 8, 1))
    layer = keras.layers.Conv2D(4, 3, padding="same", name="features")
    backbone = KerasBackbone(keras.Model(form(image), layer(image)))
    larger = np.random.default_rng(0).random((2, 12, 16, 1)).astype("float32")
    (features,) = backbone.tap(["features"], image_size=(12, 16))(form(larger))
    np.testing.assert_allclose(features, layer(larger), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sides", [(None, None), (None, 32)])
def test_scales_of_a_network_of_any_size(sides):
    """Two strides of two, an upsampling: what a network of a known size says too."""

    def network(height, width):
        image = keras.Input((height, width, 3))
        x = keras.layers.Conv2D(2, 3, 2, "same", name="half")(image)
        x = keras.layers.Conv2D(2, 3, 2, "same", name="quarter")(x)
        up = keras.layers.UpSampling2D(2, name="up")(x)
        return keras.Model(image, keras.layers.GlobalAveragePooling2D()(up))

    found = KerasBackbone(network(*sides)).layer_reductions()
    assert found == {"half": 2, "quarter": 4, "up": 2}


def test_a_network_cut_by_its_list_of_one_input_takes_the_tensor():
    import keras_transgen as ktg

    whole = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5), keras.layers.Dense(2)])
    cut = keras.Model(whole.inputs, whole.layers[0].output)
    x = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")
    backbone = KerasBackbone(cut)
    np.testing.assert_allclose(backbone(x), cut.predict(x, verbose=0), atol=1e-6)
    np.testing.assert_allclose(backbone([x]), cut.predict(x, verbose=0), atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model = ktg.FeatureTransfer(cut, 3)
        model.fit(x, np.arange(12) % 3, verbose=0)
        assert model.predict(x, verbose=0).shape == (12, 3)
