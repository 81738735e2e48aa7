"""`keras-transgen detect train`: a detector of one's own objects on a pretrained network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from keras_transgen.cli.detect_data import Boxed, BoxedPart, boxed_data
from keras_transgen.cli.one_at_a_time import one_at_a_time
from keras_transgen.cli.options import (
    EMBEDDED,
    BatchSize,
    UnsafeOps,
    ValueRange,
    loading_console,
    range_of,
    rate_option,
    refuse_output,
    say_written,
    seed_option,
)
from keras_transgen.cli.quiet import fit_verbosity
from keras_transgen.cli.resumable import (
    Minutes,
    Restart,
    ResumableTraining,
    Steps,
    preview_interval,
    refuse_two_lengths,
)

# What may differ from one run to the next that goes on with it.
_MAY_CHANGE = ("minutes", "output", "restart")
_STRIDES = (8, 16, 32)
_SHOWN, _PREVIEWS = 9, "previews"


@one_at_a_time
def run_detect_train(
    data: Annotated[
        Path,
        typer.Argument(
            help="A folder in the form of PASCAL VOC (XML files and images), or a JSON file in the "
            "form of COCO.",
            show_default=False,
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            help="Of a JSON file: the folder of its images.", show_default="the file's own"
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Of a folder: the list in ImageSets/Main to train on.", show_default="all images"
        ),
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            help="A folder or JSON file of images held out.", show_default="every fifth image"
        ),
    ] = None,
    validation_images: Annotated[
        Path | None,
        typer.Option(
            help="Of a JSON file of images held out: the folder of its images.",
            show_default="the file's own",
        ),
    ] = None,
    validation_split: Annotated[
        str | None,
        typer.Option(help="The list in ImageSets/Main to hold out.", show_default="none"),
    ] = None,
    backbone: Annotated[
        str,
        typer.Option(
            help="The pretrained network: a TF-Hub or Kaggle handle, an archive, a folder with a "
            "SavedModel, a .keras or .h5 file, or 'digits', which comes with the package, is small "
            "and knows only grey."
        ),
    ] = EMBEDDED,
    transfer: Annotated[
        Literal["feature", "parameter", "structure"],
        typer.Option(
            help="What trains beside the head: nothing, the parameters of the network, or what "
            "a method such as LoRA adds to them."
        ),
    ] = "feature",
    image_size: Annotated[
        int, typer.Option(min=8, help="Side in pixels at which the network sees the images.")
    ] = 256,
    scales: Annotated[
        str | None,
        typer.Option(
            help="Strides of the feature maps, or names of layers, from fine to coarse, with "
            "commas.",
            show_default="8,16,32 as far as the network has them",
        ),
    ] = None,
    pad_to_aspect_ratio: Annotated[
        bool,
        typer.Option(
            "--pad-to-aspect-ratio",
            help="Keep images' ratio of width to height, with free space beside them; else they "
            "are stretched.",
        ),
    ] = False,
    augmentation: Annotated[
        Literal["none", "flip", "crop"],
        typer.Option(help="How images are varied; crop flips, crops and varies the light."),
    ] = "crop",
    vertical_flips: Annotated[
        bool,
        typer.Option(
            "--vertical-flips",
            help="Exchange top and bottom, too: for what has no upper side, as under a microscope.",
        ),
    ] = False,
    views: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of feature transfer: how often each image is extracted, varied.",
            show_default="4, or as many as there are ways to flip",
        ),
    ] = None,
    class_loss: Annotated[
        Literal["focal", "quality_focal"], typer.Option(help="The loss of classes.")
    ] = "focal",
    method: Annotated[
        str | None,
        typer.Option(
            help="Of structure transfer: what is added to the parameters.", show_default="lora"
        ),
    ] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="Of LoRA.", show_default="8")] = None,
    freeze_to: Annotated[
        str | None,
        typer.Option(
            help="Of parameter transfer: the last group of the network's parameters that stays as "
            "it is, a name or a number.",
            show_default="none",
        ),
    ] = None,
    max_boxes: Annotated[
        int, typer.Option(min=1, help="Most objects in an image, annotated or found.")
    ] = 100,
    learning_rate: Annotated[float | None, rate_option("that of the kind of transfer")] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Passes over the images.", show_default="about 1,000 steps"),
    ] = None,
    steps: Steps = None,
    minutes: Minutes = None,
    batch_size: BatchSize = 16,
    output: Annotated[Path, typer.Option(help="Folder for the model, report and figures.")] = Path(
        "runs/detect"
    ),
    restart: Restart = False,
    seed: Annotated[int, seed_option("Of the head and the training.")] = 0,
    skip_difficult: Annotated[
        bool,
        typer.Option(
            "--skip-difficult", help="Of a folder: leave out objects that it calls difficult."
        ),
    ] = False,
    skip_empty: Annotated[
        bool,
        typer.Option("--skip-empty", help="Leave out boxes that have no area in their image."),
    ] = False,
    value_range: ValueRange = None,
    allow_unsafe_ops: UnsafeOps = False,
) -> dict[str, Any]:
    """Train a detector on images with boxes around what is in them."""
    settings = {name: value for name, value in locals().items() if name not in _MAY_CHANGE}
    refuse_two_lengths(epochs, steps)
    if validation_images is not None and validation is None:
        raise ValueError(
            "--validation-images goes with --validation, the JSON file that names them. "
            f"Received: --validation-images {validation_images} alone"
        )
    _check_options(settings)
    refuse_output(output)
    console = loading_console()
    with ResumableTraining(output, settings, console, restart, minutes, steps) as run:
        return _train(run, settings)


def _check_options(given: dict[str, Any]) -> None:
    """Refuse options of another kind of transfer, before anything is loaded."""
    range_of(given["value_range"])
    kinds = {"views": "feature", "method": "structure", "rank": "structure"}
    for name, kind in {**kinds, "freeze_to": "parameter"}.items():
        if given[name] is not None and given["transfer"] != kind:
            raise ValueError(
                f"--{name.replace('_', '-')} goes with --transfer {kind}. "
                f"Received: --transfer {given['transfer']}"
            )
    if given["augmentation"] == "none" and given["vertical_flips"]:
        raise ValueError("--vertical-flips goes with --augmentation flip or crop. Received: none")


def _train(run: ResumableTraining, given: dict[str, Any]) -> dict[str, Any]:
    import keras

    from keras_transgen.cli.detect_data import counted_objects
    from keras_transgen.cli.detect_report import detection_report, print_detection_report
    from keras_transgen.plotting import plot_learning_curves, save_figure
    from keras_transgen.training import write_whole_json

    keras.utils.set_random_seed(given["seed"])
    data = _data(given)
    run.console.print(
        f"{data.count:,} images to train on, {data.held_out_count:,} held out, of "
        f"{len(data.class_names)} classes: {', '.join(data.class_names)}"
    )
    if given["backbone"] == EMBEDDED:
        run.console.print(
            "The embedded network has seen nothing but digits; --backbone takes one that knows "
            "photographs"
        )
    model = _model(given, data.class_names)
    run.output.mkdir(parents=True, exist_ok=True)
    _fit(run, model, data, given)
    objects = counted_objects(data.held_out, len(data.class_names))
    report = detection_report(model, given["backbone"], data, objects)
    report["steps"] = int(model.progress.step.numpy())
    model.save(run.output / "model.keras")
    write_whole_json(run.output / "report.json", report)
    if len(run.logs) > 1:
        save_figure(plot_learning_curves(run.curves()), run.output / "learning_curves.png")
    print_detection_report(run.console, report)
    say_written(run.console, run.output)
    run.end()
    run.console.print(
        f"Now: keras-transgen detect apply {run.output / 'model.keras'} IMAGES", soft_wrap=True
    )
    return report


def _data(given: dict[str, Any]) -> Boxed:
    folder, held_out = given["validation"], None
    if folder is not None or given["validation_split"] is not None:
        same = folder is None
        images = given["images"] if same else given["validation_images"]
        held_out = BoxedPart(given["data"] if same else folder, images, given["validation_split"])
    part = BoxedPart(given["data"], given["images"], given["split"])
    return boxed_data(part, held_out, given["skip_difficult"], given["skip_empty"])


def _model(given: dict[str, Any], class_names: list[str]) -> Any:
    import keras_transgen as ktg
    from keras_transgen.cli.image_input import open_backbone, refuse_unknown_range

    network = open_backbone(
        given["backbone"], given["allow_unsafe_ops"], range_of(given["value_range"])
    )
    refuse_unknown_range(network)
    model = ktg.Detector(
        network,
        image_size=given["image_size"],
        scales=_scales(given["scales"], network, given["image_size"]),
        transfer=given["transfer"],
        class_names=class_names,
        pad_to_aspect_ratio=given["pad_to_aspect_ratio"],
        class_loss=given["class_loss"],
        augmentation=_varied(given),
        views=given["views"],
        freeze_to=_group(given["freeze_to"]),
        method=given["method"] or "lora",
        rank=given["rank"] or 8,
        max_boxes=given["max_boxes"],
        max_detections=given["max_boxes"],
        seed=given["seed"],
    )
    model.default_rate = given["learning_rate"]
    return model


def _varied(given: dict[str, Any]) -> Any:
    from keras_transgen.transfer.detection.augmentation import named_augmentation

    if given["augmentation"] == "none":
        return None
    return named_augmentation(given["augmentation"], vertical=given["vertical_flips"])


def _group(text: str | None) -> int | str | None:
    """What `--freeze-to` says: the name of a group, or its number."""
    is_number = text is not None and text.removeprefix("-").isdecimal()
    return int(text) if text is not None and is_number else text


def _scales(text: str | None, network: Any, image_size: int) -> list[int | str]:
    """What `--scales` says; else the usual strides, or the coarsest three that there are."""
    if text is not None:
        words = [word.strip() for word in text.split(",")]
        return [int(word) if word.isdecimal() else word for word in words]
    strides = {stride for stride in network.layer_reductions().values() if 1 < stride <= image_size}
    usual = sorted(strides.intersection(_STRIDES))
    # Where there are none, the detector says what is missing.
    return [*(usual or sorted(strides)[-3:] or _STRIDES)]


def _fit(run: ResumableTraining, model: Any, data: Boxed, given: dict[str, Any]) -> None:
    from keras_transgen.callbacks import DetectionGrid
    from keras_transgen.cli.detect_data import first_examples
    from keras_transgen.plotting import save_figure

    if model.transfer == "feature":
        # A run is gone on with on the very same files and options only.
        run.remember(run.seconds)
        model.cache_dir, model.data_key = str(run.features), "data of this run"
    size = given["batch_size"]
    batches = -(-data.count * (model.views if model.transfer == "feature" else 1) // size)
    # A limit of minutes cuts the usual training short, whose learning rate falls to its end.
    epochs = given["epochs"] if run.steps is None else run.epochs(None, batches, 1)
    images, truth = first_examples(data.held_out, _SHOWN)
    previews = DetectionGrid(
        images,
        truth,
        folder=run.output / _PREVIEWS,
        every=preview_interval(epochs or model.usual_epochs(batches)),
        root=run.output,
    )
    model.fit(
        data.train,
        validation_data=data.held_out,
        batch_size=size,
        epochs=epochs,
        callbacks=[*run.callbacks(), previews],
        verbose=fit_verbosity(),
    )
    # The folder goes with the end of the run.
    model.cache_dir = model.data_key = None
    save_figure(previews.drawn()[0], run.output / "detections.png")
