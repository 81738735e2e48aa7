"""`keras-transgen extract`: the features of a folder of images, in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_transgen.cli.image_input import image_input, open_backbone, preceded
from keras_transgen.cli.options import (
    BatchSize,
    Check,
    ImageSize,
    Preprocessing,
    SkipBroken,
    Source,
    UnsafeOps,
    ValueRange,
    loading_console,
    range_of,
    refuse_output,
)


def run_extract(
    backbone: Source,
    images: Annotated[
        Path, typer.Argument(help="A folder of images, by class or not.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Argument(
            help="File to write: .npz; with --ray, a folder of Parquet files.", show_default=False
        ),
    ],
    image_size: ImageSize = None,
    batch_size: BatchSize = 32,
    ray: Annotated[
        bool,
        typer.Option(
            "--ray",
            help="On a Ray cluster (that of RAY_ADDRESS, or this machine), for more images than "
            "fit one machine; a stopped run goes on.",
        ),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="With --ray: processes that hold the backbone.")
    ] = None,
    check: Check = "quick",
    skip_broken: SkipBroken = False,
    value_range: ValueRange = None,
    preprocessing: Preprocessing = None,
    allow_unsafe_ops: UnsafeOps = False,
) -> Path:
    """Write the features of a folder of images to a file."""
    if workers is not None and not ray:
        raise ValueError(f"--workers is an option of --ray. Received: --workers {workers}")
    if ray and (skip_broken or check != "quick"):
        raise ValueError(
            "With --ray images are looked at while they are read, and broken ones are named; "
            f"leave out --check and --skip-broken. Received: --check {check}"
            f"{' --skip-broken' * skip_broken}"
        )
    values = range_of(value_range, preprocessing)

    def opened() -> Any:
        return preceded(open_backbone(backbone, allow_unsafe_ops, values), preprocessing)

    if ray:
        return _extract_with_ray(
            opened, images, output, image_size, batch_size, workers, allow_unsafe_ops
        )
    if output.suffix != ".npz":
        raise ValueError(f"The output must be an .npz file. Received: {output}")
    refuse_output(output, folder=False, name="output")
    console = loading_console()
    import numpy as np

    from keras_transgen.backbones.extraction import extract_features
    from keras_transgen.datasets import image_folder, index_images
    from keras_transgen.training import write_whole

    labelled = any(entry.is_dir() for entry in images.iterdir()) if images.is_dir() else True
    index = index_images(images, labelled=labelled)
    network = opened()
    data = image_folder(
        images,
        batch_size=batch_size,
        labelled=labelled,
        check=check,
        skip_broken=skip_broken,
        **image_input(network, image_size, images).options(),
    )
    extracted = extract_features(network, data, batch_size=batch_size)
    arrays: dict[str, Any] = {
        "files": np.array(data.file_paths),
        "digest": np.array(network.digest()),
    }
    if isinstance(extracted.features, dict):
        arrays.update({f"features_{name}": value for name, value in extracted.features.items()})
    else:
        arrays["features"] = extracted.features
    if labelled:
        label_of = dict(zip(index.paths, np.asarray(index.labels)))
        arrays["labels"] = np.array([label_of[path] for path in data.file_paths])
        arrays["class_names"] = np.array(index.class_names)
    write_whole(str(output), lambda path: np.savez(path, **arrays))
    shapes = {name: value.shape for name, value in arrays.items() if name.startswith("features")}
    console.print(f"{len(data.file_paths)} images, {shapes} -> {output}", highlight=False)
    return output


def _extract_with_ray(
    opened: Callable[[], Any],
    images: Path,
    output: Path,
    image_size: int | None,
    batch_size: int,
    num_workers: int | None,
    allow_unsafe_ops: bool,
) -> Path:
    """Write the same features as a folder of Parquet files, or go on with one."""
    if output.suffix == ".npz":
        raise ValueError(f"With --ray the output is a folder of Parquet files. Received: {output}")
    refuse_output(output, name="output")
    console = loading_console("TensorFlow and Ray")
    from keras_transgen.distributed import extract_with_ray
    from keras_transgen.distributed.ray_extra import ray_module

    ray_module()
    backbone = opened()
    count = extract_with_ray(
        backbone,
        images,
        output,
        batch_size=batch_size,
        num_workers=num_workers,
        allow_unsafe_ops=allow_unsafe_ops,
        **image_input(backbone, image_size, images).options(),
    )
    console.print(f"{count} images -> {output}", highlight=False)
    return output
