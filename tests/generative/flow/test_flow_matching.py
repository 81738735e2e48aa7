"""FlowMatching: the harness, the exact flow of a Gaussian, guidance, what it refuses."""

import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.generative.flow.flow_matching import FlowMatching
from keras_transgen.generative.flow.times import TIMES
from keras_transgen.generative.generative_model import sampling_seed
from keras_transgen.generative.networks.patch_transformer import patch_transformer
from tests.generative.flow.flow_models import FixedNoiseFlow, Gaussian, constant_flow, small_network
from tests.harness import ModelCase, every_check
from tests.plotting.figure_checks import named_rows

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (24, 8, 8, 1)).astype("float32")
VECTORS = RNG.normal(size=(24, 5)).astype("float32")
LABELS = RNG.integers(0, 3, 24)


def case(make, data, what, **kwargs) -> ModelCase:
    return ModelCase(
        make=make,
        data=data,
        # Adam divides by the gradient's size, which turns rounding into whole steps.
        compile=lambda model, **options: model.compile(keras.optimizers.SGD(0.05, 0.5), **options),
        outputs=("sample", (what,), {"steps": 2, "seed": 0}),
        imports=("tests.generative.flow.flow_models",),
        may_move=lambda path: "average" in path,
        # What begins at zero lets the gradient of what is behind it pass from the next step on.
        fit={"epochs": 2},
        **kwargs,
    )


CASES = {
    "vectors": case(lambda: FixedNoiseFlow((5,), width=8), (VECTORS,), 5),
    "images of classes": case(
        lambda: FixedNoiseFlow((8, 8, 1), 3, width=4, embedding_dim=4, unlabelled_probability=0.3),
        (IMAGES, LABELS),
        LABELS[:5],
    ),
    "patches of classes, noise": case(
        lambda: FixedNoiseFlow(
            (8, 8, 1),
            3,
            # Two blocks instead of six: XLA compiles each of them.
            network=patch_transformer((8, 8, 1), 8, 4, depth=2),
            embedding_dim=4,
            prediction="noise",
            times="uniform",
        ),
        (IMAGES, LABELS),
        LABELS[:5],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "check"), every_check(CASES))
def test_model(name, check, tools):
    check(CASES[name], tools)


# The exact flow of a normal distribution


def test_samples_of_an_exact_velocity_are_the_exact_map_of_their_noise():
    gaussian = Gaussian()
    samples = gaussian.flow().sample(2000, steps=60, seed=3)
    noise = tf.random.stateless_normal([2000, 2], sampling_seed(3))
    np.testing.assert_allclose(samples, gaussian.moved(noise), atol=2e-3)
    # Mean and covariance, within five standard errors.
    error = np.sqrt(np.diag(gaussian.covariance) / 2000)
    assert (abs(samples.mean(0) - gaussian.mean) < 5 * error).all()
    np.testing.assert_allclose(np.cov(samples.T), gaussian.covariance, atol=0.25)


@pytest.mark.parametrize(("solver", "factor"), [("euler", 2.0), ("heun", 4.0)])
def test_half_the_step_has_the_share_of_the_error_that_is_the_solvers_order(solver, factor):
    gaussian = Gaussian()
    flow = gaussian.flow()
    noise = np.random.default_rng(0).normal(size=(200, 2)).astype("float32")
    exact = gaussian.moved(noise)
    errors = [
        abs(flow.decode(noise, steps=steps, solver=solver) - exact).mean() for steps in (16, 32)
    ]
    assert errors[0] / errors[1] == pytest.approx(factor, rel=0.2)


def test_a_network_that_predicts_noise_makes_the_same_samples():
    gaussian = Gaussian()
    noise = np.random.default_rng(0).normal(size=(200, 2)).astype("float32")
    made = gaussian.flow("noise").decode(noise, steps=100)
    # The velocity is not asked for before time 0.02.
    np.testing.assert_allclose(made, gaussian.moved(noise), atol=0.02)


def test_log_likelihood_is_the_normal_density():
    gaussian = Gaussian()
    flow, x = gaussian.flow(), Gaussian().data(40)
    expected = scipy.stats.multivariate_normal.logpdf(x, gaussian.mean, gaussian.covariance)
    np.testing.assert_allclose(flow.log_likelihood(x, batch_size=16), expected, atol=2e-3)
    estimates = flow.log_likelihood(x, steps=60, divergence="hutchinson", probes=200)
    np.testing.assert_allclose(estimates, expected, atol=0.15)
    assert abs(np.mean(estimates - expected)) < 0.03
    again = flow.log_likelihood(x, steps=60, divergence="hutchinson", probes=200)
    np.testing.assert_array_equal(estimates, again)


def test_log_likelihood_is_a_density_over_the_value_range():
    """In [0, 10] the same numbers are five times as far apart, and five times as thin."""
    gaussian = Gaussian((0.0, 0.0), ((0.04, 0.0), (0.0, 0.01)))
    x = gaussian.data(20)
    plain = gaussian.flow().log_likelihood(x)
    ranged = gaussian.flow(value_range=(0.0, 10.0)).log_likelihood(5.0 * x + 5.0)
    np.testing.assert_allclose(ranged, plain - 2 * np.log(5.0), atol=1e-3)
    deviation = 5.0 * np.sqrt([0.04, 0.01])
    expected = scipy.stats.norm.logpdf(5.0 * x + 5.0, 5.0, deviation).sum(1)
    np.testing.assert_allclose(ranged, expected, atol=5e-3)


def test_encode_is_the_inverse_of_the_map():
    gaussian = Gaussian()
    flow, x = gaussian.flow(), gaussian.data(30)
    noise = flow.encode(x, steps=60)
    expected = (x - gaussian.mean) @ np.linalg.inv(gaussian.root)
    np.testing.assert_allclose(noise, expected, atol=3e-3)
    np.testing.assert_allclose(flow.decode(noise, steps=60), x, atol=5e-3)


def test_interpolation_goes_along_the_arc_between_the_noises():
    gaussian = Gaussian()
    flow, x = gaussian.flow(), gaussian.data(6)
    way = flow.interpolate(x[:3], x[3:], points=3, steps=60)
    assert way.shape == (3, 3, 2)
    np.testing.assert_allclose(way[:, 0], x[:3], atol=5e-3)
    np.testing.assert_allclose(way[:, 2], x[3:], atol=5e-3)
    noise = (x - gaussian.mean) @ np.linalg.inv(gaussian.root)
    a, b = noise[:3], noise[3:]
    angle = np.arccos((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))[
        :, None
    ]
    middle = (a + b) * np.sin(angle / 2) / np.sin(angle)
    np.testing.assert_allclose(way[:, 1], gaussian.moved(middle), atol=1e-2)


def test_inpainting_comes_near_the_conditional_distribution():
    """x_1 given x_0 = 2: its mean and deviation are known, and far from those without."""
    gaussian = Gaussian((0.0, 0.0), ((1.0, 0.8), (0.8, 1.0)))
    x = np.tile(np.float32([[2.0, 0.0]]), (1000, 1))
    flow = gaussian.flow()
    made = flow.inpaint(x, [False, True], steps=30, rounds=10, seed=0, batch_size=500)
    np.testing.assert_array_equal(made[:, 0], x[:, 0])
    assert made[:, 1].mean() == pytest.approx(0.8 * 2.0, abs=0.15)
    assert made[:, 1].std() == pytest.approx(np.sqrt(1.0 - 0.8**2), abs=0.12)
    once = flow.inpaint(x, [0, 1], steps=30, rounds=1, seed=0)
    assert abs(once[:, 1].mean() - 1.6) > abs(made[:, 1].mean() - 1.6)
    again = flow.inpaint(x, [0, 1], steps=30, rounds=1, seed=0)
    np.testing.assert_array_equal(once, again)


@pytest.mark.parametrize("times", ["uniform", "logit_normal"])
@pytest.mark.parametrize("prediction", ["velocity", "noise"])
def test_the_loss_of_the_best_network_is_the_variance_that_is_left(prediction, times):
    """In one dimension: of data - noise, or of the noise, given the place; over all times."""
    variance = 0.25
    gaussian = Gaussian((0.7,), ((variance,),))
    flow = gaussian.flow(prediction, times=times, seed=0)

    def left(t):
        place = (1 - t) ** 2 + t**2 * variance
        if prediction == "noise":
            return 1 - (1 - t) ** 2 / place
        return 1 + variance - (t * variance - (1 - t)) ** 2 / place

    def weight(t):
        if times == "uniform":
            return 1.0
        return scipy.stats.norm.pdf(np.log(t / (1 - t))) / (t * (1 - t))

    expected, _ = scipy.integrate.quad(lambda t: weight(t) * left(t), 1e-9, 1 - 1e-9)
    loss = flow.evaluate(gaussian.data(20_000), batch_size=5000, verbose=0)
    # The square of a normal number has a deviation of 1.4 times its mean.
    assert loss == pytest.approx(expected, abs=5 * 1.5 * expected / np.sqrt(20_000))


def test_times_have_their_distributions():
    for name, quantiles in (("uniform", 0.25), ("logit_normal", 1 / (1 + np.exp(0.67449)))):
        drawn = np.asarray(TIMES[name](20_000, tf.constant([1, 2])))
        assert np.quantile(drawn, 0.25) == pytest.approx(quantiles, abs=0.01)
        assert drawn.mean() == pytest.approx(0.5, abs=0.01)


# Conditions and guidance


def test_guidance_is_the_line_through_both_velocities():
    flow = constant_flow()
    told, untold = RNG.normal(size=(3, 2)), RNG.normal(size=2)
    flow.condition_embedding.set_weights([told, untold])
    flow.average.restart()
    labels = np.array([2, 0, 1, 1])
    noise = RNG.normal(size=(4, 2)).astype("float32")
    for guidance in (0.0, 1.0, 2.5):
        velocity = untold + guidance * (told[labels] - untold)
        for solver in ("euler", "heun"):
            made = flow.decode(noise, labels, steps=3, guidance=guidance, solver=solver)
            np.testing.assert_allclose(made, noise + velocity, atol=1e-5)
    np.testing.assert_allclose(flow.decode(noise, steps=3), noise + untold, atol=1e-5)
    alone = flow.sample(count=4, steps=3, seed=1)
    drawn = np.asarray(tf.random.stateless_normal([4, 2], sampling_seed(1)))
    np.testing.assert_allclose(alone, drawn + untold, atol=1e-5)
    # A constant velocity moves a density as it is.
    expected = scipy.stats.norm.logpdf(noise - told[labels]).sum(1)
    np.testing.assert_allclose(flow.log_likelihood(noise, labels, steps=3), expected, atol=1e-4)


def test_conditions_are_dropped_as_often_as_asked_and_never_in_evaluation():
    flow = constant_flow(unlabelled_probability=0.3)
    data = (tf.zeros([4000, 2]), tf.zeros([4000], tf.int32))
    dropped = np.asarray(flow.draw_noise(data, tf.constant([0, 1]), True)[2])
    assert dropped.mean() == pytest.approx(0.3, abs=5 * np.sqrt(0.21 / 4000))
    assert not np.asarray(flow.draw_noise(data, tf.constant([0, 1]), False)[2]).any()
    embedded = np.asarray(flow.embedded(data[1], False, dropped))
    nothing = flow.condition_embedding.nothing.numpy()
    np.testing.assert_array_equal((embedded == nothing).all(1), dropped)


@pytest.mark.slow
def test_learns_what_each_class_is():
    """Classes of N(-2, 0.2) and N(2, 0.5): the samples have their means and deviations."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 1024)
    places, spreads = np.array([-2.0, 2.0]), np.array([0.2, 0.5])
    data = (rng.normal(size=1024) * spreads[labels] + places[labels])[:, None].astype("float32")
    flow = FlowMatching((1,), 2, width=32, embedding_dim=8, ema_decay=0.98, seed=0)
    flow.compile(keras.optimizers.Adam(5e-3), jit_compile=False)
    flow.fit(data, labels, batch_size=128, epochs=40, verbose=0)
    for label in (0, 1):
        samples = flow.sample(np.full(1000, label), seed=label, batch_size=1000)
        assert samples.mean() == pytest.approx(places[label], abs=0.15)
        assert samples.std() == pytest.approx(spreads[label], abs=0.12)
    # Which class a number is of, by Bayes' rule.
    x = np.float32([[-2.0], [2.0]])
    likelihood = np.stack([flow.log_likelihood(x, np.full(2, c), steps=20) for c in (0, 1)])
    np.testing.assert_array_equal(likelihood.argmax(0), [0, 1])


def test_names_as_labels():
    flow = constant_flow(5)
    names = np.array(["ash", "beech", "oak"])
    flow.fit(VECTORS, list(names[LABELS]), batch_size=24, verbose=0)
    assert flow.class_names == tuple(names)
    by_name = flow.sample(["oak", "ash"], steps=2, seed=0)
    np.testing.assert_array_equal(by_name, flow.sample([2, 0], steps=2, seed=0))


@pytest.mark.long
def test_vectors_and_texts_as_conditions(tmp_path):
    encoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    flow = FlowMatching((5,), condition_encoder=encoder, width=4, embedding_dim=2)
    places = RNG.normal(size=(24, 2)).astype("float32")
    before = encoder.get_weights()[0]
    flow.fit(VECTORS, places, batch_size=8, verbose=0, epochs=2)
    assert not np.array_equal(before, encoder.get_weights()[0])
    assert flow.condition_scale.adapted
    samples = flow.sample(places[:3], steps=2, seed=0)
    np.testing.assert_allclose(samples[:1], flow.sample(places[:1], steps=2, seed=0), atol=1e-5)
    told = ktg.TextEncoder(ktg.Vocabulary.characters(["up", "down"]))
    of_texts = FlowMatching((5,), condition_encoder=told, width=4, embedding_dim=2)
    of_texts.fit(VECTORS, ["up", "down"] * 12, batch_size=24, verbose=0)
    samples = of_texts.sample(["down", "up"], steps=2, seed=0, guidance=2.0)
    of_texts.save(tmp_path / "texts.keras")
    loaded = ktg.load_model(tmp_path / "texts.keras")
    again = loaded.sample(["down", "up"], steps=2, seed=0, guidance=2.0)
    np.testing.assert_allclose(samples, again, atol=1e-6)


# Using it


def test_samples_by_seed_whatever_the_batch():
    flow = FlowMatching((8, 8, 1), 3, network=small_network(embedding_dim=2), embedding_dim=2)
    for weights in flow.network.trainable_weights:
        weights.assign(0.1 * RNG.normal(size=weights.shape))
    samples = flow.sample([0, 1, 2, 0, 1], steps=2, seed=3)
    assert samples.dtype == np.float32
    assert samples.min() >= -1.0
    assert samples.max() <= 1.0
    small = flow.sample([0, 1, 2, 0, 1], steps=2, seed=3, batch_size=2)
    np.testing.assert_allclose(samples, small, atol=1e-5)
    assert not np.allclose(samples, flow.sample([0, 1, 2, 0, 1], steps=2, seed=4))
    noise = tf.random.stateless_normal([5, 8, 8, 1], sampling_seed(3))
    called = flow((noise, np.array([0, 1, 2, 0, 1])))
    whole = flow.sample([0, 1, 2, 0, 1], seed=3)
    np.testing.assert_allclose(called, whole, atol=1e-5)


def test_the_average_samples_and_follows_weights_that_were_loaded():
    flow = constant_flow(ema_decay=0.9)
    before = flow.sample([0], steps=1, seed=0)
    told = flow.condition_embedding.table.numpy()
    flow.average.averages[0].assign(told + 1.0)
    flow.average.remember()
    np.testing.assert_allclose(flow.sample([0], steps=1, seed=0), before + 1.0, atol=1e-5)
    flow.condition_embedding.set_weights([told + 3.0, np.zeros(2)])
    np.testing.assert_allclose(flow.sample([0], steps=1, seed=0), before + 3.0, atol=1e-5)


def test_bytes_are_scaled_to_the_range():
    pixels = RNG.integers(0, 256, (16, 8, 8, 1)).astype("uint8")
    scaled = pixels.astype("float32") / 127.5 - 1.0
    losses = []
    for data in (pixels, scaled):
        keras.utils.set_random_seed(0)
        flow = FlowMatching((8, 8, 1), network=small_network(), seed=0)
        losses.append(flow.evaluate(data, batch_size=16, verbose=0))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_grid_has_a_row_for_each_class(monkeypatch):
    flow = FlowMatching((8, 8, 1), class_names=["ash", "oak"], width=4, embedding_dim=2)
    monkeypatch.setattr(
        flow,
        "sample",
        lambda labels, seed: np.ones((len(labels), 8, 8, 1)) * (labels - 1.0)[:, *[None] * 3],
    )
    assert list(named_rows(flow.sample_grid(4, seed=0))) == ["ash", "oak"]


# What it refuses


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_classes": 1}, "from 2 up.*num_classes=1"),
        ({"num_classes": 2.0}, "from 2 up.*num_classes=2.0"),
        ({"num_classes": "3"}, "from 2 up.*num_classes='3'"),
        ({"condition_shape": 3}, "condition_shape=3"),
        ({"condition_shape": (0,)}, r"condition_shape=\(0,\)"),
        ({"unlabelled_probability": "a"}, "unlabelled_probability='a'"),
        ({"alignment_weight": np.nan}, "alignment_weight=nan"),
        ({"num_classes": 3, "condition_shape": (2,)}, "Received: both"),
        ({"condition_shape": (3, 2)}, "condition_encoder"),
        ({"unlabelled_probability": 1.0}, "below 1"),
        ({"prediction": "score"}, "prediction must be one of"),
        ({"times": "cosine"}, "times must be one of"),
        ({"network": "resnet"}, "network must be one of"),
        ({"network": 3}, "a Keras model"),
        ({"network": "unet"}, "for images"),
        ({"width": 0}, "width=0"),
        ({"ema_decay": 1.0}, "ema_decay=1.0"),
        ({"value_range": "unit"}, "value_range='unit'"),
        ({"value_range": (0.0, np.inf)}, "finite"),
        ({"example_shape": (4, 4, 4, 1)}, "hand in network="),
        ({"example_shape": (8, 8, 1), "network": "dense"}, "flatten"),
        ({"network": keras.Sequential([keras.Input((5,)), keras.layers.Dense(5)])}, "network"),
    ],
)
def test_what_cannot_be_made_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        FlowMatching(**{"example_shape": (5,), "width": 4, **settings})


def test_vectors_are_said_by_their_length_and_seeds_are_of_any_size():
    flow = FlowMatching(5, width=4, seed=2**80 + 7)
    assert flow.example_shape == (5,)
    assert int(flow.progress.seed.numpy()) == 7
    assert int(FlowMatching(5, width=4, seed=-3).progress.seed.numpy()) == -3


def test_networks_that_are_none_of_a_flows():
    x, t = keras.Input((5,)), keras.Input(())
    joined = keras.layers.Concatenate()([x, keras.layers.Reshape((1,))(t)])
    with pytest.raises(ValueError, match=r"\[batch, 5\].*\(None, 4\)"):
        FlowMatching((5,), network=keras.Model([x, t], keras.layers.Dense(4)(joined)))
    with pytest.raises(ValueError, match=r"\(5,\) to \(4,\)"):
        FlowMatching(network=keras.Model([x, t], keras.layers.Dense(4)(joined)))
    bounded = keras.Model([x, t], keras.layers.Dense(5, "tanh")(joined))
    with pytest.raises(ValueError, match=r"no bounds.*\[-1, 1\]"):
        FlowMatching((5,), network=bounded)


@pytest.mark.parametrize(
    ("make", "ask", "message"),
    [
        (constant_flow, lambda f: f.sample([3]), "from 0 to 2"),
        (constant_flow, lambda f: f.sample(3), r"shape \[\]"),
        (constant_flow, lambda f: f.sample([0], steps=0), "steps=0"),
        (constant_flow, lambda f: f.sample([0], steps=2**31), "at most 2,147,483,647"),
        (constant_flow, lambda f: f.inpaint(np.zeros((2, 2)), [255, 0]), "mask > 0.*255 among"),
        (constant_flow, lambda f: f.sample([0], solver="rk4"), "solver must be one of"),
        (constant_flow, lambda f: f.sample([0], guidance=np.inf), "finite"),
        (constant_flow, lambda f: f.sample([0], guidance=1e39), "at most 1e"),
        (constant_flow, lambda f: f.sample([0], batch_size=0), "batch_size=0"),
        (constant_flow, lambda f: f.sample(guidance=2.0), "no condition"),
        (constant_flow, lambda f: f.decode(np.full((1, 2), np.nan)), "finite"),
        (constant_flow, lambda f: f.predict(np.zeros((2, 2), "uint8"), verbose=0), "noise"),
        (
            constant_flow,
            lambda f: f.interpolate(np.zeros((1, 2)), np.zeros((1, 2)), points=2.5),
            "points=2.5",
        ),
        (constant_flow, lambda f: f.sample([0, 1], count=3), "leave count out"),
        (constant_flow, lambda f: f.decode(np.zeros((2, 3))), r"\[count, 2\]"),
        (constant_flow, lambda f: f.encode(np.zeros((2, 2)), [0]), "2 examples, 1 conditions"),
        (constant_flow, lambda f: f.interpolate(np.zeros((2, 2)), np.zeros((1, 2))), "2 and 1"),
        (constant_flow, lambda f: f.inpaint(np.zeros((2, 2)), [2, 0]), "booleans"),
        (constant_flow, lambda f: f.inpaint(np.zeros((2, 2)), [1, 0, 1]), "broadcast"),
        (
            constant_flow,
            lambda f: f.log_likelihood(np.zeros((2, 2)), divergence="trace"),
            "divergence must be one of",
        ),
        (
            lambda: constant_flow(unlabelled_probability=0.0),
            lambda f: f.sample(count=2),
            "unlabelled_probability",
        ),
        (
            lambda: constant_flow(unlabelled_probability=0.0),
            lambda f: f.sample([0], guidance=2.0),
            "unlabelled_probability=0.0",
        ),
        (lambda: FlowMatching((2,), width=2), lambda f: f.sample([0, 1]), "whole number"),
        (
            lambda: FlowMatching((2,), width=2),
            lambda f: f.encode(np.zeros((1, 2)), [0]),
            "leave condition out",
        ),
        (
            lambda: FlowMatching((2,), width=2),
            lambda f: f.fit(VECTORS[:, :2], LABELS),
            "num_classes=",
        ),
        (constant_flow, lambda f: f.fit(VECTORS[:, :2]), "Received: None"),
        (constant_flow, lambda f: f.fit(VECTORS[:, :2], 1), "y=1, one for all"),
        (constant_flow, lambda f: f.fit(VECTORS[:, :2], np.int64(1)), "one for all"),
    ],
)
def test_what_cannot_be_asked_is_refused(make, ask, message):
    with pytest.raises(ValueError, match=message):
        ask(make())


def test_numbers_of_numpy_are_numbers():
    flow = constant_flow()
    wanted = flow.sample([0, 1], steps=2, seed=0)
    found = flow.sample([0, 1], steps=np.int64(2), batch_size=np.int32(1), seed=0)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    x = np.zeros((2, 2), "float32")
    for ask in (flow.encode, flow.decode, flow.log_likelihood):
        np.testing.assert_allclose(ask(x, [0, 1], steps=np.int64(2)), ask(x, [0, 1], steps=2))
    filled = flow.inpaint(x, [1, 0], [0, 1], steps=np.int64(2), rounds=np.int64(1), seed=0)
    np.testing.assert_allclose(filled, flow.inpaint(x, [1, 0], [0, 1], steps=2, rounds=1, seed=0))


@pytest.mark.slow
def test_many_ways_of_asking_are_no_reason_to_warn(caplog):
    flows = [constant_flow() for _ in range(3)]
    for flow in flows:
        for solver in ("euler", "heun"):
            flow.sample([0, 1], steps=1, solver=solver, seed=0)
            flow.sample([0, 1], steps=1, solver=solver, seed=0, guidance=2.0)
    assert "retracing" not in caplog.text


@pytest.mark.slow
def test_data_of_another_size_are_told():
    flow = FlowMatching((5,), width=2)
    with pytest.warns(UserWarning, match="standardise"):
        flow.fit(100.0 * VECTORS, batch_size=24, verbose=0)
    narrow = VECTORS * np.where(np.arange(5) == 3, 0.01, 1.0)
    with pytest.warns(UserWarning, match="standard deviation of 0.0[01][0-9]* in column 3"):
        flow.fit(narrow.astype("float32"), batch_size=24, verbose=0)
    with pytest.warns(UserWarning, match="mean of 2[0-9.]* and a .* in column 0"):
        flow.fit(VECTORS + np.float32(20.0), batch_size=24, verbose=0)
