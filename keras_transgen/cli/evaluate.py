"""`keras-transgen evaluate`: how near samples come to real images, on a backbone's features."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from rich.table import Table

from keras_transgen.cli.image_input import image_input, open_backbone
from keras_transgen.datasets.screen import Screen


def run_evaluate(
    real: Path,
    generated: Path,
    *,
    backbone: str = "digits",
    image_size: int | None = None,
    count: int = 1000,
    seed: int = 0,
    output: Path | None = None,
    allow_unsafe_ops: bool = False,
) -> dict[str, float]:
    """Print distances between a folder of real images and samples.

    Args:
        real: Folder of real images, with folders by class or without.
        generated: Folder of samples, or the `.keras` file of a generative model.
        backbone: What `keras_transgen.load_backbone` takes; its features are compared.
        image_size: Side in pixels, for a backbone that takes any.
        count: Samples to draw from a model's file.
        seed: Of these samples.
        output: JSON file to write the metrics to.
        allow_unsafe_ops: Load a module that reads or writes files or calls Python.

    Returns:
        The metrics by name; the extractor's name is part of each.
    """
    console = Screen()
    console.print("Loading TensorFlow ...")
    from keras_transgen.datasets import image_folder
    from keras_transgen.evaluation import SampleQuality
    from keras_transgen.training import write_whole_text

    extractor = open_backbone(backbone, allow_unsafe_ops)
    reading = image_input(extractor, image_size).options()
    low, high = reading["value_range"]
    quality = SampleQuality(extractor, value_range=(low, high), image_size=reading["image_size"])
    quality.update_real(image_folder(real, labelled=False, **reading))
    if generated.suffix == ".keras":
        quality.update_generated(*_samples(generated, count, seed))
    else:
        quality.update_generated(image_folder(generated, labelled=False, **reading))
    metrics = quality.result().metrics()
    table = Table(title=f"{generated} against {real}")
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in metrics.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) else f"{value:.5g}")
    console.print(table)
    if output is not None:
        write_whole_text(output, json.dumps(metrics, indent=2) + "\n")
    return metrics


def _samples(model_file: Path, count: int, seed: int) -> tuple[np.ndarray, tuple[float, float]]:
    import keras_transgen as ktg

    model = ktg.load_model(model_file)
    classes = getattr(model, "num_classes", None)
    what = count if classes is None else np.arange(count) % classes
    return np.asarray(model.sample(what, seed=seed)), model.value_range or (0.0, 1.0)
