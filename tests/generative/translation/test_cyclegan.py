"""CycleGAN: the harness, its losses against NumPy, a map that is known, what it refuses."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.translation.cyclegan import CycleGAN
from tests.harness import (
    ModelCase,
    check_config_round_trip,
    check_file_in_new_process,
    check_frozen_between_fits,
    check_mixed_bfloat16,
    check_mixed_float16,
    check_right_weights_move,
    check_two_replicas,
    check_validation_logs,
)
from tests.plotting.figure_checks import named_rows

RNG = np.random.default_rng(0)
A = RNG.uniform(-1, 1, (24, 8, 8, 1)).astype("float32")
B = RNG.uniform(-1, 1, (16, 8, 8, 1)).astype("float32")


def translator(received: int = 1, made: int = 1, dtype: str | None = "float32") -> keras.Model:
    layer = keras.layers.Conv2D(made, 3, padding="same", activation="tanh", dtype=dtype)
    return keras.Sequential([keras.Input((8, 8, received)), layer])


def judge(channels: int = 1, dtype: str | None = "float32") -> keras.Model:
    layer = keras.layers.Conv2D(1, 4, strides=2, dtype=dtype)
    return keras.Sequential([keras.Input((8, 8, channels)), layer])


def small(**kwargs: Any) -> CycleGAN:
    settings = {"pool_size": 5, **kwargs}
    return CycleGAN((8, 8, 1), None, translator(), translator(), judge(), judge(), **settings)


def compile_with_steady_optimizers(model, **kwargs):
    model.compile(keras.optimizers.SGD(0.02, 0.5), keras.optimizers.SGD(0.02, 0.5), **kwargs)


def case(make, data, **kwargs) -> ModelCase:
    return ModelCase(
        make=make,
        data=data,
        compile=compile_with_steady_optimizers,
        outputs=("a_to_b", (A[:5],), {}),
        may_move=lambda path: "average" in path or "pool" in path,
        **kwargs,
    )


# Pools that are never full hand everything back, so that two replicas take the step of one though
# each has pools of its own.
CASE = case(lambda: small(pool_size=30), (A, B))
# Weights, optimizers, XLA and half precision are in tests below.
CHECKS = [
    check_config_round_trip,
    check_right_weights_move,
    *[
        pytest.param(check, marks=pytest.mark.slow)
        for check in (
            check_file_in_new_process,
            check_frozen_between_fits,
            check_two_replicas,
            check_validation_logs,
        )
    ],
]


@pytest.mark.parametrize("check", CHECKS)
def test_model(check, tools):
    check(CASE, tools)


@pytest.mark.slow
@pytest.mark.parametrize("check", [check_mixed_bfloat16, check_mixed_float16])
def test_half_precision(check, tools):
    """Of networks whose layers follow the policy, down to what they make and judge."""

    def make():
        networks = [translator(dtype=None), translator(dtype=None), judge(dtype=None)]
        return CycleGAN((8, 8, 1), None, *networks, judge(dtype=None), cycle_weight=1.0)

    check(case(make, (A, B)), tools)


class Interruption(keras.callbacks.Callback):
    """Ends a run within its second epoch, without a word to the callbacks."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.progress.step.numpy() == 4:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_an_interrupted_run_goes_on_with_its_pools(tmp_path):
    """Also where the arrays were shuffled, and the images met each other by chance."""

    def run(*callbacks):
        model = small(seed=3)
        compile_with_steady_optimizers(model, jit_compile=False)
        model.fit(A, B, batch_size=8, epochs=2, verbose=0, callbacks=list(callbacks))
        return model

    keras.utils.set_random_seed(1)
    expected = run()
    keras.utils.set_random_seed(1)
    with pytest.raises(KeyboardInterrupt):
        run(keras.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=1), Interruption())
    resumed = run(keras.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=1))
    assert int(resumed.pool_a.count.value) == 5
    assert np.abs(resumed.pool_a.images.numpy()).sum(axis=(1, 2, 3)).min() > 0
    resumed.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for one, other, third in zip(expected.weights, resumed.weights, loaded.weights):
        np.testing.assert_allclose(
            one.numpy(), other.numpy(), rtol=1e-4, atol=1e-5, err_msg=one.path
        )
        np.testing.assert_array_equal(other.numpy(), third.numpy(), err_msg=one.path)


@pytest.mark.slow
def test_logs_of_an_untrained_step_are_those_of_the_paper():
    """Under XLA, which leaves them as they are."""
    model = small(cycle_weight=3.0, identity_weight=2.0, seed=0)
    a, b = A[:8], B[:8]
    to_b, to_a = model.generator_ab, model.generator_ba
    model.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0), jit_compile=True)
    logs = model.fit(a, b, batch_size=8, shuffle=False, verbose=0).history
    logs = {name: values[0] for name, values in logs.items()}

    def absolute(one, other):
        return np.abs(np.asarray(one) - np.asarray(other)).mean()

    made_b, made_a = to_b(a), to_a(b)
    cycle = absolute(to_a(made_b), a) + absolute(to_b(made_a), b)
    identity = absolute(to_a(a), a) + absolute(to_b(b), b)
    fake_a, fake_b = model.discriminator_a(made_a).numpy(), model.discriminator_b(made_b).numpy()
    real_a, real_b = model.discriminator_a(a).numpy(), model.discriminator_b(b).numpy()
    adversarial = 0.5 * ((fake_a - 1) ** 2).mean() + 0.5 * ((fake_b - 1) ** 2).mean()
    judged = sum(
        0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean()
        for real, fake in ((real_a, fake_a), (real_b, fake_b))
    )
    assert logs["cycle"] == pytest.approx(cycle, rel=1e-5)
    assert logs["identity"] == pytest.approx(identity, rel=1e-5)
    assert logs["generator_loss"] == pytest.approx(
        adversarial + 3.0 * cycle + 2.0 * identity, rel=1e-5
    )
    # The pools were empty, so the discriminators saw what had just been made.
    assert logs["discriminator_loss"] == pytest.approx(judged, rel=1e-5)
    assert logs["real_score"] == pytest.approx((real_a.mean() + real_b.mean()) / 2, rel=1e-4)
    again = model.evaluate(a, b, batch_size=8, return_dict=True, verbose=0)
    assert again["generator_loss"] == pytest.approx(logs["generator_loss"], rel=1e-4)


def rectangles(count: int, rng: np.random.Generator) -> np.ndarray:
    """Bright rectangles on a dark ground, `[count, 16, 16, 1]`."""
    images = np.full((count, 16, 16, 1), -0.9, "float32")
    for image in images:
        top, left = rng.integers(0, 10, 2)
        height, width = rng.integers(3, 7, 2)
        image[top : top + height, left : left + width] = rng.uniform(0.2, 0.9)
    return images


@pytest.mark.slow
def test_finds_a_map_that_is_known():
    """Negatives of other images, without pairs: each image becomes its own negative.

    The generators see one pixel at a time, so that they cannot move shapes: the maps of grey levels
    that turn one set into the other are then the negative and hardly any other.
    """
    rng = np.random.default_rng(0)
    a, b = rectangles(256, rng), -rectangles(200, rng)

    def pixelwise():
        hidden = [keras.layers.Conv2D(16, 1, activation="leaky_relu") for _ in range(2)]
        out = keras.layers.Conv2D(1, 1, activation="tanh")
        return keras.Sequential([keras.Input((16, 16, 1)), *hidden, out])

    def patchwise():
        hidden = [keras.layers.Conv2D(16, 4, strides=2, activation="leaky_relu") for _ in range(2)]
        return keras.Sequential([keras.Input((16, 16, 1)), *hidden, keras.layers.Conv2D(1, 1)])

    # A heavier cycle would hold the generators at the identity, which undoes itself, too.
    model = CycleGAN(
        (16, 16, 1),
        None,
        *[pixelwise() for _ in range(2)],
        *[patchwise() for _ in range(2)],
        cycle_weight=1.0,
        identity_weight=0.0,
        ema_decay=0.95,
        seed=0,
    )
    adams = [keras.optimizers.Adam(5e-3, beta_1=0.5) for _ in range(2)]
    model.compile(*adams, jit_compile=False)
    held_out = rectangles(64, rng)

    def errors():
        there = model.a_to_b(held_out) + held_out
        back = model.b_to_a(-held_out) - held_out
        return np.abs(there).mean(), np.abs(back).mean()

    assert min(errors()) > 0.5
    model.fit(a, b, batch_size=16, epochs=6, verbose=0)
    # Of values between -0.9 and 0.9; three seeds gave 0.01 and less.
    assert max(errors()) < 0.05


@pytest.mark.slow
def test_data_sets_and_arrays_of_other_lengths_and_channels():
    colour = np.repeat(B, 3, axis=-1)
    data = tf.data.Dataset.from_tensor_slices((A[:16], colour)).batch(8)
    model = CycleGAN(
        (8, 8, 1),
        (8, 8, 3),
        translator(1, 3),
        translator(3, 1),
        judge(1),
        judge(3),
        pool_size=0,
        ema_decay=None,
    )
    assert model.identity_weight == 0.0
    model.fit(data, verbose=0)
    # 18 and 12 images stay to train on, three batches of the longer side.
    history = model.fit(A, colour, batch_size=6, validation_split=0.25, verbose=0).history
    assert int(model.progress.step.numpy()) == 2 + 3
    held_out = model.evaluate(A[18:], colour[12:], return_dict=True, verbose=0)
    assert held_out["cycle"] == pytest.approx(history["val_cycle"][0], rel=1e-4)
    made = model.a_to_b(A[:2])
    assert made.shape == (2, 8, 8, 3)
    assert model.b_to_a(np.zeros((3, 8, 8, 3), "uint8")).shape == (3, 8, 8, 1)


@pytest.mark.parametrize("direction", ["a_to_b", "b_to_a"])
def test_grid_shows_input_made_and_back(monkeypatch, direction):
    model = small()
    monkeypatch.setattr(model, "a_to_b", lambda images: np.asarray(images) * 0.5)
    monkeypatch.setattr(model, "b_to_a", lambda images: np.asarray(images) * 0.25)
    rows = named_rows(model.translation_grid(np.full((1, 8, 8, 1), 0.8, "float32"), direction))
    made = 0.4 if direction == "a_to_b" else 0.2
    # Drawn in [0, 1] from (-1, 1).
    assert {name: 2 * row[0, 0] - 1 for name, row in rows.items()} == pytest.approx(
        {"input": 0.8, "made": made, "back": 0.1}, abs=1e-6
    )


def test_networks_are_built_for_both_shapes():
    model = CycleGAN((8, 8, 1), (8, 8, 3), filters=2, blocks=1, value_range=(0.0, 1.0))
    assert model.generator_ab.output_shape == (None, 8, 8, 3)
    assert model.generator_ba.output_shape == (None, 8, 8, 1)
    made = model.generator_ab(np.zeros((1, 8, 8, 1), "float32")).numpy()
    assert 0.0 <= made.min() <= made.max() <= 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_shape": (10, 8, 1)}, r"halved twice.*\(10, 8, 1\)"),
        ({"image_shape": (4, 4, 1)}, "at least 8 pixels"),
        ({"target_shape": (8, 8, 3), "identity_weight": 1.0}, "identity_weight=0"),
        ({"target_shape": (16, 16, 1)}, "generator_ab must make images"),
        ({"cycle_weight": -1.0}, "cycle_weight=-1.0"),
        ({"pool_size": -1}, "pool_size=-1"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        CycleGAN(**{"image_shape": (8, 8, 1), "filters": 2, "blocks": 1, **settings})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((A,), r"fit\(a, b\)"),
        ((A, np.zeros((4, 8, 8, 3), "float32")), r"images of B .*\[batch, 8, 8, 1\]"),
        ((A, 5 * B), "images of B .*values from -"),
        ((tf.data.Dataset.from_tensor_slices(A).batch(8),), r"fit\(a, b\)"),
    ],
)
def test_data_that_are_no_two_sets_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        small().fit(*data, verbose=0)


def test_an_unknown_direction_is_refused():
    with pytest.raises(ValueError, match="direction='up'"):
        small().translation_grid(A[:2], "up")
