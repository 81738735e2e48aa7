"""`keras-transgen generate`: train a generative model on images, and draw samples from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from keras_transgen.datasets.screen import Screen

EMBEDDED = "digits"
GRID = 64


def run_train(
    images: str,
    *,
    model: str = "vae",
    size: int | None = None,
    color: str = "rgb",
    epochs: int = 20,
    batch_size: int = 64,
    latent_dim: int | None = None,
    output: Path = Path("runs/generate"),
    seed: int = 0,
) -> Any:
    """Train a VAE, a GAN or a conditional GAN and write the model, grids and curves.

    Args:
        images: `"digits"` (embedded, 8x8), or a folder of images: by class for the conditional GAN.
        model: `"vae"`, `"gan"` or `"conditional-gan"`.
        size: Side of the images in pixels. Defaults to 64, and to 8 for the embedded digits.
        color: `"rgb"` or `"grayscale"`.
        epochs: Passes over the images.
        batch_size: Images a step.
        latent_dim: Size of the latent vector. Defaults to the model's own.
        output: Folder for `model.keras`, `classes.json`, PNG grids and curves.
        seed: Of the networks, the noise and the order of the images.

    Returns:
        The trained model.

    Raises:
        ValueError: If the folder and the model do not fit together, or a link leads out of the
            output folder.
    """
    console = Screen()
    console.print("Loading TensorFlow ...")
    import keras

    from keras_transgen.callbacks import SampleGrid
    from keras_transgen.plotting import plot_learning_curves, save_figure
    from keras_transgen.training import write_whole_text
    from keras_transgen.training.whole_file import refuse_links_below

    keras.utils.set_random_seed(seed)
    conditional = model == "conditional-gan"
    refuse_links_below(output, output / "samples" / "epoch_0001.png")
    data, real, shape, names = _data(images, size, color, batch_size, conditional, model, seed)
    made = _model(model, shape, latent_dim, len(names))
    output.mkdir(parents=True, exist_ok=True)
    shown = {"condition": np.repeat(np.arange(len(names)), 8)} if conditional else {"count": GRID}
    grid = SampleGrid(
        output / "samples",
        every=max(1, epochs // 10),
        seed=seed,
        class_names=names or None,
        root=output,
        **shown,
    )
    history = made.fit(data, epochs=epochs, callbacks=[grid])
    made.save(output / "model.keras")
    write_whole_text(output / "classes.json", json.dumps(names) + "\n")
    save_figure(plot_learning_curves(history), output / "learning_curves.png")
    save_figure(_final_grid(made, real, names, seed), output / "samples.png")
    if model == "vae":
        save_figure(_reconstructions(made, real), output / "reconstructions.png")
    console.print(f"Written to {output}: {', '.join(sorted(p.name for p in output.iterdir()))}")
    return made


def run_sample(
    model_file: Path,
    output: Path,
    *,
    count: int = 64,
    condition: int | None = None,
    seed: int | None = None,
    separate: bool = False,
) -> list[Path]:
    """Draw samples from a trained model's file.

    Args:
        model_file: A `.keras` file of a VAE, GAN or conditional GAN.
        output: PNG file of the grid, or with `separate` a folder of PNG files.
        count: How many samples; of each class, for a conditional GAN without `condition`.
        condition: Class to draw, for a conditional GAN.
        seed: Makes the samples reproducible.
        separate: Write each sample as a file of its own.

    Returns:
        The files written.

    Raises:
        ValueError: If a class is asked for where the model has none.
    """
    console = Screen()
    console.print("Loading TensorFlow ...")
    import keras_transgen as ktg
    from keras_transgen.plotting import plot_sample_grid, save_figure

    model = ktg.load_model(model_file)
    if not hasattr(model, "sample"):
        raise ValueError(
            f"This file holds no generative model. Received: {type(model).__name__} in {model_file}"
        )
    labels = _labels(model, count, condition)
    samples = np.asarray(model.sample(count if labels is None else labels, seed=seed))
    low, high = _range(model)
    if not separate:
        output.parent.mkdir(parents=True, exist_ok=True)
        save_figure(plot_sample_grid(samples, labels=labels, value_range=(low, high)), output)
        console.print(f"{len(samples)} samples: {output}")
        return [output]
    output.mkdir(parents=True, exist_ok=True)
    files = _write_each(samples, labels, (low, high), output)
    console.print(f"{len(files)} samples: {output}")
    return files


def _data(
    images: str,
    size: int | None,
    color: str,
    batch_size: int,
    conditional: bool,
    model: str,
    seed: int,
) -> tuple[Any, tuple[np.ndarray, np.ndarray | None], tuple[int, int, int], list[str]]:
    """A data set for `fit`, some real images to show beside, the image shape and class names."""
    import tensorflow as tf

    from keras_transgen.datasets import image_folder, index_images, load_digits

    value_range = (0.0, 1.0) if model == "vae" else (-1.0, 1.0)
    low, high = value_range
    if images == EMBEDDED:
        pixels, labels = load_digits()
        if size not in (None, 8):
            pixels = np.asarray(tf.image.resize(pixels, (size, size)))
        pixels = low + (high - low) * pixels
        data = tf.data.Dataset.from_tensor_slices((pixels, labels))
        data = data.shuffle(len(pixels), seed=seed).batch(batch_size, drop_remainder=True)
        names = [str(digit) for digit in range(10)]
    else:
        folder = Path(images)
        labelled = conditional
        index = index_images(folder, labelled=labelled)
        names = list(index.class_names or ())
        data = image_folder(
            folder,
            image_size=size or 64,
            batch_size=batch_size,
            labelled=labelled,
            value_range=value_range,
            color_mode=color,
            shuffle=True,
            seed=seed,
        )
        if not labelled:
            data = data.map(lambda batch: (batch, tf.zeros(tf.shape(batch)[0], tf.int64)))
    first = next(iter(data.unbatch().batch(GRID)))
    real = (np.asarray(first[0]), np.asarray(first[1]) if conditional else None)
    height, width, channels = (int(side) for side in real[0].shape[1:])
    shape = (height, width, channels)
    if not conditional:
        data = data.map(lambda batch, _: batch)
    return data.prefetch(tf.data.AUTOTUNE), real, shape, names


def _model(
    model: str, shape: tuple[int, int, int], latent_dim: int | None, num_classes: int
) -> Any:
    import keras_transgen as ktg

    latent = {} if latent_dim is None else {"latent_dim": latent_dim}
    makers = {
        "vae": lambda: ktg.VAE(input_shape=shape, **latent),
        "gan": lambda: ktg.GAN(image_shape=shape, **latent),
        "conditional-gan": lambda: ktg.ConditionalGAN(
            num_classes=num_classes, image_shape=shape, **latent
        ),
    }
    return makers[model]()


def _labels(model: Any, count: int, condition: int | None) -> np.ndarray | None:
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
    return np.full(count, condition)


def _range(model: Any) -> tuple[float, float]:
    return getattr(model, "value_range", None) or (0.0, 1.0)


def _final_grid(model: Any, real: tuple, names: list[str], seed: int) -> Any:
    from keras_transgen.plotting import plot_sample_grid

    images, real_labels = real
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
    from keras_transgen.plotting import plot_sample_grid

    images = real[0][:32]
    return plot_sample_grid(
        np.asarray(model.reconstruct(images)),
        real=images,
        value_range=_range(model),
        title="real images and their reconstructions",
    )


def _write_each(
    samples: np.ndarray, labels: np.ndarray | None, limits: tuple[float, float], folder: Path
) -> list[Path]:
    import keras

    from keras_transgen.training import write_whole

    low, high = limits
    files = []
    for number, sample in enumerate(samples):
        kind = "" if labels is None else f"{labels[number]}_"
        files.append(folder / f"{kind}{number:05}.png")
        pixels = np.clip((sample - low) / (high - low), 0.0, 1.0) * 255.0
        write_whole(str(files[-1]), keras.utils.array_to_img(pixels, scale=False).save)
    return files
