"""Modules that take one example, as YAMNet takes one waveform."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.backbones import InputContract, SavedModelBackbone
from keras_transgen.backbones.example_by_example import takes_one_example
from tests.backbones import tiny_modules as tiny
from tests.harness import LAYER_CHECKS, LayerCase

RNG = np.random.default_rng(0)
WAVES = RNG.normal(size=(8, 48)).astype("float32")
LABELS = np.arange(8) % 2
WAVES[LABELS == 1] *= 4.0
FRAME, HOP = 16, 8


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_TRANSGEN_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return tiny.sound_module(tmp_path_factory.mktemp("sound"))


def row_by_row(folder, waves=WAVES, place=1):
    """The module itself, which this package has no part in."""
    module = tf.saved_model.load(str(folder))
    return np.stack([module(tf.constant(wave))[place].numpy() for wave in waves])


def test_a_single_waveform_is_one_example(sound):
    backbone = SavedModelBackbone(sound, output_key=1)
    assert backbone.input_contract == InputContract((None, None), "float32", None)
    assert backbone.compute_output_shape((None, 48)) == (None, None, 6)
    np.testing.assert_allclose(backbone(WAVES), row_by_row(sound), rtol=1e-5, atol=1e-6)
    assert backbone(WAVES).shape == (8, 5, 6)
    short = WAVES[:3, :24]
    np.testing.assert_allclose(backbone(short), row_by_row(sound, short), rtol=1e-5, atol=1e-6)


def test_outputs_of_other_numbers_of_frames(sound):
    scores, embeddings, spectrogram = SavedModelBackbone(sound)(WAVES)
    assert (scores.shape, embeddings.shape, spectrogram.shape) == ((8, 5, 3), (8, 5, 6), (8, 3, 9))
    for place, output in enumerate((scores, embeddings, spectrogram)):
        expected = row_by_row(sound, place=place)
        np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-6)


def test_the_gradient_is_that_of_the_rows(sound):
    backbone = SavedModelBackbone(sound, trainable=True, output_key=1)
    module = tf.saved_model.load(str(sound))
    waves = tf.constant(WAVES)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            tape.watch(waves)
            loss = tf.reduce_sum(backbone(waves) ** 2)
        return tape.gradient(loss, [waves, *[weight.value for weight in backbone.weights]])

    with tf.GradientTape() as tape:
        tape.watch(waves)
        loss = sum(tf.reduce_sum(module(wave)[1] ** 2) for wave in tf.unstack(waves))
    variables = [module.kernel, module.projection]
    expected = tape.gradient(loss, [waves, *variables])
    by_shape = {tuple(each.shape): each for each in gradients()}
    assert len(by_shape) == 3
    for each in expected:
        np.testing.assert_allclose(by_shape[tuple(each.shape)], each, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def of_one_length(tmp_path_factory):
    folder = tiny.sound_module(tmp_path_factory.mktemp("of_one_length"), samples=48)

    def make():
        return SavedModelBackbone(folder, trainable=True, output_key=1)

    # The scores alone need the other weight.
    return LayerCase(make=make, inputs=WAVES, moves=lambda path: "top" not in path)


@pytest.mark.parametrize("check", LAYER_CHECKS)
def test_layer(check, of_one_length, tools):
    check(of_one_length, tools)


@pytest.mark.parametrize("kind", [ktg.FeatureTransfer, ktg.ParameterTransfer])
def test_transfer_in_a_file(kind, sound, tmp_path, fresh_process):
    options = {} if kind is ktg.FeatureTransfer else {"learning_rate": 1e-3}
    model = kind(SavedModelBackbone(sound, output_key=1), 2, seed=0, **options)
    before = [weight.numpy() for weight in model.backbone.weights]
    model.fit(WAVES, LABELS, verbose=0)
    moved = [
        not np.array_equal(old, new.numpy()) for old, new in zip(before, model.backbone.weights)
    ]
    # The scores alone need the other weight.
    assert moved == [kind is ktg.ParameterTransfer, False]
    logits = model.predict(WAVES, verbose=0)
    module = tf.saved_model.load(str(sound))
    for variable in (module.kernel, module.projection):
        variable.assign(next(w.value for w in model.backbone.weights if w.shape == variable.shape))
    features = np.stack([module(tf.constant(wave))[1].numpy().mean(axis=0) for wave in WAVES])
    np.testing.assert_allclose(logits, model.head(features), rtol=1e-4, atol=1e-4)
    model.save(tmp_path / "sound.keras")
    again = fresh_process.call(tmp_path / "sound.keras", "predict", WAVES, verbose=0)
    np.testing.assert_allclose(again, logits, rtol=1e-5, atol=1e-5)


def trained(folder, jit_compile=False):
    keras.utils.set_random_seed(0)
    backbone = SavedModelBackbone(folder, output_key=1)
    model = ktg.ParameterTransfer(backbone, 2, seed=0, head_initialization="random")
    model.compile("sgd", jit_compile=jit_compile)
    model.fit(WAVES, LABELS, batch_size=8, shuffle=False, verbose=0)
    assert model.jit_compile is jit_compile
    return [weight.numpy() for weight in model.trainable_weights]


@pytest.mark.slow
def test_training_under_xla_and_on_two_replicas(sound, two_replicas):
    plain, compiled = trained(sound), trained(sound, jit_compile=True)
    with two_replicas.scope():
        together = trained(sound)
    for one, other, third in zip(plain, compiled, together, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(third, one, rtol=1e-4, atol=1e-5)


def test_frames_may_be_kept(sound):
    model = ktg.TransferModel(
        SavedModelBackbone(sound, output_key=1), head=keras.layers.Flatten(), pooling="flatten"
    )
    assert model(WAVES).shape == (8, 30)


# The rule, and the word against it


def test_the_rule():
    def spec(shape, dtype=tf.float32):
        return tf.TensorSpec(shape, dtype)

    assert takes_one_example(spec([None]), None)
    assert takes_one_example(spec([16000], tf.float64), None)
    batches = [spec([None], tf.string), spec([None], tf.int32), spec([None, 2]), spec(None)]
    assert not any(takes_one_example(each, None) for each in batches)
    assert not takes_one_example([spec([None])], None)
    assert not takes_one_example({"wave": spec([None])}, None)
    assert not takes_one_example(spec([None]), True)
    assert takes_one_example(spec([None, 2]), False)


def test_a_batch_of_numbers(tmp_path):
    module = tf.Module()
    module.__call__ = tf.function(lambda x: x[:, None] * [[1.0, 2.0]], [tf.TensorSpec([None])])
    folder = tiny.save(module, tmp_path / "numbers")
    backbone = SavedModelBackbone(folder, batch_axis=True)
    np.testing.assert_array_equal(backbone(np.array([3.0, 4.0], "float32")), [[3, 6], [4, 8]])
    assert backbone.get_config()["batch_axis"] is True
    again = SavedModelBackbone.from_config(backbone.get_config())
    assert again.digest() == backbone.digest() != SavedModelBackbone(folder).digest()
    assert again(np.array([3.0], "float32")).shape == (1, 2)


def test_one_image_at_a_time(tmp_path):
    module = tf.Module()
    module.scale = tf.Variable(2.0)
    module.__call__ = tf.function(
        lambda x: tf.reduce_sum(x["image"], [0, 1]) * module.scale + x["shift"],
        [{"image": tf.TensorSpec([4, 4, 3]), "shift": tf.TensorSpec([])}],
    )
    folder = tiny.save(module, tmp_path / "image")
    backbone = SavedModelBackbone(folder, batch_axis=False)
    images, shift = RNG.random((5, 4, 4, 3)).astype("float32"), np.arange(5, dtype="float32")
    output = backbone({"image": images, "shift": shift})
    expected = images.sum(axis=(1, 2)) * 2.0 + shift[:, None]
    np.testing.assert_allclose(output, expected, rtol=1e-5)
    assert backbone.input_contract["image"].value_range == (0.0, 1.0)
    again = SavedModelBackbone.from_config(backbone.get_config())
    np.testing.assert_array_equal(again({"image": images, "shift": shift}), output)


@pytest.mark.parametrize(
    ("shape", "batch_axis", "message"),
    [
        ([None], "no", "batch_axis must be True, False or None. Received: batch_axis='no'"),
        ([], True, "takes a scalar, so there is no batch axis"),
    ],
)
def test_what_is_no_axis_is_refused(shape, batch_axis, message, tmp_path):
    module = tf.Module()
    module.__call__ = tf.function(lambda x: 2.0 * x, [tf.TensorSpec(shape)])
    with pytest.raises(ValueError, match=message):
        SavedModelBackbone(tiny.save(module, tmp_path / "module"), batch_axis=batch_axis)


def test_taps_of_a_module_of_one_example(sound):
    backbone = SavedModelBackbone(sound, output_key=1)
    name = backbone.layer_names()[-1]
    (tapped,) = backbone.tap([name])(WAVES)
    assert tapped.shape[0] == 8


@pytest.mark.parametrize("wave", [WAVES[0], WAVES[..., None]])
def test_a_wave_without_batch_and_one_with_channels_are_refused(sound, wave):
    with pytest.raises(ValueError, match="The backbone takes"):
        SavedModelBackbone(sound, output_key=1)(wave)


def test_exported_it_has_a_batch_axis(sound, tmp_path):
    backbone = SavedModelBackbone(sound, output_key=1)
    backbone.export(tmp_path / "batches")
    again = ktg.load_backbone(tmp_path / "batches")
    np.testing.assert_allclose(again(WAVES), backbone(WAVES), rtol=1e-5, atol=1e-6)
