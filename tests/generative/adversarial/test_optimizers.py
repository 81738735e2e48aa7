"""What a model of two players has in the place of one optimizer."""

import keras
import pytest

from keras_transgen.generative.adversarial.optimizers import PlayersOptimizers, default_optimizers
from tests.generative.adversarial.adversarial_models import IMAGES, tiny_gan


def test_by_default_both_are_adam_as_in_dcgan_and_the_discriminators_is_twice_as_quick():
    generator, discriminator = default_optimizers(object())
    for optimizer, rate in ((generator, 2e-4), (discriminator, 4e-4)):
        assert type(optimizer) is keras.optimizers.Adam
        assert float(optimizer.learning_rate) == pytest.approx(rate)
        assert optimizer.beta_1 == 0.5
        assert optimizer.beta_2 == 0.999


def test_a_discriminator_may_propose_others():
    class Proposing:
        def default_optimizers(self):
            return "one", "two"

    assert default_optimizers(Proposing()) == ("one", "two")


def test_counts_the_steps_of_the_first_and_holds_the_states_of_all():
    gan = tiny_gan()
    first, second = keras.optimizers.SGD(0.1, 0.9), keras.optimizers.SGD(0.1)
    gan.compile(first, second, jit_compile=False)
    both = gan.optimizer
    assert isinstance(both, PlayersOptimizers)
    assert both.optimizers == (first, second)
    assert both.variables == [*first.variables, *second.variables]
    gan.fit(IMAGES, batch_size=8, verbose=0)
    assert int(both.iterations) == 3
    assert both.built


@pytest.mark.parametrize("callback", ["LearningRateScheduler", "ReduceLROnPlateau"])
def test_keras_callbacks_change_the_rates_of_both(callback):
    gan = tiny_gan()
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.2), jit_compile=False)
    given = {
        "LearningRateScheduler": lambda: keras.callbacks.LearningRateScheduler(
            lambda epoch, rate: rate / 2
        ),
        "ReduceLROnPlateau": lambda: keras.callbacks.ReduceLROnPlateau(
            monitor="real_score", mode="max", factor=0.25, patience=1, min_delta=1e9
        ),
    }[callback]()
    gan.fit(IMAGES, batch_size=24, epochs=2, verbose=0, callbacks=[given])
    rates = [float(each.learning_rate) for each in gan.optimizer.optimizers]
    assert rates == pytest.approx([0.1 / 4, 0.2 / 4])
