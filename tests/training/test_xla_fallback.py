"""An op that XLA does not have: "auto" goes on without, True names the setting."""

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from tests.transfer.tiny import IMAGES

L = keras.layers


def _vae():
    keras.utils.set_random_seed(0)
    resize = L.UpSampling2D(2, interpolation="bicubic")
    layers = [keras.Input((2,)), L.Dense(16), L.Reshape((4, 4, 1)), resize]
    encoder = keras.Sequential([keras.Input((8, 8, 1)), L.Flatten(), L.Dense(8)])
    return ktg.VAE((8, 8, 1), 2, encoder=encoder, decoder=keras.Sequential(layers), seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_auto_trains_as_without_compilation(steps_per_execution):
    plain, auto = _vae(), _vae()
    settings = {"optimizer": "sgd", "steps_per_execution": steps_per_execution}
    plain.compile(jit_compile=False, **settings)
    auto.compile(**settings)
    assert auto.jit_compile
    with pytest.warns(UserWarning, match=r"compile\(jit_compile=False\)"):
        logs = auto.fit(IMAGES, batch_size=8, epochs=2, verbose=0).history
    expected = plain.fit(IMAGES, batch_size=8, epochs=2, verbose=0).history
    for name, values in expected.items():
        np.testing.assert_allclose(logs[name], values, rtol=1e-4)
    assert np.isfinite(auto.evaluate(IMAGES, verbose=0, return_dict=True)["loss"])


def test_evaluating_alone_falls_back_too():
    vae = _vae()
    vae.compile()
    with pytest.warns(UserWarning, match="XLA cannot compile"):
        vae.evaluate(IMAGES, verbose=0)


def test_true_names_the_setting():
    vae = _vae()
    vae.compile(jit_compile=True)
    with pytest.raises(ValueError, match=r"Received: jit_compile=True.*ResizeBicubic"):
        vae.fit(IMAGES, verbose=0)
