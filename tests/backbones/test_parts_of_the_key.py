"""Every part that features depend on changes the key they are kept under; nothing else does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones import KerasBackbone, extract_features
from keras_transgen.backbones.network_digest import layer_digest
from keras_transgen.evaluation.feature_extractor import FeatureExtractor
from keras_transgen.transfer import FeatureTransfer, StructureTransfer
from tests.transfer import tiny

IMAGES, LABELS = tiny.IMAGES[:12], tiny.LABELS[:12]


def network(activation="relu", strides=1, shape=(8, 8, 1), dtype=None, swapped=False):
    """The same weights every time, whatever the settings."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input(shape)
    first = keras.layers.Conv2D(3, 3, strides=strides, activation=activation, dtype=dtype)
    second = keras.layers.Conv2D(3, 3, strides=strides, dtype=dtype)
    branches = [first(inputs), second(inputs)]
    x = keras.layers.Subtract(dtype=dtype)(branches[::-1] if swapped else branches)
    x = keras.layers.BatchNormalization(dtype=dtype)(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(dtype=dtype)(x))


def changed(change, **kwargs):
    made = network(**kwargs)
    change(made)
    return made


def last_bit(weight):
    values = weight.numpy()
    values.flat[-1] = np.nextafter(values.flat[-1], np.float32(np.inf))
    weight.assign(values)


def lora(rank, alpha=None, trained=False):
    made = network()
    layer = next(each for each in made.layers if isinstance(each, keras.layers.Conv2D))
    layer.enable_lora(rank, lora_alpha=alpha)
    weights = [each for each in layer.weights if "lora" in each.path]
    for number, weight in enumerate(weights):
        weight.assign(np.full(weight.shape, 0.1 * (number + 1 + trained), "float32"))
    return made


NETWORKS = {
    "none": network,
    "activation": lambda: network(activation="tanh"),
    "strides": lambda: network(strides=2),
    "wiring": lambda: network(swapped=True),
    "dtype policy": lambda: network(dtype="mixed_bfloat16"),
    "image size": lambda: network(shape=(9, 9, 1)),
    **{
        f"last bit of weight {place}": lambda place=place: changed(
            lambda made: last_bit(made.weights[place])
        )
        # Kernels, biases, scale, offset and both moving statistics.
        for place in range(8)
    },
    "adapter": lambda: lora(2),
    "adapter's rank": lambda: lora(3),
    "adapter's alpha": lambda: lora(2, alpha=8.0),
    "adapter's weights": lambda: lora(2, trained=True),
    "output layer": lambda: keras.Model(*(lambda n: (n.inputs, n.layers[-2].output))(network())),
}


def extracted_under(folder, layer, data=IMAGES, **kwargs):
    """The names of what a cache holds after an extraction."""
    extract_features(layer, data, cache_dir=folder, progress=False, **kwargs)
    return {each.name for each in folder.iterdir() if each.is_dir()}


def test_each_part_of_a_network_counts():
    found = {name: make() for name, make in NETWORKS.items()}
    for digest in (
        layer_digest,
        lambda made: KerasBackbone(made).digest(),
        lambda made: FeatureExtractor(KerasBackbone(made), name="same").digest(),
    ):
        digests = {name: digest(made) for name, made in found.items()}
        assert len(set(digests.values())) == len(digests), digests
        assert digest(network()) == digests["none"]
    assert len(network().weights) == 8


def test_a_file_and_names_and_freezing_change_nothing(tmp_path):
    made = network()
    made.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    again.name = "another"
    again.trainable = False
    assert layer_digest(again) == layer_digest(made)
    frozen = KerasBackbone(again, trainable=True, name="third")
    assert frozen.digest() == KerasBackbone(made).digest()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_the_policy_of_a_backbone_counts(policy):
    """Its network may be float32; what it gives is rounded to half precision."""
    plain, half = KerasBackbone(network()), KerasBackbone(network(), dtype=policy)
    assert half(IMAGES).dtype != plain(IMAGES).dtype
    assert layer_digest(half) != layer_digest(plain)
    digests = [FeatureExtractor(each, name="same").digest() for each in (half, plain)]
    assert digests[0] != digests[1]
    nested = [keras.Sequential([keras.Input((8, 8, 1)), each]) for each in (half, plain)]
    assert layer_digest(nested[0]) != layer_digest(nested[1])


def adapted(kind, *words):
    layer = kind()
    layer.adapt(np.array(words))
    return layer


@pytest.mark.parametrize("kind", [keras.layers.StringLookup, keras.layers.TextVectorization])
def test_a_vocabulary_counts_which_is_no_weight(kind):
    first, other = adapted(kind, "red", "red", "blue"), adapted(kind, "green", "green", "blue")
    assert layer_digest(first) != layer_digest(other)
    assert layer_digest(first) == layer_digest(adapted(kind, "red", "red", "blue"))
    nested = [
        keras.Sequential([keras.Input((1,), dtype="string"), each]) for each in (first, other)
    ]
    assert layer_digest(nested[0]) != layer_digest(nested[1])


def normalization(mean):
    return keras.layers.Normalization(mean=mean, variance=1.0)


def adapted_normalization(data):
    layer = keras.layers.Normalization()
    layer.adapt(data)
    return layer


def with_last_value(value):
    images = IMAGES.copy()
    images[-1, -1, -1] = value
    return images


SETTINGS = {
    "none": {},
    "preprocessing": {"preprocessing": keras.layers.Rescaling(0.5)},
    "preprocessing's setting": {"preprocessing": keras.layers.Rescaling(0.25)},
    "preprocessing's statistics": {"preprocessing": normalization(0.1)},
    "preprocessing's other statistics": {"preprocessing": normalization(0.2)},
    "preprocessing's adapted statistics": {"preprocessing": adapted_normalization(IMAGES)},
    "preprocessing's statistics, adapted anew": {
        "preprocessing": adapted_normalization(2 * IMAGES)
    },
    "value of an image": {"data": with_last_value(1e-6)},
    "order": {"data": IMAGES[::-1].copy()},
    "rows": {"data": IMAGES[:11]},
    "type": {"data": IMAGES.astype("float16")},
    "labels": {"data": (IMAGES, LABELS)},
    "a label": {"data": (IMAGES, np.where(np.arange(12) == 4, 0, LABELS))},
    "weights": {"data": (IMAGES, LABELS, np.ones(12))},
    "a weight": {"data": (IMAGES, LABELS, np.arange(12.0))},
    "dtype": {"dtype": "float16"},
    "data_key": {"data_key": "mine"},
    "another data_key": {"data_key": "yours"},
}


@pytest.mark.slow
def test_each_setting_and_the_data_count(tmp_path):
    made = network()
    names = set()
    for setting, arguments in SETTINGS.items():
        after = extracted_under(tmp_path, made, **arguments)
        assert len(after) == len(names) + 1, setting
        names = after
    # And nothing is extracted twice.
    for arguments in SETTINGS.values():
        assert extracted_under(tmp_path, network(), **arguments) == names


def test_how_many_steps_are_taken_counts(tmp_path):
    def endless(steps):
        data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(4).repeat()
        return data.take(steps)

    for steps in (1, 2, 3):
        found = extract_features(
            network(), endless(steps), cache_dir=tmp_path, data_key="same", progress=False
        )
        assert len(found.features) == len(found.labels) == 4 * steps


def test_the_extractors_range_and_size_count():
    made = KerasBackbone(network(shape=(None, None, 1)))
    found = {
        FeatureExtractor(made, name="same", image_size=size, backbone_range=limits).digest()
        for size in (8, 16)
        for limits in ((0.0, 1.0), (-1.0, 1.0))
    }
    assert len(found) == 4


TRANSFERS = {
    "none": {},
    "pooling": {"pooling": "max"},
    "normalize": {"normalize_features": True},
    "preprocessing": {"preprocessing": keras.layers.Rescaling(2.0)},
    "policy": {"backbone": lambda: tiny.backbone(dtype="mixed_bfloat16")},
}


def folders(path):
    return {each.name for each in path.iterdir() if each.is_dir()} if path.exists() else set()


def test_each_part_of_a_transfer_counts(tmp_path):
    for repeated in (False, True):
        for part, arguments in TRANSFERS.items():
            before = folders(tmp_path)
            arguments = {"backbone": tiny.backbone, **arguments}
            backbone = arguments.pop("backbone")()
            model = FeatureTransfer(backbone, 3, cache_dir=tmp_path, l2=0.1, **arguments)
            model.fit(IMAGES, LABELS, verbose=0)
            assert len(folders(tmp_path) - before) == (not repeated), part


def delta(method, trained=1.0, **kwargs):
    model = StructureTransfer(tiny.backbone(), 3, method=method, **kwargs)
    found = model.delta_set.in_force()
    for number, variable in enumerate(found.variables):
        variable.assign(np.full(variable.shape, 0.01 * (number + trained), "float32"))
    if hasattr(found, "write"):
        found.write()
    return model


DELTAS = {
    "none": lambda: StructureTransfer(tiny.backbone(), 3, method="adapter", rank=2),
    "adapter": lambda: delta("adapter", rank=2),
    "adapter's rank": lambda: delta("adapter", rank=1),
    "adapter's weights": lambda: delta("adapter", trained=2.0, rank=2),
    "lora": lambda: delta("lora", rank=2),
    "lora's rank": lambda: delta("lora", rank=1),
    "lora's alpha": lambda: delta("lora", rank=2, alpha=9.0),
    "lora's weights": lambda: delta("lora", trained=2.0, rank=2),
    "ia3": lambda: delta("ia3"),
    "ia3's weights": lambda: delta("ia3", trained=2.0),
}


@pytest.mark.slow
def test_each_part_of_a_delta_counts(tmp_path):
    for repeated in (False, True):
        for part, make in DELTAS.items():
            before = folders(tmp_path)
            make().initialize_head(IMAGES, LABELS, cache_dir=tmp_path)
            assert len(folders(tmp_path) - before) == (not repeated), part
