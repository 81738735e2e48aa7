"""SemiSupervisedGAN: the harness, a step by hand, few labels that gain, what it refuses."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.fusion.game_health import GameHealth
from keras_transgen.fusion.semi_supervised_gan import SemiSupervisedGAN
from tests.harness import ModelCase, every_check

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(24, 5)).astype("float32")
IMAGES = RNG.uniform(-1, 1, (24, 8, 8, 1)).astype("float32")
LABELS = np.where(np.arange(24) < 12, np.arange(24) % 3, -1)
IMPORTS = ("tests.fusion.test_semi_supervised_gan",)


@keras.saving.register_keras_serializable(package="tests")
class FixedNoiseSemiSupervisedGAN(SemiSupervisedGAN):
    """All latent vectors are the same, so that it does not matter how many there are."""

    def draw_noise(self, data, seed, training):
        noise = super().draw_noise(data, seed, training)
        same = tf.constant([0.3, -0.5, 0.8])
        return [{"latent": tf.zeros_like(phase["latent"]) + same} for phase in noise]


def plain_networks() -> dict:
    """Without batch normalization, whose statistics are each replica's own, and without noise."""
    generator = [keras.layers.Dense(6, "softplus"), keras.layers.Dense(5)]
    discriminator = [keras.layers.Dense(6, "tanh"), keras.layers.Dense(4)]
    return {
        "generator": keras.Sequential([keras.Input((3,)), *generator]),
        "discriminator": keras.Sequential([keras.Input((5,)), *discriminator]),
    }


def compile_with_steady_optimizers(model, **kwargs):
    # Adam divides by the gradient's size, which turns rounding into whole steps where it is zero.
    model.compile(keras.optimizers.SGD(0.05, 0.5), keras.optimizers.SGD(0.05, 0.5), **kwargs)


def case(make, data, **kwargs) -> ModelCase:
    return ModelCase(
        make=make,
        data=(data, LABELS),
        compile=compile_with_steady_optimizers,
        imports=IMPORTS,
        may_move=lambda path: any(part in path for part in ("moving", "average", "gain", "seed")),
        **kwargs,
    )


CASES = {
    "networks handed in": case(lambda: FixedNoiseSemiSupervisedGAN(3, **plain_networks()), VECTORS),
    "vectors": case(
        lambda: SemiSupervisedGAN(3, (5,), 3, width=2),
        VECTORS,
        tolerance=None,
        same_under_xla=False,
    ),
    "images": case(
        lambda: SemiSupervisedGAN(3, (8, 8, 1), 3, width=2),
        IMAGES,
        tolerance=None,
        same_under_xla=False,
    ),
}


@pytest.mark.parametrize(("name", "check"), every_check(CASES))
def test_model(name, check, tools):
    check(CASES[name], tools)


def test_a_step_moves_both_players_by_the_gradients_of_the_formulas():
    """A step of gradient descent against one that is written down here, in float64."""
    networks = plain_networks()
    model = SemiSupervisedGAN(3, **networks, ema_decay=None)
    head = model.classifier
    model.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), jit_compile=False)
    # Rows of pairs, as `fit` makes them.
    x, y = VECTORS[:8], np.array([-1, 0, -1, 1, -1, 2, -1, 0])
    latents = RNG.normal(size=(2, 4, 3)).astype("float32")
    model.draw_noise = lambda data, seed, training: [{"latent": each} for each in latents]

    def weights(layers):
        return [np.asarray(w, "float64") for layer in layers for w in layer.weights]

    g, d, h = (weights([each]) for each in (*networks.values(), head))
    gain = np.asarray(head.gain)

    def generated(g, z):
        return tf.nn.softplus(z @ g[0] + g[1]) @ g[2] + g[3]

    def features(d, x):
        return tf.tanh(x @ d[0] + d[1]) @ d[2] + d[3]

    order = [w.name for w in head.weights]
    h = dict(zip(order, h))

    def logits(f, h):
        norm = tf.sqrt(tf.reduce_sum(h["kernel"] ** 2, 0) + 1e-6)
        return f @ (h["kernel"] / norm * h["gain"]) + h["bias"]

    x64, z = x.astype("float64"), [each.astype("float64") for each in latents]
    g, d = [tf.constant(w) for w in g], [tf.constant(w) for w in d]
    h = {name: tf.constant(value) for name, value in h.items()}
    with tf.GradientTape() as tape:
        tape.watch([d, h])
        on_real, on_fake = logits(features(d, x64), h), logits(features(d, generated(g, z[0])), h)
        labelled = tf.reduce_mean(
            tf.reduce_logsumexp(on_real[1::2], 1)
            - tf.gather(on_real[1::2], y[1::2], axis=1, batch_dims=1)
        )
        real, fake = (tf.reduce_logsumexp(each, 1) for each in (on_real[::2], on_fake))
        unlabelled = 0.5 * (
            tf.reduce_mean(tf.math.log1p(tf.exp(real)) - real)
            + tf.reduce_mean(tf.math.log1p(tf.exp(fake)))
        )
        loss = labelled + unlabelled
    by_d, by_h = tape.gradient(loss, [d, h])
    d = [w - 0.1 * slope for w, slope in zip(d, by_d)]
    h = {name: h[name] - 0.1 * by_h[name] for name in h}
    with tf.GradientTape() as tape:
        tape.watch(g)
        means = [tf.reduce_mean(features(d, each), 0) for each in (x64[::2], generated(g, z[1]))]
        matching = tf.reduce_mean((means[0] - means[1]) ** 2)
    g = [w - 0.1 * slope for w, slope in zip(g, tape.gradient(matching, g))]

    history = model.fit(tf.data.Dataset.from_tensors((x, y)), verbose=0).history
    assert gain.tolist() == [1.0, 1.0, 1.0]
    assert history["supervised_loss"][0] == pytest.approx(float(labelled), rel=1e-4)
    assert history["unlabelled_loss"][0] == pytest.approx(float(unlabelled), rel=1e-4)
    assert history["matching_loss"][0] == pytest.approx(float(matching), rel=1e-3)
    for found, expected in zip(networks["discriminator"].weights, d):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    for weight in head.weights:
        np.testing.assert_allclose(weight, h[weight.name], atol=1e-5)
    for found, expected in zip(networks["generator"].weights, g):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def blobs(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two bows that lie in each other, which two labels a class do not tell apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    angle = rng.uniform(0, np.pi, count)
    x = np.stack([np.cos(angle), np.sin(angle)], 1)
    x = np.where(labels[:, None] == 1, [1.0, 0.4] - x, x) + 0.05 * rng.normal(size=(count, 2))
    return x.astype("float32"), labels


@pytest.mark.slow
def test_learns_the_labels_that_it_was_given():
    x, y = blobs(200, 0)
    some = np.where(np.arange(200) < 20, y, -1)
    model = SemiSupervisedGAN(2, (2,), 4, width=8, ema_decay=0.9, input_noise=0.05, seed=0)
    model.compile(jit_compile=False)
    model.fit(x, some, batch_size=50, epochs=40, verbose=0)
    held_out, classes = blobs(400, 1)
    found = model.evaluate(held_out, classes, return_dict=True, verbose=0)
    assert found["accuracy"] > 0.9
    # What evaluate logs is what predict gives.
    logits = model.predict(held_out, verbose=0).astype("float64")
    expected = np.log(np.exp(logits).sum(1)) - logits[np.arange(400), classes]
    assert found["supervised_loss"] == pytest.approx(expected.mean(), rel=1e-3)
    assert found["accuracy"] == pytest.approx(
        (model.classify(held_out, verbose=0) == classes).mean()
    )


def test_evaluation_counts_what_has_a_label():
    model = SemiSupervisedGAN(3, (5,), 3, width=2)
    model.compile(jit_compile=False)
    whole = model.evaluate(VECTORS, LABELS, return_dict=True, verbose=0, batch_size=5)
    few = model.evaluate(VECTORS[:12], LABELS[:12], return_dict=True, verbose=0)
    for name in ("accuracy", "supervised_loss"):
        assert whole[name] == pytest.approx(few[name], rel=1e-5)


@pytest.mark.long
def test_unlabelled_examples_are_as_labels_of_minus_one():
    runs = []
    for data, more in (
        ((VECTORS, LABELS), {}),
        ((VECTORS[:12], LABELS[:12]), {"unlabelled": VECTORS[12:]}),
    ):
        keras.utils.set_random_seed(1)
        model = SemiSupervisedGAN(3, (5,), 3, width=2, seed=0)
        model.compile(jit_compile=False)
        model.fit(*data, **more, batch_size=8, verbose=0)
        runs.append(model.predict(VECTORS, verbose=0))
    np.testing.assert_array_equal(*runs)


def test_samples_lie_in_the_range_and_are_the_seeds():
    model = SemiSupervisedGAN(3, (5,), 3, width=2, value_range=(0.0, 0.1))
    samples = model.sample(7, seed=3)
    assert samples.shape == (7, 5)
    assert samples.min() >= 0.0
    assert samples.max() <= np.float32(0.1)
    np.testing.assert_allclose(samples, model.sample(7, seed=3, batch_size=2), rtol=1e-5)
    assert not np.array_equal(samples, model.sample(7, seed=4))


@pytest.mark.slow
def test_names_of_classes():
    names = np.array(["b", "a"])[np.arange(12) % 2]
    model = SemiSupervisedGAN(2, (5,), 3, width=2)
    model.compile(jit_compile=False)
    model.fit(VECTORS[:12], names, unlabelled=VECTORS, verbose=0)
    assert model.class_names == ("a", "b")
    assert set(model.classify(VECTORS, names=True, verbose=0)) <= {"a", "b"}


def test_a_game_that_is_lost_is_told_of_once():
    health = GameHealth()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        health.on_epoch_end(0, {"unlabelled_loss": 0.3, "matching_loss": 20.0})
        health.on_epoch_end(1, {"unlabelled_loss": 0.001, "matching_loss": 2.0})
        health.on_epoch_end(2, {})
    with pytest.warns(UserWarning, match="generator_output='softplus'"):
        health.on_epoch_end(3, {"unlabelled_loss": 0.001, "matching_loss": 20.0})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        health.on_epoch_end(4, {"unlabelled_loss": 0.001, "matching_loss": 20.0})


def test_a_fit_watches_the_game():
    model = SemiSupervisedGAN(3, **plain_networks())
    model.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0), jit_compile=False)
    # Far features: real ones are certain, and samples are not.
    model.classifier.layer.bias.assign([0.0, 0.0, 0.0])
    model.discriminator.layers[-1].kernel.assign(100.0 * np.ones((6, 4)))
    model.discriminator.layers[0].kernel.assign(np.ones((5, 6)))
    model.classifier.layer.kernel.assign(np.ones((4, 3)))
    model.generator.layers[-1].bias.assign(-50.0 * np.ones(5))
    model.generator.layers[-1].kernel.assign(np.zeros((6, 5)))
    with pytest.warns(UserWarning, match="tells all generated examples"):
        model.fit(abs(VECTORS) + 1.0, LABELS, verbose=0)


@pytest.mark.slow
def test_rows_that_all_have_labels_play_no_game_and_it_is_told():
    model = SemiSupervisedGAN(3, (5,), 3, width=2)
    model.compile(jit_compile=False)
    data = tf.data.Dataset.from_tensor_slices((VECTORS[:12], LABELS[:12])).batch(6)
    with pytest.warns(UserWarning, match="Every row had a label"):
        model.fit(data, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.fit(VECTORS[:12], LABELS[:12], verbose=0)


@pytest.mark.slow
def test_weights_that_were_given_stay():
    """Built networks start from the data, unless they were given weights."""
    model = SemiSupervisedGAN(3, (5,), 3, width=2)
    rng = np.random.default_rng(3)
    for layer in (model.discriminator, model.generator, model.classifier):
        given = [0.1 * rng.normal(size=weight.shape) + 0.5 for weight in layer.weights]
        layer.set_weights(given)
    optimizers = [keras.optimizers.SGD(0.0) for _ in range(2)]
    model.compile(*optimizers, jit_compile=False)
    parts = [*model.discriminator.weights, *model.generator.trainable_weights]
    before = [weight.numpy() for weight in parts if "seed" not in weight.path]
    model.fit(VECTORS, LABELS, verbose=0)
    after = [weight.numpy() for weight in parts if "seed" not in weight.path]
    for one, other in zip(before, after):
        np.testing.assert_array_equal(one, other)
    fresh = SemiSupervisedGAN(3, (5,), 3, width=2)
    fresh.compile(*[keras.optimizers.SGD(0.0) for _ in range(2)], jit_compile=False)
    fresh.fit(VECTORS, LABELS, verbose=0)
    gains = [weight for weight in fresh.discriminator.weights if weight.path.endswith("gain")]
    assert all((gain.numpy() != 1.0).any() for gain in gains)


@pytest.mark.slow
def test_rows_without_any_label_are_told_of():
    model = SemiSupervisedGAN(3, (5,), 3, width=2)
    model.compile(jit_compile=False)
    without = tf.data.Dataset.from_tensor_slices((VECTORS, np.full(24, -1))).batch(12)
    with pytest.warns(UserWarning, match="No row of this epoch had a label"):
        model.fit(without, verbose=0)
    with pytest.warns(UserWarning, match="validation_data has no label"):
        logs = model.fit(VECTORS, LABELS, validation_data=without, epochs=2, verbose=0).history
    assert np.isnan(logs["val_accuracy"]).tolist() == [True, True]
    assert np.isfinite(logs["val_unlabelled_loss"]).all()
    with refused("labels to be judged by"):
        model.evaluate(without, verbose=0)


def refused(match: str):
    return pytest.raises(ValueError, match=match)


def test_what_it_refuses_to_be():
    with refused("Give example_shape="):
        SemiSupervisedGAN(3)
    with refused("num_classes must be"):
        SemiSupervisedGAN(1, (5,))
    with refused("latent_dim must be"):
        SemiSupervisedGAN(3, (5,), 0)
    with refused("must be finite and not negative"):
        SemiSupervisedGAN(3, (5,), input_noise=-1.0)
    with refused("must be finite and not negative.*hidden_noise='much'"):
        SemiSupervisedGAN(3, (5,), hidden_noise="much")
    with refused("ema_decay must be.*ema_decay='a'"):
        SemiSupervisedGAN(3, (5,), ema_decay="a")
    with refused("generator_output must be"):
        SemiSupervisedGAN(3, (5,), generator_output="tanh")
    with refused("value_range must be"):
        SemiSupervisedGAN(3, (5,), value_range="wide")
    for no_range in ((0,), (0.0, 1.0, 2.0), ("0", "1"), 1.0):
        with refused("value_range must be"):
            SemiSupervisedGAN(3, (5,), value_range=no_range)
    with refused("hand in generator="):
        SemiSupervisedGAN(3, (5, 2))
    with refused("output must have the shape"):
        SemiSupervisedGAN(3, (6,), generator=plain_networks()["generator"])
    with refused("must give features"):
        SemiSupervisedGAN(
            3, discriminator=keras.Sequential([keras.Input((4, 4, 1)), keras.layers.ReLU()])
        )
    normalized = [keras.Input((5,)), keras.layers.BatchNormalization(), keras.layers.Dense(3)]
    with refused("share a pass of the discriminator"):
        SemiSupervisedGAN(3, discriminator=keras.Sequential(normalized))


def test_what_it_refuses_to_learn_from():
    model = SemiSupervisedGAN(3, (5,), 3, width=2)
    with refused("Received: None"):
        model.fit(VECTORS)
    with refused("from 0 to 2"):
        model.fit(VECTORS, LABELS + 2)
    with refused("from 0 to 2"):
        model.fit(VECTORS, LABELS - 1)
    with refused("At least one example needs a label"):
        model.fit(VECTORS, np.full(24, -1))
    with refused(r"same number of rows.*\[24, 23\]"):
        model.fit(VECTORS, LABELS[:23])
    with refused("unlabelled of shape"):
        model.fit(VECTORS, LABELS, unlabelled=IMAGES)
    with refused("must be of one type"):
        model.fit(VECTORS, LABELS, unlabelled=np.full((4, 5), 200, "uint8"))
    with refused("does not weigh"):
        model.fit(VECTORS, LABELS, sample_weight=np.ones(24))
    with refused("does not weigh"):
        model.fit(VECTORS, LABELS, class_weight={0: 2.0})
    some = np.where(np.arange(24) < 9, LABELS, -1)
    with refused("one at least.*8 held-out labels, all -1"):
        model.fit(VECTORS, some, validation_split=0.3)
    with refused("15 held-out labels"):
        model.fit(VECTORS, some, validation_data=(VECTORS[9:], some[9:]))
    with refused("batch_size=0"):
        model.fit(VECTORS, LABELS, batch_size=0)
    data = tf.data.Dataset.from_tensors((VECTORS, LABELS))
    with refused("goes with arrays"):
        model.fit(data, unlabelled=VECTORS)
    with refused("from 0 to 2"):
        model.fit(tf.data.Dataset.from_tensors((VECTORS, LABELS + 3)))
    with refused("takes an array, beside"):
        model.fit(VECTORS, LABELS, unlabelled=data)
    without = np.full(24, -1)
    model.compile(jit_compile=False)
    for judged in ((VECTORS, without), (tf.data.Dataset.from_tensors((VECTORS, without)),)):
        with refused("labels to be judged by"):
            model.evaluate(*judged, verbose=0)
    # Of a data set the first batch is looked at before training, and every other one in its step.
    later = tf.data.Dataset.from_tensor_slices((VECTORS, np.arange(24) - 1)).batch(4)
    model.compile(jit_compile=False)
    with refused("labels as integers from 0 to 2"):
        model.fit(later, verbose=0)


@pytest.mark.slow
def test_a_class_without_labels_is_told_of():
    model = SemiSupervisedGAN(5, (5,), 3, width=2)
    model.compile(jit_compile=False)
    with pytest.warns(UserWarning, match="2 of 5 classes have no labelled example.*3, 4"):
        model.fit(VECTORS, LABELS, verbose=0)


def test_it_is_public():
    assert ktg.fusion.SemiSupervisedGAN is SemiSupervisedGAN
