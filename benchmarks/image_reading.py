"""Plain JPEGs read by `image_folder`, against TensorFlow's decoder alone on the same files."""

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
from report import median, publish, shared

from keras_transgen.datasets import image_folder
from keras_transgen.datasets.image_decoding import batched

FOLDERS = {"flowers5_96": (("flowers5_96",), 96), "ants_bees": (("ants_bees", "train"), 224)}
REPEATS = 9
GOAL = 0.95


def by_tensorflow(paths: list[str], size: int) -> tf.data.Dataset:
    """As `image_folder` read until Exif, transparency and palettes were heeded."""

    def read(path: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        image = tf.image.resize(image, (size, size), antialias=True)
        image.set_shape((size, size, 3))
        return tf.clip_by_value(image / 255.0, 0.0, 1.0)

    files = tf.data.Dataset.from_tensor_slices(paths)
    return batched(files.map(read, num_parallel_calls=tf.data.AUTOTUNE), 32)


def a_pass(data: tf.data.Dataset) -> tuple[float, float]:
    """CPU seconds of all threads, which other work on the machine hardly changes, and seconds."""
    start, clock = time.process_time(), time.perf_counter()
    for _ in data:
        pass
    return time.process_time() - start, time.perf_counter() - clock


def main() -> None:
    rows, ratios = [("images", "read by", "CPU seconds a pass", "seconds", "speed")], []
    for name, (place, size) in FOLDERS.items():
        folder = shared("data", *place)
        ours = image_folder(folder, size, labelled=False)
        sides = {
            "tf.io.decode_image": by_tensorflow(ours.file_paths, size),
            "image_folder": ours,
            "image_folder(check='none')": image_folder(folder, size, labelled=False, check="none"),
        }
        times: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
        for _ in range(REPEATS):
            for side, data in sides.items():
                times[side].append(a_pass(data))
        cpu = {side: median([each[0] for each in found]) for side, found in times.items()}
        ratios.append(cpu["tf.io.decode_image"] / cpu["image_folder"])
        for side, found in times.items():
            wall = median([each[1] for each in found])
            speed = cpu["tf.io.decode_image"] / cpu[side]
            files = f"{name}, {len(ours.file_paths):,}"
            rows.append((files, side, f"{cpu[side]:.2f}", f"{wall:.2f}", f"{speed:.2f}"))
    worst = min(ratios)
    publish(
        "Reading plain JPEGs",
        f"as quick as TensorFlow's decoder alone: at least {GOAL} of its speed",
        rows,
        f"At least {worst:.2f} of the speed. "
        + ("Reached." if worst >= GOAL else "Missed.")
        + " `check='none'` looks at each file while it is read.",
        __file__,
    )


if __name__ == "__main__":
    main()
