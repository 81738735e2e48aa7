"""The range test: its losses are those of plain training, and the model is as it was."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.training import TrainerModel
from keras_transgen.transfer import ParameterTransfer, TransferModel, find_learning_rate
from tests.transfer.tiny import IMAGES, LABELS, backbone


def state(model):
    found = [variable.numpy() for variable in model.variables]
    found += [value.numpy() for value in vars(model.progress).values() if hasattr(value, "numpy")]
    if model.compiled:
        found += [variable.numpy() for variable in model.optimizer.variables]
    return found


def assert_same(before, after):
    assert len(before) == len(after)
    for old, new in zip(before, after):
        np.testing.assert_array_equal(old, new)


@keras.saving.register_keras_serializable(package="tests")
class Parabola(TrainerModel):
    """One weight; the loss is half its curvature times its square."""

    def __init__(self):
        super().__init__()
        self.point = self.add_weight(shape=(), initializer="ones", name="point")
        self.built = True

    def call(self, x):
        return self.point * x


def test_losses_are_those_of_gradient_descent():
    model = Parabola()
    # The loss is the mean of 4 w^2, its slope 8 w.
    model.compile(keras.optimizers.SGD(0.5), "mse")
    x, y = np.full((8, 1), 2.0, "float32"), np.zeros((8, 1), "float32")
    found = find_learning_rate(model, x, y, batch_size=8, lowest=1e-3, highest=10.0, steps=30)
    point, expected = 1.0, []
    for rate in 1e-3 * 1e4 ** (np.arange(30) / 29):
        expected.append(4 * point**2)
        point -= rate * 8 * point
    count = len(found.losses)
    np.testing.assert_allclose(found.losses, expected[:count], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(found.learning_rates, 1e-3 * 1e4 ** (np.arange(count) / 29))
    # It stopped when the loss had diverged, and suggests a rate at which descent converges.
    assert count < 30
    assert 1e-3 < found.suggestion < 2 / 8
    labels = [line.get_label() for line in found.plot().axes[0].lines]
    assert f"suggested: {found.suggestion:.2g}" in labels
    # The loss that ended the test does not lift the smoothed ones before it.
    assert found.losses[-1] > 4 * found.losses[-2]
    assert found.smoothed[-1] == found.losses[-1]
    assert found.smoothed[:-1].max() <= found.losses[:-1].max() * 1.1
    assert float(model.point.numpy()) == 1.0


@pytest.mark.slow
def test_everything_is_put_back_bit_for_bit():
    model = TransferModel(
        backbone(trainable=True, normalization="adapt"),
        3,
        augmentation=[keras.layers.RandomFlip(seed=1)],
        dropout=0.5,
        seed=4,
    )
    model.compile(keras.optimizers.Adam(0.01), steps_per_execution=2)
    model.fit(IMAGES, LABELS, batch_size=8, verbose=0)
    before, optimizer = state(model), model.optimizer
    find_learning_rate(model, IMAGES, LABELS, batch_size=8, steps=8)
    assert_same(before, state(model))
    assert model.optimizer is optimizer
    assert model.steps_per_execution == 2
    history = model.fit(IMAGES, LABELS, batch_size=8, verbose=0).history
    assert np.isfinite(history["loss"][0])


def test_training_afterwards_is_as_without_it():
    kernels = []
    for looked in (False, True):
        keras.utils.set_random_seed(3)
        model = TransferModel(backbone(), 3, seed=1)
        model.compile(keras.optimizers.Adam(0.01))
        if looked:
            find_learning_rate(model, IMAGES, LABELS, batch_size=8, steps=6)
        model.fit(IMAGES, LABELS, batch_size=8, verbose=0)
        kernels.append(model.head.kernel.numpy())
    np.testing.assert_array_equal(*kernels)


def test_a_model_that_is_not_compiled_stays_so():
    model = TransferModel(backbone(), 3)
    before = state(model)
    find_learning_rate(model, IMAGES, LABELS, steps=6)
    assert not model.compiled
    assert_same(before, state(model))


def test_an_error_on_the_way_puts_back_too():
    model = TransferModel(backbone(), 3)
    model.compile(keras.optimizers.Adam(0.01))
    before, optimizer = state(model), model.optimizer
    with pytest.raises(ValueError, match="subtract 1"):
        find_learning_rate(model, IMAGES, LABELS + 1)
    assert_same(before, state(model))
    assert model.optimizer is optimizer


@pytest.mark.slow
def test_rates_by_layer_keep_their_proportions():
    model = ParameterTransfer(backbone(), 3, layer_decay=0.5, warm_up=0.0, learning_rate=0.3)
    model.compile(model.default_optimizer(3, 4))
    built = []
    prepare = model.prepare_optimizer
    model.prepare_optimizer = lambda *args, **kw: built.append(prepare(*args, **kw)) or built[-1]
    find_learning_rate(model, IMAGES, LABELS, lowest=1e-6, highest=1e-2, steps=5)
    rates = {
        variable.path: float(each._learning_rate(4))
        for each in built[0].optimizers
        for variable in each._trainable_variables
    }
    assert rates["head/kernel"] == pytest.approx(1e-2, rel=1e-2)
    assert rates["block_2_conv/kernel"] == pytest.approx(0.5e-2, rel=1e-2)
    assert rates["stem_conv/kernel"] == pytest.approx(0.125e-2, rel=1e-2)


def test_takes_data_sets_and_draws():
    model = TransferModel(backbone(), 3)
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(8)
    found = find_learning_rate(model, dataset, steps=6)
    assert len(found.losses) == 6
    np.testing.assert_array_equal(found.plot().axes[0].lines[0].get_ydata(), found.losses)


def test_a_flat_curve_warns_and_says_to_read_it():
    model = Parabola()
    model.compile(keras.optimizers.SGD(0.5), "mse")
    # No x, no slope: the loss is that of the labels, whatever the rate.
    x, y = np.zeros((8, 1), "float32"), np.ones((8, 1), "float32")
    with pytest.warns(UserWarning, match=r"suggests no rate.*Read the curve") as caught:
        found = find_learning_rate(model, x, y, batch_size=8, lowest=1e-3, steps=30)
    (warning,) = [each for each in caught if each.category is UserWarning]
    assert "30 of 30 steps" in str(warning.message)
    assert warning.filename == __file__
    assert found.suggestion is None
    np.testing.assert_allclose(found.losses, 1.0)
    # The curve can be drawn all the same.
    assert not any("suggested" in line.get_label() for line in found.plot().axes[0].lines)


@pytest.mark.parametrize(
    "arguments", [{"lowest": 0.0}, {"lowest": 1.0, "highest": 0.1}, {"steps": 2}]
)
def test_refuses_what_is_no_range(arguments):
    with pytest.raises(ValueError, match="A range needs"):
        find_learning_rate(TransferModel(backbone(), 3), IMAGES, LABELS, **arguments)


def test_validation_losses_are_those_of_gradient_descent_from_the_same_weights():
    model = Parabola()
    model.compile(keras.optimizers.SGD(0.5), "mse")
    x, y = np.full((8, 1), 2.0, "float32"), np.zeros((8, 1), "float32")
    held = (np.full((5, 1), 3.0, "float32"), np.zeros((5, 1), "float32"))
    options = {"batch_size": 8, "lowest": 1e-3, "highest": 1.0, "steps": 6}
    found = find_learning_rate(model, x, y, validation_data=held, **options)
    # Half decades; the rate rises over three steps, then stays. The training slope is 8 w, the
    # loss of the validation data 9 w^2.
    rates = 10.0 ** np.array([-3, -2.5, -2, -1.5, -1, -0.5, 0])
    expected = []
    for rate in rates:
        point = 1.0
        for share in (0.25, 0.5, 0.75, 1.0, 1.0, 1.0):
            point -= rate * share * 8 * point
        expected.append(9 * point**2)
    count = len(found.losses)
    np.testing.assert_allclose(found.learning_rates, rates[:count])
    np.testing.assert_allclose(found.losses, expected[:count], rtol=1e-3)
    assert found.loss_before == pytest.approx(9.0)
    assert found.suggestion == pytest.approx(rates[np.argmin(expected)])
    # It ended where the loss had diverged.
    assert found.losses[-1] > 36.0
    assert float(model.point.numpy()) == 1.0
    assert found.plot().axes[0].lines


def test_after_a_probe_the_held_out_loss_tells_a_rate_and_everything_is_put_back():
    model = ParameterTransfer(backbone(), 3, seed=0)
    model.initialize_head(IMAGES[:12], LABELS[:12])
    before = state(model)
    data = tf.data.Dataset.from_tensor_slices((IMAGES[12:], LABELS[12:])).batch(4)
    found = find_learning_rate(
        model, IMAGES[:12], LABELS[:12], validation_data=data, lowest=1e-4, highest=1e-2
    )
    assert_same(before, state(model))
    assert not model.compiled
    assert np.isfinite(found.losses).all()
    if found.suggestion is not None:
        assert found.losses.min() < found.loss_before


def test_a_model_that_cannot_be_bettered_says_so():
    model = Parabola()
    model.point.assign(0.0)
    model.compile(keras.optimizers.SGD(0.5), "mse")
    x, y = np.ones((4, 1), "float32"), np.zeros((4, 1), "float32")
    with pytest.warns(UserWarning, match="No rate lowers the loss of the validation data"):
        found = find_learning_rate(model, x, y, validation_data=(x, y))
    assert found.suggestion is None


def test_validation_data_without_an_end_are_refused():
    x, y = np.ones((8, 8, 8, 1), "float32"), np.arange(8) % 2
    endless = tf.data.Dataset.from_tensor_slices((x, y)).batch(4).repeat()
    with pytest.raises(ValueError, match=r"leave out .repeat\(\)"):
        find_learning_rate(TransferModel(backbone(), 2), x, y, validation_data=endless)
