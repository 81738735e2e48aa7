"""The demo's third part: a language model reads five chapters of a book, and writes on."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from pathlib import Path

from keras_transgen.cli.demo_generation import fit_with_bar
from keras_transgen.datasets.screen import Screen

EPOCHS = 16
BATCH_SIZE = 32
HELD_OUT = 0.05
# Lewis Carroll, "Alice's adventures in Wonderland", 1865, chapters 1 to 5; in the public domain.
BOOK = Path(__file__).with_name("alice.txt")


def run_text(output: Path, console: Screen) -> None:
    """Train a character model on the book's beginning; write it, and what it writes."""
    import keras

    import keras_transgen as ktg
    from keras_transgen.training import write_whole_text

    keras.utils.set_random_seed(0)
    text = BOOK.read_text(encoding="utf-8")
    at = int((1 - HELD_OUT) * len(text))
    train, test = text[:at], text[at:]
    vocabulary = ktg.Vocabulary.characters([train])
    model = ktg.LanguageModel(vocabulary, context_length=64, num_layers=2, model_dim=96, seed=0)
    # So small a model learns more of a high rate in a few passes.
    model.default_rate = 3e-3
    seconds = fit_with_bar(console, "language model", EPOCHS, model, [train], batch_size=BATCH_SIZE)
    console.print(
        f"Alice in Wonderland, five chapters in {seconds:.0f} s: "
        f"{model.bits_per_character([test]):.2f} bits a character on the last pages; "
        f"{bits_by_the_one_before(train, test):.2f} by the letter before alone"
    )
    sample = "Alice " + model.generate(["Alice "], max_tokens=400, temperature=0.7, seed=0)[0]
    write_whole_text(output / "text_sample.txt", sample + "\n")
    model.save(output / "language_model.keras")
    console.print(sample[:200], markup=False, highlight=False, soft_wrap=True)
    console.print(f"More of it: {output / 'text_sample.txt'}")


def bits_by_the_one_before(train: str, test: str) -> float:
    """Bits a character where pairs of characters are counted, a tenth added to each count.

    Args:
        train: Text to count in.
        test: Text to be told.
    """
    pairs, ones = Counter(itertools.pairwise(train)), Counter(train)
    bits = [
        -math.log2((pairs[before, each] + 0.1) / (ones[before] + 0.1 * len(ones)))
        for before, each in itertools.pairwise(test)
    ]
    return sum(bits) / len(bits)
