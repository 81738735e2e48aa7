"""transfer_flow: the old velocity at first, then only what each method lets train moves."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.fusion import LatentFlow, merge_flow, transfer_flow
from keras_transgen.fusion.low_rank_network import LowRankNetwork
from keras_transgen.generative.flow.flow_matching import FlowMatching
from keras_transgen.generative.networks.flow_unet import flow_unet
from keras_transgen.generative.networks.patch_transformer import patch_transformer
from tests.fusion.latent_models import known_codec
from tests.generative.flow.flow_models import FixedNoiseFlow, small_network
from tests.harness import ModelCase, every_check

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (24, 8, 8, 1)).astype("float32")
LABELS = np.arange(24) % 3
NEW = np.full(24, 3)
METHODS = ("all", "lora", "conditioning")
NETWORKS = {
    "small": lambda: small_network(embedding_dim=4),
    "patch_transformer": lambda: patch_transformer((8, 8, 1), 8, 4, depth=1),
    # Maps of 7 x 7 have attention.
    "unet": lambda: flow_unet((7, 7, 1), 4, 4),
}


def fitted(flow, *data):
    flow.compile(keras.optimizers.SGD(0.05))
    flow.fit(*data, batch_size=8, epochs=2, verbose=0)
    return flow


def trained(network="small"):
    """A flow whose average is not its network; nothing changes it later."""
    return trained_under(network, keras.config.dtype_policy().name)


@functools.cache
def trained_under(network, policy):
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(2)
    side = 7 if network == "unet" else 8
    flow = FixedNoiseFlow((side, side, 1), 3, network=NETWORKS[network](), embedding_dim=4)
    for weight in flow.network.weights:
        # What begins at zero would let nothing of the condition through.
        weight.assign(weight.numpy() + 0.2 * rng.normal(size=weight.shape))
    return fitted(flow, IMAGES[:, :side, :side], LABELS)


def values(model):
    return {weight.path: weight.numpy() for weight in model.weights}


def velocity(flow, vector):
    """What the averaged flow says at some places and times, of one condition's vector."""
    places = tf.constant(IMAGES[:4, : flow.example_shape[0], : flow.example_shape[1]])
    with flow.average.in_place():
        return flow.velocity(
            places, tf.constant([0.1, 0.4, 0.6, 0.9]), tf.repeat(vector[None], 4, 0)
        )


@pytest.mark.parametrize(
    ("network", "method"),
    [
        *((name, each) for name in ("small", "patch_transformer") for each in METHODS),
        pytest.param("unet", "lora", marks=pytest.mark.long),
    ],
)
def test_starts_where_the_other_ended(network, method):
    flow = trained(network)
    before = values(flow)
    new = transfer_flow(flow, method, num_classes=4)
    table = flow.average.of([flow.condition_embedding.table])[0].numpy()
    assert np.abs(table - flow.condition_embedding.table.numpy()).max() > 1e-4
    # Of the new class: the old velocity for the mean of the old conditions.
    embedded = new.embedded(np.array([3, 0]), False)
    np.testing.assert_allclose(embedded, [table.mean(axis=0), table[0]], atol=1e-6)
    for vector in (table.mean(axis=0), table[1]):
        expected = velocity(flow, tf.constant(vector))
        assert np.std(expected) > 1e-3
        np.testing.assert_allclose(velocity(new, tf.constant(vector)), expected, atol=1e-6)
    # The average starts at the weights, which start at the other's average.
    for weight, average in zip(new.average._followed.weights, new.average.averages):
        np.testing.assert_array_equal(weight.numpy(), average.numpy())
    assert int(new.progress.step.numpy()) == 0
    for path, value in values(flow).items():
        np.testing.assert_array_equal(value, before[path])


def moved(new, side):
    before = values(new)
    assert len(before) == len(new.weights)
    fitted(new, IMAGES[:, :side, :side], NEW)
    return {
        path
        for path, value in values(new).items()
        if not np.array_equal(before[path], value) and "average" not in path
    }


def paths(*layers):
    return {weight.path for layer in layers for weight in layer.weights}


@pytest.mark.parametrize(
    ("network", "parts", "count"),
    [
        # told: (1 + 4) x 4 + 4.
        ("small", ["told"], 24),
        (
            "patch_transformer",
            # Sinusoids of 64 to 8, 8 to 8, condition of 4 to 8; 6 x 8 and 2 x 8 of 8.
            ["time_hidden", "time_map", "condition_map", "block_0", "last_normalization"],
            520 + 72 + 40 + 48 * 9 + 16 * 9,
        ),
        pytest.param(
            "unet",
            # Four blocks of 4 channels; embeddings of 16.
            [
                "time_hidden",
                "time_map",
                "condition_map",
                "down_0_0_adaptive",
                "middle_adaptive",
                "up_0_0_adaptive",
                "up_0_1_adaptive",
            ],
            65 * 16 + 17 * 16 + 5 * 16 + 4 * 17 * 8,
            marks=pytest.mark.long,
        ),
    ],
)
def test_conditioning_moves_what_time_and_condition_go_through(network, parts, count):
    new = transfer_flow(trained(network), "conditioning", num_classes=4)
    trains = new.network.trainable_weights
    assert sum(int(np.prod(weight.shape)) for weight in trains) == count
    layers = [new.network.get_layer(name) for name in parts]
    layers = [getattr(layer, "modulation", layer) for layer in layers]
    assert {weight.path for weight in trains} == paths(*layers)
    # Of the table the new class's row alone has a gradient.
    assert moved(new, new.example_shape[0]) == paths(*layers, new.condition_embedding)


def test_all_moves_all():
    new = transfer_flow(trained(), num_classes=4)
    assert moved(new, 8) == paths(new.network, new.condition_embedding)


@pytest.mark.parametrize("rank", [2, None])
def test_low_rank_additions_move_alone(rank):
    new = transfer_flow(trained(), "lora", num_classes=4, rank=rank)
    # As matrices: 5 x 4 of the map, 9 x 4 of a convolution, 36 x 1 of the last; rank 8 is too many.
    shapes = [(5, 4), (9, 4)]
    most = rank or 8
    count = sum(min(most, *shape) * sum(shape) for shape in shapes)
    # 3 x 3 x 4 to one channel: the same numbers as 9 x 4.
    count += min(most, 4) * 13
    layer = new.network.get_layer("low_rank")
    trains = new.network.trainable_weights
    assert sum(int(np.prod(weight.shape)) for weight in trains) == count
    additions = {w.path for pair in layer.factors for w in pair}
    assert {weight.path for weight in trains} == additions
    frozen = [weight.numpy() for weight in layer.layer.weights]
    assert moved(new, 8) == additions | paths(new.condition_embedding)
    for weight, value in zip(layer.layer.weights, frozen):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_additions_reach_attention():
    """Four projections, two dense layers, the modulation: all within a block."""
    new = transfer_flow(trained("patch_transformer"), "lora", rank=2)
    layer = new.network.get_layer("low_rank")
    kernels = {layer.layer.weights[place].path for place in layer.places}
    expected = {
        path for path in paths(layer.layer) if path.split("/")[-1] == "kernel"
    }  # 3 of time and condition, 7 in the block, patches, last normalization, predicted
    assert kernels == expected
    assert len(kernels) == 13
    assert any("attention" in path for path in kernels)


@pytest.mark.slow
@pytest.mark.parametrize(
    "network", ["small", pytest.param("patch_transformer", marks=pytest.mark.long)]
)
def test_merged_samples_as_unmerged(network):
    flow = trained(network)
    side = flow.example_shape[0]
    new = fitted(transfer_flow(flow, "lora", num_classes=4), IMAGES[:, :side, :side], NEW)
    merged = merge_flow(new)
    labels = np.array([3, 3, 0])
    samples = new.sample(labels, steps=2, seed=0)
    np.testing.assert_allclose(merged.sample(labels, steps=2, seed=0), samples, atol=1e-5)
    assert np.abs(flow.sample([0] * 3, steps=2, seed=0)[2] - samples[2]).max() > 1e-4
    assert merged.network.count_params() == flow.network.count_params()
    assert len(merged.trainable_weights) == len(flow.trainable_weights)
    assert len(new.trainable_weights) == 2 * len(new.network.get_layer("low_rank").places) + len(
        new.condition_embedding.weights
    )
    # A second transfer starts from the sum.
    again = transfer_flow(new, "lora", rank=1)
    np.testing.assert_allclose(again.sample(labels, steps=2, seed=0), samples, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_file_trains_on(method, tmp_path):
    new = fitted(transfer_flow(trained(), method, num_classes=4), IMAGES, NEW)
    new.save(tmp_path / "flow.keras")
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    for one, other in zip(new.weights, loaded.weights):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    samples = [each.sample([3, 1], steps=2, seed=0) for each in (new, loaded)]
    np.testing.assert_array_equal(*samples)
    trains = [[w.path for w in each.trainable_weights] for each in (new, loaded)]
    assert trains[0] == trains[1]
    for each in (new, loaded):
        each.fit(IMAGES, NEW, batch_size=8, verbose=0)
    for one, other in zip(new.weights, loaded.weights):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)


@pytest.mark.slow
def test_export_samples_the_same(tmp_path):
    new = fitted(transfer_flow(trained(), "lora", num_classes=4), IMAGES, NEW)
    new.export(tmp_path / "sampler")
    sampler = tf.saved_model.load(tmp_path / "sampler").signatures["sample"]
    made = sampler(
        condition=tf.constant([3, 0]),
        seed=tf.constant(5, tf.int64),
        steps=tf.constant(2),
        guidance=tf.constant(1.0),
    )["samples"]
    np.testing.assert_allclose(made, new.sample([3, 0], steps=2, seed=5), atol=1e-5)


def adapted(method):
    """The same start whether the first model was there already or is trained now."""
    first = trained()
    keras.utils.set_random_seed(1)
    return transfer_flow(first, method, num_classes=4, rank=2 if method == "lora" else None)


CASES = {
    "lora": ModelCase(
        make=lambda: adapted("lora"),
        data=(IMAGES, np.where(np.arange(24) % 2, 3, LABELS)),
        compile=lambda model, **options: model.compile(keras.optimizers.SGD(0.05, 0.5), **options),
        outputs=("sample", (np.array([3, 0, 1]),), {"steps": 2, "seed": 0}),
        imports=("tests.generative.flow.flow_models",),
        may_move=lambda path: "average" in path,
        fit={"epochs": 2},
    )
}


@pytest.mark.parametrize(("name", "check"), every_check(CASES))
def test_model(name, check, tools):
    check(CASES[name], tools)


def test_all_trains_again_after_less_of_it_did():
    flow = fitted(transfer_flow(trained(), "conditioning", num_classes=4), IMAGES, NEW)
    new = transfer_flow(flow)
    assert moved(new, 8) == paths(new.network, new.condition_embedding)
    # The copy was made without a change of the other.
    assert {w.path for w in flow.network.trainable_weights} == paths(flow.network.get_layer("told"))


# Classes


def test_a_frozen_flow_gives_one_that_trains():
    flow = trained()
    flow.trainable = False
    try:
        for method in METHODS:
            new = transfer_flow(flow, method)
            assert new.trainable_variables
            assert len(new.trainable_variables) == len(
                transfer_flow(trained(), method).trainable_variables
            )
        merged = merge_flow(transfer_flow(flow, "lora"))
        assert len(merged.trainable_variables) > len(new.trainable_variables)
    finally:
        flow.trainable = True


def test_what_lora_and_latent_flows_freeze_stays_so():
    latent = LatentFlow(known_codec(), 3, network=small_network((2, 2, 2), 4), embedding_dim=4)
    for flow in (transfer_flow(trained(), "lora"), latent):
        before = [weight.path for weight in flow.trainable_variables]
        flow.trainable = False
        flow.trainable = True
        assert [weight.path for weight in flow.trainable_variables] == before


def test_names_keep_their_embeddings_at_other_places():
    flow = FlowMatching(
        (8, 8, 1), class_names=["a", "b", "c"], network=small_network(embedding_dim=4),
        embedding_dim=4, ema_decay=None,
    )  # fmt: skip
    fitted(flow, IMAGES, LABELS)
    table = flow.condition_embedding.table.numpy()
    new = transfer_flow(flow, class_names=["d", "c", "a"])
    expected = [table.mean(axis=0), table[2], table[0]]
    np.testing.assert_allclose(new.condition_embedding.table.numpy(), expected, atol=1e-6)
    assert new.class_names == ("d", "c", "a")
    same = transfer_flow(flow)
    assert same.class_names == ("a", "b", "c")
    np.testing.assert_array_equal(same.condition_embedding.table.numpy(), table)
    with pytest.raises(ValueError, match=r"classes have names: name all.*num_classes=4"):
        transfer_flow(flow, num_classes=4)
    one, other = (each.sample([name], steps=2, seed=0) for each, name in ((flow, "c"), (new, "c")))
    np.testing.assert_allclose(other, one, atol=1e-6)


def test_without_classes():
    flow = fitted(FlowMatching((8, 8, 1), network=small_network()), IMAGES)
    for method in METHODS:
        new = transfer_flow(flow, method)
        np.testing.assert_allclose(
            new.sample(3, steps=2, seed=0), flow.sample(3, steps=2, seed=0), atol=1e-6
        )
    with pytest.raises(ValueError, match=r"leave num_classes.*a flow with no conditions"):
        transfer_flow(flow, num_classes=2)


def test_encoders_of_conditions_come_along():
    encoder = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    flow = FlowMatching(
        (8, 8, 1),
        condition_encoder=encoder,
        network=small_network(embedding_dim=4),
        embedding_dim=4,
    )
    conditions = RNG.normal(3.0, 2.0, (24, 5)).astype("float32")
    fitted(flow, IMAGES, conditions)
    new = transfer_flow(flow, "lora")
    samples = [each.sample(conditions[:3], steps=2, seed=0) for each in (flow, new)]
    np.testing.assert_allclose(*samples, atol=1e-5)
    assert new.condition_scale.adapted


@pytest.mark.slow
def test_latent_flows():
    keras.utils.set_random_seed(1)
    flow = LatentFlow(
        known_codec(), 3, network=small_network((2, 2, 2), 4), embedding_dim=4, mirrored=True
    )
    fitted(flow, IMAGES, LABELS)
    new = transfer_flow(flow, "lora", num_classes=4)
    assert isinstance(new, LatentFlow)
    assert new.codec is not flow.codec
    samples = [each.sample([0, 1], steps=2, seed=0) for each in (flow, new)]
    np.testing.assert_allclose(*samples, atol=1e-6)
    codec = [weight.numpy() for weight in new.codec.weights]
    fitted(new, IMAGES, NEW)
    for weight, value in zip(new.codec.weights, codec):
        np.testing.assert_array_equal(weight.numpy(), value)
    merged = merge_flow(new).sample([3, 0], steps=2, seed=0)
    np.testing.assert_allclose(merged, new.sample([3, 0], steps=2, seed=0), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["all", "conditioning"])
def test_an_alignment_can_be_asked_for_anew(method):
    aligned = {"align_with": "digits", "align_layer": "convolution"}
    new = transfer_flow(trained(), method, **aligned)
    logs = fitted(new, IMAGES, LABELS).history.history
    # One minus the mean cosine.
    assert 0.0 < logs["alignment"][0] < 2.0
    latent = LatentFlow(known_codec(), 3, network=small_network((2, 2, 2), 4), embedding_dim=4)
    other = transfer_flow(fitted(latent, IMAGES, LABELS), method, **aligned)
    assert other.align_with.value_range == (-1.0, 1.0)


# What is refused


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("half", {}, r"method must be one of \['all', 'conditioning', 'lora'\].*method='half'"),
        ("all", {"rank": 4}, r"leave it out, or take method='lora'.*rank=4 with method='all'"),
        ("lora", {"rank": 0}, "Received: rank=0"),
        ("lora", {"rank": 2.5}, "Received: rank=2.5"),
        ("all", {"num_classes": 2}, r"3 or more. Received: num_classes=2"),
        ("all", {"num_classes": 2.5}, r"3 or more. Received: num_classes=2.5"),
        ("all", {"class_names": ["a", "b"]}, r"3 or more. Received: num_classes=2"),
        ("all", {"num_classes": 5, "class_names": list("abcd")}, "5 in all. Received: 4 names"),
        ("all", {"example_shape": (4, 4, 1)}, r"settles example_shape.*\(4, 4, 1\)"),
        ("all", {"network": "unet"}, "settles network"),
        ("all", {"depth": 3}, "no argument 'depth' that could differ"),
        ("lora", {"align_with": "digits"}, "leave align_with out"),
        ("all", {"alignment_weight": "a"}, "from 0 up.*alignment_weight='a'"),
        ("all", {"class_names": ["new"]}, r"\[\*flow.class_names, 'new'\]"),
        ("all", {"trains": [1]}, "no argument 'trains'"),
    ],
)
def test_refuses(method, settings, message):
    with pytest.raises(ValueError, match=message):
        transfer_flow(trained(), method, **settings)


def test_refuses_what_is_no_trained_flow():
    with pytest.raises(ValueError, match="Received: flow of type Sequential"):
        transfer_flow(keras.Sequential())
    untrained = FlowMatching((5,), width=4)
    with pytest.raises(ValueError, match=r"not been trained: call fit first.*after 0 steps"):
        transfer_flow(untrained)
    with pytest.raises(ValueError, match="Received: FlowMatching"):
        merge_flow(untrained)
    with pytest.raises(ValueError, match="Received: Sequential"):
        merge_flow(keras.Sequential())


def test_images_of_another_size_are_refused_before_training():
    new = transfer_flow(trained(), num_classes=4)
    with pytest.raises(ValueError, match=r"8, 8, 1"):
        new.fit(np.zeros((4, 8, 8, 3), "float32"), np.full(4, 3), verbose=0)
    assert int(new.progress.step.numpy()) == 0


def test_conditioning_needs_layers_that_are_told():
    def alone():
        x, t, condition = keras.Input((8, 8, 1)), keras.Input(()), keras.Input((4,))
        told = keras.layers.Reshape((1, 1, 1))(keras.layers.Dot(1)([condition, condition]))
        y = keras.layers.Conv2D(1, 3, padding="same")(keras.layers.Add()([x, told]))
        late = keras.layers.Reshape((1, 1, 1))(t)
        return keras.Model([x, t, condition], keras.layers.Add()([y, late]))

    flow = FlowMatching((8, 8, 1), 3, network=alone(), embedding_dim=4)
    fitted(flow, IMAGES, LABELS)
    with pytest.raises(ValueError, match=r"this one has none. Use another method"):
        transfer_flow(flow, "conditioning")


def test_low_rank_network_refuses():
    with pytest.raises(ValueError, match="Received: layer of type Dense"):
        LowRankNetwork(keras.layers.Dense(2))
    plain = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
    with pytest.raises(ValueError, match="this network has none"):
        LowRankNetwork(plain)(keras.Input((3,)))


def test_dropout_draws_anew():
    network = keras.Sequential(
        [keras.Input((50,)), keras.layers.Dense(50), keras.layers.Dropout(0.5)]
    )
    layer = LowRankNetwork(network)
    model = keras.Sequential([keras.Input((50,)), layer])
    x = np.ones((2, 50), "float32")
    one, other = (np.asarray(model(x, training=True)) == 0 for _ in range(2))
    assert 20 < one.sum() < 80
    assert not np.array_equal(one, other)
    assert (np.asarray(model(x)) != 0).all()
