"""`keras-transgen generate`: train a generative model, and draw samples from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from keras_transgen.cli.example_images import example_images, few_of_each, has_folders
from keras_transgen.cli.latent_flow import LATENT_FLOW, train_latent_flow
from keras_transgen.cli.music import MUSIC, sample_music, train_music
from keras_transgen.cli.one_at_a_time import one_at_a_time
from keras_transgen.cli.options import (
    EMBEDDED,
    Check,
    Color,
    OldSize,
    SkipBroken,
    loading_console,
    model_in,
    one_size,
    refuse_output,
    say_written,
    seed_option,
)
from keras_transgen.cli.quiet import fit_verbosity
from keras_transgen.cli.resumable import (
    Epochs,
    Minutes,
    Restart,
    ResumableTraining,
    Steps,
    preview_interval,
    refuse_two_lengths,
)
from keras_transgen.cli.sound_train import SOUND, WAVENET, train_sound
from keras_transgen.cli.sound_write import WAVEGAN, makes_sound, sample_sound

if TYPE_CHECKING:
    import numpy as np

EPOCHS = 20
GRID = 64
_BATCH_SIZE = 64
FLOW = "flow"
# Which options models take besides those of all; others take those of images and latents.
_OPTIONS = {
    MUSIC: ("music",),
    WAVENET: ("sound",),
    WAVEGAN: ("sound", "latents"),
    FLOW: ("images", "flows"),
    LATENT_FLOW: ("images", "flows", "latents", "networks"),
}
# What models learn from that the package brings no example of.
_TAUGHT_BY = {
    MUSIC: "Music is learnt from a folder of MIDI files, or a JSON file of pieces",
    **dict.fromkeys(SOUND, "Sound is learnt from a folder of recordings, WAV files"),
}


@one_at_a_time
def run_train(
    images: Annotated[
        str,
        typer.Argument(
            help="A folder of images (by class for the conditional GAN, and for a flow of "
            "classes), or 'digits', which come with the package; of music a folder of MIDI files, "
            "or a JSON file of pieces; of sound a folder of WAV files, or of a folder of them for "
            "each class."
        ),
    ] = EMBEDDED,
    model: Annotated[
        Literal[
            "vae", "gan", "conditional-gan", "flow", "latent-flow", "music", "wavegan", "wavenet"
        ],
        typer.Option(help="What to train."),
    ] = "vae",
    image_size: Annotated[
        int | None,
        typer.Option(
            min=4, help="Side of the images in pixels.", show_default="64; 8 for 'digits'"
        ),
    ] = None,
    size: OldSize = None,
    color: Color = "rgb",
    epochs: Epochs = None,
    steps: Steps = None,
    minutes: Minutes = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Examples a batch.", show_default="64; 16 pieces; 32 or 8 waves"),
    ] = None,
    latent_dim: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Size of the latent vector; of latent-flow channels of the latents.",
            show_default="the model's",
        ),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(
            min=4,
            help="Of flow and latent-flow: channels of the network's largest maps. Half of them "
            "train faster, and learn less.",
            show_default="32",
        ),
    ] = None,
    perceptual: Annotated[
        str | None,
        typer.Option(
            help="Of latent-flow: a pretrained network for the autoencoder's perceptual loss.",
            show_default="none",
        ),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            help="Of latent-flow: a pretrained network that judges the autoencoder, best another.",
            show_default="none",
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the model, grids and curves.")] = Path(
        "runs/generate"
    ),
    restart: Restart = False,
    seed: Annotated[int, seed_option("Of networks, noise and order.")] = 0,
    check: Check = "quick",
    skip_broken: SkipBroken = False,
    frames_per_beat: Annotated[
        int | None,
        typer.Option(
            min=1, help="Of music: frames of a quarter note.", show_default="1; 4 for sixteenths"
        ),
    ] = None,
    transpose: Annotated[
        int | None,
        typer.Option(min=0, help="Of music: semitones up and down, in training.", show_default="0"),
    ] = None,
    sample_rate: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of sound: samples a second that it is read at.",
            show_default="the first recording's",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Of sound: longest recording; the rest is cut off. Of wavegan: the length of all.",
            show_default="all; at most 16,384 samples",
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            help="Of sound: a regular expression for each file's name, with a group 'label'.",
            show_default="a folder a class",
        ),
    ] = None,
) -> Any:
    """Train a VAE, a GAN, a conditional GAN, a flow, or a model of music or sound."""
    refuse_two_lengths(epochs, steps)
    options: dict[str, dict[str, Any]] = {
        "music": {"frames_per_beat": frames_per_beat, "transpose": transpose},
        "sound": {"sample_rate": sample_rate, "seconds": seconds, "pattern": pattern},
        "flows": {"width": width},
        "latents": {"latent_dim": latent_dim},
        "networks": {"perceptual": perceptual, "judge": judge},
        "images": {
            "image_size": image_size,
            "size": size,
            "color": None if color == "rgb" else color,
            "check": None if check == "quick" else check,
            "skip_broken": skip_broken or None,
        },
    }
    own = _OPTIONS.get(model, ("images", "latents"))
    for kind, given in options.items():
        if kind not in own:
            _refuse_others(model, given)
    if images == EMBEDDED and model in _TAUGHT_BY:
        raise ValueError(f"{_TAUGHT_BY[model]}: give one. Received: none")
    refuse_output(output)
    console = loading_console()
    if model in _TAUGHT_BY:
        learnt: dict[str, Any] = {
            "images": str(Path(images).resolve()),
            "model": model,
            "epochs": epochs,
            "steps": steps,
            "batch_size": batch_size,
            "seed": seed,
            **{name: value for kind in own for name, value in options[kind].items()},
        }
        with ResumableTraining(output, learnt, console, restart, minutes, steps) as run:
            return (train_music if model == MUSIC else train_sound)(run, learnt)
    image_size = one_size(console, image_size, size)
    settings: dict[str, Any] = {
        "images": images if images == EMBEDDED else str(Path(images).resolve()),
        "model": model,
        "image_size": image_size,
        "color": color,
        "epochs": epochs,
        "steps": steps,
        "batch_size": batch_size or _BATCH_SIZE,
        "latent_dim": latent_dim,
        "seed": seed,
        "check": check,
        "skip_broken": skip_broken,
    }
    if "flows" in own:
        settings |= options["flows"]
    if model == LATENT_FLOW:
        settings |= options["networks"]
        by_class = images == EMBEDDED or _is_by_class(images)
        with ResumableTraining(output, settings, console, restart, minutes, steps) as run:
            return train_latent_flow(run, settings, images, by_class, restart)
    with ResumableTraining(output, settings, console, restart, minutes, steps) as run:
        return _train(run, **{**settings, "images": images})


def _train(
    run: ResumableTraining,
    images: str,
    model: str,
    image_size: int | None,
    color: str,
    epochs: int | None,
    steps: int | None,
    batch_size: int,
    latent_dim: int | None,
    seed: int,
    check: str,
    skip_broken: bool,
    width: int | None = None,
) -> Any:
    import keras
    import numpy as np

    from keras_transgen.callbacks import SampleGrid
    from keras_transgen.datasets.whole_file import refuse_links_below
    from keras_transgen.plotting import plot_learning_curves, save_figure
    from keras_transgen.training import write_whole_json
    from keras_transgen.training.batch_assertions import own_words

    keras.utils.set_random_seed(seed)
    output = run.output
    by_class = model == FLOW and (images == EMBEDDED or _is_by_class(images))
    conditional = model == "conditional-gan" or by_class
    refuse_links_below(output, output / "samples" / "epoch_0001.png")
    value_range = (0.0, 1.0) if model == "vae" else (-1.0, 1.0)
    data, names = example_images(
        images, image_size, color, conditional, value_range, seed, True, check, skip_broken
    )
    with own_words(data):
        first = next(iter(data.batch(GRID)))
    real = (np.asarray(first[0]), np.asarray(first[1]) if conditional else None)
    made = _model(model, real[0].shape[1:], latent_dim, names or None, width)
    if not conditional:
        data = data.map(lambda image, _: image)
    data = data.batch(batch_size, drop_remainder=images == EMBEDDED).prefetch(1)
    passes = run.epochs(epochs, data, EPOCHS)
    output.mkdir(parents=True, exist_ok=True)
    shown = {"condition": np.repeat(np.arange(len(names)), 8)} if conditional else {"count": GRID}
    grid = SampleGrid(
        output / "samples",
        every=preview_interval(passes),
        seed=seed,
        class_names=names or None,
        root=output,
        **shown,
    )
    made.fit(data, epochs=passes, callbacks=[*run.callbacks(), grid], verbose=fit_verbosity())
    made.save(output / "model.keras")
    write_whole_json(output / "classes.json", names)
    save_figure(plot_learning_curves(run.curves()), output / "learning_curves.png")
    save_figure(_final_grid(made, real, names, seed), output / "samples.png")
    if model == "vae":
        save_figure(_reconstructions(made, real), output / "reconstructions.png")
    say_written(run.console, output)
    run.end()
    return made


def run_sample(
    model_file: Annotated[
        Path, typer.Argument(help="The .keras file of a generative model.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Argument(
            help="PNG file, of sound a WAV file; with --separate, a folder. Of music a MIDI file, "
            "or a folder for several.",
            show_default=False,
        ),
    ],
    count: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many; per class, without --condition.",
            show_default="64; 1 of sound or music",
        ),
    ] = None,
    condition: Annotated[
        str | None,
        typer.Option(help="Class to draw, by name or number from 0, of a model of classes."),
    ] = None,
    seed: Annotated[int | None, seed_option("Makes the samples reproducible.")] = None,
    separate: Annotated[bool, typer.Option("--separate", help="One file a sample.")] = False,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Of music: frames of a piece.", show_default="64")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Of wavenet: how long waves are.", show_default="as those learnt from"
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Of wavenet and music: below 1 for likelier ones.", show_default="1"
        ),
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Of a flow of classes: above 1 for clearer, more uniform ones.",
            show_default="1",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of a flow: steps from noise to samples; fewer are faster, and coarser.",
            show_default="20",
        ),
    ] = None,
    sample_rate: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of sound: samples a second, where nothing beside the model says it.",
            show_default="the model's",
        ),
    ] = None,
) -> list[Path]:
    """Draw samples from a trained model's file."""
    refuse_output(output, folder=separate, name="output")
    console = loading_console()
    import numpy as np

    import keras_transgen as ktg
    from keras_transgen.plotting import plot_sample_grid, save_figure
    from keras_transgen.plotting.save_figure import checked_suffix

    model = ktg.load_model(model_in(model_file))
    if not hasattr(model, "sample"):
        raise ValueError(
            f"This file holds no generative model. Received: {type(model).__name__} in {model_file}"
        )
    of_wavenet = {"seconds": seconds, "temperature": temperature}
    of_sound = {"sample_rate": sample_rate, **of_wavenet}
    of_flow = {"guidance": guidance, "steps": steps}
    kind = type(model).__name__
    if not isinstance(model, ktg.FlowMatching):
        _refuse_others(kind, of_flow)
    if isinstance(model, ktg.MusicModel):
        others = {"condition": condition, "separate": separate or None, **of_sound}
        _refuse_others(MUSIC, {**others, "temperature": None})
        warmth = 1.0 if temperature is None else temperature
        files = sample_music(model, model_file, output, count or 1, frames or 64, warmth, seed)
        console.print(f"{'One piece' if len(files) == 1 else f'{len(files)} pieces'}: {output}")
        return files
    _refuse_others(kind, {"frames": frames})
    if makes_sound(model):
        if not isinstance(model, ktg.WaveNet):
            _refuse_others(kind, of_wavenet)
        count = count or 1
        labels = _labels(model, count, condition)
        files = sample_sound(model, model_file, output, labels, count, seed, separate, of_sound)
        waves = count if labels is None else len(labels)
        console.print(f"{'One wave' if waves == 1 else f'{waves} waves'}: {output}")
        return files
    _refuse_others(kind, of_sound)
    if not separate:
        checked_suffix(output)
    count = count or GRID
    labels = _labels(model, count, condition)
    asked = {name: each for name, each in of_flow.items() if each is not None}
    samples = np.asarray(model.sample(count if labels is None else labels, seed=seed, **asked))
    low, high = _range(model)
    names = None if labels is None else model.class_names
    if not separate:
        output.parent.mkdir(parents=True, exist_ok=True)
        figure = plot_sample_grid(
            samples, labels=labels, class_names=names, value_range=(low, high)
        )
        save_figure(figure, output)
        console.print(f"{len(samples)} samples: {output}")
        return [output]
    output.mkdir(parents=True, exist_ok=True)
    files = _write_each(samples, labels, names, (low, high), output)
    console.print(f"{len(files)} samples: {output}")
    return files


def _refuse_others(model: str, options: dict[str, Any]) -> None:
    """Refuse options of other models.

    Raises:
        ValueError: One of them was given.
    """
    given = [f"--{name.replace('_', '-')}" for name, each in options.items() if each is not None]
    if given:
        raise ValueError(
            f"{', '.join(given)} does not apply to {model}: leave it out. Received: {given[0]}"
        )


def _model(
    model: str,
    shape: tuple[int, int, int],
    latent_dim: int | None,
    names: list[str] | None,
    width: int | None = None,
) -> Any:
    import keras_transgen as ktg

    latent = {} if latent_dim is None else {"latent_dim": latent_dim}
    # Without it the scores of photographs run away (benchmarks/gan_scores.py).
    varied = {"augmentation": "color,translation,cutout"} if shape[-1] == 3 else {}
    makers = {
        "vae": lambda: ktg.VAE(input_shape=shape, **latent),
        "gan": lambda: ktg.GAN(image_shape=shape, **latent, **varied),
        "conditional-gan": lambda: ktg.ConditionalGAN(
            class_names=names, image_shape=shape, **latent, **varied
        ),
        FLOW: lambda: ktg.FlowMatching(shape, class_names=names, width=width),
    }
    return makers[model]()


def _is_by_class(images: str) -> bool:
    path = Path(images)
    return path.is_dir() and has_folders(path)


def _labels(model: Any, count: int, condition: str | int | None) -> np.ndarray | None:
    import numpy as np

    classes = getattr(model, "num_classes", None)
    if classes is None:
        if condition is not None:
            raise ValueError(
                "This model knows no classes; leave out --condition. "
                f"Received: --condition {condition} for a {type(model).__name__}"
            )
        return None
    if condition is None:
        return np.repeat(np.arange(classes), count)
    names = list(model.class_names or ())
    if condition in names:
        return np.full(count, names.index(str(condition)))
    if not str(condition).isdecimal() or int(condition) >= classes:
        known = f"one of {', '.join(names)}" if names else f"a number below {classes}"
        raise ValueError(f"--condition must be {known}. Received: --condition {condition}")
    return np.full(count, int(condition))


def _range(model: Any) -> tuple[float, float]:
    return getattr(model, "value_range", None) or (0.0, 1.0)


def _final_grid(model: Any, real: tuple, names: list[str], seed: int) -> Any:
    import numpy as np

    from keras_transgen.plotting import plot_sample_grid

    images, real_labels = few_of_each(*real)
    labels = None if real_labels is None else np.repeat(np.arange(len(names)), 8)
    samples = np.asarray(model.sample(len(images) if labels is None else labels, seed=seed))
    return plot_sample_grid(
        samples,
        labels=labels,
        class_names=names or None,
        real=images,
        real_labels=real_labels,
        value_range=_range(model),
        title="real images and samples",
    )


def _reconstructions(model: Any, real: tuple) -> Any:
    import numpy as np

    from keras_transgen.plotting import plot_sample_grid

    images = real[0][:32]
    return plot_sample_grid(
        np.asarray(model.reconstruct(images)),
        real=images,
        value_range=_range(model),
        title="real images and their reconstructions",
    )


def _write_each(
    samples: np.ndarray,
    labels: np.ndarray | None,
    names: Sequence[str] | None,
    limits: tuple[float, float],
    folder: Path,
) -> list[Path]:
    import re

    import keras
    import numpy as np

    from keras_transgen.training import write_whole

    low, high = limits
    files = []
    for number, sample in enumerate(samples):
        kind = ""
        if labels is not None:
            kind = f"{labels[number]}_"
            if names is not None:
                # As far as names of files go.
                kind += re.sub(r"[^\w-]+", "_", names[labels[number]])[:40] + "_"
        files.append(folder / f"{kind}{number:05}.png")
        pixels = np.clip((sample - low) / (high - low), 0.0, 1.0) * 255.0
        write_whole(str(files[-1]), keras.utils.array_to_img(pixels, scale=False).save)
    return files
