"""HDF5 files of whole models, which nothing can read, are refused before anything trains."""

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.transfer import FeatureTransfer, TransferModel
from tests.transfer.tiny import IMAGES, LABELS, backbone

MODELS = {
    "TransferModel": lambda: (TransferModel(backbone(), 3), (IMAGES, LABELS)),
    "FeatureTransfer": lambda: (FeatureTransfer(backbone(), 3), (IMAGES, LABELS)),
    "VAE": lambda: (ktg.VAE((8, 8, 1), 2), (IMAGES,)),
    "GAN": lambda: (ktg.GAN(image_shape=(8, 8, 1), value_range=(0.0, 1.0)), (IMAGES,)),
}


@pytest.mark.parametrize("name", MODELS)
def test_saving_is_refused(name, tmp_path):
    model, _ = MODELS[name]()
    for file in ("x.h5", "x.hdf5"):
        with pytest.raises(ValueError, match=r"name\.keras.*Received: filepath"):
            model.save(tmp_path / file)
        assert not (tmp_path / file).exists()
        with pytest.raises(ValueError, match=r"name\.keras"):
            keras.saving.save_model(model, tmp_path / file)


@pytest.mark.parametrize("name", MODELS)
def test_checkpoints_are_refused_before_training(name, tmp_path):
    model, data = MODELS[name]()
    before = [weight.numpy() for weight in model.trainable_weights]
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "x.h5")
    for callbacks in (checkpoint, [checkpoint], [keras.callbacks.History(), checkpoint]):
        with pytest.raises(ValueError, match="Received: ModelCheckpoint"):
            model.fit(*data, callbacks=callbacks, verbose=0)
    for old, weight in zip(before, model.trainable_weights, strict=True):
        np.testing.assert_array_equal(old, weight.numpy())


def test_weights_and_keras_files_go_on_working(tmp_path):
    model = TransferModel(backbone(), 3)
    weights = keras.callbacks.ModelCheckpoint(tmp_path / "x.weights.h5", save_weights_only=True)
    model.fit(
        IMAGES,
        LABELS,
        callbacks=[weights, keras.callbacks.ModelCheckpoint(tmp_path / "x.keras")],
        verbose=0,
    )
    fresh = TransferModel(backbone(), 3)
    fresh.load_weights(tmp_path / "x.weights.h5")
    loaded = ktg.load_model(tmp_path / "x.keras")
    for one in (fresh, loaded):
        np.testing.assert_allclose(
            one.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0), atol=1e-6
        )
