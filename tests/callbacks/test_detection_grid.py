"""A picture of what a detector finds, after the epochs that shall have one."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.callbacks import DetectionGrid

IMAGES = np.zeros((2, 24, 24, 3), "float32")


class Finder:
    """Finds one box of class 1 in every image."""

    value_range = (0.0, 1.0)
    class_names = ("one", "other")

    def detect(self, images, score):
        assert score == 0.4
        found = {"boxes": [[4.0, 4, 20, 16]], "labels": [1], "scores": [0.8]}
        return [found for _ in images]


def test_goes_to_files_and_to_tensorboard(tmp_path):
    grid = DetectionGrid(IMAGES, None, tmp_path / "files", 2, tmp_path / "board", score=0.4)
    grid.set_model(Finder())
    grid.on_train_begin()
    for epoch in range(3):
        grid.on_epoch_end(epoch)
    grid.on_train_end()
    names = sorted(path.name for path in (tmp_path / "files").iterdir())
    assert names == ["epoch_0001.png", "epoch_0003.png"]
    steps = [
        event.step
        for path in (tmp_path / "board").iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for _ in event.summary.value
    ]
    assert steps == [0, 2]
    # Black images, and something of the class's colour, #CC6677, in each of them.
    _, pixels = grid.drawn()
    is_colour = np.abs(pixels - np.array([0xCC, 0x66, 0x77]) / 255.0).max(axis=-1) < 0.05
    middle = pixels.shape[1] // 2
    assert min(is_colour[:, :middle].sum(), is_colour[:, middle:].sum()) > 50


def test_other_models_and_no_images_are_refused(tmp_path):
    grid = DetectionGrid(IMAGES, folder=tmp_path)
    grid.set_model(tf.Module())
    with pytest.raises(ValueError, match="a Detector"):
        grid.on_train_begin()
    with pytest.raises(ValueError, match="images must be"):
        DetectionGrid([], folder=tmp_path)
