"""Samples by actors of a Ray cluster: those of the seed, whoever draws them."""

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.distributed import read_samples, sample_with_ray
from keras_transgen.distributed.parquet_folder import ParquetFolder
from keras_transgen.distributed.ray_sampling import part_seed
from tests.generative.adversarial.adversarial_models import tiny_conditional_gan

pytestmark = pytest.mark.long


@pytest.mark.slow
def test_samples_are_those_of_the_model_and_their_seed(ray_cluster, tmp_path):
    gan = tiny_conditional_gan()
    options = {"rows_per_file": 8, "seed": 5, "condition": [2, 0], "progress": False}
    output = tmp_path / "samples"
    assert sample_with_ray(gan, output, 20, num_workers=2, **options) == 20
    samples, conditions = read_samples(output)
    np.testing.assert_array_equal(conditions, [2, 0] * 10)
    # The second file of three, drawn here.
    expected = gan.sample(conditions[8:16], seed=part_seed(5, 1))
    np.testing.assert_allclose(samples[8:16], expected, atol=1e-6)
    # A file is lost, and another count of workers draws it again.
    lost = sorted(output.glob("*.parquet"))[1]
    lost.unlink()
    gan.save(tmp_path / "gan.keras")
    file = tmp_path / "gan.keras"
    assert sample_with_ray(file, output, 20, num_workers=1, **options) in (8, 4)
    again, _ = read_samples(output)
    np.testing.assert_allclose(again, samples, atol=1e-6)


def test_every_part_has_a_seed_of_its_own():
    seeds = {part_seed(seed, part) for seed in range(20) for part in range(200)}
    assert len(seeds) > 3990
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_model_without_samples_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="Received: Sequential"):
        sample_with_ray(model, tmp_path, 4)
    with pytest.raises(ValueError, match="count=0"):
        sample_with_ray(model, tmp_path, 0)


def test_a_folder_of_other_samples_is_refused(tmp_path):
    vae = ktg.VAE((3,), 2)
    folder = tmp_path / "samples"
    ParquetFolder(folder, "number").begin({"seed": 1})
    with pytest.raises(ValueError, match="'seed': \\(1, 2\\)"):
        sample_with_ray(vae, folder, 4, seed=2)
