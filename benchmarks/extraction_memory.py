"""Resident memory of feature extraction at once and ten times the data, each in a new process."""

import subprocess
import sys
import tempfile

from report import publish, shared

MODULE = "mobilenet_v1_025_224_feature_vector"
ROWS = 512
TIMES = 10


def child(rows: int) -> None:
    """Extract from `rows` generated images and print the peak resident memory in MiB."""
    import resource

    import tensorflow as tf

    import keras_transgen as ktg
    from keras_transgen.backbones.extraction import extract_features

    backbone = ktg.load_backbone(str(shared("hub", MODULE)))

    def image(index):
        return tf.random.stateless_uniform([224, 224, 3], tf.stack([index, 0]))

    data = tf.data.Dataset.range(rows).map(image).batch(32)
    with tempfile.TemporaryDirectory() as folder:
        extracted = extract_features(backbone, data, cache_dir=folder, progress=False)
        assert extracted.features.shape == (rows, 256)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def peak(rows: int) -> float:
    command = [sys.executable, __file__, str(rows)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(output.strip().splitlines()[-1])


def main() -> None:
    once, ten_times = peak(ROWS), peak(ROWS * TIMES)
    ratio = ten_times / once
    publish(
        "Memory of feature extraction",
        "flat: ten times the data, at most 1.1 times the resident memory",
        [
            ("images of 224x224x3", "peak resident memory"),
            (f"{ROWS:,}", f"{once:,.0f} MiB"),
            (f"{ROWS * TIMES:,}", f"{ten_times:,.0f} MiB"),
        ],
        f"Ratio {ratio:.3f}. " + ("Reached." if ratio <= 1.1 else "Missed."),
        __file__,
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(int(sys.argv[1]))
    else:
        main()
