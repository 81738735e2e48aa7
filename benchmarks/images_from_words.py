"""Digits from words: a conditional GAN that is told English, German and Chinese number words.

Each image of MNIST comes with the word for its digit in one of the three languages, drawn anew for
each image; the words' meaning is learnt from nothing else. A digit classifier of at least 0.99
(that of gan_quality.py) judges samples for each word. Only training is on the clock.
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np
from gan_quality import judge, mnist
from report import publish

import keras_transgen as ktg
from keras_transgen.callbacks.collapse_warning import diversity
from keras_transgen.evaluation import judged_accuracy
from keras_transgen.plotting import save_figure
from keras_transgen.plotting.mosaic import as_tiles
from keras_transgen.plotting.sample_grid import draw_mosaic, new_figure

ROOT = Path(__file__).parents[1]
GOAL, DIVERSE, JUDGED, COLUMNS = 0.95, 0.5, 10_000, 6
WORDS = {
    "English": ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    "German": ["null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"],
    "Chinese": list("零一二三四五六七八九"),
}


def sized(images, size):
    """Images of 28x28, or the means of each four pixels."""
    return images if size == 28 else images.reshape(-1, 14, 2, 14, 2, 1).mean(axis=(2, 4))


def as_judged(images):
    """As large as the judge's, each pixel several times."""
    times = 28 // images.shape[1]
    return images.repeat(times, axis=1).repeat(times, axis=2)


class CPUBudget(keras.callbacks.Callback):
    """Stops training when it has cost so many CPU seconds."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.steps = seconds, 0

    def on_train_begin(self, logs=None):
        self.start = time.process_time()

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        self.spent = time.process_time() - self.start
        if self.spent >= self.seconds:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        print(f"epoch {epoch + 1}, {self.spent:.0f} CPU seconds", flush=True)


def picture(gan):
    """A row a digit, and side by side what is made for its word in each language."""
    figure = new_figure(7.5, 4.6)
    latent = np.tile(np.random.default_rng(0).normal(size=(1, COLUMNS, gan.latent_dim)), (10, 1, 1))
    latent = latent.reshape(-1, gan.latent_dim).astype("float32")
    for axes, (language, words) in zip(figure.subplots(1, 3), WORDS.items()):
        texts = gan.condition_encoder.tokens(np.repeat(words, COLUMNS))
        samples = gan((latent, texts)).numpy()
        # Matplotlib's own font has no Chinese; the rows are those of the digits.
        names = [str(digit) if language == "Chinese" else word for digit, word in enumerate(words)]
        draw_mosaic(axes, as_tiles(samples, COLUMNS, (-1.0, 1.0)), row_names=names)
        axes.set_title(language, fontsize=10)
    return figure


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=1800.0, help="CPU seconds of training")
    arguments.add_argument("--size", type=int, default=28, choices=(14, 28), help="of an image")
    arguments.add_argument("--filters", type=int, default=64)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--judged", type=int, default=JUDGED, help="samples a language")
    arguments.add_argument("--output", type=Path, default=ROOT / "runs" / "images_from_words")
    options = arguments.parse_args()
    (images, labels), test = mnist()
    classifier = judge((images, labels), test)
    images, real = (sized(each, options.size) for each in (images, test[0]))
    languages = np.random.default_rng(options.seed).integers(0, len(WORDS), len(labels))
    texts = np.array(list(WORDS.values()))[languages, labels]
    keras.utils.set_random_seed(options.seed)
    encoder = ktg.TextEncoder(ktg.Vocabulary.characters(texts))
    gan = ktg.ConditionalGAN(
        image_shape=images.shape[1:],
        condition_encoder=encoder,
        filters=options.filters,
        seed=options.seed,
    )
    budget = CPUBudget(options.seconds)
    gan.fit(images, texts, batch_size=64, epochs=100_000, verbose=0, callbacks=[budget])
    options.output.mkdir(parents=True, exist_ok=True)
    gan.save(options.output / "model.keras")
    digits = np.arange(options.judged) % 10
    inner = keras.Model(classifier.inputs, classifier.layers[-2].output)
    real = as_judged(real)
    theirs = diversity(inner.predict(real, batch_size=500, verbose=0), test[1])
    rows = [("words", "the judge agrees", "least of a word", "diversity over real")]
    found, varied = [], []
    for place, (language, words) in enumerate(WORDS.items()):
        samples = as_judged(gan.sample(np.array(words)[digits], seed=place))
        found.append(judged_accuracy(classifier, samples, digits))
        of_words = [
            judged_accuracy(classifier, samples[digits == each], digits[digits == each])
            for each in range(10)
        ]
        varied.append(diversity(inner.predict(samples, batch_size=500, verbose=0), digits) / theirs)
        worst = int(np.argmin(of_words))
        rows.append(
            (
                language,
                f"{found[-1]:.4f}",
                f"{of_words[worst]:.3f} ({words[worst]})",
                f"{varied[-1]:.3f}",
            )
        )
    rows.append(("all", f"{np.mean(found):.4f}", "", ""))
    save_figure(picture(gan), ROOT / "docs" / "images" / "images_from_words.png")
    reached = min(found) >= GOAL and min(varied) >= DIVERSE
    rows.append(
        ("real test images", f"{judged_accuracy(classifier, real, test[1]):.4f}", "", "1.000")
    )
    publish(
        "Digits from English, German and Chinese words (MNIST)",
        f"a digit classifier of at least 0.99 agrees on at least {GOAL} of samples, for the words "
        f"of each language alone too, which differ at least {DIVERSE} times as much as real ones",
        rows,
        f"{'Reached' if reached else 'Missed'}. {options.judged:,} samples a language; images of "
        f"{options.size}x{options.size}, {options.filters} filters, else default settings, batch "
        f"64, seed {options.seed}, {budget.steps:,} steps, {budget.spent:,.0f} CPU seconds of "
        "training. Diversity is that within digits, in the judge's features.",
        __file__,
    )


if __name__ == "__main__":
    main()
