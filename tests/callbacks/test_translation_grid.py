"""What a translator makes of images, by the models themselves."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_transgen as ktg
from keras_transgen.callbacks.translation_grid import TranslationGrid
from tests.callbacks.samplers import Sampler, images
from tests.generative.translation.test_cyclegan import judge

WHITE = np.ones((3, 8, 8, 1), "float32")


def negative() -> keras.Model:
    """x -> -x."""
    layer = keras.layers.Conv2D(
        1, 1, use_bias=False, kernel_initializer=keras.initializers.Constant(-1.0)
    )
    return keras.Sequential([keras.Input((8, 8, 1)), layer])


def rows(picture: np.ndarray, count: int) -> list[float]:
    """Mean brightness of each row."""
    return [float(part.mean()) for part in np.array_split(picture, count, axis=0)]


def test_inputs_made_and_targets_go_to_files_and_to_tensorboard(tmp_path):
    model = ktg.Pix2Pix(generator=negative(), adversarial_weight=0.0)
    grid = TranslationGrid(WHITE, WHITE, tmp_path / "files", every=2, log_dir=tmp_path / "board")
    grid.set_model(model)
    grid.on_train_begin()
    for epoch in range(3):
        grid.on_epoch_end(epoch)
    grid.on_train_end()
    written = [
        (event.step, tf.io.decode_image(value.tensor.string_val[2]).numpy() / 255.0)
        for path in (tmp_path / "board").iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    ]
    assert [step for step, _ in written] == [0, 2]
    white, black, target = rows(written[0][1], 3)
    assert min(white, target) - black > 0.5
    names = sorted(path.name for path in (tmp_path / "files").iterdir())
    assert names == ["epoch_0001.png", "epoch_0003.png"]
    picture = np.asarray(Image.open(tmp_path / "files" / names[0]).convert("L")) / 255.0
    assert rows(picture, 3)[1] < 0.6 < min(rows(picture, 3)[::2])


def test_there_and_back(tmp_path):
    model = ktg.CycleGAN(
        generator_ab=negative(),
        generator_ba=negative(),
        discriminator_a=judge(),
        discriminator_b=judge(),
        pool_size=0,
        ema_decay=None,
    )
    grid = TranslationGrid(WHITE, folder=tmp_path)
    grid.set_model(model)
    labels = [each.get_text() for each in grid.drawn()[0].axes[0].get_yticklabels()]
    assert labels == ["input", "made", "back"]
    grid.targets = WHITE
    with pytest.raises(ValueError, match="targets for a CycleGAN"):
        grid.on_train_begin()


def test_what_cannot_be_drawn(tmp_path):
    with pytest.raises(ValueError, match=r"shape \(8, 8, 1\)"):
        TranslationGrid(WHITE[0], folder=tmp_path)
    with pytest.raises(ValueError, match="Received: Sampler"):
        Sampler(images).run([TranslationGrid(WHITE, folder=tmp_path)])
