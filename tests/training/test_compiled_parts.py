"""A model made of compiled Keras models has its own metrics, and no one else's."""

import keras
import numpy as np
import pytest

import keras_transgen as ktg

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int64")


def compiled(metrics):
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu")])
    network.compile("adam", "mse", metrics=metrics)
    return network


@pytest.mark.parametrize("metrics", [None, ["mae"]])
@pytest.mark.parametrize("trained", [False, True])
def test_the_logs_of_a_compiled_backbone_are_the_models(metrics, trained):
    network = compiled(metrics)
    if trained:
        network.fit(X, np.zeros((60, 8)), verbose=0)
    model = ktg.ParameterTransfer(network, 2, learning_rate=1e-3, label_smoothing=0.0, seed=0)
    history = model.fit(X, Y, verbose=0, validation_data=(X, Y)).history
    assert sorted(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    logits = model.predict(X, verbose=0).astype("float64")
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    loss = -np.log(shares[np.arange(60), Y]).mean()
    assert history["val_loss"][0] == pytest.approx(loss, rel=1e-4)
    assert history["val_accuracy"][0] == pytest.approx((logits.argmax(axis=1) == Y).mean())


def test_a_compiled_head_and_features(tmp_path):
    head = keras.Sequential([keras.layers.Dense(8, "relu"), keras.layers.Dense(2)])
    head.compile("adam", "mse", metrics=["mae"])
    model = ktg.TransferModel(compiled(["mae"]), head=head, pooling="average")
    history = model.fit(X, Y, verbose=0).history
    assert sorted(history) == ["accuracy", "loss"]
    assert history["loss"][0] > 0.0
    frozen = ktg.FeatureTransfer(compiled(["mae"]), 2)
    frozen.fit(X, Y, verbose=0)
    logs = frozen.evaluate(X, Y, verbose=0, return_dict=True)
    assert sorted(logs) == ["accuracy", "loss"]
    assert logs["accuracy"] == pytest.approx((frozen.classify(X, verbose=0) == Y).mean())
