"""`keras-transgen extract`: the features of a folder of images, in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from keras_transgen.cli.image_input import image_input, open_backbone
from keras_transgen.datasets.screen import Screen


def run_extract(
    source: str,
    images: Path,
    output: Path,
    *,
    image_size: int | None = None,
    batch_size: int = 32,
    allow_unsafe_ops: bool = False,
) -> Path:
    """Write `features`, `files`, and for a folder by class `labels` and `class_names`.

    Args:
        source: What `keras_transgen.load_backbone` takes.
        images: Folder of images, with a folder per class or without.
        output: The `.npz` file to write.
        image_size: Side in pixels, for a backbone that takes any.
        batch_size: Images a batch.
        allow_unsafe_ops: Load a module that reads or writes files or calls Python.

    Returns:
        The path written.

    Raises:
        ValueError: If the output is no `.npz`, or the backbone takes no images.
    """
    if output.suffix != ".npz":
        raise ValueError(f"The output must be an .npz file. Received: {output}")
    console = Screen()
    console.print("Loading TensorFlow ...")
    from keras_transgen.backbones.extraction import extract_features
    from keras_transgen.datasets import image_folder, index_images
    from keras_transgen.training import write_whole

    labelled = any(entry.is_dir() for entry in images.iterdir()) if images.is_dir() else True
    index = index_images(images, labelled=labelled)
    backbone = open_backbone(source, allow_unsafe_ops)
    data = image_folder(
        images,
        batch_size=batch_size,
        labelled=labelled,
        **image_input(backbone, image_size).options(),
    )
    extracted = extract_features(backbone, data, batch_size=batch_size)
    arrays: dict[str, Any] = {"files": np.array(index.paths), "digest": np.array(backbone.digest())}
    if isinstance(extracted.features, dict):
        arrays.update({f"features_{name}": value for name, value in extracted.features.items()})
    else:
        arrays["features"] = extracted.features
    if labelled:
        arrays["labels"] = np.asarray(index.labels)
        arrays["class_names"] = np.array(index.class_names)
    write_whole(str(output), lambda path: np.savez(path, **arrays))
    shapes = {name: value.shape for name, value in arrays.items() if name.startswith("features")}
    console.print(f"{len(index.paths)} images, {shapes} -> {output}", highlight=False)
    return output


def run_extract_with_ray(
    source: str,
    images: Path,
    output: Path,
    *,
    num_workers: int | None = None,
    image_size: int | None = None,
    batch_size: int = 32,
    allow_unsafe_ops: bool = False,
) -> Path:
    """Write the same features as a folder of Parquet files, on a Ray cluster.

    Args:
        source: What `keras_transgen.load_backbone` takes.
        images: Folder of images.
        output: Folder to write, or to go on with.
        num_workers: Processes that hold the backbone; see `extract_with_ray`.
        image_size: Side in pixels, for a backbone that takes any.
        batch_size: Images a batch.
        allow_unsafe_ops: Load a module that reads or writes files or calls Python.

    Returns:
        The folder written.

    Raises:
        ImportError: If Ray is not installed.
        ValueError: If the output is a file, or the backbone takes no images.
    """
    if output.suffix == ".npz":
        raise ValueError(f"With --ray the output is a folder of Parquet files. Received: {output}")
    console = Screen()
    console.print("Loading TensorFlow and Ray ...")
    from keras_transgen.distributed import extract_with_ray
    from keras_transgen.distributed.ray_extra import ray_module

    ray_module()
    backbone = open_backbone(source, allow_unsafe_ops)
    options = image_input(backbone, image_size).options()
    count = extract_with_ray(
        backbone,
        images,
        output,
        batch_size=batch_size,
        num_workers=num_workers,
        allow_unsafe_ops=allow_unsafe_ops,
        **options,
    )
    console.print(f"{count} images -> {output}", highlight=False)
    return output
