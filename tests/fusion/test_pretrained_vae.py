"""A VAE on a backbone with each kind of transfer; a delta's gradients against Keras layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.fusion import PretrainedEncoder, PretrainedVAE
from keras_transgen.training import loss_weight
from tests.backbones import tiny_modules
from tests.fusion.small_networks import small_backbone
from tests.harness import (
    ModelCase,
    check_config_round_trip,
    check_frozen_between_fits,
    check_mixed_bfloat16,
    check_mixed_float16,
    check_training_goes_on_from_file,
    check_validation_logs,
    check_xla_equals_plain,
)

IMAGES = np.random.default_rng(0).uniform(0, 1, (16, 8, 8, 1)).astype("float32")


def vae(**kwargs):
    return PretrainedVAE(small_backbone(), (8, 8, 1), latent_dim=2, seed=0, **kwargs)


def moved_by_training(model):
    model.compile(keras.optimizers.SGD(1e-3), run_eagerly=True, jit_compile=False)
    before = {weight.path: weight.numpy() for weight in model.encoder.backbone.weights}
    model.fit(IMAGES, batch_size=16, epochs=2, verbose=0)
    return {
        weight.path
        for weight in model.encoder.backbone.weights
        if not np.array_equal(before[weight.path], weight.numpy())
    }


@pytest.mark.slow
def test_what_each_kind_of_transfer_moves():
    kernels = {"half/kernel", "quarter/kernel"}
    others = {"half/bias", "quarter/bias", "quarter_norm/gamma", "quarter_norm/beta"}
    assert moved_by_training(vae()) == set()
    assert moved_by_training(vae(transfer="parameter")) == kernels | others
    assert moved_by_training(vae(transfer="structure", rank=1)) == kernels
    scaled = kernels | {"half/bias", "quarter/bias"}
    assert moved_by_training(vae(transfer="structure", method="ia3")) == scaled
    offsets = {"half/bias", "quarter/bias", "quarter_norm/beta"}
    assert moved_by_training(vae(transfer="structure", method="bias")) == offsets
    affine = {"quarter_norm/gamma", "quarter_norm/beta"}
    assert moved_by_training(vae(transfer="structure", method="normalization")) == affine
    last = affine | {"quarter/kernel", "quarter/bias"}
    assert moved_by_training(vae(transfer="structure", method="last")) == last
    fresh = vae(transfer="structure", method="reinitialize")
    assert not np.allclose(fresh.encoder.backbone.weights[0], small_backbone().weights[0])
    assert moved_by_training(fresh) == kernels | others


@pytest.mark.parametrize(
    ("method", "arguments"), [("lora", {"targets": "half"}), ("last", None), ("reinitialize", None)]
)
def test_a_delta_and_its_arguments_are_saved(method, arguments, tmp_path):
    model = vae(transfer="structure", method=method, delta_arguments=arguments)
    model.save(tmp_path / "vae.keras")
    again = keras.saving.load_model(tmp_path / "vae.keras")
    assert [w.shape for w in again.trainable_weights] == [w.shape for w in model.trainable_weights]
    if arguments:
        assert [each.path for each in again.delta_set.in_force().touched] == ["half/kernel"]
    np.testing.assert_allclose(again.encode(IMAGES).mean(), model.encode(IMAGES).mean(), atol=1e-6)


def test_decoder_follows_the_backbones_scales():
    sizes = [layer.output.shape[1] for layer in vae().decoder.layers if "conv" in layer.name]
    assert sizes == [2, 4, 8, 8]


def test_a_delta_changes_nothing_at_first_and_then_is_low_rank():
    model = vae(transfer="structure", rank=1)
    fresh = small_backbone().tap(["half", "quarter_norm"])
    base = {weight.path: weight.numpy() for weight in fresh.weights}
    for weight in model.encoder.backbone.weights:
        np.testing.assert_array_equal(weight.numpy(), base[weight.path])
    moved_by_training(model)
    delta = model.delta_set.in_force()
    for target, (a, b) in zip(delta.touched, delta.own, strict=True):
        change = (target.variable.numpy() - base[target.path]).reshape(a.shape[0], b.shape[1])
        np.testing.assert_allclose(change, a.numpy() @ b.numpy(), atol=1e-6)
        assert np.abs(change).max() > 0.0


def test_gradients_of_a_delta_by_central_differences():
    model = vae(transfer="structure", rank=1)
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    delta = model.delta_set.in_force()
    rng = np.random.default_rng(1)
    for pair in delta.own:
        for variable in pair:
            variable.assign(rng.normal(0.0, 0.3, variable.shape))
    delta.write()
    noise = tf.zeros((16, 2))

    def objective():
        return model._objective(tf.constant(IMAGES), None, noise, None, False)

    variables = model.trainable_variables
    gradients, _, _ = model.gradients_of(objective, variables, loss_weight(16))
    own = {id(variable) for variable in delta.variables}
    checked = [(v, g) for v, g in zip(variables, gradients) if id(v) in own]
    assert len(checked) == 4
    for variable, gradient in checked:
        start, direction = variable.numpy(), rng.normal(size=variable.shape)
        losses = []
        for step in (1e-2, -1e-2):
            variable.assign(start + step * direction)
            delta.write()
            losses.append(float(objective()[0]))
        variable.assign(start)
        slope = (losses[0] - losses[1]) / 2e-2
        assert float(tf.reduce_sum(gradient * direction)) == pytest.approx(
            slope, rel=0.03, abs=0.02
        )


@pytest.mark.slow
def test_a_saved_model(tmp_path):
    """The module's own layer as the one scale; grey images of another size are resized to it."""
    folder = tiny_modules.convolution_module(tmp_path / "module")
    model = PretrainedVAE(
        folder, (16, 16, 1), 2, transfer="structure", rank=1, layers=["Relu"], image_size=(8, 8)
    )
    assert model.encoder.feature_shapes == [(6, 6, 4)]
    model.compile(keras.optimizers.SGD(1e-3), run_eagerly=True, jit_compile=False)
    kernel = next(w for w in model.encoder.backbone.weights if w.shape == (3, 3, 1, 4))
    before = kernel.numpy()
    images = IMAGES.repeat(2, axis=1).repeat(2, axis=2)
    # Twice, since A's gradient is zero while B is.
    model.fit(images, batch_size=16, epochs=2, verbose=0)
    assert not np.array_equal(before, kernel.numpy())


def test_an_encoder_of_ones_own():
    encoder = PretrainedEncoder(small_backbone(), scales=1, trainable=True, freeze_to=0, channels=2)
    model = PretrainedVAE(encoder, (8, 8, 1), 2, transfer="parameter")
    assert model.encoder is encoder
    with pytest.raises(ValueError, match=r"holds these settings already.*trainable=True"):
        PretrainedVAE(encoder, (8, 8, 1), 2)


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"transfer must be one of.*'lora'"):
        vae(transfer="lora")
    with pytest.raises(ValueError, match="freeze_to goes with transfer='parameter'"):
        vae(freeze_to=0)
    with pytest.raises(ValueError, match=r"method must be one of.*'adapter'"):
        vae(transfer="structure", method="adapter")
    with pytest.raises(ValueError, match=r"are for transfer='structure'.*targets"):
        vae(delta_arguments={"targets": "half"})
    with pytest.raises(ValueError, match=r"'ia3' takes targets, selection. Received: groups=2"):
        vae(transfer="structure", method="ia3", delta_arguments={"groups": 2})
    with pytest.raises(ValueError, match=r"Received: input_shape=\(8,\)"):
        PretrainedVAE(small_backbone(), (8,))


def quick_to_trace():
    decoder = [keras.Input((2,)), keras.layers.Dense(64), keras.layers.Reshape((8, 8, 1))]
    return vae(transfer="structure", rank=1, layers=["quarter"], decoder=keras.Sequential(decoder))


CASE = ModelCase(
    make=quick_to_trace,
    data=(IMAGES,),
    compile=lambda model, **kwargs: model.compile(keras.optimizers.SGD(1e-3), **kwargs),
    imports=("keras_transgen.fusion.pretrained_vae",),
    tolerance=None,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "check",
    [
        check_config_round_trip,
        check_mixed_bfloat16,
        check_mixed_float16,
        check_frozen_between_fits,
        check_validation_logs,
        check_training_goes_on_from_file,
        check_xla_equals_plain,
    ],
)
def test_model(check, tools):
    check(CASE, tools)
