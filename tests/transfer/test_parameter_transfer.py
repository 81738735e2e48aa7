"""ParameterTransfer: the probe, then everything, at the rates that were asked for."""

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.transfer import FeatureTransfer, ParameterTransfer
from tests.harness import MODEL_CHECKS, ModelCase
from tests.transfer.tiny import IMAGES, LABELS, backbone

CASE = ModelCase(
    make=lambda: ParameterTransfer(
        backbone(), 3, layer_decay=0.5, gradual_unfreezing=0.5, learning_rate=0.01, name="tuned"
    ),
    data=(IMAGES, LABELS),
    # Three steps, of which the last two move everything.
    compile=lambda model, **kwargs: model.compile(model.default_optimizer(3, 1), **kwargs),
    imports=("keras_transgen.transfer.parameter_transfer",),
)


@pytest.mark.parametrize("check", MODEL_CHECKS)
def test_model(check, tools):
    check(CASE, tools)


def test_first_step_starts_from_the_probe():
    model = ParameterTransfer(backbone(), 3)
    model.compile(keras.optimizers.SGD(0.0))
    model.fit(IMAGES, LABELS, verbose=0)
    probe = FeatureTransfer(backbone(), 3)
    probe.fit(IMAGES, LABELS, verbose=0)
    np.testing.assert_allclose(model.head.kernel, probe.head.kernel, rtol=1e-5)


@pytest.mark.slow
def test_the_backbone_trains_and_its_statistics_do_as_told():
    for normalization in ("frozen", "adapt"):
        model = ParameterTransfer(backbone(normalization=normalization), 3, learning_rate=0.01)
        before = {weight.path: weight.numpy() for weight in model.weights}
        model.fit(IMAGES, LABELS, epochs=2, batch_size=8, verbose=0)
        for weight in model.weights:
            moved = not np.array_equal(before[weight.path], weight.numpy())
            assert moved == ("moving" not in weight.path or normalization == "adapt"), weight.path


def test_fine_tuning_learns_what_the_probe_cannot():
    # Which of two blobs is brighter, seen through features that were frozen at random.
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, 96)
    images = rng.uniform(0.4, 0.6, size=(96, 8, 8, 1)).astype("float32")
    images[:, ::2, ::2, 0] += np.where(labels, 0.04, -0.04)[:, None, None]
    probe = FeatureTransfer(backbone(), 2)
    probe.fit(images, labels, verbose=0)
    tuned = ParameterTransfer(backbone(), 2, learning_rate=0.01, label_smoothing=0.0, seed=1)
    tuned.fit(images, labels, epochs=15, batch_size=16, verbose=0)
    losses = [model.evaluate(images, labels, verbose=0)[0] for model in (probe, tuned)]
    assert losses[1] < 0.75 * losses[0]


@pytest.mark.slow
def test_each_fit_without_compile_has_a_schedule_of_its_own_length():
    model = ParameterTransfer(backbone(), 3, learning_rate=0.1, warm_up=0.25, seed=1)
    model.fit(IMAGES, LABELS, epochs=4, batch_size=12, verbose=0)
    schedule = model.optimizer._learning_rate
    # Eight steps: two to rise, six to fall.
    assert float(schedule(2)) == pytest.approx(0.1)
    assert float(schedule(8)) == pytest.approx(0.001)
    model.fit(IMAGES, LABELS, epochs=2, batch_size=3, verbose=0)
    assert float(model.optimizer._learning_rate(4)) == pytest.approx(0.1)
    assert float(model.optimizer._learning_rate(16)) == pytest.approx(0.001)


def test_rates_of_the_groups():
    model = ParameterTransfer(backbone(), 3, learning_rate=1.0, layer_decay=0.5, warm_up=0.0)
    optimizer = model.default_optimizer(10, 1)
    optimizer.build(model.trainable_variables)
    found = {
        variable.path: float(each._learning_rate(0))
        for each in optimizer.optimizers
        for variable in each._trainable_variables
    }
    assert found["stem_conv/kernel"] == found["stem_bn/gamma"] == 0.125
    assert found["block_1_conv/kernel"] == 0.25
    assert found["block_2_conv/bias"] == 0.5
    assert found["head/kernel"] == 1.0


def test_groups_are_unfrozen_from_the_output_on():
    model = ParameterTransfer(
        backbone(), 3, learning_rate=0.01, gradual_unfreezing=0.75, warm_up=0.0
    )
    seen = []

    class Recorder(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            # After the probe, which sets the head anew.
            self.before = [[v.numpy() for v in g.variables] for g in model.parameter_groups()]

        def on_train_batch_end(self, batch, logs=None):
            seen.append(
                [
                    any(not np.array_equal(b, v.numpy()) for b, v in zip(before, group.variables))
                    for before, group in zip(self.before, model.parameter_groups())
                ]
            )

    model.fit(IMAGES, LABELS, epochs=4, batch_size=24, callbacks=[Recorder()], verbose=0)
    # Groups stem, block_1, block_2, head over four steps.
    assert seen == [
        [False, False, False, True],
        [False, False, True, True],
        [False, True, True, True],
        [True, True, True, True],
    ]


def test_unfreezing_needs_to_know_the_length():
    model = ParameterTransfer(backbone(), 3, gradual_unfreezing=0.5, head_initialization="random")
    with pytest.raises(ValueError, match="how long the training is"):
        model.fit(((IMAGES, LABELS) for _ in range(2)), verbose=0)


@pytest.mark.slow
def test_training_goes_on_from_a_file(tmp_path):
    model = ParameterTransfer(backbone(), 3, layer_decay=0.5, learning_rate=0.01, seed=2)
    model.fit(IMAGES, LABELS, epochs=2, batch_size=8, verbose=0)
    model.save(tmp_path / "tuned.keras")
    again = ktg.load_model(tmp_path / "tuned.keras")
    for one, other in zip(model.optimizer.variables, again.optimizer.variables):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    for each in (model, again):
        each.fit(IMAGES, LABELS, epochs=1, batch_size=8, verbose=0)
    np.testing.assert_allclose(again.head.kernel, model.head.kernel, atol=1e-6)


def test_probe_where_the_head_allows_it():
    layers = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    assert ParameterTransfer(backbone(), head=layers).head_initialization == "random"
    assert ParameterTransfer(backbone(), 3).head_initialization == "probe"
    assert (
        ParameterTransfer(backbone(), 3, head_initialization="random").head_initialization
        == "random"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer_decay": 0.0}, "layer_decay must be in"),
        ({"layer_decay": 1.5}, "layer_decay must be in"),
        ({"gradual_unfreezing": 0.0}, "share of the training"),
        ({"weight_decay": float("nan")}, "from 0 up.*weight_decay=nan"),
        ({"warm_up": 1.0}, "warm_up must be in"),
        ({"label_smoothing": 1.0}, "label_smoothing must be in"),
        ({"learning_rate": -1.0}, "learning_rate must be 'auto', or a number above zero"),
        ({"head_initialization": "zeros"}, "head_initialization must be one of"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        ParameterTransfer(backbone(), 3, **arguments)


def test_a_network_without_parameters():
    network = keras.Sequential([keras.Input((4,)), keras.layers.Rescaling(2.0)])
    with pytest.raises(ValueError, match="no parameters that could be tuned"):
        ParameterTransfer(network, 2)


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.long
def test_ants_and_bees_in_three_lines(shared_folder):
    folder = shared_folder / "data/ants_bees"
    # The middle square, as the network was trained on, instead of stretched photographs.
    options = {"image_size": 224, "crop_to_aspect_ratio": True}
    train = ktg.datasets.image_folder(folder / "train", shuffle=True, **options)
    held_out = ktg.datasets.image_folder(folder / "val", **options)
    module = shared_folder / "hub/mobilenet_v2_100_224_feature_vector"
    model = ParameterTransfer(module, num_classes=2, seed=0)
    history = model.fit(train, validation_data=held_out, validation_freq=3, epochs=3, verbose=0)
    assert history.history["val_accuracy"][-1] >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"layer_decay": 0.8}, {"gradual_unfreezing": 0.5}])
def test_a_sequential_network_with_an_optimizer_a_group_goes_on_from_its_file(tmp_path, settings):
    """Keras calls its variables otherwise in a file: `network/first/kernel` is `first/kernel`."""

    def made():
        layers = [keras.layers.Flatten(), keras.layers.Dense(4, name="first")]
        network = keras.Sequential(
            [keras.Input((8, 8, 1)), *layers, keras.layers.Dense(4, name="second")], name="network"
        )
        return ParameterTransfer(network, 3, head_initialization="random", seed=0, **settings)

    model = made()
    model.fit(IMAGES, LABELS, batch_size=8, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = ktg.load_model(tmp_path / "model.keras")
    states = [[np.asarray(each) for each in one.optimizer.variables] for one in (model, loaded)]
    assert len(states[0]) == len(states[1]) > 10
    for one, other in zip(*states):
        np.testing.assert_array_equal(one, other)
    for one in (model, loaded):
        one.fit(IMAGES, LABELS, batch_size=8, epochs=1, shuffle=False, verbose=0)
    for one, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
