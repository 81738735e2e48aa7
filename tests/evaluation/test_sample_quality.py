import dataclasses
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones import load_backbone
from keras_transgen.datasets import image_folder, load_digits
from keras_transgen.evaluation import (
    SampleQuality,
    density_coverage,
    frechet_distance,
    kernel_distance_with_error,
    precision_recall,
)

IMAGES = load_digits()[0][:400]
REAL, GENERATED = IMAGES[:200], IMAGES[200:] * 0.8


def projection(name="projection", seed=0):
    """A small network: 8x8 pixels to 6 features."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(6)], name=name
    )


def measured(quality, real=REAL, generated=GENERATED):
    quality.update_real(real)
    quality.update_generated(generated)
    return quality.result()


def test_the_result_is_that_of_the_functions_on_the_features():
    network = projection()
    result = measured(SampleQuality(network))
    a, b = (network.predict(images, verbose=0) for images in (REAL, GENERATED))
    assert result.frechet_distance == pytest.approx(frechet_distance(a, b), rel=1e-5)
    kernel = kernel_distance_with_error(a, b)
    assert result.kernel_distance == pytest.approx(kernel.mean, rel=1e-5)
    assert np.isnan(result.kernel_distance_deviation)
    assert (result.precision, result.recall) == precision_recall(a, b)
    assert (result.density, result.coverage) == density_coverage(a, b)
    assert (result.real_count, result.generated_count) == (200, 200)
    assert (result.real_kept, result.generated_kept) == (200, 200)
    assert result.neighbours == 5
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.precision = 1.0


def test_the_extractor_is_part_of_every_metrics_name():
    metrics = measured(SampleQuality(projection("digits_v1"))).metrics()
    assert set(metrics) == {
        "real_count",
        "generated_count",
        "real_kept",
        "generated_kept",
        "neighbours",
        "frechet_distance[digits_v1]",
        "kernel_distance[digits_v1]",
        "kernel_distance_deviation[digits_v1]",
        "precision[digits_v1]",
        "recall[digits_v1]",
        "density[digits_v1]",
        "coverage[digits_v1]",
    }
    assert SampleQuality(projection(), "mine").extractor == "mine"


@pytest.mark.parametrize("keep", [10_000, 50])
def test_the_batches_do_not_matter(keep):
    # Pixels, so that the features are the same bits for every batch size.
    expected = measured(SampleQuality(keras.layers.Flatten(name="pixels"), keep=keep))
    quality = SampleQuality(keras.layers.Flatten(name="pixels"), keep=keep, batch_size=7)
    for start in range(0, 200, 33):
        quality.update_real(REAL[start : start + 33])
    quality.update_generated(tf.data.Dataset.from_tensor_slices(GENERATED).batch(11))
    result = quality.result()
    for field in dataclasses.fields(result):
        np.testing.assert_equal(getattr(result, field.name), getattr(expected, field.name))


def test_beyond_keep_a_uniform_sample_stays_and_all_rows_count_for_the_statistics():
    rows = np.arange(100.0)[:, None]
    counts = np.zeros(100)
    for seed in range(300):
        quality = SampleQuality(lambda x: x, "rows", keep=20, seed=seed)
        quality.update_real(rows)
        kept = quality._real_summary().features[:, 0].astype(int)
        assert len(set(kept)) == 20
        counts[kept] += 1
    # Binomial(300, 1/5): standard deviation 6.9; five of them.
    assert np.abs(counts - 60).max() < 35
    assert quality.real_count == 100
    assert quality._real_summary().mean == pytest.approx(49.5)


def test_a_collapsed_generator_has_high_precision_and_low_recall():
    collapsed = np.repeat(REAL[:2], 100, axis=0)
    result = measured(SampleQuality(projection()), generated=collapsed)
    assert result.precision == 1.0
    assert result.recall <= 0.02
    assert result.coverage < 0.2
    same = measured(SampleQuality(projection()), generated=REAL)
    assert same.recall == 1.0
    assert same.frechet_distance < 1e-6 < result.frechet_distance


def test_ranges_of_real_and_generated_may_differ():
    expected = measured(SampleQuality(projection()))
    quality = SampleQuality(projection())
    quality.update_real(REAL)
    quality.update_generated(GENERATED * 2 - 1, value_range=(-1.0, 1.0))
    assert quality.result().frechet_distance == pytest.approx(expected.frechet_distance, rel=1e-4)


def test_resetting_forgets_one_side_only():
    quality = SampleQuality(projection())
    first = measured(quality)
    quality.reset_generated()
    assert (quality.real_count, quality.generated_count) == (200, 0)
    quality.update_generated(GENERATED)
    np.testing.assert_equal(quality.result().metrics(), first.metrics())
    quality.reset_real()
    with pytest.raises(ValueError, match=r"at least 6 real images.*Received: 0"):
        quality.result()


def test_a_saved_reference_stands_for_the_real_images(tmp_path):
    quality = SampleQuality(projection())
    expected = measured(quality)
    path = tmp_path / "references" / "digits"
    quality.save_reference(path)
    assert [p.name for p in path.parent.iterdir()] == ["digits"]

    other = SampleQuality(projection())
    other.load_reference(path)
    assert other.real_count == 200
    other.update_generated(GENERATED)
    np.testing.assert_equal(other.result().metrics(), expected.metrics())
    with pytest.raises(ValueError, match=r"reset_real.*200 images"):
        other.update_real(REAL)
    other.save_reference(path)
    other.reset_real()
    other.update_real(REAL)
    np.testing.assert_equal(other.result().metrics(), expected.metrics())


def test_a_reference_of_another_extractor_is_refused(tmp_path):
    path = tmp_path / "reference.npz"
    quality = SampleQuality(projection("first"))
    quality.update_real(REAL)
    quality.save_reference(path)
    other = SampleQuality(projection("second", seed=1))
    other.update_real(REAL[:10])
    with pytest.raises(ValueError, match=r"'second'.*of 'first', digest"):
        other.load_reference(path)
    assert other.real_count == 10
    with pytest.raises(ValueError, match="same extractor"):
        SampleQuality(projection("first"), image_size=4).load_reference(path)


def test_broken_references_are_refused(tmp_path):
    quality = SampleQuality(projection())
    with pytest.raises(FileNotFoundError, match="nothing there"):
        quality.load_reference(tmp_path / "absent.npz")
    quality.update_real(REAL)
    path = tmp_path / "reference.npz"
    quality.save_reference(path)
    whole = path.read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"write it again.*reference\.npz"):
            quality.load_reference(path)
    np.savez(path, mean=np.zeros(3))
    with pytest.raises(ValueError, match="write it again"):
        quality.load_reference(path)
    assert quality.real_count == 200


def test_a_reference_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    quality = SampleQuality(projection())
    quality.update_real(REAL)
    path = tmp_path / "reference.npz"
    quality.save_reference(path)
    before = path.read_bytes()

    def full_disk(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space"):
        quality.save_reference(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_too_few_images_and_features_that_are_not_finite_are_refused():
    quality = SampleQuality(projection())
    quality.update_real(REAL)
    quality.update_generated(GENERATED[:5])
    with pytest.raises(ValueError, match=r"at least 6 generated images for k=5.*Received: 5"):
        quality.result()
    with pytest.warns(UserWarning, match="The generated set has 5"):
        quality.result(k=3)
    broken = GENERATED[:100].copy()
    broken[70] = np.nan
    with pytest.raises(ValueError, match=r"1 image\(s\), the first is image 70"):
        quality.update_generated(broken)
    with pytest.raises(ValueError, match="keep=1"):
        SampleQuality(projection(), keep=1)


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.long
def test_flowers_are_nearer_to_flowers_than_to_ants_and_bees_than_to_noise(shared_folder):
    """The metrics of a real module on real photographs are in the order everybody sees."""
    name = "mobilenet_v1_025_224_feature_vector"
    folder = shared_folder / "data/flowers5_96"
    flowers = image_folder(folder, 96, 64, shuffle=True, seed=0, check="none")
    quality = SampleQuality(load_backbone(str(shared_folder / "hub" / name)))
    quality.update_real(flowers.take(5))
    others = [
        flowers.skip(5).take(5),
        image_folder(shared_folder / "data/ants_bees/train", 96, 64).take(5),
        np.random.default_rng(0).integers(0, 256, (320, 32, 32, 3), "uint8"),
    ]
    rows = []
    for images in others:
        quality.reset_generated()
        quality.update_generated(images)
        metrics = quality.result().metrics()
        rows.append([metrics[f"{m}[{name}]"] for m in ("kernel_distance", "precision", "coverage")])
    kernel, precision, coverage = np.array(rows).T
    assert kernel[0] < 0.1 < kernel[1] < kernel[2]
    assert precision[0] > 0.85 > precision[1] > precision[2] == 0.0
    assert coverage[0] > 0.9 > coverage[1] > coverage[2] == 0.0


def test_importing_the_room_is_light():
    code = (
        "import sys, types; "
        "package = types.ModuleType('keras_transgen'); "
        "package.__path__ = ['keras_transgen']; sys.modules['keras_transgen'] = package; "
        "import keras_transgen.evaluation; "
        "sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras', 'sklearn', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
