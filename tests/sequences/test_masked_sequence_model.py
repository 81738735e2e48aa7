"""Masked pretraining: what is hidden and how, what the loss is, and what the network has learnt."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.sequences import MaskedSequenceModel, dilated_sequence_network

RNG = np.random.default_rng(1)


def tiny(**options):
    keras.utils.set_random_seed(2)
    network = dilated_sequence_network(4, filters=8, kernel_size=3, dilations=(1, 2), dropout=0.0)
    return MaskedSequenceModel(network, **{"seed": 0, **options})


def one_hot(letters):
    return np.eye(4, dtype="float32")[letters]


def test_what_is_hidden_and_how():
    x = one_hot(RNG.integers(0, 4, (200, 100)))
    x[:, 60:70] = 0.0
    x[:, 70:80] = 0.25
    shown, told = map(np.asarray, tiny().draw_noise((x,), tf.constant([3, 4]), True))
    chosen = told >= 0
    # Neither padding nor codes for several letters.
    assert not chosen[:, 60:80].any()
    np.testing.assert_array_equal(shown[~chosen], x[~chosen])
    np.testing.assert_array_equal(told[chosen], x.argmax(-1)[chosen])
    count = 200 * 80
    # Four standard errors of a share.
    within = lambda share, p, n: abs(share - p) < 4 * np.sqrt(p * (1 - p) / n)  # noqa: E731
    assert within(chosen.sum() / count, 0.15, count)
    as_any = (shown == 0.25).all(-1) & chosen
    same = (shown == x).all(-1) & chosen
    hidden = chosen.sum()
    assert within(as_any.sum() / hidden, 0.8, hidden)
    # A letter drawn at random is the true one in a quarter of the cases.
    assert within(same.sum() / hidden, 0.1 + 0.1 / 4, hidden)
    assert ((shown.sum(-1) == 1.0) | (x.sum(-1) == 0)).all()


def test_the_same_seed_hides_the_same():
    x = one_hot(RNG.integers(0, 4, (3, 20)))
    noise = [tiny().draw_noise((x,), tf.constant([1, seed]), True)[0] for seed in (5, 5, 6)]
    np.testing.assert_array_equal(noise[0], noise[1])
    assert (np.asarray(noise[0]) != np.asarray(noise[2])).any()


def test_the_loss_is_the_mean_over_what_is_hidden():
    model = tiny(share=0.4)
    model.compile(jit_compile=False)
    x = one_hot(RNG.integers(0, 4, (7, 15)))
    x[2, 6:] = 0.0
    measured = model.evaluate(x, batch_size=7, verbose=0, return_dict=True)
    again = model.evaluate(x, batch_size=7, verbose=0, return_dict=True)
    assert measured == again
    from keras_transgen.training.replica_noise import replica_seed

    seed = replica_seed(~model.progress.seed.value, tf.constant(0, tf.int64))
    shown, told = model.draw_noise((x,), seed, False)
    logits, told = np.asarray(model(shown)), np.asarray(told)
    nats = -np.asarray(tf.nn.log_softmax(logits))[told >= 0, told[told >= 0]]
    assert measured["loss"] == pytest.approx(nats.mean(), abs=1e-5)
    right = (logits.argmax(-1) == told)[told >= 0]
    assert measured["accuracy"] == pytest.approx(right.mean(), abs=1e-6)


@pytest.mark.slow
def test_pretraining_learns_what_follows_what_and_its_network_is_a_backbone(tmp_path):
    # ACGT again and again from any of its letters: neighbours tell what is hidden.
    letters = (np.arange(24) + RNG.integers(0, 4, (64, 1))) % 4
    model = tiny()
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    x = one_hot(letters)
    before = model.evaluate(x, verbose=0, return_dict=True)
    model.fit(x, epochs=25, batch_size=32, verbose=0)
    after = model.evaluate(x, verbose=0, return_dict=True)
    assert before["accuracy"] < 0.8
    assert after["accuracy"] > 0.95
    model.save(tmp_path / "pretrained.keras")
    backbone = ktg.load_backbone(tmp_path / "pretrained.keras")
    np.testing.assert_allclose(backbone(x[:3]), model.network(x[:3]), atol=1e-6)
    loaded = ktg.load_model(tmp_path / "pretrained.keras")
    assert loaded.evaluate(x, verbose=0, return_dict=True) == pytest.approx(after, abs=1e-5)


@pytest.mark.slow
def test_lists_of_sequences_and_data_sets():
    model = tiny()
    several = [one_hot(RNG.integers(0, 4, length)) for length in (5, 9, 3, 7)]
    model.fit(several, epochs=1, batch_size=2, verbose=0)
    data = tf.data.Dataset.from_tensor_slices(one_hot(RNG.integers(0, 4, (4, 6)))).batch(2)
    history = model.fit(data, validation_data=data, epochs=1, verbose=0)
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(history.history)


class AdenineHidden(MaskedSequenceModel):
    """Hides every A and nothing else, so that replicas draw nothing."""

    def draw_noise(self, data, seed, training):
        x = keras.utils.unpack_x_y_sample_weight(data)[0]
        hidden = x[..., 0] > 0.5
        shown = tf.where(hidden[..., None], 0.25, x)
        return shown, tf.where(hidden, 0, -1)


def hides_adenine():
    keras.utils.set_random_seed(2)
    network = dilated_sequence_network(4, filters=8, kernel_size=3, dilations=(1, 2), dropout=0.0)
    model = AdenineHidden(network, seed=0)
    model.compile(keras.optimizers.SGD(0.5), jit_compile=False)
    return model


@pytest.mark.long
def test_two_replicas_take_the_step_of_one(two_replicas):
    """Though one replica has many letters to tell and the other few."""
    letters = RNG.integers(1, 4, (8, 10))
    letters[:4, :8] = 0
    letters[5, 3] = letters[7, 1] = 0
    x = one_hot(letters)
    one = hides_adenine()
    with two_replicas.scope():
        two = hides_adenine()
    start = [each.numpy() for each in one.trainable_variables]
    logs = [
        model.fit(x, batch_size=8, epochs=2, shuffle=False, verbose=0).history
        for model in (one, two)
    ]
    assert logs[1]["loss"] == pytest.approx(logs[0]["loss"], rel=1e-5)
    assert logs[1]["accuracy"] == pytest.approx(logs[0]["accuracy"])
    for before, single, double in zip(start, one.trainable_variables, two.trainable_variables):
        np.testing.assert_allclose(double.numpy(), single.numpy(), atol=1e-6)
        assert np.abs(single.numpy() - before).max() > 1e-4
    evaluated = [model.evaluate(x, verbose=0, return_dict=True) for model in (one, two)]
    assert evaluated[1] == pytest.approx(evaluated[0], rel=1e-5)


@pytest.mark.parametrize(
    "act",
    [
        lambda: MaskedSequenceModel(dilated_sequence_network(4, filters=4), share=0.0),
        lambda: MaskedSequenceModel("digits"),
        lambda: MaskedSequenceModel(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])),
        lambda: tiny().fit(one_hot(np.zeros((2, 5), int)), np.zeros(2), verbose=0),
        lambda: tiny().fit(np.zeros((2, 5, 3), "float32"), verbose=0),
        lambda: tiny().fit(np.full((2, 5, 4), 2.0, "float32"), verbose=0),
    ],
)
def test_wrong_settings(act):
    with pytest.raises(ValueError, match="Received"):
        act()


@pytest.mark.parametrize("value", [0.0, 0.25])
def test_padding_and_codes_alone_teach_nothing(value):
    with pytest.raises(ValueError, match=r"can be hidden.*none in x of shape \[2, 5, 4\]"):
        tiny().fit(np.full((2, 5, 4), value, "float32"), verbose=0)
