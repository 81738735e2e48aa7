"""Networks for sequences of any length: padded equals alone, and how far a position sees."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.backbones.padding_mask import mask_of, with_mask
from keras_transgen.sequences import dilated_sequence_network, transformer_sequence_network

RNG = np.random.default_rng(8)
LENGTHS = [3, 9, 1, 14, 6, 14]
ONE_HOT = [np.eye(4, dtype="float32")[RNG.integers(0, 4, length)] for length in LENGTHS]
LABELS = [RNG.integers(0, 2, length) for length in LENGTHS]


def dilated(**options):
    keras.utils.set_random_seed(1)
    return dilated_sequence_network(4, filters=6, kernel_size=3, dilations=(1, 2), **options)


def transformer(**options):
    keras.utils.set_random_seed(1)
    return transformer_sequence_network(4, num_layers=2, model_dim=8, num_heads=2, **options)


NETWORKS = [dilated, transformer]


@pytest.mark.parametrize("network", NETWORKS)
def test_padded_with_zeros_equals_alone(network):
    model = network()
    padded = keras.utils.pad_sequences(ONE_HOT, dtype="float32", padding="post")
    together = model(padded)
    masks = np.asarray(mask_of(together))
    for row, (alone, length) in enumerate(zip(ONE_HOT, LENGTHS)):
        assert masks[row].sum() == length
        np.testing.assert_allclose(together[row, :length], model(alone[None])[0], atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_as_a_backbone_whose_labels_have_several_lengths(network):
    backbone = ktg.load_backbone(network())
    assert backbone.carries_masks()
    model = ktg.TransferModel(backbone, 2, task="sequence_labelling", seed=0)
    alone = [np.asarray(model(each[None]))[0] for each in ONE_HOT]
    found = model.predict(ONE_HOT, verbose=0)
    for row, each in enumerate(alone):
        np.testing.assert_allclose(found[row, : len(each)], each, atol=1e-5)
    logits, labels = np.concatenate(alone), np.concatenate(LABELS)
    expected = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    measured = model.evaluate(ONE_HOT, LABELS, verbose=0, return_dict=True)
    assert measured["loss"] == pytest.approx(float(tf.reduce_mean(expected)), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_it_learns_labels_of_positions(network):
    rng = np.random.default_rng(0)
    letters = rng.integers(0, 4, (40, 12))
    # Whether the letter before is the first one.
    labels = np.pad(letters[:, :-1] == 0, ((0, 0), (1, 0))).astype(int)
    backbone = ktg.load_backbone(network(dropout=0.0), trainable=True)
    model = ktg.TransferModel(backbone, 2, task="sequence_labelling", seed=0)
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    x = np.eye(4, dtype="float32")[letters]
    model.fit(x, labels, epochs=40, batch_size=20, verbose=0)
    assert model.evaluate(x, labels, verbose=0, return_dict=True)["accuracy"] > 0.97


def test_how_far_a_position_of_the_dilated_network_sees():
    model = dilated()
    x = np.eye(4, dtype="float32")[RNG.integers(0, 4, (1, 21))]
    changed = x.copy()
    changed[0, 10] = np.roll(x[0, 10], 1)
    differs = np.abs(np.asarray(model(x)) - np.asarray(model(changed))).max(axis=(0, 2)) > 1e-6
    # 1 + (3 - 1) * (1 + 2) positions, the middle one that which was changed.
    assert np.flatnonzero(differs).tolist() == list(range(7, 14))


def test_the_dilated_block_is_that_of_the_definition():
    from keras_transgen.sequences.masked_blocks import DilatedBlock

    block = DilatedBlock(3, 3, dilation=2)
    x = RNG.normal(size=(1, 9, 3)).astype("float32")
    mask = np.array([[True] * 6 + [False] * 3])
    found = np.asarray(block(with_mask(tf.constant(x), tf.constant(mask))))
    weights = {each.path.split("/", 1)[1]: each.numpy() for each in block.weights}
    normal = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    seen = np.pad((normal * mask[..., None])[0], ((2, 2), (0, 0)))
    kernel = weights["convolution/kernel"]
    mixed = sum(seen[2 * tap : 2 * tap + 9] @ kernel[tap] for tap in range(3))
    bent = keras.activations.gelu(mixed, approximate=False)
    expected = x[0] + np.asarray(bent) @ weights["projection/kernel"]
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_files(network, tmp_path):
    model = network()
    model.save(tmp_path / "network.keras")
    loaded = ktg.load_model(tmp_path / "network.keras")
    np.testing.assert_allclose(loaded(ONE_HOT[1][None]), model(ONE_HOT[1][None]), atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: dilated_sequence_network(0),
        lambda: dilated_sequence_network(4, kernel_size=4),
        lambda: dilated_sequence_network(4, dilations=()),
        lambda: dilated_sequence_network(4, length=0),
        lambda: transformer_sequence_network(4, model_dim=6, num_heads=2),
        lambda: transformer_sequence_network(4, dropout=1.0),
    ],
)
def test_wrong_settings(make):
    with pytest.raises(ValueError, match="Received"):
        make()
