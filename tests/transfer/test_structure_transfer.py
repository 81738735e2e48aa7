"""Every method on both kinds of backbones: what moves, switching, merging, files, the harness."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.transfer.deltas import read_delta, write_delta
from keras_transgen.transfer.structure_transfer import StructureTransfer
from tests.harness import ModelCase, every_check
from tests.transfer.deltas.networks import (
    BACKBONES,
    IMAGES,
    LABELS,
    keras_backbone,
    module_folder,
    saved_backbone,
    values,
)

METHODS = {
    "lora": {"rank": 2},
    "ia3": {},
    "bias": {},
    "normalization": {},
    "adapter": {"rank": 2},
    "last": {"groups": 2},
}
KERNELS = ("block_1_project/kernel", "block_2_dense/kernel")
# The backbone's variables that follow a delta of each method.
FOLLOWS = {
    "lora": KERNELS,
    "ia3": ("stem_conv/kernel", *KERNELS, "block_1_project/bias", "block_2_dense/bias"),
    "bias": ("stem_bn/beta", "block_1_project/bias", "block_2_dense/bias"),
    "normalization": ("stem_bn/gamma", "stem_bn/beta"),
    "adapter": (),
    "last": ("block_1_depthwise/kernel", "block_1_project/bias", "block_2_dense/bias", *KERNELS),
}
both_kinds = pytest.mark.parametrize("kind", BACKBONES)
all_methods = pytest.mark.parametrize("method", METHODS)


def make(kind="keras", method="lora", **kwargs) -> StructureTransfer:
    keras.utils.set_random_seed(2)
    kwargs = {**METHODS.get(method, {}), "head_initialization": "random", **kwargs}
    return StructureTransfer(BACKBONES[kind](), 3, method=method, **kwargs)


def predictions(model) -> np.ndarray:
    return model(IMAGES).numpy()


def train(model, epochs=1, **kwargs) -> None:
    if not model.compiled:
        model.compile(keras.optimizers.Adam(0.05), jit_compile=False)
    model.fit(IMAGES, LABELS, batch_size=8, epochs=epochs, verbose=0, **kwargs)


def backbone_values(model) -> dict[str, np.ndarray]:
    return {weight.path: weight.numpy() for weight in model.backbone.weights}


@both_kinds
@all_methods
def test_life_of_a_delta(kind, method, tmp_path):
    model = make(kind, method=None)
    base, digest = predictions(model), model.backbone.digest()
    delta = model.add_delta("first", method, **METHODS[method])

    # At the start it changes nothing.
    np.testing.assert_array_equal(predictions(model), base)

    # Exactly the delta and the head train.
    own = {id(each) for each in delta.variables} or {
        id(target.variable) for target in delta.touched if "moving" not in target.path
    }
    heads = {id(each) for each in model.head.weights}
    assert {id(each) for each in model.trainable_variables} == own | heads
    before = {id(each): each.numpy() for each in model.trainable_variables}
    train(model)
    assert all((before[id(v)] != v.numpy()).any() for v in model.trainable_variables)
    trained = predictions(model)
    assert not np.allclose(trained, base, atol=1e-3)

    # Of the backbone, what the method says has changed, and nothing else.
    now = backbone_values(model)
    changed = {path for path, value in values().items() if (now[path] != value).any()}
    assert changed == set(FOLLOWS[method])

    # Without the delta the base is back, bit for bit; with it, what was trained.
    model.set_delta(None)
    np.testing.assert_array_equal(predictions(model), base)
    assert model.backbone.digest() == digest
    assert {id(each) for each in model.trainable_variables} == heads
    model.set_delta("first")
    np.testing.assert_array_equal(predictions(model), trained)

    # Another model on the same backbone takes it from its file.
    model.save_delta(tmp_path / "one.delta")
    assert model.delta_set.base_digest() == digest
    other = make(kind, method=None)
    other.load_delta(tmp_path / "one.delta", name="taken")
    assert other.active_delta == "taken"
    np.testing.assert_array_equal(predictions(other), trained)
    other.set_delta(None)
    np.testing.assert_array_equal(predictions(other), base)


@pytest.mark.parametrize(
    ("kind", "method"),
    [("saved", "lora"), *(("keras", method) for method in METHODS if method != "adapter")],
)
def test_merge(kind, method):
    model = make(kind, method)
    train(model)
    trained = predictions(model)
    for _ in range(2):
        model.merge()
        np.testing.assert_array_equal(predictions(model), trained)
        # The backbone stands by itself: its features, without the model, are the merged ones.
        features = tf.reduce_mean(model.backbone(IMAGES), [1, 2])
        np.testing.assert_allclose(model.head(features), trained, atol=1e-5)
    heads = {id(each) for each in model.head.weights}
    assert {id(each) for each in model.trainable_variables} == heads
    with pytest.raises(ValueError, match="merged into the backbone: call unmerge"):
        model.set_delta(None)
    model.unmerge()
    model.unmerge()
    assert len(model.trainable_variables) > len(heads)
    model.set_delta(None)
    for path, value in values().items():
        np.testing.assert_array_equal(backbone_values(model)[path], value)


@pytest.mark.slow
@both_kinds
def test_several_deltas_take_turns(kind, tmp_path):
    model = make(kind, "lora")
    base = predictions(make(kind, None))
    train(model)
    by_name = {"lora": predictions(model)}
    for method in ("last", "bias", "adapter"):
        model.add_delta(f"my_{method}", method)
        train(model)
        by_name[f"my_{method}"] = predictions(model)
    assert list(model.deltas) == list(by_name)
    for name, expected in reversed(by_name.items()):
        model.set_delta(name)
        np.testing.assert_array_equal(predictions(model), expected, err_msg=name)
    model.set_delta(None)
    np.testing.assert_array_equal(predictions(model), base)

    model.set_delta("my_bias")
    model.save_delta(tmp_path / "lora.delta", "lora")
    model.save(tmp_path / "all.keras")
    again = keras.saving.load_model(tmp_path / "all.keras")
    assert again.active_delta == "my_bias"
    for name, expected in by_name.items():
        again.set_delta(name)
        np.testing.assert_array_equal(predictions(again), expected, err_msg=name)
    again.set_delta(None)
    np.testing.assert_array_equal(predictions(again), base)

    other = make(kind, None)
    other.load_delta(tmp_path / "lora.delta")
    np.testing.assert_array_equal(predictions(other), by_name["lora"])


@both_kinds
def test_fresh_parameters(kind):
    with pytest.warns(UserWarning, match="statistics"):
        model = make(kind, "reinitialize", seed=4)
    start = backbone_values(model)
    for path, value in values().items():
        assert (start[path] != value).any(), path
    assert len(model.trainable_variables) == 8 + 2
    model.set_delta(None)
    for path, value in values().items():
        np.testing.assert_array_equal(backbone_values(model)[path], value)


@both_kinds
def test_fresh_parameters_with_statistics_that_follow(kind, tmp_path):
    backbone = BACKBONES[kind](normalization="adapt")
    model = StructureTransfer(backbone, 3, method="reinitialize", head_initialization="random")
    train(model, epochs=2)
    moved = backbone_values(model)
    assert (moved["stem_bn/moving_mean"] != 0).any()
    trained = predictions(model)
    model.set_delta(None)
    for path, value in values().items():
        np.testing.assert_array_equal(backbone_values(model)[path], value)
    model.set_delta("reinitialize")
    np.testing.assert_array_equal(predictions(model), trained)
    model.save(tmp_path / "fresh.keras")
    again = keras.saving.load_model(tmp_path / "fresh.keras")
    np.testing.assert_array_equal(predictions(again), trained)


@pytest.mark.slow
def test_a_merged_delta_stays_while_the_head_trains():
    model = make("keras")
    train(model)
    model.merge()
    merged = backbone_values(model)
    train(model)
    for path, value in backbone_values(model).items():
        np.testing.assert_array_equal(value, merged[path], err_msg=path)
    model.unmerge()
    before = predictions(model)
    train(model)
    assert not np.allclose(predictions(model), before)
    assert (backbone_values(model)["block_2_dense/kernel"] != merged["block_2_dense/kernel"]).any()


def test_a_merged_model_is_saved_merged(tmp_path):
    model = make("keras")
    train(model)
    trained = predictions(model)
    model.merge()
    model.save(tmp_path / "merged.keras")
    again = keras.saving.load_model(tmp_path / "merged.keras")
    assert again.delta_set.merged
    np.testing.assert_array_equal(predictions(again), trained)
    again.unmerge()
    again.set_delta(None)
    np.testing.assert_array_equal(predictions(again), predictions(make("keras", None)))


def test_a_delta_of_another_backbone(tmp_path):
    model = make("keras")
    path = tmp_path / "one.delta"
    model.save_delta(path)
    for other in (keras_backbone(seed=6), saved_backbone()):
        stranger = StructureTransfer(other, 3, method=None)
        expected = f"this very backbone.*digest {model.backbone.digest()}.*{other.digest()}"
        with pytest.raises(ValueError, match=expected):
            stranger.load_delta(path)
        assert stranger.deltas == {}
    with pytest.raises(ValueError, match=r"head must fit.*\(5, 3\).*\(5, 4\)"):
        StructureTransfer(keras_backbone(), 4, method=None).load_delta(path)
    headless = StructureTransfer(keras_backbone(), 4, method=None)
    assert headless.load_delta(path, head=False).method == "lora"
    with pytest.raises(ValueError, match="a delta of this name already"):
        model.load_delta(path)


@pytest.mark.parametrize("dtype", ["U3", "S3", "complex64", "V4", [("a", "f4")], "O"])
@pytest.mark.parametrize("place", [0, -1])
def test_a_head_of_words_is_refused_before_its_delta_is_added(dtype, place, tmp_path):
    model = StructureTransfer(keras_backbone(), 3)
    model.save_delta(tmp_path / "honest.delta")
    saved = read_delta(tmp_path / "honest.delta")
    head = list(saved.head)
    head[place] = np.zeros(head[place].shape, dtype)
    write_delta(tmp_path / "words.delta", dataclasses.replace(saved, name="words", head=head))
    before = [np.array(weight) for weight in model.weights]
    with pytest.raises(ValueError, match="numbers"):
        model.load_delta(tmp_path / "words.delta")
    assert list(model.deltas) == [model.active_delta] == ["lora"]
    for one, other in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_a_delta_says_of_its_backbone_is_spelt_out(tmp_path):
    model = StructureTransfer(keras_backbone(), 3)
    model.save_delta(tmp_path / "honest.delta")
    saved = read_delta(tmp_path / "honest.delta")
    escape = "\x1b[2J"
    for said in (
        {"digest": escape, "backbone": escape},
        {"name": escape},
        {"method": escape},
        {"name": "n", "arguments": {escape: escape}},
        {"name": "n", "state": {escape: np.zeros(2)}},
        {"name": "n", "state": {escape: np.zeros(2, "S1")}},
    ):
        write_delta(tmp_path / "other.delta", dataclasses.replace(saved, **said))
        with pytest.raises(ValueError, match=r"\\x1b\[2J") as refused:
            model.load_delta(tmp_path / "other.delta")
        assert "\x1b" not in str(refused.value)


def test_a_delta_finds_its_layers_by_place_where_keras_made_up_their_names(tmp_path):
    def backbone():
        keras.utils.set_random_seed(8)
        layers = [keras.layers.Flatten(), keras.layers.Dense(6), keras.layers.Dense(5)]
        return keras.Sequential([keras.Input((8, 8, 1)), *layers])

    one = StructureTransfer(backbone(), 3, head_initialization="random")
    other = StructureTransfer(backbone(), 3, method=None)
    assert one.backbone.weights[0].path != other.backbone.weights[0].path
    train(one)
    one.save_delta(tmp_path / "one.delta")
    other.load_delta(tmp_path / "one.delta")
    np.testing.assert_array_equal(predictions(other), predictions(one))


def test_a_delta_file_holds_the_delta_and_the_head_only(tmp_path):
    model = StructureTransfer("digits", 10, rank=8, head_initialization="random")
    model.save_delta(tmp_path / "one.delta")
    share = (tmp_path / "one.delta").stat().st_size / (4 * 139_000)
    # A sixteenth of the kernels at most, and the head.
    assert share < 0.075


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "laro"}, "method must be one of .*'lora'.*Received: method='laro'"),
        ({"method": "lora", "targets": "attention"}, "must match at least one"),
        ({"method": "lora", "groups": 2}, "method='lora' takes rank, alpha, targets.*groups=2"),
        ({"method": "last", "targets": "stem"}, "method='last' takes groups.*targets='stem'"),
        ({"method": "ia3", "alpha": 2.0}, "method='ia3' takes targets.*alpha=2.0"),
        ({"method": "lora", "nothing": 2}, "nothing"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        StructureTransfer(keras_backbone(), 3, **arguments)


def test_wrong_use_of_names(tmp_path):
    model = make("keras", None)
    for action in (lambda: model.set_delta("a"), lambda: model.save_delta(tmp_path / "a", "a")):
        with pytest.raises(ValueError, match=r"no such delta.*\[\]"):
            action()
    with pytest.raises(ValueError, match="no delta in force to be merged"):
        model.merge()
    with pytest.raises(ValueError, match=r"no such delta to save.*name=None"):
        model.save_delta(tmp_path / "a")
    with pytest.raises(ValueError, match="letters, digits"):
        model.add_delta("a/b", "lora")
    with pytest.raises(ValueError, match=r"inference only|no parameters at all"):
        StructureTransfer(
            keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()]), 3, method="last"
        )
    # A delta that could not be made leaves the one in force as it was.
    model.add_delta("good", "lora")
    with pytest.raises(ValueError, match="must match at least one"):
        model.add_delta("bad", "lora", targets="attention")
    assert model.active_delta == "good"
    assert list(model.deltas) == ["good"]


def test_weights_of_other_deltas_are_refused(tmp_path):
    model = make("keras")
    model.save_weights(tmp_path / "one.weights.h5")
    model.set_delta(None)
    with pytest.raises(ValueError, match="the same one in force: use add_delta and set_delta"):
        model.load_weights(tmp_path / "one.weights.h5")


def test_averaged_weights_reach_the_kernels():
    model = make("keras")
    model.compile(keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.5), jit_compile=False)
    train(model)
    delta = model.deltas["lora"]
    for target, (a, b) in zip(delta.touched, delta.own):
        base = values()[target.path]
        expected = base + (a.numpy() @ b.numpy()).reshape(base.shape)
        np.testing.assert_allclose(target.variable.numpy(), expected, atol=1e-6)


class Interruption(keras.callbacks.Callback):
    """Stops as a broken machine would, after an epoch."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.slow
@both_kinds
def test_a_resumed_run_ends_like_one_that_was_never_stopped(kind, tmp_path):
    def run(*callbacks):
        model = make(kind, seed=0)
        # Adam would blow up the rounding of convolutions, which differs from run to run.
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), jit_compile=False)
        train(model, epochs=4, callbacks=list(callbacks))
        return model

    whole = run()
    with pytest.raises(KeyboardInterrupt):
        run(keras.callbacks.BackupAndRestore(tmp_path / "backup"), Interruption())
    resumed = run(keras.callbacks.BackupAndRestore(tmp_path / "backup"))
    for one, other in zip(whole.weights, resumed.weights):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5, err_msg=one.path)


def test_no_factor_moves_before_every_gradient_is_there():
    """B starts at zero, so the first gradient of A is zero, unless B moved before it was read."""
    model = make("saved", seed=0)
    model.compile(keras.optimizers.SGD(0.01), jit_compile=False)
    factors = [own[0] for own in model.deltas["lora"].own]
    start = [weight.numpy() for weight in model.weights]
    before = [factor.numpy() for factor in factors]
    # What runs side by side may be lucky once.
    for _ in range(10):
        model.set_weights(start)
        model.fit(IMAGES[:8], LABELS[:8], verbose=0)
        assert all(own[1].numpy().any() for own in model.deltas["lora"].own)
        for old, factor in zip(before, factors, strict=True):
            np.testing.assert_array_equal(factor.numpy(), old)


def test_summary_counts_the_delta():
    lines = []
    make("keras").summary(print_fn=lines.append)
    text = "\n".join(lines)
    # Rank 2: (4 + 6) * 2 and (6 + 5) * 2; the head 5 * 3 + 3.
    assert "delta lora" in text
    assert "│        42 │" in text
    assert "60 of" in text


def case(kind: str, method: str, **fit) -> ModelCase:
    own = ("lora/", "ia3/", "adapter")

    def moves(path: str) -> bool:
        return path.startswith(("head/", *own)) or path in FOLLOWS[method]

    return ModelCase(
        make=functools.partial(make, kind, method),
        data=(IMAGES, LABELS),
        compile=lambda model, **kwargs: model.compile(keras.optimizers.Adam(0.02), **kwargs),
        moves=moves,
        imports=("keras_transgen.transfer.structure_transfer",),
        fit=fit,
    )


CASES = {
    "lora on keras": case("keras", "lora"),
    "lora on saved model": case("saved", "lora"),
    # The first steps in float16 find a loss scale that does not overflow, and change nothing.
    "adapter on keras": case("keras", "adapter", epochs=3),
    "last on saved model": case("saved", "last"),
}


@pytest.mark.parametrize(("name", "check"), every_check(CASES))
def test_model(name, check, tools):
    check(CASES[name], tools)


@pytest.mark.slow
@pytest.mark.parametrize("method", [m for m in METHODS if m != "lora"])
@pytest.mark.long
def test_two_replicas_write_the_same_parameters(method, two_replicas):
    with two_replicas.scope():
        two = make("saved", method)
        # The others train parameters of the module itself, which "last on saved model" above
        # does on replicas that are compiled.
        two.compile(keras.optimizers.Adam(0.05), jit_compile=method in ("ia3", "adapter"))
    train(two)
    for weight in two.backbone.weights:
        first, second = (copy.numpy() for copy in weight.value.values)
        np.testing.assert_array_equal(first, second, err_msg=weight.path)
    one = make("saved", method)
    train(one)
    for alone, together in zip(one.backbone.weights, two.backbone.weights):
        np.testing.assert_allclose(alone.numpy(), together.numpy(), atol=1e-5, err_msg=alone.path)
    two.set_delta(None)
    for path, value in values().items():
        np.testing.assert_array_equal(backbone_values(two)[path], value)


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.long
def test_lora_on_ants_and_bees(shared_folder):
    from tests.transfer.ants_bees import ants_bees

    (images, labels), (others, other_labels) = ants_bees(shared_folder)
    keras.utils.set_random_seed(0)
    model = StructureTransfer(
        shared_folder / "hub" / "mobilenet_v2_100_224_feature_vector",
        2,
        method="lora",
        learning_rate=2e-4,
        seed=0,
    )
    sizes = [int(np.prod(v.shape)) for v in model.trainable_variables]
    assert sum(sizes) / 2_257_984 <= 0.05
    statistics = {w.path: w.numpy() for w in model.backbone.weights if "moving" in w.path}
    model.fit(images, labels, epochs=2, verbose=0)
    # The probe's is 0.967; an image of the 153 more or less is 0.0065.
    assert (model.classify(others, verbose=0) == other_labels).mean() >= 0.93
    for weight in model.backbone.weights:
        if weight.path in statistics:
            np.testing.assert_array_equal(weight.numpy(), statistics[weight.path])


def test_module_folder_is_made_once():
    assert module_folder() == module_folder()


@pytest.mark.parametrize("method", ["lora", "adapter"])
def test_what_starts_at_random_starts_by_the_seed(method):
    def started(seed, before):
        keras.utils.set_random_seed(before)
        delta = StructureTransfer(keras_backbone(), 3, method, 2, seed=seed).deltas[method]
        return np.concatenate([variable.numpy().ravel() for variable in delta.variables])

    one = started(4, 1)
    np.testing.assert_array_equal(started(4, 2), one)
    assert not np.array_equal(started(5, 1), one)
    assert not np.array_equal(started(None, 1), started(None, 2))
    # Each place has numbers of its own, with one variance.
    first, *others = (
        variable.numpy()
        for variable in StructureTransfer(keras_backbone(), 3, method, 2, seed=4)
        .deltas[method]
        .variables
        if np.any(variable.numpy())
    )
    assert all(not np.array_equal(first.ravel()[:4], each.ravel()[:4]) for each in others)
