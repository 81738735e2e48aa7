"""`keras-transgen evaluate`: how near samples come to real images, on a backbone's features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from keras_transgen.cli.image_input import image_input, open_backbone, preceded
from keras_transgen.cli.options import (
    Check,
    ImageSize,
    Preprocessing,
    SkipBroken,
    UnsafeOps,
    ValueRange,
    loading_console,
    range_of,
    refuse_output,
    seed_option,
)

NEIGHBOURS = 5


def run_evaluate(
    real: Annotated[Path, typer.Argument(help="Folder of real images.", show_default=False)],
    generated: Annotated[
        Path,
        typer.Argument(
            help="Folder of samples, or the .keras file of a generative model.",
            show_default=False,
        ),
    ],
    backbone: Annotated[
        str, typer.Option(help="Whose features are compared; its name is in the metrics' names.")
    ] = "digits",
    image_size: ImageSize = None,
    count: Annotated[
        int, typer.Option(min=NEIGHBOURS + 1, help="Samples to draw from a model's file.")
    ] = 1000,
    seed: Annotated[int, seed_option("Of these samples.")] = 0,
    output: Annotated[Path | None, typer.Option(help="JSON file for the metrics.")] = None,
    check: Check = "quick",
    skip_broken: SkipBroken = False,
    value_range: ValueRange = None,
    preprocessing: Preprocessing = None,
    allow_unsafe_ops: UnsafeOps = False,
) -> dict[str, float]:
    """Fréchet and kernel distance, precision and recall of samples against real images."""
    values = range_of(value_range, preprocessing)
    if output is not None:
        refuse_output(output, folder=False)
    console = loading_console()
    from keras_transgen.datasets import image_folder
    from keras_transgen.evaluation import SampleQuality
    from keras_transgen.training import write_whole_json

    extractor = preceded(open_backbone(backbone, allow_unsafe_ops, values), preprocessing)
    samples = _samples(generated, count, seed) if generated.suffix == ".keras" else None
    side = real if samples is None else int(samples[0].shape[1])
    reading = image_input(extractor, image_size, side).options()
    low, high = reading["value_range"]
    quality = SampleQuality(extractor, value_range=(low, high), image_size=reading["image_size"])
    reading.update(labelled=False, check=check, skip_broken=skip_broken)
    folders = (real,) if samples is not None else (real, generated)
    images = {folder: image_folder(folder, **reading) for folder in folders}
    for folder, data in images.items():
        found = len(data.file_paths)
        if found <= NEIGHBOURS:
            raise ValueError(
                f"Precision and recall look at the {NEIGHBOURS} nearest images of each "
                f"image, so a folder must hold {NEIGHBOURS + 1} at least. "
                f"Received: {found} in {folder}"
            )
    quality.update_real(images[real])
    if samples is not None:
        quality.update_generated(*samples)
    else:
        quality.update_generated(images[generated])
    metrics = quality.result(k=NEIGHBOURS).metrics()
    table = Table(title=f"{generated} against {real}")
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in metrics.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) else f"{value:.5g}")
    console.print(table)
    if output is not None:
        write_whole_json(output, metrics)
    return metrics


def _samples(model_file: Path, count: int, seed: int) -> tuple[Any, tuple[float, float]]:
    import numpy as np

    import keras_transgen as ktg

    model = ktg.load_model(model_file)
    if not hasattr(model, "sample"):
        raise ValueError(
            f"This file holds no generative model. Received: {type(model).__name__} in {model_file}"
        )
    classes = getattr(model, "num_classes", None)
    what = count if classes is None else np.arange(count) % classes
    return np.asarray(model.sample(what, seed=seed)), model.value_range or (0.0, 1.0)
