"""LoRA on a SavedModel against full fine-tuning: parameters, accuracy and step time."""

import time

import keras
import numpy as np
from report import in_turn, median, publish, shared

import keras_transgen as ktg

MODULE = "mobilenet_v2_100_224_feature_vector"
EPOCHS = 4
SEEDS = 2
STEP_REPEATS = 7


def arrays(part: str):
    folder = shared("data", "ants_bees", part)
    batches = list(ktg.datasets.image_folder(folder, image_size=224, crop_to_aspect_ratio=True))
    return tuple(np.concatenate([np.asarray(batch[i]) for batch in batches]) for i in (0, 1))


def models(seed: int) -> dict:
    module = str(shared("hub", MODULE))
    return {
        # Rates that were good for this network before: the search for them is another benchmark's.
        "full fine-tuning": ktg.ParameterTransfer(module, 2, learning_rate=3e-5, seed=seed),
        "LoRA": ktg.StructureTransfer(
            module, 2, method="lora", rank=4, learning_rate=2e-4, seed=seed
        ),
    }


def main() -> None:
    x, y = arrays("train")
    validation = arrays("val")
    accuracy: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    for seed in range(SEEDS):
        for name, model in models(seed).items():
            keras.utils.set_random_seed(seed)
            start = time.perf_counter()
            history = model.fit(x, y, validation_data=validation, epochs=EPOCHS, verbose=0)
            seconds.setdefault(name, []).append(time.perf_counter() - start)
            accuracy.setdefault(name, []).append(history.history["val_accuracy"][-1])
            print(name, seed, accuracy[name][-1], f"{seconds[name][-1]:.0f} s", flush=True)
    trained = models(0)
    share = {
        name: sum(np.prod(w.shape) for w in model.trainable_weights)
        / sum(np.prod(w.shape) for w in model.backbone.weights)
        for name, model in trained.items()
    }
    for model in trained.values():
        model.compile_by_default(8, EPOCHS)
    steps = {n: lambda m=m: m.train_on_batch(x[:32], y[:32]) for n, m in trained.items()}
    in_turn(steps, 2)
    step = in_turn(steps, STEP_REPEATS)
    ratio = median(step["LoRA"]) / median(step["full fine-tuning"])
    means = {name: float(np.mean(values)) for name, values in accuracy.items()}
    good = (
        share["LoRA"] <= 0.05
        and means["LoRA"] >= 0.95
        and means["full fine-tuning"] - means["LoRA"] <= 0.01
        and ratio <= 1.0
    )
    publish(
        "LoRA on a SavedModel (ants/bees, MobileNetV2, rank 4)",
        "at most 5 % trainable parameters, accuracy at least 0.95 and within 0.01 of full "
        "fine-tuning, step not slower",
        [
            ("method", "trainable", "validation accuracy (mean)", "median seconds a step"),
            *[
                (n, f"{share[n]:.1%}", f"{means[n]:.4f} ({SEEDS} seeds)", f"{median(step[n]):.2f}")
                for n in trained
            ],
        ],
        f"Step ratio {ratio:.2f}. " + ("Reached." if good else "Missed."),
        __file__,
    )


if __name__ == "__main__":
    main()
