"""One of several outputs, by name or by position."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones import SavedModelBackbone
from keras_transgen.backbones.module_outputs import plain, select_output
from keras_transgen.training.config_from_file import FileConfigError
from tests.backbones import tiny_modules as tiny

POINTS = np.array([[1.0, 2.0], [3.0, -4.0]], "float32")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_TRANSGEN_HOME", str(tmp_path / "home"))


@pytest.fixture
def pair(tmp_path):
    """Gives a tuple: twice the points, and a dict with their sums."""
    module = tf.Module()
    module.scale = tf.Variable(2.0)
    module.__call__ = tf.function(
        lambda x: (x * module.scale, {"sums": tf.reduce_sum(x, 1, keepdims=True)}),
        [tf.TensorSpec([None, 2])],
    )
    return tiny.save(module, tmp_path / "pair")


def test_outputs_by_position(pair):
    np.testing.assert_array_equal(SavedModelBackbone(pair, output_key=0)(POINTS), 2 * POINTS)
    second = SavedModelBackbone(pair, output_key=1)
    assert list(second(POINTS)) == ["sums"]
    np.testing.assert_array_equal(second(POINTS)["sums"], [[3.0], [-1.0]])
    doubled, rest = SavedModelBackbone(pair)(POINTS)
    np.testing.assert_array_equal(doubled, 2 * POINTS)
    np.testing.assert_array_equal(rest["sums"], [[3.0], [-1.0]])


def test_a_position_is_in_the_config_and_in_the_digest(pair):
    first, second = (SavedModelBackbone(pair, output_key=place) for place in (0, 1))
    assert first.digest() != second.digest()
    again = SavedModelBackbone.from_config(first.get_config())
    assert again.output_key == 0
    assert again.digest() == first.digest()
    np.testing.assert_array_equal(again(POINTS), 2 * POINTS)


@pytest.mark.parametrize("wrong", [2, -1, "sums", "0"])
def test_what_there_is_is_said(pair, wrong):
    with pytest.raises(ValueError) as error:
        SavedModelBackbone(pair, output_key=wrong)
    assert "2 outputs by position, so output_key is from 0 to 1" in str(error.value)
    assert "0 is float32 [any, 2]; 1 is a dict of ['sums']" in str(error.value)
    assert f"Received: output_key={wrong!r}" in str(error.value)


@pytest.mark.parametrize("wrong", [True, 1.0, [1], {"a": 1}])
def test_a_key_is_a_name_or_a_position_in_files_too(pair, wrong):
    with pytest.raises(ValueError, match="must be the name of an output, its position from 0"):
        SavedModelBackbone(pair, output_key=wrong)
    config = SavedModelBackbone(pair, output_key=1).get_config()
    with pytest.raises(ValueError, match="must be the name of an output, its position from 0"):
        SavedModelBackbone.from_config({**config, "output_key": wrong})
    with pytest.raises(FileConfigError, match="names no address"):
        SavedModelBackbone.from_config({**config, "output_key": "https://example.org/x"})


def test_a_position_in_a_dict_and_of_one_tensor(tmp_path):
    dictionary = tiny.dictionary_module(tmp_path / "dictionary")
    with pytest.raises(ValueError, match=r"one of \['pooled', 'sequence'\]. Received: .*=1"):
        SavedModelBackbone(dictionary, output_key=1)
    with pytest.raises(ValueError, match="one tensor, neither a dict nor a tuple"):
        SavedModelBackbone(tiny.plain_module(tmp_path / "plain"), output_key=0)


def test_named_tuples_are_dicts():
    point = collections.namedtuple("Point", "x y")
    assert plain((point(1, [2]), 3)) == [{"x": 1, "y": [2]}, 3]
    assert select_output([point(1, 2), 3], 0) == {"x": 1, "y": 2}
    assert select_output(point(1, 2), "y") == 2


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.parametrize("key", ["note", "onset", "contour"])
def test_basic_pitch_as_it_is(shared_folder, key):
    folder = shared_folder / "hub" / "basic_pitch_nmp"
    audio = np.random.default_rng(0).normal(0.0, 0.1, (2, 43844, 1)).astype("float32")
    backbone = SavedModelBackbone(folder, output_key=key)
    loaded = tf.saved_model.load(str(folder))
    expected = loaded.signatures["serving_default"](tf.constant(audio))[key]
    np.testing.assert_allclose(backbone(audio), expected, atol=1e-4)
    with pytest.raises(ValueError, match=r"one of \['contour', 'note', 'onset'\]"):
        SavedModelBackbone(folder, output_key=0)
