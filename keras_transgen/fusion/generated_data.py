"""Samples of a class-conditional generator, added to a small labelled set."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class AgreedSamples:
    """Samples whose class a classifier confirms.

    Attributes:
        x: `[count, ...]`.
        y: Their classes, int64 `[count]`.
        acceptance: Share of the candidates of each class that was confirmed, by class.
    """

    x: np.ndarray
    y: np.ndarray
    acceptance: dict[int, float]


@dataclasses.dataclass(frozen=True, eq=False)
class MixedData:
    """Real and generated examples with weights, ready for `fit(x, y, sample_weight=...)`.

    Attributes:
        x: Examples `[count, ...]`, the real ones first.
        y: Classes int64 `[count]`.
        sample_weight: float32 `[count]`, on average one.
        weight: Share of the whole weight that the generated examples bear.
        num_real: How many of the examples are real.
        acceptance: As in `AgreedSamples`.
    """

    x: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray
    weight: float
    num_real: int
    acceptance: dict[int, float]


class GeneratedData:
    """A source of labelled samples, filtered by a classifier and mixed with real examples.

    A sample is kept if the classifier's first choice is the class that was asked for, and has at
    least the probability `agreement`. The classifier is one that has learnt from the real examples
    alone, so it keeps out what the generator gets plainly wrong; it cannot add what it knows.

    Args:
        generator: Has `sample(labels, seed=...)`: a `ConditionalGAN`, a `FeatureGAN`, a
            `FeatureVAE` or anything alike. It knows the classes by the numbers of the real labels.
        prepare: Function from samples to the form of the real examples (another size, another
            value range, features). Defaults to none.
        per_class: Samples to keep of each class. Defaults to 100.
        agreement: Least probability of the class, in [0, 1]. Defaults to 0.5. `None` keeps every
            sample: a classifier of few examples may refuse good ones, for it keeps what it is sure
            of already. On digits neither was better (`benchmarks/generated_data.py`).
        rounds: How often `per_class` candidates of each class are drawn, at most; fewer samples
            are kept of a class whose candidates run out. Defaults to 4.
        seed: The same seed gives the same candidates. Defaults to 0.

    Raises:
        ValueError: If the generator cannot sample, or a number is out of its range.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.fusion.generated_data import GeneratedData

        images, labels = ktg.datasets.load_digits()
        cgan = ktg.ConditionalGAN(
            num_classes=10, image_shape=(8, 8, 1), filters=8, value_range=(0.0, 1.0)
        )
        cgan.fit(images[:128], labels[:128], batch_size=64, epochs=1, verbose=0)
        few = ktg.datasets.sample_per_class(labels, k=5)
        mixed = GeneratedData(cgan, per_class=8).mix(images[few], labels[few], weight=0.25)
        model = ktg.FeatureTransfer("digits", num_classes=10, l2=0.01)
        model.fit(mixed.x, mixed.y, sample_weight=mixed.sample_weight, verbose=0)
        ```

    Reference:
        Antoniou, Storkey and Edwards, Data Augmentation Generative Adversarial Networks, 2017;
        Ravuri and Vinyals, Classification Accuracy Score for Conditional Generative Models, 2019
        (samples alone are worth less than real data).
    """

    def __init__(
        self,
        generator: Any,
        *,
        prepare: Callable[[Any], Any] | None = None,
        per_class: int = 100,
        agreement: float | None = 0.5,
        rounds: int = 4,
        seed: int = 0,
    ) -> None:
        if not callable(getattr(generator, "sample", None)):
            raise ValueError(
                "generator must have sample(labels, seed=...), as ktg.ConditionalGAN has. "
                f"Received: generator of type {type(generator).__name__}"
            )
        known = agreement is None or 0.0 <= agreement <= 1.0
        if per_class < 1 or rounds < 1 or not known:
            raise ValueError(
                "per_class and rounds must be at least 1, and agreement lie in [0, 1], or be None "
                "for no filter. Received: "
                f"per_class={per_class}, rounds={rounds}, agreement={agreement}"
            )
        self.generator = generator
        self.prepare = prepare
        self.per_class = per_class
        self.agreement = agreement
        self.rounds = rounds
        self.seed = seed
        self._drawn: dict[tuple[int, int], np.ndarray] = {}

    def draw(self, classes: Sequence[int], classifier: Any = None) -> AgreedSamples:
        """Draw samples of classes, and keep those that a classifier confirms.

        Args:
            classes: Which classes, each once.
            classifier: A transfer model (`predict_probabilities`), or a function from examples to
                probabilities `[count, classes]`. `None` keeps every sample.

        Returns:
            Up to `per_class` samples of each class. Warns of classes without any.
        """
        classes = [int(each) for each in classes]
        kept: dict[int, list[np.ndarray]] = {each: [] for each in classes}
        asked, confirmed = dict.fromkeys(classes, 0), dict.fromkeys(classes, 0)
        for number in range(self.rounds):
            missing = [c for c in classes if sum(map(len, kept[c])) < self.per_class]
            if not missing:
                break
            samples = np.concatenate([self._candidates(each, number) for each in missing])
            labels = np.repeat(missing, self.per_class)
            agrees = self._agreement(samples, labels, classifier)
            for each in missing:
                of_class = labels == each
                chosen = samples[of_class & agrees]
                asked[each] += self.per_class
                confirmed[each] += len(chosen)
                kept[each].append(chosen[: self.per_class - sum(map(len, kept[each]))])
        found = {each: np.concatenate(kept[each]) for each in classes}
        empty = [each for each in classes if not len(found[each])]
        if empty:
            warnings.warn(
                f"The classifier confirmed no sample of the classes {empty}; they stay without. "
                "Lower agreement, or look at the generator's samples.",
                stacklevel=2,
            )
        return AgreedSamples(
            np.concatenate([found[each] for each in classes]),
            np.repeat(classes, [len(found[each]) for each in classes]).astype("int64"),
            {each: confirmed[each] / asked[each] for each in classes},
        )

    def mix(self, x: Any, y: Any, weight: float = 0.5, classifier: Any = None) -> MixedData:
        """Add samples to real examples, with weights.

        The real examples weigh the same each. The samples together bear the share `weight` of the
        whole; a class's samples bear as much of it as the class has of the real examples (those of
        classes without samples fall to the others).

        Args:
            x: Real examples `[count, ...]`.
            y: Their classes, integers `[count]`.
            weight: Share of the samples in the whole weight, in [0, 1). With 0 there are none.
                Defaults to 0.5.
            classifier: As in `draw`.

        Returns:
            The mixed set.

        Raises:
            ValueError: If the weight is out of its range, labels are no integers `[count]`, or
                samples have another shape or kind of number than the examples.
        """
        if not 0.0 <= weight < 1.0:
            raise ValueError(
                "weight must lie in [0, 1): the share of the samples in the whole. "
                f"Received: weight={weight}"
            )
        x, y = np.asarray(x), checked_classes(x, y)
        samples = self.draw(np.unique(y).tolist(), classifier) if weight else None
        return mixed_with(samples, x, y, weight)

    def _candidates(self, label: int, number: int) -> np.ndarray:
        """A class's samples of one round; kept, since every classifier judges the same ones."""
        if (label, number) not in self._drawn:
            labels = np.full(self.per_class, label)
            # Classes and rounds must not share their noise.
            entropy = np.random.SeedSequence([abs(self.seed), number, label])
            seed = int(entropy.generate_state(1)[0] >> 1)
            samples = self.generator.sample(labels, seed=seed)
            if self.prepare is not None:
                samples = self.prepare(samples)
            self._drawn[label, number] = np.asarray(samples)
        return self._drawn[label, number]

    def _agreement(self, samples: np.ndarray, labels: np.ndarray, classifier: Any) -> np.ndarray:
        if classifier is None or self.agreement is None:
            return np.ones(len(labels), bool)
        if hasattr(classifier, "predict_probabilities"):
            probabilities = classifier.predict_probabilities(samples, verbose=0)
        else:
            probabilities = np.asarray(classifier(samples))
        of_class = probabilities[np.arange(len(labels)), labels]
        return (probabilities.argmax(axis=1) == labels) & (of_class >= self.agreement)


def mixed_with(samples: AgreedSamples | None, x: Any, y: Any, weight: float) -> MixedData:
    """Real examples and samples that were drawn, with their weights; see `GeneratedData.mix`."""
    x, y = np.asarray(x), checked_classes(x, y)
    if samples is None or not weight or not len(samples.y):
        acceptance = {} if samples is None else samples.acceptance
        return MixedData(x, y, np.ones(len(y), "float32"), 0.0, len(y), acceptance)
    if samples.x.shape[1:] != x.shape[1:] or (x.dtype.kind != "f" and samples.x.dtype != x.dtype):
        raise ValueError(
            "Samples must have the shape of the real examples and, where these are whole numbers, "
            "their type; bring them there with prepare=. "
            f"Received: samples of shape {samples.x.shape[1:]} and type {samples.x.dtype}, "
            f"examples of {x.shape[1:]} and {x.dtype}"
        )
    names, counts = np.unique(y, return_counts=True)
    of_class = dict(zip(names.tolist(), counts / len(y)))
    made = dict(zip(*(each.tolist() for each in np.unique(samples.y, return_counts=True))))
    each = np.array([of_class[label] / made[label] for label in samples.y.tolist()])
    whole = len(y) + len(samples.y)
    weights = np.concatenate(
        [np.full(len(y), (1.0 - weight) * whole / len(y)), weight * whole * each / each.sum()]
    )
    return MixedData(
        np.concatenate([x, samples.x.astype(x.dtype)]),
        np.concatenate([y, samples.y]),
        weights.astype("float32"),
        weight,
        len(y),
        samples.acceptance,
    )


def checked_classes(x: Any, y: Any) -> np.ndarray:
    """Labels of examples as int64 `[count]`, refused where there is no integer for each example."""
    labels = np.asarray(y)
    whole = labels.dtype.kind in "iu" and labels.shape == (len(x),) and len(labels) > 0
    if not whole or labels.min() < 0:
        received = f"y of shape {labels.shape} and type {labels.dtype}"
        raise ValueError(
            "Expected a class, an integer from 0 up, for each example: y of shape [count]. "
            f"Received: {len(x)} examples, {received}"
            + (f", the least of them {labels.min()}" if whole else "")
        )
    return labels.astype("int64")
