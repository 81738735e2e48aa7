"""LoRA against the definition: explicit W0 + s A B, differentiated by TensorFlow itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.transfer.deltas import DELTAS, LoRA, register_delta
from keras_transgen.transfer.structure_transfer import StructureTransfer
from tests.transfer.deltas.networks import BACKBONES, IMAGES, LABELS, values

RANK, ALPHA = 2, 5.0
KERNELS = ["stem_conv/kernel", "block_1_project/kernel", "block_2_dense/kernel"]


def explicit_logits(images, adapted, head):
    """The network of `networks.py` and its head, written down once more."""
    v = {**{path: tf.constant(value) for path, value in values().items()}, **adapted}
    x = tf.nn.conv2d(images, v["stem_conv/kernel"], 2, "VALID")
    scale = v["stem_bn/gamma"] / tf.sqrt(v["stem_bn/moving_variance"] + 1e-3)
    x = tf.nn.relu((x - v["stem_bn/moving_mean"]) * scale + v["stem_bn/beta"])
    x = tf.nn.depthwise_conv2d(x, v["block_1_depthwise/kernel"], [1, 1, 1, 1], "VALID")
    x = tf.nn.relu(
        tf.nn.conv2d(x, v["block_1_project/kernel"], 1, "VALID") + v["block_1_project/bias"]
    )
    x = tf.tensordot(x, v["block_2_dense/kernel"], 1) + v["block_2_dense/bias"]
    return tf.reduce_mean(x, [1, 2]) @ head[0] + head[1]


def explicit_step(factors, head):
    """Gradients of A, B and the head, with W0 + (alpha / rank) A B in the graph."""
    base = values()
    factors = {path: [tf.Variable(each) for each in pair] for path, pair in factors.items()}
    head = [tf.Variable(each) for each in head]
    trained = [*(each for path in KERNELS for each in factors[path]), *head]
    with tf.GradientTape() as tape:
        adapted = {
            path: base[path] + ALPHA / RANK * tf.reshape(a @ b, base[path].shape)
            for path, (a, b) in factors.items()
        }
        logits = explicit_logits(IMAGES, adapted, head)
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS.astype("int32"), logits)
        )
    return [gradient.numpy() for gradient in tape.gradient(loss, trained)], loss.numpy()


@pytest.mark.parametrize("kind", BACKBONES)
def test_one_step_of_gradient_descent_is_that_of_the_definition(kind):
    model = StructureTransfer(
        BACKBONES[kind](),
        3,
        rank=RANK,
        alpha=ALPHA,
        targets=KERNELS,
        head_initialization="random",
    )
    delta = model.deltas["lora"]
    rng = np.random.default_rng(0)
    start = {key: rng.normal(0, 0.3, v.shape).astype("float32") for key, v in delta.state().items()}
    model.set_delta(None)
    delta.restore(start)
    model.set_delta("lora")
    by_path = {
        target.path: [variable.numpy() for variable in own]
        for target, own in zip(delta.touched, delta.own)
    }
    head = [variable.numpy() for variable in model.head.weights]
    gradients, loss = explicit_step(by_path, head)

    np.testing.assert_allclose(
        model.predict(IMAGES, verbose=0),
        explicit_logits(
            IMAGES,
            {
                path: values()[path] + ALPHA / RANK * (a @ b).reshape(values()[path].shape)
                for path, (a, b) in by_path.items()
            },
            head,
        ),
        atol=1e-5,
    )
    before = [variable.numpy() for variable in model.trainable_variables]
    model.compile(keras.optimizers.SGD(1.0), jit_compile=False)
    history = model.fit(IMAGES, LABELS, batch_size=24, shuffle=False, verbose=0)
    steps = [old - new.numpy() for old, new in zip(before, model.trainable_variables)]

    assert history.history["loss"][0] == pytest.approx(loss, abs=1e-6)
    paths = [variable.path for variable in model.trainable_variables]
    expected = dict(zip([*_own_paths(delta), *(v.path for v in model.head.weights)], gradients))
    assert set(paths) == set(expected)
    for path, step in zip(paths, steps):
        # Rounding depends on how the machine's threads share out a product.
        np.testing.assert_allclose(step, expected[path], rtol=1e-5, atol=1e-5, err_msg=path)

    for target, (a, b) in zip(delta.touched, delta.own):
        base = values()[target.path]
        written = base + ALPHA / RANK * (a.numpy() @ b.numpy()).reshape(base.shape)
        np.testing.assert_allclose(target.variable.numpy(), written, rtol=1e-5, atol=1e-5)


def _own_paths(delta):
    paths = {
        target.path: [variable.path for variable in own]
        for target, own in zip(delta.touched, delta.own)
    }
    return [each for path in KERNELS for each in paths[path]]


@pytest.mark.parametrize(
    ("targets", "rank", "shapes"),
    [
        ("block_2", 3, [(6, 3), (3, 5)]),
        ("stem_conv", 2, [(9, 2), (2, 4)]),
        # The rank is at most that of the kernel.
        ("block_1_project", 8, [(4, 4), (4, 6)]),
        ("block_1_depthwise", 2, [(9, 2), (2, 4)]),
    ],
)
def test_ranks(targets, rank, shapes):
    delta = LoRA(BACKBONES["keras"](), rank=rank, targets=targets)
    assert [tuple(variable.shape) for variable in delta.variables] == shapes


def test_by_default_dense_and_1x1_kernels():
    # These kernels are so small that none can bear factors, so that all of the kind have them.
    delta = LoRA(_backbone(pointwise(4)), rank=1)
    assert [target.path for target in delta.touched] == ["narrow/kernel", "broad/kernel"]


def pointwise(channels):
    """Most of its parameters lie in 1x1 kernels."""
    inputs = keras.Input((4, 4, channels))
    x = keras.layers.Conv2D(2 * channels, 1, name="narrow")(inputs)
    x = keras.layers.DepthwiseConv2D(3, name="spatial")(x)
    x = keras.layers.Conv2D(channels, 1, name="broad")(x)
    return keras.Model(inputs, keras.layers.Conv2D(1, 3, padding="same", name="last")(x))


def test_by_default_as_many_columns_as_a_sixteenth_of_the_kernel_bears():
    delta = LoRA(_backbone(pointwise(64)), rank=4)
    # Both kernels hold 64 * 128 = 8192 numbers: 2 columns of 64 + 128 are 384 of 512.
    assert [tuple(each.shape) for each in delta.variables] == [(64, 2), (2, 128), (128, 2), (2, 64)]
    assert delta.count_params() <= 2 * 8192 / 16
    # Those that are named have the rank that is asked for.
    named = LoRA(_backbone(pointwise(64)), rank=4, targets="narrow|broad")
    assert tuple(named.variables[0].shape) == (64, 4)


def test_by_default_wide_kernels_that_hold_most_of_the_network():
    inputs = keras.Input((100, 16))
    x = keras.layers.Conv1D(64, 1, name="entry")(inputs)
    x = keras.layers.Conv1D(64, 21, padding="same", name="wide")(x)
    x = keras.layers.Conv1D(64, 1, name="exit")(x)
    delta = LoRA(_backbone(keras.Model(inputs, x)), rank=8)
    # wide: 1344 x 64 numbers, a sixteenth are 5376, three columns of 1408 are 4224.
    shapes = [tuple(each.shape) for each in delta.variables]
    assert [target.path for target in delta.touched] == ["wide/kernel", "exit/kernel"]
    assert shapes == [(1344, 3), (3, 64), (64, 2), (2, 64)]


def test_files_of_earlier_versions_keep_their_kernels():
    arguments = {"rank": 8, "alpha": None, "targets": None}
    model = StructureTransfer(_backbone(pointwise(64)), 3, method=None, pooling="average")
    earlier = model.delta_set.add_from_file("earlier", "lora", arguments)
    # Eight columns hold 8 * 192 = 1536 of 8192, more than an eighth: all kernels had them then.
    assert tuple(earlier.variables[0].shape) == (64, 8)
    assert earlier.arguments()["selection"] == "dense"
    later = model.delta_set.add_from_file("later", "lora", {**arguments, "selection": "share"})
    assert tuple(later.variables[0].shape) == (64, 2)


def _backbone(network):
    from keras_transgen.backbones import KerasBackbone

    return KerasBackbone(network)


def test_an_embedding_table_gets_the_gradient_of_the_definition():
    tokens = np.array([[0, 2, 2], [1, 2, 3]] * 4)
    labels = np.array([0, 1] * 4)
    inputs = keras.Input((3,), dtype="int32")
    x = keras.layers.Embedding(4, 5, name="tokens")(inputs)
    network = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(x))
    model = StructureTransfer(
        network, 2, rank=2, targets="tokens", head_initialization="random", seed=0
    )
    delta = model.deltas["lora"]
    rng = np.random.default_rng(0)
    a, b = (tf.Variable(rng.normal(size=v.shape), dtype="float32") for v in delta.variables)
    for variable, value in zip(delta.variables, (a, b)):
        variable.assign(value)
    delta.write()
    table = model.delta_set._links.base[0].numpy()
    head = [variable.numpy() for variable in model.head.weights]
    with tf.GradientTape() as tape:
        rows = tf.gather(table + a @ b, tokens)
        logits = tf.reduce_mean(rows, 1) @ head[0] + head[1]
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    expected = tape.gradient(loss, [a, b])

    model.compile(keras.optimizers.SGD(1.0), jit_compile=False)
    model.fit(tokens, labels, batch_size=8, verbose=0)
    for before, gradient, after in zip((a, b), expected, delta.variables):
        np.testing.assert_allclose(before - after.numpy(), gradient, atol=1e-6)


def test_attention_is_adapted_by_default():
    inputs = keras.Input((4, 6))
    x = keras.layers.MultiHeadAttention(2, 3, name="attention")(inputs, inputs)
    model = StructureTransfer(
        keras.Model(inputs, x), 2, rank=1, head_initialization="random", seed=0
    )
    delta = model.deltas["lora"]
    assert [target.path.split("/")[-2] for target in delta.touched] == [
        "query",
        "key",
        "value",
        "attention_output",
    ]
    images = np.random.default_rng(0).normal(size=(8, 4, 6)).astype("float32")
    base = [target.variable.numpy() for target in delta.touched]
    model.fit(images, np.arange(8) % 2, epochs=2, verbose=0)
    for target, before, (a, b) in zip(delta.touched, base, delta.own):
        assert (a.shape[0], b.shape[1]) == (6, 6)
        written = before + (a.numpy() @ b.numpy()).reshape(before.shape)
        np.testing.assert_allclose(target.variable.numpy(), written, rtol=1e-5, atol=1e-5)
        assert (target.variable.numpy() != before).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank": 0}, "rank must be a whole number from 1 up. Received: rank=0"),
        ({"rank": 2.5}, "rank must be"),
        ({"alpha": 0.0}, "alpha must be positive"),
        ({"targets": "attention"}, "must match at least one"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        LoRA(BACKBONES["keras"](), **arguments)


def test_a_registered_class_takes_no_second_name():
    """Its files would say the second one, and nobody else could load them."""
    with pytest.raises(ValueError, match="LoRA is registered as 'lora'"):
        register_delta("alias")(LoRA)
    assert LoRA.method == "lora"
    assert "alias" not in DELTAS
