"""How much weight generated data deserve, found on examples that were held out."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_transgen.datasets import stratified_split
from keras_transgen.fusion.generated_data import GeneratedData, checked_classes, mixed_with
from keras_transgen.transfer import TransferModel

_HOLD_OUT = 0.3


@dataclasses.dataclass(frozen=True)
class WeightTrial:
    """One mixing weight on the held-out examples.

    Attributes:
        weight: Share of the generated examples in the whole weight.
        losses: Mean cross-entropy of the held-out examples in each fold, nats.
        accuracies: Accuracy on them in each fold.
    """

    weight: float
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]

    @property
    def loss(self) -> float:
        """Mean loss over the folds."""
        return float(np.mean(self.losses))

    @property
    def accuracy(self) -> float:
        """Mean accuracy over the folds."""
        return float(np.mean(self.accuracies))


@dataclasses.dataclass(frozen=True, eq=False)
class GeneratedDataFit:
    """A model fitted with the best mixing weight, and how that was found.

    Attributes:
        model: Fitted to all real examples, and to samples if the weight is above zero.
        without: Fitted to all real examples alone: what the samples are to improve, and what
            filtered them. The same as `model` if the weight is zero.
        weight: The mixing weight in use.
        trials: Each weight on the held-out examples.
        acceptance: Share of the samples of each class that the classifier confirmed.
    """

    model: TransferModel
    without: TransferModel
    weight: float
    trials: tuple[WeightTrial, ...]
    acceptance: dict[int, float]


def fit_with_generated_data(
    make_model: Callable[[], TransferModel],
    data: GeneratedData,
    x: Any,
    y: Any,
    *,
    weights: Sequence[float] = (0.0, 0.1, 0.25, 0.5, 0.75),
    validation_data: tuple[Any, Any] | None = None,
    folds: int = 5,
    fit_arguments: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> GeneratedDataFit:
    """Fit a transfer model to few examples and as many generated ones as help.

    A model is fitted to the real examples without a held-out part. It is the classifier that
    filters the samples; then a model is fitted for each weight, and judged by its cross-entropy on
    the part that was held out, which neither has seen. Parts are held out in turn, and the weight
    with the lowest mean is taken (0 is always tried, and wins ties). The final model is fitted to
    all real examples.

    With `validation_data` these are judged on instead, nothing is held out, and the best of the
    models is the final one.

    Works with every kind of transfer, since all that is needed are weights of the examples. With
    feature transfer it takes seconds; others train `folds * len(weights) + 2` times at most, for
    which `folds=1` is a single hold-out of 30 % of each class.

    Args:
        make_model: Makes a new model with integer classes and softmax logits.
        data: The samples.
        x: Real examples `[count, ...]`.
        y: Their classes, integers `[count]`.
        weights: Mixing weights to try, in [0, 1).
        validation_data: Further real examples `(x, y)` to judge on. Defaults to none.
        folds: Parts that are held out in turn, at most as many as the rarest class has examples.
            Defaults to 5.
        fit_arguments: Further arguments of `fit`, such as `epochs`.
        seed: Which examples are held out together. Defaults to 0.

    Returns:
        The model, the weight and the trials.

    Raises:
        ValueError: If a class has fewer than two examples and there are no validation data, or an
            argument is out of its range.

    Example:
        ```python
        import numpy as np
        import keras_transgen as ktg
        from keras_transgen.fusion.generated_data import GeneratedData
        from keras_transgen.fusion.mixing_weight import fit_with_generated_data

        class Repeat:
            def sample(self, labels, seed):
                return np.stack([images[np.flatnonzero(known == label)[-1]] for label in labels])

        images, known = ktg.datasets.load_digits()
        few = ktg.datasets.sample_per_class(known, k=2)
        found = fit_with_generated_data(
            lambda: ktg.FeatureTransfer("digits", 10, l2=0.01),
            GeneratedData(Repeat(), per_class=2),
            images[few],
            known[few],
            weights=[0.5],
            folds=1,
        )
        assert found.weight in (0.0, 0.5)
        ```

    Reference:
        Stone, Cross-Validatory Choice and Assessment of Statistical Predictions, 1974.
    """
    x, y = np.asarray(x), checked_classes(x, y)
    weights = sorted({0.0, *(float(weight) for weight in weights)})
    if weights[0] < 0.0 or weights[-1] >= 1.0:
        raise ValueError(f"weights must lie in [0, 1). Received: weights={weights}")
    candidates = functools.partial(
        _candidates, make_model, data, {"verbose": 0, **(fit_arguments or {})}
    )
    scores: dict[float, list[tuple[float, float]]] = {weight: [] for weight in weights}
    if validation_data is None:
        for rest, held in _parts(y, folds, seed):
            for each in candidates(x[rest], y[rest], weights):
                scores[each.weight].append(_score(each.model, x[held], y[held]))
        best = min(weights, key=lambda weight: np.mean(scores[weight], axis=0)[0])
        kept = list(candidates(x, y, sorted({0.0, best})))
    else:
        held_out = np.asarray(validation_data[0]), checked_classes(*validation_data)
        kept, least = [], np.inf
        for each in candidates(x, y, weights):
            score = _score(each.model, *held_out)
            scores[each.weight].append(score)
            # That of the real examples alone and the best: no more are held at once.
            if not kept or score[0] < least:
                kept[1:] = [each]
                least = score[0]
    chosen = kept[-1]
    trials = tuple(WeightTrial(weight, *zip(*scores[weight])) for weight in weights)
    return GeneratedDataFit(chosen.model, kept[0].model, chosen.used, trials, chosen.acceptance)


class _Candidate(NamedTuple):
    """A model, the weight that it is for, the one in use, and what share was confirmed."""

    model: TransferModel
    weight: float
    used: float
    acceptance: dict[int, float]


def _candidates(
    make_model: Callable[[], TransferModel],
    data: GeneratedData,
    fit_arguments: Mapping[str, Any],
    x: np.ndarray,
    y: np.ndarray,
    weights: Sequence[float],
) -> Iterator[_Candidate]:
    """A model for each weight, of which the first is 0.

    The model of the real examples alone filters the samples of the others. Where it confirms none
    it stands for them all.
    """
    classifier = make_model()
    classifier.fit(x, y, **fit_arguments)
    yield _Candidate(classifier, 0.0, 0.0, {})
    if len(weights) == 1:
        return
    samples = data.draw(np.unique(y).tolist(), classifier)
    for weight in weights[1:]:
        mixed = mixed_with(samples, x, y, weight)
        model = classifier
        if mixed.weight:
            model = make_model()
            model.fit(mixed.x, mixed.y, sample_weight=mixed.sample_weight, **fit_arguments)
        yield _Candidate(model, weight, mixed.weight, mixed.acceptance)


def _parts(y: np.ndarray, folds: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import StratifiedKFold

    rarest = int(np.bincount(y)[np.unique(y)].min())
    if rarest < 2 or folds < 1:
        raise ValueError(
            "A mixing weight is found on held-out examples, so every class needs two at least, and "
            "folds must be at least 1. Give a weight of your own to GeneratedData.mix instead. "
            f"Received: {rarest} example(s) of the rarest class, folds={folds}"
        )
    if folds == 1:
        yield stratified_split(y, max(_HOLD_OUT, 1 / rarest), seed)
        return
    splits = StratifiedKFold(min(folds, rarest), shuffle=True, random_state=seed)
    yield from splits.split(y, y)


def _score(model: TransferModel, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Mean cross-entropy in nats, and accuracy."""
    from scipy.special import log_softmax

    logits = np.asarray(model.predict(x, verbose=0), "float64")
    losses = -log_softmax(logits, axis=1)[np.arange(len(y)), y]
    return float(losses.mean()), float((logits.argmax(axis=1) == y).mean())
