"""A translator of much data goes on with another language of little: English to French.

The parent learns English to German from all pairs of multi30k; the child goes on from its weights
with 1,000 or 5,000 pairs of English and French, and is held against the same network that begins
with these pairs alone. One vocabulary serves the three languages; of French it has seen the 5,000
lines only. Each training ends where the loss of the validation part is least.
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np
import sacrebleu
from report import publish
from translation import lines

import keras_transgen as ktg

ROOT = Path(__file__).parents[1]
SIZE, GOALS, HELD_OUT = 4000, {1000: 5.0, 5000: 2.0}, 500
# How often the child and the network without a parent read their pairs at most.
EPOCHS = {1000: (16, 36), 5000: (14, 14)}


def translator(vocabulary):
    keras.utils.set_random_seed(0)
    return ktg.SequenceToSequence(vocabulary, feedforward_dim=512, dropout=0.2, seed=0)


def fitted(model, sources, targets, epochs, held_out):
    """CPU seconds of a training that keeps its best weights."""
    stop = keras.callbacks.EarlyStopping("val_loss", patience=4, restore_best_weights=True)
    start = time.process_time()
    model.fit(
        sources, targets, epochs=epochs, validation_data=held_out, callbacks=[stop], verbose=2
    )
    return time.process_time() - start


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pairs", type=int, nargs="+", default=sorted(GOALS))
    arguments.add_argument("--parent-epochs", type=int, default=3)
    arguments.add_argument("--only-child", action="store_true", help="print, and publish nothing")
    arguments.add_argument("--parent", type=Path, default=ROOT / "runs" / "parent.keras")
    options = arguments.parse_args()
    english, german, french = (lines("train", language) for language in ("en", "de", "fr"))
    held_out = {each: lines("val", each)[:HELD_OUT] for each in ("en", "de", "fr")}
    tests = lines("test_2016_flickr", "en"), lines("test_2016_flickr", "fr")
    order = np.random.default_rng(0).permutation(len(english))[: max(GOALS)]
    if options.parent.exists():
        parent, seconds = ktg.load_model(options.parent), float("nan")
    else:
        # French lines count as often as the others, or they would have no pieces.
        more = [french[row] for row in order] * (len(english) // len(order))
        parent = translator(ktg.Vocabulary.train([*english, *german, *more], size=SIZE))
        of_german = (held_out["en"], held_out["de"])
        seconds = fitted(parent, english, german, options.parent_epochs, of_german)
        options.parent.parent.mkdir(parents=True, exist_ok=True)
        parent.save(options.parent)
    vocabulary = parent.source_vocabulary
    rows = [("pairs of French", "begins with", "BLEU", "loss of val", "CPU seconds")]
    gained = {}
    for pairs in options.pairs:
        chosen = order[:pairs]
        data = [english[row] for row in chosen], [french[row] for row in chosen]
        scores = []
        sides = list(zip(("the parent", "nothing"), EPOCHS[pairs]))
        for begins, epochs in sides[:1] if options.only_child else sides:
            model = translator(vocabulary)
            if begins == "the parent":
                model.set_weights(parent.get_weights())
            of_french = (held_out["en"], held_out["fr"])
            spent = fitted(model, *data, epochs, of_french)
            loss = model.evaluate(*of_french, verbose=0, return_dict=True)["loss"]
            found = model.generate(tests[0], beam_width=1, max_tokens=60)
            scores.append(sacrebleu.corpus_bleu(found, [tests[1]]).score)
            rows.append((f"{pairs:,}", begins, f"{scores[-1]:.1f}", f"{loss:.3f}", f"{spent:.0f}"))
            print(rows[-1], flush=True)
        if options.only_child:
            continue
        gained[pairs] = scores[0] - scores[1]
    if options.only_child:
        return
    reached = all(gained[pairs] >= GOALS[pairs] for pairs in gained)
    said = ", ".join(f"{gained[pairs]:+.1f} BLEU with {pairs:,} pairs" for pairs in gained)
    publish(
        "A child of a translator: English to French after English to German",
        ", ".join(f"{GOALS[pairs]:+.0f} BLEU with {pairs:,} pairs" for pairs in GOALS)
        + " against the same network without a parent",
        rows,
        f"{'Reached' if reached else 'Missed'}: {said}. Cased BLEU by sacrebleu, greedy, "
        f"test_2016_flickr; parent of {options.parent_epochs} epochs over {len(english):,} pairs, "
        f"{seconds:.0f} CPU seconds; one seed.",
        __file__,
    )


if __name__ == "__main__":
    main()
