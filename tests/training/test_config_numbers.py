"""Numbers in a configuration, against what the file has weights for."""

import keras
import numpy as np
import pytest

from keras_transgen.training.config_from_file import FileConfigError
from keras_transgen.training.config_numbers import check_numbers


def described(name: str, **config):
    return {"class_name": name, "module": "keras.layers", "config": config}


def normalization(axis, shape, mean=0.0):
    return {
        **described("Normalization", axis=axis, mean=mean, variance=1.0),
        "build_config": {"input_shape": shape},
    }


@pytest.mark.parametrize(
    "config",
    [
        {"compile_config": {"metrics": [described("AUC", num_thresholds=60_000_000)]}},
        described("Dense", units=2, activation=described("AUC", num_thresholds=10_001)),
        described("Embedding", input_dim=10_100_000, output_dim=1),
        [{"units": 4_000_000}, {"units": 4_000_000}, {"units": 4_000_000}],
        {"batch_shape": [None, 20_000, 20_000]},
        {"batch_shape": [None, 2**24 + 1]},
        {"target_shape": 10**9},
        {"build_config": {"shapes_dict": {"query": [None, 10**9]}}},
        {"tfp_distribution": "Sample", "parameters": {"sample_shape": [10**9]}},
        {"parameters": {"dimension": 10**9}},
        {"parameters": {"dimension": -(10**9)}},
        described("MelSpectrogram", fft_length=2**22, num_mel_bins=64),
        described("MelSpectrogram", fft_length=2**16, num_mel_bins=2**12),
        normalization(-1, [None, 2**24 + 1]),
        normalization([1, 2, 3], [None, 512, 512, 128]),
        normalization([1, 2, 3], [None, "x", 512, 128]),
        [normalization(-1, [None, 2**23])] * 3,
        described("Normalization", axis=-1, mean=0.0, variance=1.0),
    ],
    ids=lambda config: str(config)[:60],
)
def test_what_no_weights_stand_for(config):
    with pytest.raises(FileConfigError, match="Ask"):
        check_numbers(config, 1000)


def test_what_weights_stand_for():
    table = described("Embedding", input_dim=50_000_000, output_dim=8)
    check_numbers(table, 50_000_000 * 8 * 4)
    with pytest.raises(FileConfigError):
        check_numbers(table, 0)


def test_numbers_that_nothing_is_made_of():
    large = 10**12
    config = {
        "seed": large,
        "shared_object_id": large,
        "decay_steps": large,
        "first_decay_steps": large,
        "mask_value": -large,
        "ignore_class": -large,
        "salt": [large, large],
        "epochs": large,
        "vocabulary": [large, large + 1],
        "boundaries": [large],
        "bias": {"class_name": "__numpy__", "config": {"value": [large], "dtype": "int64"}},
        "image_shape": [4096, 4096, 3],
        "num_classes": 21_841,
    }
    check_numbers(config, 0)
    check_numbers(normalization(None, [None, 2**24]), 0)
    check_numbers(normalization(-1, [None, 64, 64, 3]), 0)
    check_numbers(normalization(-1, [None, 2**24 - 1], mean=None), 0)
    check_numbers([normalization(-1, [None, 2**23], mean=None)] * 3, 0)


def test_the_configurations_of_keras(tmp_path):
    inputs = keras.Input((1024, 1024, 3))
    scaled = keras.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 1.0, 1.0])(inputs)
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(scaled))
    model = keras.Model(inputs, outputs)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, 10**9)
    metrics = [keras.metrics.AUC(), keras.metrics.SensitivityAtSpecificity(0.5)]
    model.compile(keras.optimizers.Adam(rate), "mse", metrics=metrics)
    check_numbers(
        {**keras.saving.serialize_keras_object(model), "compile": model.get_compile_config()},
        sum(np.asarray(weight).nbytes for weight in model.weights),
    )


@pytest.mark.parametrize("name", ["num_layers", "num_stacks", "layers_per_stack", "num_blocks"])
def test_no_more_layers_than_the_file_has_parts(name):
    """Thousands of them take minutes before their variables are too many."""
    config = {"class_name": "LanguageModel", "config": {name: 3000}}
    check_numbers(config, 1000)
    check_numbers(config, 1000, parts=3000)
    with pytest.raises(ValueError, match=rf"{name}.*3000"):
        check_numbers(config, 1000, parts=80)
    # Heads are parts of one weight.
    check_numbers({"num_heads": 16}, 1000, parts=8)
