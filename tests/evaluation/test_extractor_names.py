import keras
import pytest

from keras_transgen.backbones import KerasBackbone, SavedModelBackbone, load_backbone
from keras_transgen.evaluation import FeatureExtractor


def network(pool=keras.layers.AveragePooling2D):
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.layers.Input((4, 4, 1)),
            keras.layers.Conv2D(2, 3, padding="same"),
            pool(2),
            keras.layers.Flatten(),
        ]
    )


def test_the_digest_knows_weights_structure_and_input_but_no_names():
    digest = FeatureExtractor(network(), "a").digest()
    assert len(digest) == 64
    assert FeatureExtractor(network(), "b").digest() == digest
    moved = network()
    moved.layers[0].bias.assign([1e-6, 0.0])
    assert FeatureExtractor(moved, "a").digest() != digest
    assert FeatureExtractor(network(keras.layers.MaxPooling2D), "a").digest() != digest
    assert FeatureExtractor(network(), "a", image_size=8).digest() != digest
    assert FeatureExtractor(network(), "a", backbone_range=(-1, 1)).digest() != digest


def test_a_plain_function_is_told_by_its_name():
    digests = {FeatureExtractor(lambda x: x, name).digest() for name in ("a", "b", "a")}
    assert len(digests) == 2


def test_a_backbone_of_this_package_is_told_by_its_own_digest():
    one, other = load_backbone("digits"), load_backbone("digits", trainable=True)
    assert one.digest() == other.digest()
    assert FeatureExtractor(one).digest() == FeatureExtractor(other).digest()
    other.weights[0].assign(other.weights[0] + 1e-3)
    assert FeatureExtractor(one).digest() != FeatureExtractor(other).digest()


def test_chosen_names_go_before_those_keras_makes():
    assert FeatureExtractor(load_backbone("digits")).name == "digits"
    model = network()
    inner = keras.Model(model.inputs, model.outputs, name="pooled_pixels")
    assert FeatureExtractor(KerasBackbone(inner)).name == "pooled_pixels"
    assert FeatureExtractor(KerasBackbone(inner, name="mine")).name == "mine"
    assert FeatureExtractor(KerasBackbone(inner), "given").name == "given"
    assert FeatureExtractor(keras.layers.Flatten()).name.startswith("flatten")


@pytest.mark.parametrize(
    ("handle", "name"),
    [
        ("/data/hub/mobilenet_v2_100_224_feature_vector/", "mobilenet_v2_100_224_feature_vector"),
        ("modules/small.tar.gz", "small"),
        (
            "https://tfhub.dev/google/imagenet/net/feature_vector/5",
            "google/imagenet/net/feature_vector/5",
        ),
        ("https://example.org/net.tar.gz?tf-hub-format=compressed", "net"),
    ],
)
def test_modules_are_called_by_their_handle(handle, name):
    class SavedModelBackbone(keras.layers.Layer):
        pass

    layer = SavedModelBackbone()
    layer.handle = handle
    assert FeatureExtractor(layer).name == name


@pytest.mark.shared_data
def test_the_name_of_a_real_module(shared_folder):
    backbone = SavedModelBackbone(shared_folder / "hub/mobilenet_v1_025_224_feature_vector")
    assert FeatureExtractor(backbone).name == "mobilenet_v1_025_224_feature_vector"
