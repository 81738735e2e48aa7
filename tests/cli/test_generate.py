"""Training a generative model, sampling from its file and measuring it, from the command."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import keras_transgen as ktg
from keras_transgen.cli.application import app
from keras_transgen.cli.evaluate import run_evaluate
from keras_transgen.cli.example_images import few_of_each
from keras_transgen.cli.generate import _labels, _model, run_sample, run_train


@pytest.fixture(scope="module")
def vae_file(digit_folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("vae")
    run_train(
        str(digit_folder), model="vae", image_size=8, color="grayscale", epochs=2, output=output
    )
    return output / "model.keras"


@pytest.mark.slow
def test_train_writes_the_model_and_the_figures(vae_file):
    files = {path.name for path in vae_file.parent.iterdir()}
    assert {"model.keras", "samples.png", "reconstructions.png", "learning_curves.png"} <= files
    assert any((vae_file.parent / "samples").iterdir())
    assert isinstance(ktg.load_model(vae_file), ktg.VAE)


@pytest.mark.slow
def test_sample_is_reproducible_and_is_what_the_model_draws(vae_file, tmp_path):
    files = run_sample(vae_file, tmp_path / "separate", count=3, seed=5, separate=True)
    assert [path.name for path in files] == ["00000.png", "00001.png", "00002.png"]
    samples = np.asarray(ktg.load_model(vae_file).sample(3, seed=5))
    for file, sample in zip(files, samples):
        pixels = np.asarray(Image.open(file), "float64") / 255
        np.testing.assert_allclose(pixels, sample[..., 0], atol=1 / 255)
    (grid,) = run_sample(vae_file, tmp_path / "grid.png", count=9, seed=5)
    assert Image.open(grid).size[0] > 100


@pytest.mark.slow
def test_sample_refuses_a_class_where_there_is_none(vae_file, tmp_path):
    with pytest.raises(ValueError, match=r"--condition 3.*VAE"):
        run_sample(vae_file, tmp_path / "x.png", condition=3)


@pytest.mark.slow
def test_conditional_gan_by_folder(digit_folder, tmp_path):
    run_train(
        str(digit_folder),
        model="conditional-gan",
        image_size=8,
        color="grayscale",
        epochs=1,
        batch_size=24,
        output=tmp_path,
    )
    assert json.loads((tmp_path / "classes.json").read_text()) == ["four", "one", "zero"]
    files = run_sample(
        tmp_path / "model.keras", tmp_path / "ones", count=2, condition=1, seed=0, separate=True
    )
    assert [path.name for path in files] == ["1_one_00000.png", "1_one_00001.png"]
    # Without a class, that many of each.
    files = run_sample(tmp_path / "model.keras", tmp_path / "all", count=2, separate=True)
    assert [path.name[:2] for path in files] == ["0_", "0_", "1_", "1_", "2_", "2_"]
    with pytest.raises(ValueError, match="must be one of four, one, zero"):
        run_sample(tmp_path / "model.keras", tmp_path / "x.png", condition=3)
    metrics = run_evaluate(digit_folder, tmp_path / "model.keras", image_size=8, count=30)
    assert metrics["generated_count"] == 30


def command(*arguments) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.slow
@pytest.mark.long
def test_a_flow_by_folder_with_and_without_classes(digit_folder, tmp_path):
    options = {"model": "flow", "image_size": 8, "color": "grayscale", "steps": 1}
    run_train(str(digit_folder), **options, output=tmp_path / "classes")
    file = tmp_path / "classes/model.keras"
    model = ktg.load_model(file)
    assert model.class_names == ("four", "one", "zero")
    files = run_sample(
        file, tmp_path / "ones", count=2, condition="one", guidance=3.0, steps=2, seed=5,
        separate=True,
    )  # fmt: skip
    for path, sample in zip(files, model.sample([1, 1], guidance=3.0, steps=2, seed=5)):
        expected = np.clip((sample[..., 0] + 1) / 2, 0, 1)
        np.testing.assert_allclose(np.asarray(Image.open(path)) / 255, expected, atol=1 / 255)
    run_train(str(digit_folder / "one"), **options, width=8, output=tmp_path / "none")
    without = ktg.load_model(tmp_path / "none/model.keras")
    assert (without.class_names, without.width, model.width) == (None, 8, None)
    with pytest.raises(ValueError, match="--latent-dim does not apply to flow"):
        run_train(str(digit_folder), **options, latent_dim=3, output=tmp_path / "x")


@pytest.mark.slow
@pytest.mark.long
def test_a_latent_flow_goes_on_with_the_autoencoder_that_it_had(
    digit_folder, tmp_path, monkeypatch
):
    options = {"model": "latent-flow", "image_size": 8, "color": "grayscale", "steps": 1}
    output = tmp_path / "flow"
    with pytest.raises(ValueError, match="--judge does not apply to flow"):
        run_train(str(digit_folder), **{**options, "model": "flow"}, judge="digits", output=output)
    flow = run_train(str(digit_folder), **options, width=8, output=output)
    assert flow.width == 8
    assert flow.class_names == ("four", "one", "zero")
    autoencoder = ktg.load_model(output / "autoencoder/model.keras")
    assert int(autoencoder.progress.step.numpy()) == 1
    images = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 1)).astype("float32")
    np.testing.assert_allclose(flow.codec.encode(images), autoencoder.encode(images), atol=1e-4)
    files = run_sample(output / "model.keras", tmp_path / "x", count=1, seed=3, separate=True)
    shown = np.asarray(Image.open(files[1])) / 255
    sample = flow.sample([0, 1, 2], seed=3)[1, ..., 0]
    np.testing.assert_allclose(shown, (sample + 1) / 2, atol=1 / 255)

    # A run with other settings that ends before its autoencoder begins does not take this one.
    def gone(*args, **kwargs):
        raise OSError("no autoencoder today")

    with monkeypatch.context() as patch:
        patch.setattr("keras_transgen.fusion.LatentAutoencoder", gone)
        with pytest.raises(OSError, match="today"):
            run_train(str(digit_folder), **options, latent_dim=3, output=output)
    other = run_train(str(digit_folder), **options, latent_dim=3, output=output)
    assert other.codec.latent_channels == 3


def test_a_latent_flow_is_refused_before_anything_is_trained(digit_folder, tmp_path, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("trained")

    monkeypatch.setattr("keras_transgen.fusion.LatentAutoencoder.fit", never)
    options = {"model": "latent-flow", "color": "grayscale", "steps": 1}
    single = tmp_path / "single"
    single.mkdir()
    Image.fromarray(np.zeros((8, 8), "uint8")).save(single / "1.png")
    for images, size, more, said in (
        (digit_folder, 8, {"judge": "nonexistent"}, "No backbone of this name"),
        (digit_folder, 8, {"perceptual": "nonexistent"}, "No backbone of this name"),
        (digit_folder, 9, {}, "multiples of downsampling=4"),
        (single, 8, {}, "two images at least.*Received: 1 in"),
    ):
        output = tmp_path / "output"
        with pytest.raises(ValueError, match=said):
            run_train(str(images), **options, image_size=size, **more, output=output)
        assert not list(output.rglob("*"))


@pytest.mark.parametrize("model", ["flow", "latent-flow"])
def test_an_image_that_is_damaged_in_its_middle_is_named(model, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (64, 64, 3), "uint8")
        Image.fromarray(noise).save(folder / f"{number}.png")
    damaged = bytearray((folder / "1.png").read_bytes())
    damaged[len(damaged) // 2] ^= 255
    (folder / "1.png").write_bytes(damaged)
    with pytest.raises(ValueError, match=r"1\.png.*Replace this file.*skip_broken") as caught:
        run_train(str(folder), model=model, image_size=8, steps=1, output=tmp_path / "run")
    assert "Traceback" not in str(caught.value)


@pytest.mark.slow
def test_a_file_that_is_no_picture_is_refused_before_samples_are_drawn(
    vae_file, tmp_path, monkeypatch
):
    monkeypatch.setattr("keras_transgen.VAE.sample", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ValueError, match="Expected a path that ends in one of"):
        run_sample(vae_file, tmp_path / "x.txt", count=1)


def test_a_class_by_number_is_one_that_there_is():
    flow = ktg.FlowMatching((4,), class_names=["ant", "bee"], width=8)
    assert _labels(flow, 2, "1").tolist() == [1, 1]
    for wrong in ("2", "-1", "cat"):
        with pytest.raises(ValueError, match=f"must be one of ant, bee. Received: .*{wrong}"):
            _labels(flow, 2, wrong)


def test_pictures_have_eight_of_each_class_at_most():
    images, labels = np.arange(30), np.repeat([2, 0, 1], 10)
    few, of_few = few_of_each(images, labels)
    assert few.tolist() == [*range(8), *range(10, 18), *range(20, 28)]
    assert of_few.tolist() == [2] * 8 + [0] * 8 + [1] * 8
    assert few_of_each(images, None)[0] is images


@pytest.mark.slow
def test_only_a_flow_is_guided(vae_file, tmp_path):
    with pytest.raises(ValueError, match="--guidance does not apply to VAE"):
        run_sample(vae_file, tmp_path / "x.png", guidance=2.0)
    with pytest.raises(ValueError, match="--steps does not apply to VAE"):
        run_sample(vae_file, tmp_path / "x.png", steps=4)
    with pytest.raises(ValueError, match="--width does not apply to vae"):
        run_train(output=tmp_path / "vae", width=8)


@pytest.mark.slow
def test_a_gan_from_the_embedded_digits_to_its_distance(digit_folder, tmp_path):
    """As a user types it: train without a folder, draw a grid and files, compare both with real."""
    output = tmp_path / "gan"
    command("generate", "train", "--model", "gan", "--epochs", 1, "--batch-size", 256,
            "--latent-dim", 6, "--output", output)  # fmt: skip
    file = output / "model.keras"
    model = ktg.load_model(file)
    assert (model.example_shape, model.latent_dim) == ((8, 8, 1), 6)
    command("generate", "sample", file, tmp_path / "grid.png", "--count", 4, "--seed", 2)
    assert Image.open(tmp_path / "grid.png").size[0] > 50
    command("generate", "sample", file, tmp_path / "each", "--count", 12, "--seed", 2, "--separate")
    samples = (model.sample(12, seed=2) + 1) / 2
    for number, sample in enumerate(samples):
        pixels = np.asarray(Image.open(tmp_path / "each" / f"{number:05}.png"), "float64") / 255
        np.testing.assert_allclose(pixels, sample[..., 0], atol=1 / 255)
    # The same samples, from the files and from the model.
    results = []
    for generated in (tmp_path / "each", file):
        command("evaluate", digit_folder, generated, "--image-size", 8, "--count", 12,
                "--seed", 2, "--output", tmp_path / "metrics.json")  # fmt: skip
        results.append(json.loads((tmp_path / "metrics.json").read_text()))
    assert results[0]["generated_count"] == results[1]["generated_count"] == 12
    name = "frechet_distance[digits]"
    assert results[0][name] == pytest.approx(results[1][name], rel=0.05)


@pytest.mark.slow
def test_train_refuses_a_size_that_the_networks_cannot_make(digit_folder, tmp_path):
    with pytest.raises(ValueError, match="halved at least once"):
        run_train(str(digit_folder), model="gan", image_size=9, output=tmp_path)


@pytest.mark.slow
def test_evaluate_ranks_like_with_like(digit_folder, vae_file, tmp_path):
    """A folder against itself is at distance zero; an almost untrained VAE is far from it."""
    same = run_evaluate(digit_folder, digit_folder, image_size=8, output=tmp_path / "same.json")
    # JSON has no NaN, which the deviation over one subset is.
    expected = {name: None if np.isnan(value) else value for name, value in same.items()}
    assert json.loads((tmp_path / "same.json").read_text()) == expected
    assert expected["kernel_distance_deviation[digits]"] is None
    far = run_evaluate(digit_folder, vae_file, image_size=8, count=72)
    name = "frechet_distance[digits]"
    assert same[name] == pytest.approx(0.0, abs=1e-3)
    assert far[name] > 1.0
    assert same["precision[digits]"] == 1.0
    assert far["generated_count"] == 72


def test_train_does_not_write_through_a_link_in_the_output_folder(tmp_path):
    elsewhere, output = tmp_path / "elsewhere", tmp_path / "out"
    elsewhere.mkdir()
    output.mkdir()
    (output / "samples").symlink_to(elsewhere)
    with pytest.raises(ValueError, match="leads away"):
        run_train("digits", epochs=1, output=output)
    assert list(elsewhere.iterdir()) == []
    assert [path.name for path in output.iterdir()] == ["samples"]


@pytest.mark.parametrize("kind", ["gan", "conditional-gan"])
def test_photographs_are_augmented_for_a_gan_and_grey_images_are_not(kind):
    names = ["daisy", "rose"]
    augmented = _model(kind, (16, 16, 3), 4, names).augmentation
    assert augmented.get_config()["policy"] == "color,translation,cutout"
    assert _model(kind, (16, 16, 1), 4, names).augmentation is None
