"""Training a generative model, sampling from its file and measuring it, from the command."""

import json

import numpy as np
import pytest
from PIL import Image

import keras_transgen as ktg
from keras_transgen.cli.evaluate import run_evaluate
from keras_transgen.cli.generate import run_sample, run_train


@pytest.fixture(scope="module")
def vae_file(digit_folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("vae")
    run_train(str(digit_folder), model="vae", size=8, color="grayscale", epochs=2, output=output)
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
        size=8,
        color="grayscale",
        epochs=1,
        batch_size=24,
        output=tmp_path,
    )
    assert json.loads((tmp_path / "classes.json").read_text()) == ["four", "one", "zero"]
    files = run_sample(
        tmp_path / "model.keras", tmp_path / "ones", count=2, condition=1, seed=0, separate=True
    )
    assert [path.name for path in files] == ["1_00000.png", "1_00001.png"]


@pytest.mark.slow
def test_evaluate_ranks_like_with_like(digit_folder, vae_file, tmp_path):
    """A folder against itself is at distance zero; an almost untrained VAE is far from it."""
    same = run_evaluate(digit_folder, digit_folder, image_size=8, output=tmp_path / "same.json")
    np.testing.assert_equal(json.loads((tmp_path / "same.json").read_text()), same)
    far = run_evaluate(digit_folder, vae_file, image_size=8, count=72)
    name = "frechet_distance[digits]"
    assert same[name] == pytest.approx(0.0, abs=1e-3)
    assert far[name] > 1.0
    assert same["precision[digits]"] == 1.0
    assert far["generated_count"] == 72
