"""Weights of another architecture are refused, also where Keras would take a part of them."""

import keras
import numpy as np
import pytest

from keras_transgen.generative.networks import dense_decoder, dense_encoder
from keras_transgen.generative.vae import VAE
from keras_transgen.training import TrainerModel
from tests.generative.adversarial.adversarial_models import IMAGES, tiny_conditional_gan, tiny_gan


def vae(width=8, **kwargs):
    networks = dense_encoder((6,), (width,)), dense_decoder(3, (6,), (width,))
    return VAE((6,), 3, encoder=networks[0], decoder=networks[1], **kwargs)


OTHERS = {
    "a prior that has no weights": (lambda: vae(prior="mixture"), vae, "Received: .* of a VAE"),
    "a prior that has some": (vae, lambda: vae(prior="mixture"), "mixture.*Received"),
    "another width": (vae, lambda: vae(9), r"shape \[6, 9\].*Received: .*shape \[6, 8\]"),
    "another model": (vae, tiny_gan, "of a GAN.*Received: .* of a VAE"),
    "without its conditions": (tiny_conditional_gan, tiny_gan, "of a GAN.*ConditionalGAN"),
    "without its average": (tiny_gan, lambda: tiny_gan(ema_decay=None), "none of them number"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_weights_of_another_architecture(name, tmp_path):
    saved, loading, message = OTHERS[name]
    saved().save_weights(tmp_path / "a.weights.h5")
    model = loading()
    with pytest.raises(ValueError, match=f"(?s)of another architecture.*{message}"):
        model.load_weights(tmp_path / "a.weights.h5")


def test_weights_of_an_equal_model_whose_layers_have_other_names(tmp_path):
    first, second = vae(), vae()
    assert first.weights[0].path != second.weights[0].path
    first.save_weights(tmp_path / "a.weights.h5")
    second.load_weights(tmp_path / "a.weights.h5")
    for one, other in zip(first.weights, second.weights):
        np.testing.assert_array_equal(one, other)


def test_a_backup_of_another_architecture(tmp_path):
    def run(gan, epochs):
        backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"), delete_checkpoint=False)
        gan.compile(jit_compile=False)
        gan.fit(IMAGES, batch_size=24, epochs=epochs, verbose=0, callbacks=[backup])

    run(tiny_gan(), 1)
    with pytest.raises(ValueError, match="of another architecture"):
        run(tiny_gan(filters=3), 2)


def test_files_from_before_there_were_records():
    model, store = vae(), {}
    TrainerModel.save_own_variables(model, store)
    model.load_own_variables(store)
