"""Generated features for few labels: gain in accuracy on ants and bees, with its interval.

Features of a MobileNetV2 module, and samples of generators in feature space: a VAE of all training
images without labels, whose classes the few describe, and a conditional GAN of the few alone.
Filter and mixing weight are found by cross-validation on the few; both sides are the same linear
classifier.

    python benchmarks/generated_features.py --seeds 10
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from few_label_gain import compared, gain_arguments, report_gains
from report import shared

import keras_transgen as ktg
from keras_transgen.fusion.feature_gan import FeatureGAN
from keras_transgen.fusion.feature_vae import FeatureVAE
from keras_transgen.fusion.generated_data import GeneratedData

FOLDER = Path(__file__).parents[1] / "runs" / "generated_features"


def photographs() -> tuple[tuple, tuple]:
    """Features and labels of the ants and bees, training and validation images; kept."""
    path = FOLDER / "ants_bees.npz"
    if not path.exists():
        backbone = ktg.load_backbone(shared("hub", "mobilenet_v2_100_224_feature_vector"))
        parts = {}
        for part in ("train", "val"):
            folder = shared("data", "ants_bees", part)
            batches = list(
                ktg.datasets.image_folder(folder, image_size=224, crop_to_aspect_ratio=True)
            )
            parts[f"{part}_x"] = np.concatenate([np.asarray(backbone(x)) for x, _ in batches])
            parts[f"{part}_y"] = np.concatenate([np.asarray(y) for _, y in batches])
        FOLDER.mkdir(parents=True, exist_ok=True)
        np.savez(path, **parts)
    with np.load(path) as found:
        return tuple((found[f"{part}_x"], found[f"{part}_y"]) for part in ("train", "val"))


def repeated(*arrays: np.ndarray, seed: int) -> tf.data.Dataset:
    """Batches without an end: epochs of one step would cost more than the step."""
    data = tf.data.Dataset.from_tensor_slices(arrays).shuffle(len(arrays[0]), seed=seed).repeat()
    return data.batch(min(32, len(arrays[0])))


def feature_vae(features: np.ndarray, steps: int) -> FeatureVAE:
    vae = FeatureVAE(features.shape[1], num_classes=2, latent_dim=16, seed=0)
    vae.adapt(features)
    vae.compile(jit_compile=False)
    vae.fit(repeated(features, seed=0), steps_per_epoch=steps, verbose=0)
    return vae


def feature_gan(few: tuple, steps: int, seed: int) -> FeatureGAN:
    gan = FeatureGAN(2, few[0].shape[1], latent_dim=32, ema_decay=0.98, seed=seed)
    gan.adapt(few[0])
    gan.compile(jit_compile=False)
    gan.fit(repeated(*few, seed=seed), steps_per_epoch=steps, verbose=0)
    return gan


def main() -> None:
    arguments = gain_arguments(__doc__)
    arguments.add_argument("--steps", type=int, default=300, help="of a GAN; of the VAE twice")
    options = arguments.parse_args()
    (x, y), test = photographs()
    keras.utils.set_random_seed(0)
    vae = feature_vae(x, 2 * options.steps)
    runs: dict[tuple[str, int], list[dict]] = {}
    for shots in options.shots:
        for seed in range(options.seeds):
            rows = ktg.datasets.sample_per_class(y, shots, seed)
            few = (x[rows], y[rows])
            vae.fit_classes(*few)
            keras.utils.set_random_seed(seed)
            generators = {
                "VAE of all features, without labels": vae,
                "conditional GAN of the few features": feature_gan(few, options.steps, seed),
            }
            for name, generator in generators.items():
                data = GeneratedData(generator, per_class=options.per_class)
                run = compared(data, few, test, 2, options)
                runs.setdefault((name, shots), []).append(run)
                print(name, shots, seed, run, flush=True)
    report_gains(
        "Generated features for few labels, ants and bees",
        runs,
        f"The GAN takes {options.steps} steps on the few, the VAE {2 * options.steps} on all.",
        options,
        __file__,
    )


if __name__ == "__main__":
    main()
