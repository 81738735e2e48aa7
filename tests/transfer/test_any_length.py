"""A sequence alone and the same sequence among longer ones: equal features, logits and losses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.backbones import KerasBackbone
from keras_transgen.transfer import FeatureTransfer, ParameterTransfer, TransferModel

RNG = np.random.default_rng(5)
LENGTHS = [3, 7, 1, 5, 7, 2, 4, 6, 3, 5, 1, 6]
TOKENS = [RNG.integers(1, 12, length) for length in LENGTHS]
SIGNALS = [RNG.normal(size=(length, 3)).astype("float32") for length in LENGTHS]
LABELS = np.array([int(each.mean() > 6) for each in TOKENS])


def text_network():
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(12, 6, mask_zero=True),
            keras.layers.Bidirectional(keras.layers.GRU(4, return_sequences=True)),
            keras.layers.LayerNormalization(),
        ]
    )


def signal_network():
    """Masks from the outside alone."""
    keras.utils.set_random_seed(2)
    return keras.Sequential(
        [
            keras.Input((None, 3)),
            keras.layers.Dense(5, activation="tanh"),
            keras.layers.LSTM(4, return_sequences=True),
        ]
    )


def convolutional_network():
    """Nothing that masks could reach."""
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((None, 3)),
            keras.layers.Conv1D(5, 3, padding="same", activation="relu"),
            keras.layers.Conv1D(4, 3, padding="same", activation="relu"),
        ]
    )


def logits_alone(model, sequences):
    return np.concatenate([np.asarray(model(each[None])) for each in sequences])


def as_data_set(sequences, labels=None, batch=5):
    ragged = tf.RaggedTensor.from_row_lengths(
        np.concatenate(sequences), [len(each) for each in sequences]
    )
    parts = ragged if labels is None else (ragged, labels)
    return tf.data.Dataset.from_tensor_slices(parts).batch(batch)


@pytest.mark.parametrize("pooling", ["average", "max", "centre"])
@pytest.mark.parametrize(
    ("network", "sequences"),
    [(text_network, TOKENS), (signal_network, SIGNALS), (convolutional_network, SIGNALS)],
)
def test_predictions_are_those_of_each_alone(network, sequences, pooling):
    model = TransferModel(network(), 2, pooling=pooling)
    alone = logits_alone(model, sequences)
    np.testing.assert_allclose(model.predict(sequences, verbose=0), alone, atol=1e-5)
    ragged = tf.ragged.constant([each.tolist() for each in sequences], ragged_rank=1)
    if sequences is SIGNALS:
        ragged = tf.cast(ragged, tf.float32)
    np.testing.assert_allclose(model.predict(ragged, verbose=0), alone, atol=1e-5)
    if network is not convolutional_network:
        data = as_data_set(sequences)
        np.testing.assert_allclose(model.predict(data, verbose=0), alone, atol=1e-5)


def test_zeros_padded_by_hand_are_masked_where_the_network_says_so():
    model = TransferModel(text_network(), 2)
    padded = keras.utils.pad_sequences(TOKENS, padding="post")
    alone = logits_alone(model, TOKENS)
    np.testing.assert_allclose(model.predict(padded, verbose=0), alone, atol=1e-5)
    more = np.pad(padded, ((0, 0), (0, 9)))
    np.testing.assert_allclose(model.predict(more, verbose=0), alone, atol=1e-5)


def cross_entropy(logits, labels):
    return float(
        keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits).numpy()
    )


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(
    ("network", "sequences"), [(text_network, TOKENS), (signal_network, SIGNALS)]
)
def test_losses_and_steps_are_those_of_each_alone(network, sequences, jit_compile):
    backbone = KerasBackbone(network(), trainable=True)
    model = TransferModel(backbone, 2, seed=0)
    expected = cross_entropy(logits_alone(model, sequences), LABELS)
    model.compile(keras.optimizers.SGD(0.5), jit_compile=jit_compile)
    assert model.evaluate(sequences, LABELS, verbose=0)[0] == pytest.approx(expected, abs=1e-5)
    # One step of gradient descent on the mean over sequences, each computed by itself.
    variables = [each.value for each in model.trainable_variables]
    with tf.GradientTape() as tape:
        losses = [
            tf.nn.sparse_softmax_cross_entropy_with_logits([label], model(each[None]))[0]
            for each, label in zip(sequences, LABELS)
        ]
        mean = tf.reduce_mean(losses)
    gradients = tape.gradient(mean, variables)
    wanted = [
        value - 0.5 * tf.convert_to_tensor(gradient)
        for value, gradient in zip(variables, gradients)
    ]
    wanted = [each.numpy() for each in wanted]
    model.fit(sequences, LABELS, batch_size=len(LABELS), verbose=0)
    for variable, value in zip(model.trainable_variables, wanted):
        np.testing.assert_allclose(variable.numpy(), value, atol=1e-5)


@pytest.mark.parametrize("network", [signal_network, convolutional_network])
@pytest.mark.parametrize("as_set", [False, True])
def test_features_are_extracted_as_of_each_alone(network, as_set, tmp_path):
    model = FeatureTransfer(network(), 2, l2=0.1, cache_dir=tmp_path)
    features = np.concatenate([np.asarray(model.features(each[None])) for each in SIGNALS])
    given = (as_data_set(SIGNALS, LABELS), None) if as_set else (SIGNALS, LABELS)
    held = given[0] if as_set else given
    history = model.fit(*given, validation_data=held, verbose=0).history

    plain = FeatureTransfer(keras.Sequential([keras.Input((4,)), keras.layers.ReLU()]), 2, l2=0.1)
    plain.backbone.network.layers[0].negative_slope = 1.0
    expected = plain.fit(features, LABELS, verbose=0).history
    assert history["loss"] == pytest.approx(expected["loss"], rel=1e-3)
    assert history["val_loss"] == pytest.approx(history["loss"], rel=1e-4)
    found = model.evaluate(*given, verbose=0)
    assert found[0] == pytest.approx(history["loss"][0], rel=1e-3)
    assert found[0] == pytest.approx(cross_entropy(logits_alone(model, SIGNALS), LABELS), rel=1e-4)


@pytest.mark.long
def test_two_replicas_are_one(two_replicas):
    def losses(strategy):
        with strategy.scope():
            keras.utils.set_random_seed(0)
            model = TransferModel(KerasBackbone(text_network(), trainable=True), 2, seed=0)
            model.compile(keras.optimizers.SGD(0.5))
        return model.fit(TOKENS, LABELS, batch_size=6, epochs=3, verbose=0).history["loss"]

    np.testing.assert_allclose(
        losses(two_replicas), losses(tf.distribute.get_strategy()), rtol=1e-5
    )


def test_fine_tuning_begins_with_the_probe_of_each_alone():
    model = ParameterTransfer(signal_network(), 2, learning_rate=1e-3, seed=0)
    model.fit(SIGNALS, LABELS, epochs=2, verbose=0)
    assert int(model.progress.step) == 2


def test_networks_without_masks_refuse_to_train_on_padding():
    model = TransferModel(KerasBackbone(convolutional_network(), trainable=True), 2)
    with pytest.raises(ValueError, match="FeatureTransfer extracts each length by itself"):
        model.fit(SIGNALS, LABELS, verbose=0)
    with pytest.raises(ValueError, match="takes examples of one shape"):
        ktg.VAE((4,), 2).fit([np.ones(4), np.ones(3)], verbose=0)
    with pytest.raises(ValueError, match=r"at least one element.*row 1"):
        FeatureTransfer(convolutional_network(), 2).fit(
            [SIGNALS[0], SIGNALS[0][:0]], LABELS[:2], verbose=0
        )


class SoundModule(tf.Module):
    """One wave `[samples]` to frames, as YAMNet takes it; without a mask that could be told."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(np.random.default_rng(6).normal(size=(4, 1, 3)), dtype=tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def __call__(self, wave):
        return tf.nn.tanh(tf.nn.conv1d(wave[None, :, None], self.kernel, 2, "VALID"))[0]


class TextModule(tf.Module):
    """Strings to the mean of what stands for their words, padded within the batch."""

    def __init__(self):
        super().__init__()
        self.table = tf.Variable(np.random.default_rng(7).normal(size=(50, 4)), dtype=tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts):
        words = tf.strings.split(texts)
        numbers = tf.ragged.map_flat_values(tf.strings.to_hash_bucket_fast, words, 50)
        return tf.reduce_mean(tf.gather(self.table, numbers), axis=1)


WAVES = [RNG.normal(size=8 * length).astype("float32") for length in LENGTHS]
TEXTS = [" ".join(map(str, tokens)) for tokens in TOKENS]


@pytest.mark.parametrize(("module", "data"), [(SoundModule, WAVES), (TextModule, TEXTS)])
def test_modules_give_each_what_it_gives_it_alone(module, data, tmp_path):
    made = module()
    tf.saved_model.save(made, str(tmp_path / "module"))
    model = FeatureTransfer(str(tmp_path / "module"), 2, l2=0.1)
    one = [each if module is SoundModule else [each] for each in data]
    features = [np.asarray(made(tf.constant(each))).mean(axis=0) for each in one]
    history = model.fit(data, LABELS, verbose=0).history
    kernel, bias = (np.asarray(each) for each in model.head.weights)
    expected = np.stack(features) @ kernel + bias
    np.testing.assert_allclose(model.predict(data, verbose=0), expected, atol=1e-5)
    assert history["loss"][-1] == pytest.approx(cross_entropy(expected, LABELS), rel=1e-4)
    reference = FeatureTransfer(
        keras.Sequential([keras.Input((len(features[0]),)), keras.layers.Activation("linear")]),
        2, l2=0.1,
    )  # fmt: skip
    expected_history = reference.fit(np.stack(features), LABELS, verbose=0).history
    assert history["loss"] == pytest.approx(expected_history["loss"], rel=1e-3)


def test_empty_sequences_and_lists_of_words_are_refused_with_their_row():
    for model in (TransferModel(signal_network(), 2), FeatureTransfer(signal_network(), 2)):
        with pytest.raises(ValueError, match="1 empty ones in x, the first in row 1"):
            model.fit([SIGNALS[0], SIGNALS[0][:0], SIGNALS[2]], LABELS[:3], verbose=0)
    words = TransferModel(text_network(), 2, preprocessing=keras.layers.TextVectorization(9))
    with pytest.raises(ValueError, match="join its words"):
        words.predict([["a", "text"], ["another"]], verbose=0)


def test_sequences_that_are_too_short_are_named():
    short = keras.Sequential([keras.Input((None, 3)), keras.layers.Conv1D(2, 5)])
    model = FeatureTransfer(short, 2)
    with pytest.raises(ValueError, match=r"of 3 elements.*too short.*the first in row 0"):
        model.predict([SIGNALS[0], SIGNALS[1]], verbose=0)
    with pytest.raises(ValueError, match=r"of 3 elements.*too short"):
        model.fit([SIGNALS[0], SIGNALS[1]], [0, 1], verbose=0)


def test_what_has_no_answer_is_no_class():
    model = TransferModel(signal_network(), 2)
    model.head.kernel.assign(np.full((4, 2), np.nan))
    with pytest.raises(ValueError, match="12 of 12 without an answer, the first in row 0"):
        model.classify(SIGNALS, verbose=0)


def test_padding_that_a_network_cannot_see_is_told():
    words = keras.layers.TextVectorization(50)
    words.adapt(TEXTS)
    network = keras.Sequential(
        [keras.Input((None,), dtype="int64"), keras.layers.Embedding(50, 4), keras.layers.ReLU()]
    )
    with pytest.warns(UserWarning, match="output_sequence_length"):
        TransferModel(network, 2, preprocessing=words).fit(TEXTS, LABELS, verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("shuffle", [True, False])
def test_arrays_of_words_are_texts(shuffle):
    words = keras.layers.TextVectorization(12)
    words.adapt(TEXTS)
    losses = []
    for texts in (np.array(TEXTS), TEXTS):
        keras.utils.set_random_seed(0)
        model = TransferModel(text_network(), 2, preprocessing=words, seed=0)
        losses.append(model.fit(texts, LABELS, shuffle=shuffle, verbose=0).history["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@pytest.mark.parametrize("network", [signal_network, convolutional_network])
@pytest.mark.parametrize("kind", [TransferModel, FeatureTransfer])
def test_empty_sequences_of_data_sets_are_refused(kind, network):
    sequences = [*SIGNALS[:6], SIGNALS[0][:0], *SIGNALS[7:]]
    said = "Every sequence must have at least one element.*1 empty ones in a batch of x.*row 1$"
    model = kind(network(), 2)
    if kind is FeatureTransfer or network is signal_network:
        with pytest.raises(ValueError, match=said):
            model.fit(as_data_set(sequences, LABELS), verbose=0)
        with pytest.raises(ValueError, match=said):
            model.evaluate(as_data_set(sequences, LABELS), verbose=0)
    if network is signal_network:
        with pytest.raises(ValueError, match=said):
            model.predict(as_data_set(sequences), verbose=0)
