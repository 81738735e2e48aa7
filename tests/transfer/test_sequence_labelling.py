"""Labels for positions, against the same positions as examples of a plain classification."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.backbones import KerasBackbone
from keras_transgen.transfer import FeatureTransfer, ParameterTransfer, TransferModel
from keras_transgen.transfer.sequence_labels import CountedAccuracy, SequenceLabellingLoss
from tests.transfer.test_any_length import LENGTHS, SIGNALS, convolutional_network, signal_network

RNG = np.random.default_rng(8)
ROWS = [RNG.integers(0, 3, length) for length in LENGTHS]
LONGEST = max(LENGTHS)
PADDED = keras.utils.pad_sequences(ROWS, padding="post", value=-1)
NAMES = ("coil", "helix", "sheet")


def labelling(network=signal_network, **options):
    backbone = KerasBackbone(network(), trainable=True)
    keras.utils.set_random_seed(0)
    return TransferModel(backbone, 3, task="sequence_labelling", seed=0, **options)


def flat(model):
    """Logits and labels of all positions, each sequence by itself."""
    logits = np.concatenate([np.asarray(model(each[None]))[0] for each in SIGNALS])
    return logits, np.concatenate(ROWS)


def test_loss_and_accuracy_are_those_of_what_counts():
    from sklearn.metrics import accuracy_score, log_loss

    logits, labels = RNG.normal(size=(4, 6, 3)), RNG.integers(-1, 3, (4, 6))
    counts = labels >= 0
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    weights = RNG.uniform(0.5, 2.0, 4)
    each = np.broadcast_to(weights[:, None], labels.shape)[counts]
    for given, wanted in ((None, None), (weights, each)):
        assert float(SequenceLabellingLoss()(labels, logits, given)) == pytest.approx(
            log_loss(labels[counts], shares[counts], labels=[0, 1, 2], sample_weight=wanted)
        )
        accuracy = CountedAccuracy()
        accuracy.update_state(labels, logits, given)
        assert float(accuracy.result()) == pytest.approx(
            accuracy_score(labels[counts], logits[counts].argmax(axis=1), sample_weight=wanted)
        )
    smoothed = SequenceLabellingLoss(label_smoothing=0.1)
    assert float(smoothed(labels, logits)) == pytest.approx(
        0.9 * float(SequenceLabellingLoss()(labels, logits)) - 0.1 * np.log(shares[counts]).mean()
    )


@pytest.mark.parametrize("labels", [ROWS, PADDED, tf.ragged.constant([r.tolist() for r in ROWS])])
def test_evaluate_is_a_mean_over_positions(labels):
    model = labelling()
    logits, flat_labels = flat(model)
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(flat_labels, logits)
    found = model.evaluate(SIGNALS, labels, batch_size=5, verbose=0)
    assert found[0] == pytest.approx(float(plain), rel=1e-5)
    assert found[1] == pytest.approx((logits.argmax(axis=1) == flat_labels).mean())


def test_padding_counts_for_nothing_whatever_its_labels():
    model = labelling()
    zeros = np.maximum(PADDED, 0)
    assert model.evaluate(SIGNALS, zeros, batch_size=5, verbose=0) == pytest.approx(
        model.evaluate(SIGNALS, PADDED, batch_size=5, verbose=0), rel=1e-6
    )


@pytest.mark.slow
def test_two_replicas_of_unequal_lengths_are_one(two_replicas):
    def fitted(strategy):
        with strategy.scope():
            model = labelling()
            model.compile(keras.optimizers.SGD(0.5))
        # The first half of every batch has one label a sequence.
        few = [
            np.where(np.arange(len(r)) < (1 if i % 6 < 3 else 9), r, -1) for i, r in enumerate(ROWS)
        ]
        history = model.fit(SIGNALS, few, batch_size=6, epochs=3, shuffle=False, verbose=0).history
        return history, [each.numpy() for each in model.trainable_variables]

    (one_logs, one), (two_logs, other) = map(fitted, (tf.distribute.get_strategy(), two_replicas))
    np.testing.assert_allclose(two_logs["loss"], one_logs["loss"], rtol=1e-6)
    np.testing.assert_allclose(two_logs["accuracy"], one_logs["accuracy"], rtol=1e-6)
    for first, second in zip(one, other):
        np.testing.assert_allclose(first, second, atol=1e-6)


@pytest.mark.slow
def test_classes_weigh_by_position():
    weights = {0: 1.0, 1: 5.0, 2: 0.5}

    def loss(**options):
        return labelling().fit(SIGNALS, ROWS, batch_size=12, verbose=0, **options).history["loss"]

    each = np.array([weights.get(max(label, 0)) for label in PADDED.ravel()]).reshape(PADDED.shape)
    assert loss(class_weight=weights) == pytest.approx(loss(sample_weight=each), rel=1e-6)
    assert loss(class_weight=weights) != pytest.approx(loss(), rel=1e-2)


@pytest.mark.parametrize("network", [signal_network, convolutional_network])
def test_a_probe_of_positions_is_a_probe_of_rows(network):
    model = FeatureTransfer(network(), 3, task="sequence_labelling", l2=0.1)
    history = model.fit(SIGNALS, ROWS, validation_data=(SIGNALS, PADDED), verbose=0).history
    features = np.concatenate([np.asarray(model.features(each[None]))[0] for each in SIGNALS])
    identity = keras.Sequential([keras.Input((4,)), keras.layers.Activation("linear")])
    rows = FeatureTransfer(identity, 3, l2=0.1)
    expected = rows.fit(features, np.concatenate(ROWS), verbose=0).history
    assert history["loss"] == pytest.approx(expected["loss"], rel=1e-3)
    assert history["val_accuracy"] == pytest.approx(expected["accuracy"])
    predicted = model.predict(SIGNALS, verbose=0)
    assert predicted.shape == (len(SIGNALS), LONGEST, 3)
    for row, sequence in zip(predicted, SIGNALS):
        np.testing.assert_allclose(
            row[: len(sequence)], np.asarray(model(sequence[None]))[0], atol=1e-5
        )


@pytest.mark.slow
def test_names_files_and_a_whole_training(tmp_path):
    words = [np.array(NAMES)[row].tolist() for row in ROWS]
    model = ParameterTransfer(
        signal_network(), 3, task="sequence_labelling", learning_rate=1e-3, seed=0
    )
    before = FeatureTransfer(signal_network(), 3, task="sequence_labelling")
    before.fit(SIGNALS, words, verbose=0)
    history = model.fit(SIGNALS, words, epochs=8, verbose=0).history
    assert model.class_names == before.class_names == NAMES
    assert history["accuracy"][-1] >= before.evaluate(SIGNALS, ROWS, verbose=0)[1] - 0.05
    model.save(tmp_path / "m.keras")
    loaded = ktg.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        loaded.classify(SIGNALS, names=True, verbose=0),
        model.classify(SIGNALS, names=True, verbose=0),
    )
    assert loaded.evaluate(SIGNALS, words, verbose=0) == pytest.approx(
        model.evaluate(SIGNALS, ROWS, verbose=0)
    )


@pytest.mark.slow
@pytest.mark.parametrize("network", [signal_network, convolutional_network])
def test_a_probe_of_a_data_set_is_that_of_arrays(network):
    ragged = [
        tf.RaggedTensor.from_row_lengths(np.concatenate(each), LENGTHS) for each in (SIGNALS, ROWS)
    ]
    data = tf.data.Dataset.from_tensor_slices(tuple(ragged)).batch(5)
    # Padded by hand, with a class where there is no position.
    zeros = data.map(lambda x, y: (x, y.to_tensor(0)))
    losses = []
    for given in ((data, None), (zeros, None), (SIGNALS, ROWS)):
        model = FeatureTransfer(network(), 3, task="sequence_labelling", l2=0.1)
        losses.append(model.fit(*given, verbose=0).history["loss"][0])
    assert losses == pytest.approx([losses[-1]] * 3, rel=1e-4)


@pytest.mark.slow
def test_data_sets_of_ragged_labels():
    ragged = [
        tf.RaggedTensor.from_row_lengths(np.concatenate(each), LENGTHS) for each in (SIGNALS, ROWS)
    ]
    data = tf.data.Dataset.from_tensor_slices(tuple(ragged)).batch(5)
    model = labelling()
    assert model.evaluate(data, verbose=0) == pytest.approx(
        model.evaluate(SIGNALS, ROWS, verbose=0), rel=1e-5
    )
    model.fit(data, validation_data=data, verbose=0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((12, LONGEST)), "integers of shape"),
        (np.zeros(12, int), "integers of shape"),
        (np.full((12, LONGEST), -1), "At least one position"),
        (np.full((12, LONGEST), 3), "from -1 to 3 for num_classes=3"),
        (np.full((12, LONGEST), -2), "At least one position"),
        (np.where(PADDED < 0, -1, 1), "all of class 1"),
    ],
)
def test_wrong_labels_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        labelling().fit(SIGNALS, labels, verbose=0)


def test_labels_of_another_length_and_pooling_are_refused():
    with pytest.raises(ValueError, match="a label for each position"):
        labelling().fit(SIGNALS, PADDED[:, :-1], verbose=0)
    with pytest.raises(ValueError, match="leave pooling out"):
        labelling(pooling="max")
    later = tf.data.Dataset.from_tensor_slices(
        (np.ones((4, 5, 3), "float32"), [[0, 1, 2, 0, 1]] * 2 + [[0, 1, 2, 0, 7]] * 2)
    )
    with pytest.raises(ValueError, match=r"in every batch.*from 0 to 7"):
        labelling().fit(later.batch(2), verbose=0)


def test_labels_must_be_those_of_their_own_sequence():
    turned = [*ROWS[1:], ROWS[0]]
    for model in (
        labelling(),
        FeatureTransfer(signal_network(), 3, task="sequence_labelling", l2=0.1),
    ):
        for call in (
            lambda model: model.fit(SIGNALS, turned, verbose=0),
            lambda model: model.evaluate(SIGNALS, turned, verbose=0),
            lambda model: model.fit(SIGNALS, ROWS, validation_data=(SIGNALS, turned), verbose=0),
        ):
            with pytest.raises(ValueError, match="first in row 0: 7 labels for 3 positions"):
                call(model)


def test_a_probe_and_a_report_do_not_count_padding():
    from keras_transgen.transfer import class_report

    zeros = np.maximum(PADDED, 0)
    model = FeatureTransfer(signal_network(), 3, task="sequence_labelling", l2=0.1)
    history = model.fit(SIGNALS, zeros, verbose=0).history
    assert history["loss"][0] == pytest.approx(
        model.evaluate(SIGNALS, ROWS, verbose=0)[0], rel=1e-4
    )
    assert class_report(model, SIGNALS, zeros).confusion.sum() == sum(LENGTHS)
    with pytest.raises(ValueError, match="first in row 0: 7 labels"):
        class_report(model, SIGNALS, [*ROWS[1:], ROWS[0]])


@pytest.mark.parametrize("network", [signal_network, convolutional_network])
def test_nothing_is_told_behind_the_ends(network):
    model = labelling(network)
    cut = LENGTHS[0] - model.predict([SIGNALS[0]], verbose=0).shape[1]
    found = model.classify(SIGNALS, verbose=0)
    for row, signal in enumerate(SIGNALS):
        alone = model.classify([signal], verbose=0)[0]
        assert found[row, : len(signal) - cut].tolist() == alone.tolist()
        assert set(found[row, len(signal) - cut :].tolist()) <= {-1}


def test_names_end_with_their_sequences():
    model = labelling()
    names = [np.array(["rest", "beat", "lift"])[np.arange(n) % 3] for n in LENGTHS]
    model.fit(SIGNALS, names, verbose=0)
    found = model.classify(SIGNALS, names=True, verbose=0)
    ends = [row.tolist().index("") if "" in row else len(row) for row in found]
    assert ends == list(LENGTHS)
    assert set(found.ravel()) <= {"rest", "beat", "lift", ""}


@pytest.mark.slow
def test_the_number_of_labels_is_that_of_most_sequences():
    labels = [np.zeros(n, int) for n in LENGTHS]
    labels[1] = labels[1][:-1]
    with pytest.raises(ValueError, match=rf"1 sequences .* row 1: {LENGTHS[1] - 1} labels"):
        labelling().fit(SIGNALS, labels, verbose=0)
    with pytest.raises(ValueError, match=r"a number from 0 on.*values from -2 to -1"):
        labelling().fit(SIGNALS, [np.arange(n) % 2 - 2 for n in LENGTHS], verbose=0)
