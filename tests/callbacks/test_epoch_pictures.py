"""When pictures are drawn and where they go."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.callbacks.audio_samples import AudioSamples
from keras_transgen.callbacks.epoch_pictures import EpochPictures
from keras_transgen.callbacks.latent_projector import LatentProjector
from keras_transgen.callbacks.latent_traversal import LatentTraversal
from keras_transgen.callbacks.reconstruction_grid import ReconstructionGrid
from keras_transgen.callbacks.sample_grid import SampleGrid
from keras_transgen.callbacks.translation_grid import TranslationGrid
from keras_transgen.callbacks.translations import Translations
from keras_transgen.plotting.traversal import plot_traversal
from tests.callbacks.samplers import REAL, Sampler, images


class White(EpochPictures):
    def __init__(self, folder=None, every=1, log_dir=None):
        super().__init__(folder, every, log_dir)

    def images(self):
        return np.ones((2, 3, 4, 4, 1), "float32")

    def figure(self, images, value_range, title):
        return plot_traversal(images, value_range=value_range, title=title)


def test_a_file_for_the_epochs_asked_for(tmp_path):
    Sampler(images).run([White(tmp_path / "white", every=2)], epochs=4)
    files = sorted(path.name for path in (tmp_path / "white").iterdir())
    # The last one too.
    assert files == ["epoch_0001.png", "epoch_0003.png", "epoch_0004.png"]


def test_tensorboard_receives_the_mosaic(tmp_path):
    Sampler(images).run([White(log_dir=tmp_path)], epochs=2)
    events = [
        (event.step, value)
        for path in tmp_path.iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    ]
    assert [step for step, _ in events] == [0, 1]
    assert events[0][1].tag.startswith("White")
    picture = tf.io.decode_image(events[0][1].tensor.string_val[2]).numpy()
    # Two rows of three images of four pixels with a gap of one.
    assert picture.shape == (9, 14, 3)


def test_wrong_settings():
    with pytest.raises(ValueError, match="neither"):
        White()
    with pytest.raises(ValueError, match="every=0"):
        White("folder", every=0)


def test_a_file_in_the_place_of_a_folder_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("kept")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        for callback in (
            lambda place: White(place),
            lambda place: AudioSamples(8000, place),
            lambda place: Translations(["a"], folder=place),
            lambda place: LatentProjector(place, REAL),
        ):
            with pytest.raises(ValueError, match=r"written into. Received: .* is a file"):
                callback(folder)
    assert (tmp_path / "file").read_text() == "kept"


def test_a_link_between_the_root_and_the_folder_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    samples = tmp_path / "out" / "samples"
    samples.symlink_to(tmp_path / "elsewhere")
    for callback in (SampleGrid, TranslationGrid, ReconstructionGrid, LatentTraversal):
        what = {SampleGrid: {}, TranslationGrid: {"images": REAL}, ReconstructionGrid: {"x": REAL}}
        given = what.get(callback, {"x": REAL[0]})
        with pytest.raises(ValueError, match="leads away"):
            callback(**given, folder=samples, root=tmp_path / "out")
        # A folder that is given by itself may be a link.
        callback(**given, folder=samples)
    samples.unlink()
    grid = SampleGrid(samples, count=4, root=tmp_path / "out")
    Sampler(images).run([grid])
    samples.rename(tmp_path / "aside")
    samples.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="leads away"):
        Sampler(images).run([grid])
    assert list((tmp_path / "elsewhere").iterdir()) == []
