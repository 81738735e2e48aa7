"""`few_shot_evaluation` against the same runs by hand: CPU seconds and memory, on ants and bees.

Six runs of `FeatureTransfer` (two draws of 1, 5 and 10 examples a class), each measured on the same
153 photographs. By hand, each run extracts features of its examples and of the photographs. Each
side runs in a process of its own, in turn; seconds count from the loaded network on.
"""

import json
import subprocess
import sys
import time

from report import in_turn, median, publish, shared

MODULE = "mobilenet_v2_100_224_feature_vector"
SHOTS = (1, 5, 10)
SEEDS = 2
REPEATS = 3
SIDES = {
    "each run by hand, arrays": "hand",
    "few_shot_evaluation, arrays": "arrays",
    "few_shot_evaluation, data sets": "data sets",
}


def child(side: str) -> None:
    """Run one side and print its CPU seconds, its memory and its accuracies."""
    import resource

    import keras
    import numpy as np

    import keras_transgen as ktg

    def photographs(part):
        folder = shared("data", "ants_bees", part)
        return ktg.datasets.image_folder(
            folder, image_size=224, crop_to_aspect_ratio=True, batch_size=16
        )

    def arrays(data):
        return tuple(np.concatenate([*parts]) for parts in zip(*data.as_numpy_iterator()))

    base = ktg.load_backbone(str(shared("hub", MODULE)))

    def make():
        return ktg.FeatureTransfer(base, 2)

    train, test = photographs("train"), photographs("val")
    start = time.process_time()
    if side != "data sets":
        train, test = arrays(train), arrays(test)
    if side == "hand":
        accuracies = []
        for shots in SHOTS:
            for seed in range(SEEDS):
                keras.utils.set_random_seed(seed)
                drawn = ktg.datasets.sample_per_class(train[1], shots, seed)
                model = make()
                model.fit(train[0][drawn], train[1][drawn], batch_size=16, verbose=0)
                found = model.classify(test[0], verbose=0)
                accuracies.append(float(np.mean(found == test[1])))
    else:
        data = (train,) if side == "data sets" else train
        found = ktg.few_shot_evaluation(
            {"features": make}, *data, test=test, shots=SHOTS, seeds=SEEDS, progress=False
        )
        accuracies = [accuracy for row in found.rows for accuracy in row.accuracies]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([time.process_time() - start, peak, accuracies]))


def main() -> None:
    results = {name: [] for name in SIDES}

    def run(name):
        command = [sys.executable, __file__, SIDES[name]]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        results[name].append(json.loads(output.strip().splitlines()[-1]))

    seconds = in_turn({name: lambda name=name: run(name) for name in SIDES}, REPEATS)
    rows = []
    cpu, peaks = {}, {}
    for name, found in results.items():
        cpu[name] = median([each[0] for each in found])
        peaks[name] = median([each[1] for each in found])
        rows.append(
            (name, f"{cpu[name]:.1f}", f"{median(seconds[name]):.1f}", f"{peaks[name]:,.0f} MiB")
        )
    hand, of_arrays, of_data_sets = SIDES
    same = len({str(each[2]) for found in results.values() for each in found}) == 1
    less = cpu[hand] / cpu[of_data_sets]
    good = same and less >= 3 and peaks[of_data_sets] < peaks[of_arrays] <= 1.05 * peaks[hand]
    publish(
        "Few-shot evaluation against each run by hand (ants/bees, MobileNetV2, 6 runs)",
        "the same accuracies at a third of the CPU seconds; no more memory with arrays, and less "
        "with data sets",
        [("side", "CPU seconds", "seconds of the process", "peak resident memory"), *rows],
        f"{less:.1f} times fewer CPU seconds with data sets ({cpu[hand] / cpu[of_arrays]:.1f} with "
        f"arrays), accuracies {'equal' if same else 'not equal'}. "
        + ("Reached." if good else "Missed."),
        __file__,
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(sys.argv[1])
    else:
        main()
