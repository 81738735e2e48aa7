"""Few labels: a VAE's latent features (Kingma's M1) against a pretrained backbone's, on digits.

A linear classifier with the same choice of its penalty on each kind of features. The VAEs see the
training part of scikit-learn's digits without labels; the backbone has learnt from MNIST and has
never seen them. Accuracy is taken on the test part.

    python benchmarks/semi_supervised.py --seeds 10
"""

import argparse

import keras
import numpy as np
from report import publish
from threadpoolctl import threadpool_limits

import keras_transgen as ktg
from keras_transgen.fusion.feature_vae import FeatureVAE
from keras_transgen.fusion.semi_supervised import latent_backbone

LATENT = 32


def pixels() -> ktg.KerasBackbone:
    inputs = keras.Input((8, 8, 1))
    flat = keras.Model(inputs, keras.layers.Flatten()(inputs))
    return ktg.KerasBackbone(flat, name="pixels", value_range=(0.0, 1.0))


def makers(images: np.ndarray, epochs: int) -> dict:
    """A maker of each model; the VAEs are trained once, on images without labels."""
    keras.utils.set_random_seed(0)
    vae = ktg.VAE(
        (8, 8, 1),
        LATENT,
        "gaussian",
        encoder=ktg.generative.networks.dense_encoder((8, 8, 1)),
        decoder=ktg.generative.networks.dense_decoder(LATENT, (8, 8, 1)),
        seed=0,
    )
    vae.fit(images, epochs=epochs, batch_size=128, verbose=0)
    backbone = ktg.load_backbone("digits")
    features = np.asarray(backbone(images)).reshape(len(images), -1)
    of_features = FeatureVAE(features.shape[1], latent_dim=LATENT, seed=0)
    of_features.fit(features, epochs=epochs, batch_size=128, verbose=0)
    return {
        "pixels": lambda: ktg.FeatureTransfer(pixels(), 10),
        "M1: latents of a VAE of the images": lambda: ktg.FeatureTransfer(latent_backbone(vae), 10),
        "the backbone's features": lambda: ktg.FeatureTransfer("digits", 10),
        "M1: latents of a VAE of the backbone's features": lambda: ktg.FeatureTransfer(
            latent_backbone(of_features), 10, preprocessing=ktg.load_backbone("digits")
        ),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--shots", nargs="+", type=int, default=[1, 5, 10])
    arguments.add_argument("--seeds", type=int, default=10)
    arguments.add_argument("--epochs", type=int, default=200, help="of the VAEs")
    arguments.add_argument("--dry", action="store_true", help="print, do not publish")
    options = arguments.parse_args()
    (images, labels), test = ktg.datasets.load_digits_split()
    models = makers(images, options.epochs)
    # Tiny fits: more threads than one wait for each other longer than they compute.
    with threadpool_limits(1, user_api="blas"):
        found = ktg.few_shot_evaluation(
            models, images, labels, test=test, shots=options.shots, seeds=options.seeds
        )
    if options.dry:
        print(found)
        return
    by_method: dict[str, dict] = {}
    for row in found.rows:
        by_method.setdefault(row.method, {})[row.shots] = row
    header = ("features", *(f"{shots} a class" for shots in options.shots))
    rows = [header] + [
        (name, *(f"{row.mean:.3f} ± {row.half_interval:.3f}" for row in of_method.values()))
        for name, of_method in by_method.items()
    ]
    gains = {
        name: [
            of_method[shots].mean - by_method["the backbone's features"][shots].mean
            for shots in options.shots
        ]
        for name, of_method in by_method.items()
        if name.startswith("M1")
    }
    shown = "; ".join(
        f"{name} {', '.join(f'{gain:+.3f}' for gain in each)}" for name, each in gains.items()
    )
    publish(
        "Few labels: a VAE's latents (M1) against the backbone's features, digits",
        "accuracy of a linear classifier on each, told as it is",
        rows,
        f"{options.seeds} draws, 95 % interval of the mean. Against the backbone's features at "
        f"{', '.join(map(str, options.shots))} labels a class: {shown}.",
        __file__,
    )


if __name__ == "__main__":
    main()
