"""A JPEG with damaged pixels stops a run with the name of its file."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_transgen as ktg
from keras_transgen.backbones import extract_features
from keras_transgen.datasets import image_folder, unreadable_images
from keras_transgen.datasets.damaged_images import refuse_damaged_images
from keras_transgen.datasets.image_check import look_at_images


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(2)
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for number in range(5):
            pixels = rng.integers(0, 256, (16, 16, 3), "uint8")
            suffix = "png" if number == 0 else "jpg"
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.{suffix}")
    return tmp_path


def damage(path):
    """Two bytes among the pixels become a marker of no meaning."""
    content = bytearray(path.read_bytes())
    content[-150:-148] = b"\xff\x52"
    path.write_bytes(bytes(content))
    (look,) = look_at_images([str(path)])
    assert look.plain
    assert not look.reason
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.io.decode_jpeg(path.read_bytes())


def network():
    layers = [keras.layers.Flatten(), keras.layers.Dense(3)]
    return keras.Sequential([keras.Input((8, 8, 3)), *layers], name="small")


@pytest.mark.slow
def test_every_way_of_reading_names_the_file(folder):
    data = image_folder(folder, 8, 2)
    whole = image_folder(folder, 8, 2)
    damage(folder / "bee" / "3.jpg")
    assert list(unreadable_images([str(folder / "bee" / "3.jpg")]))
    said = r"check='thorough'.*Received: damage among the pixels of [^ ]*bee/3\.jpg$"
    model = ktg.TransferModel(network(), 2)
    twice = data.map(lambda x, y: (x * 0.5, y)).repeat(2).prefetch(1)
    plain = data.unbatch().batch(4).take(3)
    for call in (
        lambda: model.fit(data, verbose=0),
        lambda: model.fit(twice, verbose=0),
        lambda: model.fit(plain.map(lambda x, y: (x, y)), validation_data=whole, verbose=0),
        lambda: model.evaluate(data, verbose=0),
        lambda: model.predict(data, verbose=0),
        lambda: ktg.FeatureTransfer(network(), 2).fit(data, verbose=0),
        lambda: extract_features(network(), data, progress=False),
    ):
        with pytest.raises(ValueError, match=said):
            call()


def test_other_errors_and_unknown_files_are_left_alone(folder):
    data = image_folder(folder, 8, 2)
    damage(folder / "ant" / "1.jpg")
    refuse_damaged_images(ValueError("something else"), data)
    error = ValueError("Invalid JPEG data or crop window")
    refuse_damaged_images(error, np.zeros(3), tf.data.Dataset.range(3), None)
    with pytest.raises(ValueError, match=r"ant/1\.jpg") as caught:
        refuse_damaged_images(error, data)
    assert caught.value.__cause__ is error
    whole = image_folder(folder / "bee", 8, 2, labelled=False)
    refuse_damaged_images(error, whole)
