"""How good a model of texts is, in numbers, and what it writes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_transgen.cli.text_write import BEAM

# Texts that are shown, and translated for scores.
_SHOWN = 20
_TOKENS = 256
_IMPORTANCE_SAMPLES = 50


def text_report(
    model: Any, texts: Sequence[str], targets: Sequence[str] | None = None, beam: int = BEAM
) -> dict[str, float]:
    """Numbers of a model on texts that it was not trained on.

    Args:
        model: A `LanguageModel`, `SequenceToSequence` or `TextVAE`.
        texts: Strings.
        targets: What a translator should make of them.
        beam: Hypotheses that a translator keeps.

    Returns:
        Of texts: `nats_per_text`, `bits_per_character`, `bits_per_byte`, of a language model
        `perplexity` (of its tokens, ends included) too; of translations `perplexity`, and where
        `sacrebleu` is installed `bleu` (cased, its default tokens) and `chrf`, otherwise
        `exactly_right`, a share.
    """
    written = list(texts if targets is None else targets)
    nats = model.log_likelihood(texts) if targets is None else model.log_likelihood(texts, targets)
    total = -float(nats.sum())
    report = {"texts": len(written), "nats_per_text": total / len(written)}
    vocabulary = getattr(model, "target_vocabulary", None) or getattr(model, "vocabulary", None)
    if vocabulary is not None and _is_exact(model):
        tokens = sum(map(len, vocabulary.encode(written, end=True)))
        report["perplexity"] = math.exp(total / tokens)
    if targets is None:
        report["bits_per_character"] = total / math.log(2) / sum(map(len, written))
        report["bits_per_byte"] = total / math.log(2) / sum(len(each.encode()) for each in written)
        return report
    found = model.generate(list(texts), beam_width=beam)
    return report | translation_scores(found, written)


def in_words(report: Mapping[str, float]) -> list[str]:
    """The lines of a report for a screen."""
    return [
        f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {_rounded(value)}"
        for name, value in report.items()
    ]


def _rounded(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def translation_scores(found: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """BLEU and chrF, or where sacrebleu is not installed the share that is exactly right.

    Args:
        found: Translations.
        references: What they should be.

    Reference:
        Post, "A call for clarity in reporting BLEU scores", 2018.
    """
    scores = {"exactly_right": sum(a == b for a, b in zip(found, references)) / len(references)}
    try:
        import sacrebleu
    except ImportError:
        return scores
    return scores | {
        "bleu": sacrebleu.corpus_bleu(list(found), [list(references)]).score,
        "chrf": sacrebleu.corpus_chrf(list(found), [list(references)]).score,
    }


def write_samples(model: Any, held_out: Sequence[Sequence[str]], path: Path, seed: int) -> None:
    """Write a few texts of a model: translations beside their references, or samples.

    Args:
        model: The model.
        held_out: Texts, or sources and targets.
        path: The file.
        seed: Of samples.
    """
    from keras_transgen.training import write_whole_text

    if len(held_out) == 2:
        sources, targets = (list(side[:_SHOWN]) for side in held_out)
        rows = zip(sources, model.generate(sources), targets)
        texts = [f"{source}\n -> {found}\n  = {target}" for source, found, target in rows]
    else:
        texts = samples_of(model, 5, seed)
    write_whole_text(path, "\n---\n".join(texts) + "\n")


def samples_of(model: Any, count: int, seed: int | None) -> list[str]:
    """Texts that a language model or a text VAE draws."""
    if hasattr(model, "sample"):
        return model.sample(count, seed=seed)
    return model.generate([""] * count, max_tokens=_TOKENS, temperature=0.8, seed=seed)


def _is_exact(model: Any) -> bool:
    """Whether its likelihood is one, and no bound."""
    return not hasattr(model, "reconstruction_gap")
