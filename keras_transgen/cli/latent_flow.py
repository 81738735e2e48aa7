"""`generate train --model latent-flow`: an autoencoder first, its gate, then a flow."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from keras_transgen.cli.example_images import example_images, few_of_each
from keras_transgen.cli.options import say_written
from keras_transgen.cli.quiet import fit_verbosity
from keras_transgen.cli.resumable import ResumableTraining, preview_interval

LATENT_FLOW = "latent-flow"
_EPOCHS = 20
_HELD_OUT, _MOST_HELD_OUT, _FEWEST_JUDGED = 10, 1000, 20
_VALUE_RANGE = (-1.0, 1.0)
_GRID = 64
# Of pictures of classes: clearer, and after a training of minutes nearer to photographs.
_GUIDANCE = 3.0


def train_latent_flow(
    run: ResumableTraining, settings: dict[str, Any], images: str, by_class: bool, restart: bool
) -> Any:
    """Train both in turn, each for the epochs, steps or minutes that were asked for.

    A tenth of the images is held out of both. A run that goes on takes up what was unfinished; an
    autoencoder that was finished is read from `autoencoder/model.keras`.

    Args:
        run: Of the flow and of the whole.
        settings: Of the command.
        images: As the user gave them.
        by_class: Whether images have classes.
        restart: Whether to begin anew.
    """
    import keras
    import numpy as np

    from keras_transgen.callbacks import SampleGrid
    from keras_transgen.fusion import LatentFlow
    from keras_transgen.plotting import plot_learning_curves, plot_sample_grid, save_figure
    from keras_transgen.training import write_whole_json
    from keras_transgen.training.batch_assertions import own_words

    seed = settings["seed"]
    keras.utils.set_random_seed(seed)
    data, names = example_images(
        images,
        settings["image_size"],
        settings["color"],
        by_class,
        _VALUE_RANGE,
        seed,
        check=settings["check"],
        skip_broken=settings["skip_broken"],
    )
    with own_words(data):
        pixels, labels = (np.stack(part) for part in zip(*data.as_numpy_iterator()))
    if len(pixels) < 2:
        raise ValueError(
            "A latent flow needs two images at least, one of them to hold out. "
            f"Received: {len(pixels)} in {images}"
        )
    order = np.random.default_rng(seed).permutation(len(pixels))
    pixels, labels = pixels[order], labels[order]
    held_out = min(max(1, len(pixels) // _HELD_OUT), _MOST_HELD_OUT)
    judge = _judge(run, settings["judge"], pixels[-held_out:])
    goes_on = run.folder.exists()
    run.output.mkdir(parents=True, exist_ok=True)
    own = {**settings, "model": f"{LATENT_FLOW}, autoencoder"}
    part = ResumableTraining(
        run.output / "autoencoder", own, run.console, restart, run.minutes, run.steps
    )
    if not goes_on:
        # Before the whole is known to have begun: an autoencoder that lies there, and is of an
        # earlier run, must not be taken for what this one has finished.
        part.remember(part.seconds)
    run.remember(run.seconds)
    try:
        autoencoder = _autoencoder(part, settings, pixels, held_out)
    except ValueError:
        # Refused: an empty folder is of no use.
        with contextlib.suppress(OSError):
            part.output.rmdir()
        raise
    if judge is not None:
        _tell_gate(run, judge, autoencoder, pixels[-held_out:])
    conditions = {"class_names": names} if names else {}
    model = LatentFlow(
        autoencoder, mirrored=False, seed=seed, width=settings["width"], **conditions
    )
    learnt = (pixels[:-held_out], labels[:-held_out]) if names else (pixels[:-held_out],)
    batches = -(-len(learnt[0]) // settings["batch_size"])
    passes = run.epochs(settings["epochs"], batches, _EPOCHS)
    of_classes = np.repeat(np.arange(len(names)), 8)
    shown = {"condition": of_classes} if names else {"count": _GRID}
    guided = {"guidance": _GUIDANCE} if names else {}
    grid = SampleGrid(
        run.output / "samples",
        every=preview_interval(passes),
        seed=seed,
        class_names=names or None,
        root=run.output,
        sample_arguments=guided,
        **shown,
    )
    run.console.print(f"Now the flow in its latents, in batches of {settings['batch_size']}")
    model.fit(
        *learnt,
        batch_size=settings["batch_size"],
        epochs=passes,
        callbacks=[*run.callbacks(), grid],
        verbose=fit_verbosity(),
    )
    model.save(run.output / "model.keras")
    write_whole_json(run.output / "classes.json", names)
    save_figure(plot_learning_curves(run.curves()), run.output / "learning_curves.png")
    real, real_labels = few_of_each(pixels[:_GRID], labels[:_GRID] if names else None)
    asked = of_classes if names else len(real)
    figure = plot_sample_grid(
        model.sample(asked, seed=seed, **guided),
        labels=of_classes if names else None,
        class_names=names or None,
        real=real,
        real_labels=real_labels,
        value_range=_VALUE_RANGE,
        title="real images and samples" + (f", guidance {_GUIDANCE:g}" if names else ""),
    )
    save_figure(figure, run.output / "samples.png")
    say_written(run.console, run.output)
    run.end()
    return model


def _autoencoder(
    part: ResumableTraining, settings: dict[str, Any], pixels: Any, held_out: int
) -> Any:
    """The trained autoencoder: read, where this run has finished it, or trained."""
    from keras_transgen.fusion import LatentAutoencoder, PerceptualLoss
    from keras_transgen.plotting import plot_learning_curves, save_figure

    folder: Path = part.output
    with part:
        if not part.folder.exists() and (folder / "model.keras").exists():
            return _finished(folder / "model.keras")
        loss = None
        if settings["perceptual"] is not None:
            side = pixels.shape[1:3]
            loss = PerceptualLoss(settings["perceptual"], value_range=_VALUE_RANGE, image_size=side)
        model = LatentAutoencoder(
            pixels.shape[1:],
            loss,
            latent_channels=settings["latent_dim"] or 8,
            perceptual_weight=2.0,
            seed=settings["seed"],
        )
        batch_size = min(16, settings["batch_size"])
        learnt = pixels[:-held_out]
        passes = part.epochs(settings["epochs"], -(-len(learnt) // batch_size), _EPOCHS)
        folder.mkdir(parents=True, exist_ok=True)
        part.console.print(f"First the autoencoder, in batches of {batch_size}")
        model.fit(
            learnt,
            batch_size=batch_size,
            epochs=passes,
            callbacks=part.callbacks(),
            validation_data=pixels[-held_out:],
            verbose=fit_verbosity(),
        )
        model.save(folder / "model.keras")
        save_figure(plot_learning_curves(part.curves()), folder / "learning_curves.png")
        save_figure(model.reconstruction_grid(pixels[-8:]), folder / "reconstructions.png")
        part.end()
        return model


def _finished(file: Path) -> Any:
    """The autoencoder that an earlier run of this training has finished."""
    import keras_transgen as ktg

    try:
        return ktg.load_model(file)
    except (OSError, ValueError) as error:
        raise ValueError(
            "The output folder holds an unfinished run whose autoencoder cannot be read. Begin "
            f"anew with --restart. Received: {file} ({error!s:.200})"
        ) from error


def _judge(run: ResumableTraining, name: str | None, held_out: Any) -> Any:
    """What judges reconstructions, loaded before anything is trained; `None` where nothing does."""
    from keras_transgen.backbones import load_backbone
    from keras_transgen.evaluation import SampleQuality

    if name is None:
        return None
    quality = SampleQuality(load_backbone(name), value_range=_VALUE_RANGE)
    if len(held_out) < _FEWEST_JUDGED:
        run.console.print(
            f"Reconstructions will not be judged: a tenth of the images is held out for it, "
            f"{len(held_out)}, and {_FEWEST_JUDGED} are needed.",
            soft_wrap=True,
        )
        return None
    quality.update_real(held_out)
    return quality


def _tell_gate(run: ResumableTraining, quality: Any, autoencoder: Any, held_out: Any) -> None:
    """Print the kernel distance of held-out images' reconstructions: no flow comes below it."""
    quality.update_generated(autoencoder.reconstruct(held_out))
    run.console.print(
        f"Reconstructions of {len(held_out)} held-out images: kernel distance "
        f"{quality.result().kernel_distance:.3g}. Samples of the flow will hardly come below it.",
        soft_wrap=True,
    )
