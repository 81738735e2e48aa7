"""`keras-transgen translate`: real files in, a model, figures and PNG files out."""

import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from typer.testing import CliRunner

from keras_transgen.cli.application import app
from keras_transgen.cli.translate_data import one_set, two_sets
from keras_transgen.cli.translate_train import _generators
from keras_transgen.generative import translation
from keras_transgen.generative.translation import Enhancer, Holes

pytestmark = pytest.mark.long

RNG = np.random.default_rng(0)


def images(folder, width, count=5):
    folder.mkdir()
    for number in range(count):
        pixels = RNG.integers(0, 255, (16, width, 3))
        keras.utils.array_to_img(pixels, scale=False).save(folder / f"{number}.png")
    return folder


def run(*arguments):
    return CliRunner().invoke(app, ["translate", *map(str, arguments)], catch_exceptions=False)


def read(path):
    return keras.utils.img_to_array(keras.utils.load_img(path))


@pytest.mark.slow
def test_enhances_a_folder(tmp_path):
    folder = images(tmp_path / "clean", 16)
    output = tmp_path / "out"
    options = ("--size", 16, "--epochs", 1, "--filters", 4, "--batch-size", 2)
    result = run("train", folder, "--model", "enhance", *options, "--output", output)
    assert result.exit_code == 0, result.output
    report = json.loads((output / "report.json").read_text())
    assert report["images"] == 4
    assert report["after"]["psnr"] > 5.0
    assert {path.name for path in output.iterdir()} == {
        "model.keras",
        "report.json",
        "translations.png",
        "learning_curves.png",
        "previews",
    }
    result = run("apply", output / "model.keras", folder, "--output", tmp_path / "large")
    assert result.exit_code == 0, result.output
    assert read(tmp_path / "large" / "0.png").shape == (32, 32, 3)


@pytest.mark.slow
def test_pairs_in_one_file_each(tmp_path):
    folder = images(tmp_path / "pairs", 32)
    output = tmp_path / "out"
    options = ("--size", 16, "--epochs", 1, "--filters", 2, "--batch-size", 2)
    result = run("train", folder, *options, "--output", output)
    assert result.exit_code == 0, result.output
    assert (output / "translations.png").exists()
    singles = images(tmp_path / "singles", 16, 2)
    applied = (output / "model.keras", singles, "--output", tmp_path / "made", "--seed", 0)
    assert run("apply", *applied).exit_code == 0
    assert read(tmp_path / "made" / "1.png").shape == (16, 16, 3)


@pytest.mark.slow
def test_two_folders_without_pairs_and_both_ways_back(tmp_path, monkeypatch):
    # One layer a network: the built-in ones take a minute to trace.
    networks = {
        f"{kind}_{ends}": keras.Sequential(
            [keras.Input((8, 8, 3)), keras.layers.Conv2D(channels, 3, padding="same")]
        )
        for kind, channels, sides in (("generator", 3, "ab ba"), ("discriminator", 1, "a b"))
        for ends in sides.split()
    }
    small = functools.partial(translation.CycleGAN, **networks)
    monkeypatch.setattr(translation, "CycleGAN", small, raising=False)
    first, second = images(tmp_path / "a", 20, 3), images(tmp_path / "b", 16, 2)
    output = tmp_path / "out"
    options = ("--size", 8, "--epochs", 1, "--filters", 1, "--batch-size", 2)
    result = run("train", first, second, "--model", "cyclegan", *options, "--output", output)
    assert result.exit_code == 0, result.output
    assert json.loads((output / "report.json").read_text())["images"] == 3
    model = keras.saving.load_model(output / "model.keras")
    for ways, made_of in (((), model.a_to_b), (("--backwards",), model.b_to_a)):
        target = tmp_path / "-".join(["made", *ways])
        run("apply", output / "model.keras", second, "--output", target, *ways)
        pixels = read(second / "0.png").astype("uint8")
        resized = np.round(tf.image.resize(pixels, (8, 8), antialias=True)).astype("uint8")
        expected = np.clip(127.5 * (made_of(resized[None])[0] + 1), 0, 255)
        np.testing.assert_allclose(read(target / "0.png"), expected, atol=1.01)


@pytest.mark.slow
def test_generators_that_see_through_a_pretrained_network(tmp_path, monkeypatch):
    """The file applies where the network's own file is gone, and the network has not moved."""
    layers = [
        keras.Input((8, 8, 3)),
        keras.layers.Conv2D(4, 3, 2, padding="same", name="half"),
        keras.layers.Conv2D(4, 3, 2, padding="same", name="quarter"),
    ]
    network = keras.Sequential(layers)
    source = tmp_path / "network.keras"
    network.save(source)
    # Without a discriminator, which takes most of the time to trace.
    plain = functools.partial(translation.Pix2Pix, adversarial_weight=0.0)
    monkeypatch.setattr(translation, "Pix2Pix", plain, raising=False)
    folder, output = images(tmp_path / "pairs", 32, 3), tmp_path / "out"
    options = ("--size", 8, "--epochs", 1, "--filters", 2, "--batch-size", 2)
    with pytest.raises(ValueError, match=r"give --value-range 0,255 \(or 0,1 or -1,1\)\. Received"):
        run("train", folder, "--backbone", source, *options, "--output", output)
    options = ("--value-range", "0,255", *options)
    result = run("train", folder, "--backbone", source, *options, "--output", output)
    assert result.exit_code == 0, result.output
    both_ways = _generators("cyclegan", 8, {"filters": 2}, str(source), False, (0.0, 255.0))
    assert [made.name for made in both_ways.values()] == ["generator_ab", "generator_ba"]
    assert [made.input_shape for made in both_ways.values()] == [(None, 8, 8, 3)] * 2
    source.unlink()
    model = keras.saving.load_model(output / "model.keras")
    seen = model.generator.get_layer("backbone")
    assert seen.backbone.input_contract.value_range == (0.0, 255.0)
    kept = seen.weights
    for one, other in zip(kept, network.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="leave out --backbone"):
        run("train", folder, "--model", "enhance", "--backbone", "digits")


def test_transparent_pixels_are_filled_at_the_image_s_own_size(tmp_path):
    """Untrained, the model fills with the mean colour of what is left, and leaves that alone."""
    Enhancer((8, 8, 3), Holes(), filters=2, blocks=1, value_range=(-1.0, 1.0)).save(
        tmp_path / "model.keras"
    )
    pixels = RNG.integers(0, 256, (10, 12, 4)).astype("uint8")
    pixels[..., 3] = 255
    pixels[2:5, 3:9, 3] = 0
    (tmp_path / "old").mkdir()
    Image.fromarray(pixels).save(tmp_path / "old" / "photo.png")
    run("apply", tmp_path / "model.keras", tmp_path / "old", "--output", tmp_path / "new")
    made = read(tmp_path / "new" / "photo.png")
    known = pixels[..., 3] == 255
    np.testing.assert_allclose(made[known], pixels[known][:, :3], atol=1)
    mean = pixels[known][:, :3].mean(axis=0)
    np.testing.assert_allclose(made[~known], np.tile(mean, (18, 1)), atol=1)
    with pytest.raises(ValueError, match="leave out --backwards"):
        run("apply", tmp_path / "model.keras", tmp_path / "old", "--backwards")
    Image.fromarray(pixels[..., :3]).save(tmp_path / "old" / "photo.bmp")
    with pytest.raises(ValueError, match="written to one file"):
        run("apply", tmp_path / "model.keras", tmp_path / "old", "--output", tmp_path / "new")


def test_what_is_held_out_is_not_trained_on(tmp_path):
    """Eleven grey images, told apart by their brightness, with halves one step apart."""
    for number in range(11):
        pixels = np.full((16, 32, 3), 20 * number, "uint8")
        pixels[:, 16:] += 10
        Image.fromarray(pixels).save(tmp_path / f"{number:02}.png")

    def levels(images):
        return [round(127.5 * (float(image.numpy().mean()) + 1)) for image in images.unbatch()]

    train, held_out, count = one_set(tmp_path, None, 8, "right_to_left", 4, seed=0)
    assert sorted(levels(held_out.map(lambda x, _: x))) == [10, 210]
    assert sorted(levels(train.map(lambda x, _: x))) == [20 * n + 10 for n in range(1, 10)]
    assert sorted(levels(train.map(lambda _, y: y))) == [20 * n for n in range(1, 10)]
    assert count == 9
    _, held_out, count = one_set(tmp_path, tmp_path, 8, None, 4, seed=0)
    assert (len(levels(held_out)), count) == (11, 11)
    # Pairs thrown apart: all of both halves, and partners meet by chance only.
    train, _, count = two_sets(tmp_path, None, 8, "left_to_right", 4, seed=0)
    halves = [np.array(levels(train.map(lambda *pair, side=side: pair[side]))) for side in (0, 1)]
    assert [sorted(half) for half in halves] == [
        [20 * n + step for n in range(11)] for step in (0, 10)
    ]


@pytest.fixture
def enhancer(tmp_path):
    Enhancer((8, 8, 1), translation.Noise(0.1), filters=2, blocks=1).save(tmp_path / "e.keras")
    return tmp_path / "e.keras"


def test_a_link_where_a_result_belongs_is_replaced(tmp_path, enhancer):
    folder, output = images(tmp_path / "in", 16, 2), tmp_path / "out"
    output.mkdir()
    (tmp_path / "victim").write_text("precious")
    (output / "0.png").symlink_to(tmp_path / "victim")
    result = run("apply", enhancer, folder, "--output", output)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "victim").read_text() == "precious"
    assert sorted(path.name for path in output.iterdir()) == ["0.png", "1.png"]
    assert not (output / "0.png").is_symlink()
    assert read(output / "0.png").shape == (16, 16, 3)


def test_nothing_is_written_through_a_linked_folder(tmp_path, enhancer):
    (tmp_path / "in").mkdir()
    images(tmp_path / "in" / "a", 16, 1)
    images(tmp_path / "in" / "class", 16, 1)
    output, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    output.mkdir()
    elsewhere.mkdir()
    (output / "class").symlink_to(elsewhere)
    with pytest.raises(ValueError, match="leads away"):
        run("apply", enhancer, tmp_path / "in", "--output", output)
    assert list(elsewhere.iterdir()) == []
    assert [path.name for path in output.iterdir()] == ["class"]


def test_a_model_of_another_kind_is_refused(tmp_path):
    layers = [keras.Input((4,)), keras.layers.Dense(1)]
    keras.Sequential(layers).save(tmp_path / "model.keras")
    images(tmp_path / "some", 16, 1)
    with pytest.raises(ValueError, match=r"no model from images to images.*Sequential"):
        run("apply", tmp_path / "model.keras", tmp_path / "some")


def test_what_does_not_fit_together_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Only cyclegan takes two folders"):
        run("train", tmp_path, tmp_path)
    with pytest.raises(ValueError, match="no measure of a CycleGAN"):
        run("train", tmp_path, "--model", "cyclegan", "--validation", tmp_path)
