"""Training for `keras-transgen translate train`, with its report and figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from keras_transgen.cli.options import (
    UnsafeOps,
    ValueRange,
    loading_console,
    range_of,
    refuse_output,
    say_written,
    seed_option,
)

if TYPE_CHECKING:
    import tensorflow as tf

BATCH_SIZES = {"pix2pix": 4, "cyclegan": 1, "enhance": 16}
HELD_OUT = 10
SHOWN = 8
# Of a pair of two upright images, 3 by 4, side by side.
_WIDER = 1.2
_SHUFFLED = 1000


def run_train(
    images: Annotated[
        Path,
        typer.Argument(
            help="A folder of images: pairs side by side for pix2pix, side A (or pairs side by "
            "side) for cyclegan, clean images for enhance.",
            show_default=False,
        ),
    ],
    others: Annotated[
        Path | None, typer.Argument(help="For cyclegan: a folder of images of side B.")
    ] = None,
    model: Annotated[
        Literal["pix2pix", "cyclegan", "enhance"], typer.Option(help="What to train.")
    ] = "pix2pix",
    direction: Annotated[
        Literal["left_to_right", "right_to_left"],
        typer.Option(help="Input and target, where images are pairs side by side."),
    ] = "left_to_right",
    task: Annotated[
        Literal["super-resolution", "denoising", "inpainting"],
        typer.Option(help="For enhance: what to learn."),
    ] = "super-resolution",
    factor: Annotated[int, typer.Option(min=2, help="Of super-resolution.")] = 2,
    sigma: Annotated[
        float, typer.Option(help="Of the noise, for denoising: white is 1, 25 of 255 is 0.1.")
    ] = 0.1,
    size: Annotated[int, typer.Option(min=8, help="Side of the images in pixels.")] = 128,
    filters: Annotated[
        int | None, typer.Option(min=1, help="Width of the networks. [default: the model's]")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="A pretrained network for colour images (handle, archive, folder or .keras file) "
            "as the generators' encoder, for pix2pix and cyclegan. [default: none]"
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the images.")] = 20,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="[default: 4; 1 for cyclegan, 16 for enhance]")
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(help="Folder of validation images; otherwise every tenth is held out."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the model, report and figures.")] = Path(
        "runs/translate"
    ),
    seed: Annotated[int, seed_option("Of networks, noise and order.")] = 0,
    value_range: ValueRange = None,
    allow_unsafe_ops: UnsafeOps = False,
) -> dict[str, Any]:
    """Train on pairs (pix2pix), on two sets (cyclegan) or on clean images (enhance)."""
    if others is not None and model != "cyclegan":
        raise ValueError(
            "Only cyclegan takes two folders; pix2pix wants pairs side by side in one file each. "
            f"Received: {others} for {model}"
        )
    if validation is not None and model == "cyclegan":
        raise ValueError(
            "There is no measure of a CycleGAN on validation images; leave out --validation. "
            f"Received: --validation {validation}"
        )
    if backbone is not None and model == "enhance":
        raise ValueError(
            "Only pix2pix and cyclegan see through a pretrained network; leave out --backbone. "
            f"Received: --backbone {backbone} for {model}"
        )
    values = range_of(value_range)
    refuse_output(output)
    console = loading_console()
    import keras

    from keras_transgen.plotting import plot_learning_curves, save_figure
    from keras_transgen.training import write_whole_json

    keras.utils.set_random_seed(seed)
    width = {} if filters is None else {"filters": filters}
    generators = (
        {}
        if backbone is None
        else _generators(model, size, width, backbone, allow_unsafe_ops, values)
    )
    made = _model(model, size, {**generators, **width, "seed": seed}, task, factor, sigma)
    batch_size = batch_size or BATCH_SIZES[model]
    if model == "cyclegan":
        train, held_out, count = _two_sets(images, others, size, direction, batch_size, seed)
    else:
        train, held_out, count = _one_set(
            images, validation, size, direction if model == "pix2pix" else None, batch_size, seed
        )
    report: dict[str, Any] = {"model": model, "image_size": size, "images": count}
    if backbone is not None:
        report["backbone"] = backbone
    if model == "enhance":
        report["task"] = task
        report["before"] = _measured(made, held_out, ("psnr", "ssim"))
    fit = {} if model == "cyclegan" else {"validation_data": held_out}
    history = made.fit(train, epochs=epochs, **fit)
    report["epochs"] = epochs
    report["last_epoch"] = {name: float(values[-1]) for name, values in history.history.items()}
    if model == "enhance":
        report["after"] = _measured(made, held_out, ("psnr", "ssim"))

    output.mkdir(parents=True, exist_ok=True)
    made.save(output / "model.keras")
    write_whole_json(output / "report.json", report)
    save_figure(plot_learning_curves(history), output / "learning_curves.png")
    save_figure(_grid(made, model, held_out, seed), output / "translations.png")
    for name in ("before", "after"):
        if name in report:
            console.print(f"{name} training: {report[name]}")
    say_written(console, output)
    return report


def _generators(
    model: str,
    size: int,
    width: dict[str, int],
    source: str,
    allow_unsafe_ops: bool,
    value_range: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """Generators whose encoder is a pretrained network; a CycleGAN has two, without noise."""
    from keras_transgen.cli.image_input import open_backbone, refuse_unknown_range
    from keras_transgen.fusion import backbone_generator

    backbone = open_backbone(source, allow_unsafe_ops, value_range)
    refuse_unknown_range(backbone)
    names = ["generator"] if model == "pix2pix" else ["generator_ab", "generator_ba"]
    made = {}
    for name in names:
        made[name] = backbone_generator(
            backbone, (size, size, 3), noise=model == "pix2pix", **width
        )
        made[name].name = name
    return made


def _model(
    model: str, size: int, options: dict[str, Any], task: str, factor: int, sigma: float
) -> Any:
    from keras_transgen.generative import translation

    shape = (size, size, 3)
    if model == "pix2pix":
        return translation.Pix2Pix(shape, **options)
    if model == "cyclegan":
        return translation.CycleGAN(shape, **options)
    degradations = {
        "super-resolution": lambda: translation.Downscaling(factor),
        "denoising": lambda: translation.Noise(sigma),
        "inpainting": translation.Holes,
    }
    # In the range of the other models, so that all files are read and written alike.
    return translation.Enhancer(shape, degradations[task](), value_range=(-1.0, 1.0), **options)


def _one_set(
    folder: Path,
    validation: Path | None,
    size: int,
    direction: str | None,
    batch_size: int,
    seed: int,
) -> tuple[tf.data.Dataset, tf.data.Dataset, int]:
    """Training and validation batches of a folder, and how many images there are to train on."""
    import tensorflow as tf

    plain = _read(folder, size, direction)
    count = len(plain.file_paths)
    if validation is not None:
        held_out, train = _read(validation, size, direction), _read(folder, size, direction, seed)
        return train.batch(batch_size).prefetch(1), held_out.batch(batch_size), count
    if count < 2:
        raise ValueError(
            "One image is held out, so there must be two at least; or give --validation. "
            f"Received: {count} image in {folder}"
        )
    held_out = plain.shard(HELD_OUT, 0)
    # In the folder's order while numbered, in another one in every epoch after that.
    train = _read(folder, size, direction, seed, shuffle=False).enumerate()
    train = train.filter(lambda number, _: number % HELD_OUT != 0).map(lambda _, item: item)
    train = train.shuffle(min(count, _SHUFFLED), seed=seed)
    held = -(-count // HELD_OUT)
    # A filter does not say how much it leaves.
    train = train.apply(tf.data.experimental.assert_cardinality(count - held))
    return train.batch(batch_size).prefetch(1), held_out.batch(batch_size), count - held


def _two_sets(
    images: Path, others: Path | None, size: int, direction: str, batch_size: int, seed: int
) -> tuple[tf.data.Dataset, tf.data.Dataset, int]:
    """Batches `(a, b)` of images that chance brings together, and the first images in order."""
    import tensorflow as tf

    if others is None:
        plain = _read(images, size, direction)
        sides = [
            _read(images, size, direction, seed + side).map(_taking(side)) for side in range(2)
        ]
        counts = [len(plain.file_paths)] * 2
    else:
        first, second = (_read(folder, size, None) for folder in (images, others))
        plain = tf.data.Dataset.zip(first, second)
        sides = [_read(folder, size, None, seed) for folder in (images, others)]
        counts = [len(first.file_paths), len(second.file_paths)]
    count = max(counts)
    # The shorter set begins again until the longer one is through.
    sides = [side if own == count else side.repeat() for side, own in zip(sides, counts)]
    train = tf.data.Dataset.zip(*sides).take(count).batch(batch_size).prefetch(1)
    return train, plain.batch(batch_size), count


def _refuse_single_images(folder: Path) -> None:
    """Two images side by side are wider than high; of a square one the halves are no pair."""
    from keras_transgen.datasets import index_images
    from keras_transgen.datasets.image_size import height_and_width

    first = index_images(folder, labelled=False).paths[0]
    size = height_and_width(first)
    if size is not None and size[1] < _WIDER * size[0]:
        raise ValueError(
            "One folder for pix2pix or cyclegan holds pairs, two images side by side in one file, "
            "which is about twice as wide as high. Single images are two folders for --model "
            "cyclegan, or one of clean ones for --model enhance. "
            f"Received: {first} of {size[1]} x {size[0]} pixels (width x height)"
        )


def _taking(side: int) -> Any:
    return lambda *pair: pair[side]


def _read(
    folder: Path,
    size: int,
    direction: str | None,
    seed: int | None = None,
    shuffle: bool = True,
) -> tf.data.Dataset:
    """Single images, or single pairs where there is a direction; varied where there is a seed."""
    import tensorflow as tf

    from keras_transgen.datasets import image_folder, image_pairs

    varied = seed is not None
    order: dict[str, Any] = {"shuffle": varied and shuffle, "seed": seed or 0}
    if direction is not None:
        _refuse_single_images(folder)
        return image_pairs(
            folder, size, batch_size=None, direction=direction, flip=varied, jitter=varied, **order
        )
    data = image_folder(
        folder,
        size,
        batch_size=None,
        labelled=False,
        value_range=(-1.0, 1.0),
        crop_to_aspect_ratio=True,
        **order,
    )
    if not varied:
        return data
    paths = data.file_paths
    numbers = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)
    data = tf.data.Dataset.zip(data, numbers).map(
        lambda image, pair: tf.image.stateless_random_flip_left_right(
            image, tf.bitcast(pair, tf.int32)[:, 0]
        )
    )
    data.file_paths = paths
    return data


def _measured(model: Any, data: tf.data.Dataset, names: tuple[str, ...]) -> dict[str, float]:
    logs = model.evaluate(data, return_dict=True, verbose=0)
    return {name: float(logs[name]) for name in names}


def _grid(model: Any, kind: str, data: tf.data.Dataset, seed: int) -> Any:
    import numpy as np

    first = next(iter(data.unbatch().batch(SHOWN)))
    if kind == "cyclegan":
        return model.translation_grid(np.asarray(first[0]))
    if kind == "enhance":
        clean = np.asarray(first)
        return model.translation_grid(model.degrade(clean, seed=seed), clean)
    return model.translation_grid(np.asarray(first[0]), np.asarray(first[1]), seed=seed)
