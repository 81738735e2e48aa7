"""Grids of samples: files that show the samples, the same noise each time, TensorBoard."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_transgen as ktg
from keras_transgen.callbacks.sample_grid import SampleGrid
from tests.callbacks.samplers import Sampler, images
from tests.plotting.figure_checks import named_rows


def white(count, rng):
    return np.ones((count, 8, 8, 1), "float32")


def black(count, rng):
    return np.zeros((count, 8, 8, 1), "float32")


def test_a_file_for_the_epochs_asked_for_from_the_same_noise(tmp_path):
    model = Sampler(images)
    model.run([SampleGrid(tmp_path, count=9, every=2, seed=5)], epochs=4)
    names = [f"epoch_000{number}.png" for number in (1, 3, 4)]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert model.asked == [(9, 5)] * 3


def test_the_picture_shows_the_samples(tmp_path):
    Sampler(black).run([SampleGrid(tmp_path / "black", count=4)])
    Sampler(white).run([SampleGrid(tmp_path / "white", count=4)])
    dark, light = (
        np.asarray(Image.open(tmp_path / name / "epoch_0001.png").convert("L")).mean()
        for name in ("black", "white")
    )
    assert light - dark > 100


def test_classes_get_a_row_each(tmp_path):
    condition = np.repeat(np.arange(3), 4)
    model = Sampler(images)
    grid = SampleGrid(tmp_path, condition=condition, class_names=["a", "b", "c"])
    model.run([grid])
    assert model.asked[0][0] is condition
    width, height = Image.open(tmp_path / "epoch_0001.png").size
    assert width > height


def test_each_class_stands_in_its_own_row(tmp_path):
    """Samples of class k are of brightness k / 2, in whatever order they were asked for."""
    condition = np.array([2, 0, 1, 1, 0, 2])

    def by_class(count, rng):
        return np.ones((count, 8, 8, 1), "float32") * (condition / 2.0)[:, None, None, None]

    callback = SampleGrid(tmp_path, condition=condition, class_names=["a", "b", "c"])
    callback.set_model(Sampler(by_class))
    rows = named_rows(callback.figure(callback.images(), (0.0, 1.0), "epoch 1"))
    assert {name: row[0, 0] for name, row in rows.items()} == {"a": 0.0, "b": 0.5, "c": 1.0}


def test_tensorboard_receives_the_mosaic(tmp_path):
    Sampler(white).run([SampleGrid(None, count=4, log_dir=tmp_path)], epochs=2)
    events = [
        (event.step, value)
        for path in tmp_path.iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    ]
    assert [step for step, _ in events] == [0, 1]
    picture = tf.io.decode_image(events[0][1].tensor.string_val[2]).numpy()
    # Two by two images of eight pixels with a gap of one, all white.
    assert picture.shape == (17, 17, 3)
    assert (picture == 255).all()


@pytest.mark.slow
def test_a_model_of_classes_draws_each_in_its_row_by_its_name(tmp_path):
    flow = ktg.FlowMatching((8, 8, 1), class_names=["ant", "bee", "cat"], width=4)
    of_two = ktg.FlowMatching((8, 8, 1), class_names=["dog", "eel"], width=4)
    grid = SampleGrid(tmp_path, count=7, sample_arguments={"steps": 1})
    for model, rows in ((flow, ["ant", "bee", "cat"]), (of_two, ["dog", "eel"])):
        grid.set_model(model)
        grid.on_train_begin()
        images = grid.images()
        assert len(images) == 6
        assert list(named_rows(grid.figure(images, (-1.0, 1.0), "epoch 1"))) == rows
    shown = flow.sample_grid(2, seed=0, conditions=["cat", "ant"], steps=1)
    assert [text.get_text() for text in texts_of(shown)] == ["cat", "ant"]
    cgan = ktg.ConditionalGAN(3, (8, 8, 1), filters=4)
    assert [text.get_text() for text in texts_of(cgan.sample_grid(2, 0, [2, 0]))] == ["2", "0"]


def texts_of(figure):
    return [text for axes in figure.axes for text in (*axes.texts, *axes.get_yticklabels())]


def test_what_a_model_of_conditions_must_be_told_is_said_before_it_trains(tmp_path):
    model = ktg.FlowMatching((8, 8, 1), condition_shape=(2,), width=4)
    x, y = np.zeros((4, 8, 8, 1), "float32"), np.eye(2, dtype="float32")[[0, 1, 0, 1]]
    for callback in (
        SampleGrid(tmp_path),
        ktg.callbacks.KernelDistance(keras.layers.Flatten(name="values"), x),
        ktg.callbacks.CollapseWarning(x),
    ):
        name = type(callback).__name__
        with pytest.raises(ValueError, match=f"give {name} condition=, such as"):
            model.fit(x, y, verbose=0, callbacks=[callback])
    assert int(model.progress.step.numpy()) == 0
    with pytest.raises(ValueError, match=r"shape \[batch, 2\], one for each example; count=4"):
        model.sample(4)


@pytest.mark.slow
def test_samples_are_asked_for_with_further_arguments(tmp_path):
    flow = ktg.FlowMatching((8, 8, 1), 3, width=4)
    for weight in flow.trainable_weights:
        weight.assign(weight.numpy() + 0.1)
    flow.average.restart()
    options = {"guidance": 3.0, "steps": 2}
    grid = SampleGrid(tmp_path, condition=np.arange(3), seed=4, sample_arguments=options)
    grid.set_model(flow)
    expected = flow.sample(np.arange(3), seed=4, **options)
    np.testing.assert_array_equal(grid.images(), expected)
    assert abs(expected - flow.sample(np.arange(3), seed=4, steps=2)).max() > 1e-3


def test_wrong_settings():
    with pytest.raises(ValueError, match="neither"):
        SampleGrid(None)
    with pytest.raises(ValueError, match="every=0"):
        SampleGrid(every=0)


def test_a_model_of_vectors_is_refused_before_it_trains(tmp_path):
    flow = ktg.FlowMatching((3,), width=4)
    before = flow.network.get_weights()
    with pytest.raises(ValueError, match=r"FlowMatching of examples of shape \(3,\)"):
        flow.fit(np.zeros((8, 3), "float32"), verbose=0, callbacks=[SampleGrid(tmp_path)])
    for old, new in zip(before, flow.network.get_weights()):
        np.testing.assert_array_equal(old, new)
