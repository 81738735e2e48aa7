"""A fine-tuning step through a SavedModel against the same network from keras.applications."""

import keras
import numpy as np
from report import in_turn, median, publish, shared

import keras_transgen as ktg

BATCH = 32
REPEATS = 5


def compiled(model):
    model.compile(
        keras.optimizers.Adam(1e-5),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def main() -> None:
    rng = np.random.default_rng(0)
    images = rng.random((BATCH, 224, 224, 3), "float32")
    labels = rng.integers(0, 2, BATCH)
    network = keras.applications.MobileNetV2(include_top=False, pooling="avg", weights=None)
    network.trainable = True
    inputs = keras.Input((224, 224, 3))
    theirs = compiled(
        keras.Model(inputs, keras.layers.Dense(2)(network(inputs * 2.0 - 1.0, training=True)))
    )
    module = str(shared("hub", "mobilenet_v2_100_224_feature_vector"))
    sides = {"keras.applications": theirs}
    for normalization in ("adapt", "frozen"):
        backbone = ktg.load_backbone(module, trainable=True, normalization=normalization)
        sides[f"SavedModel, normalization={normalization!r}"] = compiled(
            ktg.TransferModel(backbone, 2)
        )
    steps = {
        name: lambda m=model: m.train_on_batch(images, labels) for name, model in sides.items()
    }
    in_turn(steps, 2)  # Tracing and warming up.
    seconds = in_turn(steps, REPEATS)
    base = median(seconds["keras.applications"])
    rows = [("side", "median seconds a step", "ratio")]
    rows += [(n, f"{median(s):.2f}", f"{median(s) / base:.2f}") for n, s in seconds.items()]
    ratio = median(seconds["SavedModel, normalization='adapt'"]) / base
    publish(
        "Fine-tuning step through a SavedModel (MobileNetV2 1.0/224, batch 32)",
        "at most 0.7 of the step of the same network from keras.applications (CPU)",
        rows,
        f"Like for like (batch statistics in both): {ratio:.2f} of keras.applications' step. "
        + ("Reached." if ratio <= 0.7 else "Missed."),
        __file__,
    )


if __name__ == "__main__":
    main()
