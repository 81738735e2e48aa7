"""GeneratedData: which samples are kept, what they weigh, and what is refused."""

import numpy as np
import pytest
from scipy.special import log_softmax

from keras_transgen.fusion.feature_gan import FeatureGAN
from keras_transgen.fusion.feature_vae import FeatureVAE
from keras_transgen.fusion.generated_data import GeneratedData
from keras_transgen.fusion.mixing_weight import fit_with_generated_data
from keras_transgen.transfer import FeatureTransfer, ParameterTransfer, StructureTransfer
from tests.generative.adversarial.adversarial_models import tiny_conditional_gan
from tests.transfer.tiny import IMAGES, LABELS, backbone


class Numbers:
    """Samples `[label, number of the draw, seed]`, so that it is known where each came from."""

    def __init__(self):
        self.calls = []

    def sample(self, labels, seed):
        self.calls.append((tuple(labels), seed))
        return np.stack([labels, np.arange(len(labels)), np.full(len(labels), seed)], 1)


def by_number(samples):
    """Confirms odd draws; class 2 with a probability of 0.6, the others with 0.9; never class 3."""
    probabilities = np.full((len(samples), 4), 0.01)
    for row, (label, number, _) in enumerate(samples.astype(int)):
        guess = label if number % 2 and label != 3 else (label + 1) % 4
        probabilities[row, guess] = 0.6 if label == 2 else 0.9
    return probabilities


def test_without_a_classifier_all_are_kept():
    generator = Numbers()
    drawn = GeneratedData(generator, per_class=3, seed=5, rounds=2).draw([0, 2])
    np.testing.assert_array_equal(drawn.y, [0, 0, 0, 2, 2, 2])
    np.testing.assert_array_equal(drawn.x[:, 0], drawn.y)
    assert [labels for labels, _ in generator.calls] == [(0, 0, 0), (2, 2, 2)]
    assert drawn.acceptance == {0: 1.0, 2: 1.0}


def test_seeds_differ_by_class_round_and_seed_and_come_again():
    def seeds(seed):
        generator = Numbers()
        with pytest.warns(UserWarning, match="no sample"):
            GeneratedData(generator, per_class=1, seed=seed, rounds=2).draw([0, 1], refuse_all)
        return [number for _, number in generator.calls]

    def refuse_all(samples):
        return np.eye(4)[np.full(len(samples), 3)]

    assert seeds(0) == seeds(0)
    assert len({*seeds(0), *seeds(1)}) == 8


def test_keeps_what_the_classifier_confirms():
    generator = Numbers()
    data = GeneratedData(generator, per_class=4, agreement=0.7, rounds=3)
    with pytest.warns(UserWarning, match=r"no sample of the classes \[2, 3\]"):
        drawn = data.draw([0, 2, 3], by_number)
    # Two of four are confirmed each round, so class 0 is full after two; 2 is not sure enough.
    np.testing.assert_array_equal(drawn.y, [0, 0, 0, 0])
    assert (drawn.x[:, 1] % 2 == 1).all()
    assert drawn.acceptance == {0: 0.5, 2: 0.0, 3: 0.0}
    # Three candidates of each class are looked at, but no third of a class that is full.
    assert [labels[0] for labels, _ in generator.calls] == [0, 2, 3, 0, 2, 3, 2, 3]
    sure = GeneratedData(Numbers(), per_class=4, agreement=0.6, rounds=3)
    with pytest.warns(UserWarning, match=r"classes \[3\]"):
        drawn = sure.draw([2, 3], by_number)
    assert (drawn.y == 2).sum() == 4


def test_without_a_filter_a_classifier_refuses_nothing():
    drawn = GeneratedData(Numbers(), per_class=4, agreement=None).draw([0, 2, 3], by_number)
    np.testing.assert_array_equal(np.bincount(drawn.y), [4, 0, 4, 4])
    assert drawn.acceptance == {0: 1.0, 2: 1.0, 3: 1.0}


def test_candidates_are_drawn_once():
    generator = Numbers()
    data = GeneratedData(generator, per_class=2)
    one, other = data.draw([0, 1]), data.draw([0, 1], lambda samples: np.eye(4)[[0, 0, 1, 1]])
    np.testing.assert_array_equal(one.x, other.x)
    np.testing.assert_array_equal(data.draw([1]).x, one.x[2:])
    assert len(generator.calls) == 2


def feature_vae():
    vae = FeatureVAE(5, num_classes=3, latent_dim=2)
    features = np.random.default_rng(0).normal(size=(9, 5)).astype("float32")
    vae.adapt(features)
    vae.fit_classes(features, np.arange(9) % 3)
    return vae


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (tiny_conditional_gan, (8, 8, 1)),
        (lambda: FeatureGAN(3, 5, latent_dim=4, filters=2), (5,)),
        (feature_vae, (5,)),
    ],
    ids=["ConditionalGAN", "FeatureGAN", "FeatureVAE"],
)
def test_generators_of_the_package(make, shape):
    generator = make()
    one, again, other = (
        GeneratedData(generator, per_class=2, seed=seed).draw([0, 2]) for seed in (0, 0, 1)
    )
    assert one.x.shape == (4, *shape)
    np.testing.assert_array_equal(one.x, again.x)
    assert not np.isclose(one.x, other.x).all(axis=tuple(range(1, one.x.ndim))).any()


def test_weights_by_hand():
    """Four real rows (three of class 0), six samples; a quarter of the weight for the samples."""
    x = np.zeros((4, 3))
    mixed = GeneratedData(Numbers(), per_class=3).mix(x, np.array([0, 0, 1, 0]), weight=0.25)
    assert mixed.num_real == 4
    np.testing.assert_array_equal(mixed.y, [0, 0, 1, 0, 0, 0, 0, 1, 1, 1])
    real, made = mixed.sample_weight[:4], mixed.sample_weight[4:]
    np.testing.assert_allclose(real, 7.5 / 4)
    np.testing.assert_allclose(made, [2.5 * 0.75 / 3] * 3 + [2.5 * 0.25 / 3] * 3)
    assert mixed.sample_weight.mean() == pytest.approx(1.0)


def test_classes_without_samples_leave_their_weight_to_the_others():
    x, y = np.zeros((4, 3)), np.array([0, 0, 3, 3])
    with pytest.warns(UserWarning, match="no sample"):
        mixed = GeneratedData(Numbers(), per_class=2).mix(x, y, 0.5, by_number)
    np.testing.assert_array_equal(mixed.y, [0, 0, 3, 3, 0, 0])
    np.testing.assert_allclose(mixed.sample_weight, [0.75] * 4 + [1.5] * 2)


def test_no_weight_means_no_samples():
    generator = Numbers()
    mixed = GeneratedData(generator).mix(IMAGES, LABELS, weight=0.0)
    assert mixed.x.shape == IMAGES.shape
    assert not generator.calls
    np.testing.assert_array_equal(mixed.sample_weight, 1.0)


class Copies:
    """Samples are the real images, at twice the size and in [-1, 1]."""

    def sample(self, labels, seed):
        images = np.stack([IMAGES[np.flatnonzero(label == LABELS)[0]] for label in labels])
        return images.repeat(2, axis=1).repeat(2, axis=2) * 2.0 - 1.0


class Halves:
    def sample(self, labels, seed):
        return np.full((len(labels), 3), 0.5)


def to_backbone(samples):
    return (samples[:, ::2, ::2] + 1.0) / 2.0


KINDS = {
    "feature": lambda: FeatureTransfer(backbone(), 3, l2=1e-3),
    "parameter": lambda: ParameterTransfer(backbone(), 3, head_initialization="random"),
    "structure": lambda: StructureTransfer(
        backbone(), 3, method="lora", rank=2, head_initialization="random"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_transfer_takes_it(kind):
    """Pixels of another size and range, judged by the kind that learns from them."""
    asked, models = [], []

    class Confirming(GeneratedData):
        def _agreement(self, samples, labels, classifier):
            asked.append((classifier, super()._agreement(samples, labels, classifier).shape))
            return np.ones(len(labels), bool)

    data = Confirming(Copies(), prepare=to_backbone, per_class=2, rounds=1)

    def make():
        models.append(KINDS[kind]())
        return models[-1]

    found = fit_with_generated_data(
        make, data, IMAGES, LABELS, weights=[0.3], validation_data=(IMAGES[:6], LABELS[:6])
    )
    # The model of the real examples judges the samples; the better one is the result.
    assert asked == [(models[0], (6,))]
    assert len(models) == 2
    assert found.model is models[0 if found.weight == 0.0 else 1]
    by_weight = {trial.weight: trial.loss for trial in found.trials}
    for model, loss in zip(models, by_weight.values()):
        logits = model.predict(IMAGES[:6], verbose=0)
        expected = -log_softmax(logits, axis=1)[np.arange(6), LABELS[:6]].mean()
        assert loss == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert by_weight[found.weight] == min(by_weight.values())


def test_weight_reaches_the_fit():
    """One real row against a sample of the same place and another class: the weight decides."""

    class Opposite:
        def sample(self, labels, seed):
            return np.where(np.array(labels)[:, None] == 0, [[1.0, 0.0]], [[-1.0, 0.0]])

    from keras_transgen.transfer.linear_probe import fit_linear_probe

    x, y = np.array([[-1.0, 0.0], [1.0, 0.0]]), np.array([0, 1])
    for weight, first in ((0.2, 0), (0.8, 1)):
        mixed = GeneratedData(Opposite(), per_class=2).mix(x, y, weight)
        probe = fit_linear_probe(mixed.x, np.eye(2)[mixed.y], l2=0.01, weights=mixed.sample_weight)
        assert probe.predict(x).argmax(1).tolist() == [first, 1 - first]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GeneratedData(object()), r"must have sample.*Received: generator of type object"),
        (lambda: GeneratedData(Numbers(), per_class=0), r"Received: per_class=0"),
        (lambda: GeneratedData(Numbers(), agreement=1.5), r"agreement=1.5"),
        (
            lambda: GeneratedData(Numbers()).mix(np.zeros((2, 3)), [0, 1], 1.0),
            r"\[0, 1\).*Received: weight=1.0",
        ),
        (
            lambda: GeneratedData(Numbers()).mix(np.zeros((2, 3)), [0.5, 1]),
            r"an integer.*type float64",
        ),
        (
            lambda: GeneratedData(Numbers()).mix(np.zeros((2, 8, 8, 1)), [0, 1]),
            r"prepare=. Received: samples of shape \(3,\) .* examples of \(8, 8, 1\)",
        ),
        (
            lambda: GeneratedData(Halves()).mix(np.zeros((2, 3), "uint8"), [0, 1]),
            r"where these are whole.*and type float64, examples of \(3,\) and uint8",
        ),
        (
            lambda: GeneratedData(Numbers()).mix(np.zeros((2, 3)), [0, -1]),
            "from 0 up.*the least of them -1",
        ),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
