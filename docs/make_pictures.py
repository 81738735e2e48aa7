"""Draw the pictures of the guides again: what the package makes of the data that come with it.

    python docs/make_pictures.py                 # all, about two minutes on a core
    python docs/make_pictures.py tapped_layers one_step

Each goes to docs/images/NAME.png. Pictures of tutorials come from their notebooks
(`python tutorials/execute.py --store`), those of the README from `make demo` and benchmarks/.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import diagrams
import keras
import numpy as np
from PIL import Image
from scipy.spatial.distance import cdist

import keras_transgen as ktg
from keras_transgen.generative.networks import dense_decoder, dense_encoder
from keras_transgen.generative.translation import Noise
from keras_transgen.plotting.appearance import LINE_COLOURS, QUIET, new_figure, tidy
from keras_transgen.plotting.sample_grid import draw_mosaic

IMAGES = Path(__file__).parent / "images"


def trained_vae(epochs: int, callbacks=()) -> ktg.VAE:
    """A dense VAE of the digits."""
    keras.utils.set_random_seed(0)
    images, _ = ktg.datasets.load_digits()
    encoder, decoder = dense_encoder((8, 8, 1), (256,)), dense_decoder(16, (8, 8, 1), (256,))
    vae = ktg.VAE((8, 8, 1), latent_dim=16, encoder=encoder, decoder=decoder, seed=0)
    vae.compile(optimizer=keras.optimizers.Adam(2e-3))
    vae.fit(images[:1200], epochs=epochs, batch_size=64, verbose=0, callbacks=list(callbacks))
    return vae


def value_range():
    """Accuracy of one network on the same images in the range that it knows and in others."""
    (x, y), (test_x, test_y) = ktg.datasets.load_digits_split(test_fraction=0.5)
    ranges = {"[0, 1], which it knows": (1, 0), "[-1, 1]": (2, -1), "[0, 255]": (255, 0)}
    found = {}
    for name, (scale, offset) in ranges.items():
        for seed in range(5):
            few = ktg.datasets.sample_per_class(y, 5, seed=seed)
            change = keras.layers.Rescaling(scale, offset)
            model = ktg.FeatureTransfer("digits", 10, preprocessing=change)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # It says that the range is wrong, as it should.
                model.fit(x[few], y[few], verbose=0)
            right = model.classify(test_x, verbose=0) == test_y
            found.setdefault(name, []).append(float(np.mean(right)))
    return ktg.plotting.plot_method_comparison(
        found, title="The digits' network, fed in three ranges, 5 labels a class"
    )


def sample_grid():
    """What a VAE draws from the same noise, epoch by epoch."""
    rows = {}

    class Kept(ktg.callbacks.SampleGrid):
        def images(self):
            made = super().images()
            rows[f"epoch {1 + len(rows) * self.every}"] = made
            return made

    with tempfile.TemporaryDirectory() as folder:
        trained_vae(33, [Kept(folder, count=12)])
    shown = {f"epoch {epoch}": rows[f"epoch {epoch}"] for epoch in (1, 2, 4, 8, 16, 32)}
    return ktg.plotting.plot_translations(shown, title="Twelve samples from the same noise")


def sample_measures():
    """Four sets of images, judged by the same measures."""
    images, _ = ktg.datasets.load_digits()
    rng = np.random.default_rng(0)
    samples = np.asarray(trained_vae(60).sample(500, seed=0))
    backbone = ktg.load_backbone("digits")
    real = backbone(images[:500]).numpy()
    # A generator that has found one good image.
    gaps = cdist(backbone(samples).numpy(), real).min(axis=1)
    same = samples[np.argmin(gaps)] + rng.normal(0.0, 0.02, (500, 8, 8, 1))
    sets = {
        "real, held out": images[1200:],
        "samples of a VAE": samples,
        "its best one, 500 times": np.clip(same, 0.0, 1.0),
        "noise": rng.uniform(size=(500, 8, 8, 1)),
    }
    rows = {}
    for name, each in sets.items():
        features = backbone(each[:500].astype("float32")).numpy()
        distance = ktg.evaluation.kernel_distance(real, features)
        precision, recall = ktg.evaluation.precision_recall(real, features, k=5)
        found = f"distance {distance:.2f}\nprecision {precision:.2f}, recall {recall:.2f}"
        rows[f"{name}\n{found}"] = each[:10]
    figure = new_figure(8.6, 2.75)
    axes = figure.add_axes((0.22, 0.02, 0.77, 0.96))
    tiles = np.stack([np.repeat(each, 3, axis=-1) for each in rows.values()])
    draw_mosaic(axes, tiles, row_names=list(rows))
    return figure


def flow_of_digits():
    """A trained flow's digits: real ones, samples by guidance, and lower halves made anew."""
    keras.utils.set_random_seed(0)
    (images, labels), (test, test_labels) = ktg.datasets.load_digits_split()
    flow = ktg.FlowMatching(
        (8, 8, 1), 10, network="patch_transformer", width=64, value_range=(0, 1), seed=0
    )
    flow.compile(keras.optimizers.Adam(2e-3))
    flow.fit(images, labels, batch_size=64, epochs=30, verbose=0)
    asked = np.arange(10)
    of_each = [np.flatnonzero(test_labels == digit)[0] for digit in asked]
    lower = np.zeros((8, 8, 1), bool)
    lower[4:] = True
    rows = {"held-out digits": test[of_each]}
    for guidance in (1.0, 3.0):
        found = flow.sample(np.repeat(asked, 30), guidance=guidance, seed=1)
        share = ktg.evaluation.conditional_accuracy(images, labels, found, np.repeat(asked, 30))
        rows[f"guidance {guidance:g}\n{share:.0%} the digit asked for"] = found[::30]
    hidden = np.where(lower, 0.5, test[of_each]).astype("float32")
    rows["lower half hidden"] = hidden
    rows["and made anew"] = flow.inpaint(hidden, lower, asked, seed=0)
    figure = new_figure(8.6, 3.4)
    axes = figure.add_axes((0.22, 0.02, 0.77, 0.96))
    tiles = np.stack([np.repeat(each, 3, axis=-1) for each in rows.values()])
    draw_mosaic(axes, tiles, row_names=list(rows))
    return figure


def tapped_layers():
    """Maps of three layers inside the digits' network, of one image."""
    images, _ = ktg.datasets.load_digits()
    backbone = ktg.load_backbone("digits")
    names = ["block1_a_relu", "block2_b_relu", "block3_a_relu"]
    figure = new_figure(8.4, 2.75)
    panels = figure.subplots(1, 4, width_ratios=[0.9, 1, 1, 1])
    panels[0].imshow(images[12, :, :, 0], cmap="gray")
    panels[0].set_title("the image", fontsize=10)
    for axes, name, maps in zip(panels[1:], names, backbone.tap(names)(images[12:13])):
        maps = np.moveaxis(np.asarray(maps)[0], -1, 0)
        # The liveliest maps, each over its own range.
        best = np.argsort(-maps.std(axis=(1, 2)))[:9]
        maps = maps[best] / maps[best].max(axis=(1, 2), keepdims=True)
        size = maps.shape[1]
        maps = maps.repeat(32 // size, axis=1).repeat(32 // size, axis=2)
        axes.imshow(ktg.plotting.image_mosaic(maps[..., None], columns=3))
        axes.set_title(f"{name}\n9 maps of {size} x {size}", fontsize=10)
    for axes in panels:
        axes.axis("off")
    return figure


def kinds_of_data():
    """What four readers give: boxes, a recording, DNA and music."""
    figure = new_figure(9.0, 5.2)
    boxes, wave, dna, music = figure.subplots(2, 2).flat
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _boxes(boxes, folder)
        tone = np.sin(2 * np.pi * 220 * np.arange(8000) / 16000) * np.linspace(1, 0, 8000) ** 2
        ktg.datasets.write_wav(folder / "tone.wav", tone, sample_rate=16000)
        samples, rate = ktg.datasets.read_wav(folder / "tone.wav")
        wave.plot(np.arange(len(samples)) / rate, samples, color=LINE_COLOURS[0], linewidth=0.8)
        tidy(wave, title="read_wav: samples in [-1, 1] and their rate", x_label="seconds")
        (folder / "genes.fa").write_text(">promoter\nTTGACATATAATGCNNACGT\n")
        (record,) = ktg.datasets.read_fasta(folder / "genes.fa")
        x = ktg.datasets.one_hot_sequences([record.sequence], alphabet="ACGT")[0]
        dna.imshow(x.T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        dna.set_xticks(range(len(x)), record.sequence)
        dna.set_yticks(range(4), "ACGT")
        tidy(dna, title="one_hot_sequences: N may be any letter", grid="none")
        chords = [[60, 64, 67], [57, 60, 64, 69], [53, 60, 65], [55, 59, 62, 67]]
        ktg.datasets.write_midi(folder / "chords.mid", [each for each in chords for _ in range(2)])
        for frame, pitches in enumerate(ktg.datasets.read_midi(folder / "chords.mid")):
            music.barh(pitches, 1.0, left=frame, height=0.9, color=LINE_COLOURS[2])
        tidy(music, title="read_midi: the pitches of each frame", x_label="frame")
        music.set_ylabel("MIDI pitch", color=QUIET)
    return figure


def _boxes(axes, folder: Path) -> None:
    from matplotlib.patches import Rectangle

    images, labels = ktg.datasets.load_digits()
    page = np.zeros((48, 80), np.uint8)
    found = ""
    for place, (left, top) in zip((0, 11, 25, 36), [(4, 5), (50, 3), (22, 24), (52, 27)]):
        size = 16 if place % 2 else 20
        digit = Image.fromarray((255 * images[place, :, :, 0]).astype(np.uint8))
        page[top : top + size, left : left + size] = digit.resize((size, size))
        found += (
            f"<object><name>{labels[place]}</name><bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}"
            f"</ymin><xmax>{left + size}</xmax><ymax>{top + size}</ymax></bndbox></object>"
        )
    for part in ("Annotations", "JPEGImages"):
        (folder / part).mkdir()
    Image.fromarray(page).convert("RGB").save(folder / "JPEGImages/page.jpg", quality=95)
    size = "<size><width>80</width><height>48</height></size>"
    text = f"<annotation>{size}{found}</annotation>"
    (folder / "Annotations/page.xml").write_text(text)
    data = ktg.datasets.voc_boxes(folder)
    ((image, truth),) = data
    axes.imshow(image.numpy() if image.dtype.is_integer else np.clip(image.numpy(), 0, 1))
    for (left, top, right, bottom), label in zip(truth["boxes"].numpy(), truth["labels"].numpy()):
        edges = (left - 0.5, top - 0.5), right - left, bottom - top
        axes.add_patch(Rectangle(*edges, fill=False, edgecolor=LINE_COLOURS[4], linewidth=1.5))
        corner = (right, top + 4)
        axes.text(*corner, data.class_names[label], color=LINE_COLOURS[4], fontweight="bold")
    tidy(axes, title="voc_boxes: an image, its boxes and labels", grid="none")
    axes.set_axis_off()


def denoised():
    """Held-out digits, the same with noise, and what an Enhancer makes of these."""
    keras.utils.set_random_seed(0)
    (images, _), (test_images, _) = ktg.datasets.load_digits_split(test_fraction=0.2)
    model = ktg.Enhancer((8, 8, 1), Noise(0.25), filters=24, blocks=3)
    model.fit(images, batch_size=64, epochs=25, verbose=0)
    spoilt = model.degrade(test_images[:10], seed=0)
    return ktg.plotting.plot_translations(
        {"with noise": spoilt, "enhanced": model.enhance(spoilt), "clean": test_images[:10]}
    )


def sequence_saliency():
    """What each base adds to the class of sequences in which TATAAT was planted."""
    rng = np.random.default_rng(0)
    letters = rng.integers(0, 4, (1200, 40))
    labels = np.arange(1200) % 2
    for row in np.flatnonzero(labels):
        place = rng.integers(4, 30)
        letters[row, place : place + 6] = ["ACGT".index(letter) for letter in "TATAAT"]
    x = np.eye(4, dtype="float32")[letters]
    keras.utils.set_random_seed(0)
    network = ktg.sequences.dilated_sequence_network(4, filters=16, dilations=(1, 2), dropout=0.0)
    model = ktg.ParameterTransfer(
        network, 2, pooling="max", learning_rate=1e-2, head_initialization="random", seed=0
    )
    model.fit(x, labels, epochs=12, batch_size=50, verbose=0)
    found = ktg.evaluation.integrated_gradients(model, x[1:2], target=1)
    sequence = "".join("ACGT"[letter] for letter in letters[1])
    return ktg.plotting.plot_sequence_saliency(
        sequence, found[0], title="What each base adds to the class with TATAAT"
    )


PICTURES = {
    "value_range": value_range,
    "sample_grid": sample_grid,
    "sample_measures": sample_measures,
    "flow_of_digits": flow_of_digits,
    "tapped_layers": tapped_layers,
    "kinds_of_data": kinds_of_data,
    "denoised": denoised,
    "sequence_saliency": sequence_saliency,
    "tokens": diagrams.tokens,
    "lora": diagrams.lora,
    "one_step": diagrams.one_step,
    "export": diagrams.export,
}


def main() -> None:
    """Draw the pictures named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    names = parser.parse_args().names or list(PICTURES)
    if unknown := set(names) - set(PICTURES):
        parser.error(f"no such picture: {', '.join(sorted(unknown))}")
    for name in names:
        path = ktg.plotting.save_figure(PICTURES[name](), IMAGES / f"{name}.png", dpi=110)
        print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
