"""Searches over VAEs: the bound they compare is the same for all trials."""

import keras
import keras_tuner
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.tuning import VAEHyperModel
from tests.tuning.tiny import few_digits

SMALL = {"network": "dense", "hidden_units": [8, 16], "latent_dim": [2, 3]}


@pytest.mark.slow
def test_the_objective_is_the_bound_whatever_a_trial_trains_with(tmp_path):
    """Against `evaluate`: with beta 4 the loss is another number, the objective is not."""
    (x, _), (held_out, _) = few_digits()
    search = VAEHyperModel((8, 8, 1), space={**SMALL, "beta": [4.0, 0.5], "free_bits": 0.0})
    logs = []

    class Keep(keras.callbacks.Callback):
        def __deepcopy__(self, memo):
            return self

        def on_epoch_end(self, epoch, logs_of_epoch=None):
            logs.append((float(self.model.beta.numpy()), dict(logs_of_epoch)))

    tuner = keras_tuner.RandomSearch(
        search, search.objective, max_trials=2, seed=1, directory=str(tmp_path)
    )
    tuner.search(
        x, validation_data=held_out, batch_size=20, epochs=2, callbacks=[Keep()], verbose=0
    )
    assert len(logs) == 4
    for beta, each in logs:
        whole = each["val_reconstruction"] + each["val_kl"]
        assert each["val_negative_elbo"] == pytest.approx(whole, rel=1e-5)
        assert each["val_loss"] == pytest.approx(
            each["val_reconstruction"] + beta * each["val_kl"], rel=1e-4
        )
    best = tuner.oracle.get_best_trials()[0]
    assert best.score == pytest.approx(min(each["val_negative_elbo"] for _, each in logs))
    (model,) = tuner.get_best_models()
    model.save(tmp_path / "vae.keras")
    loaded = ktg.load_model(tmp_path / "vae.keras")
    measured = loaded.evaluate(held_out, batch_size=20, verbose=0, return_dict=True)
    # One draw of the noise against another, of a bound of some 45 nats.
    assert measured["reconstruction"] + measured["kl"] == pytest.approx(best.score, rel=0.03)


def test_values_become_the_networks_they_name():
    search = VAEHyperModel((12, 8, 3), likelihood="discretized_logistic", seed=3)
    hp = keras_tuner.HyperParameters()
    hp.values = {"latent_dim": 16, "network": "convolutional", "filters": 16, "hidden_units": 128,
                 "learning_rate": 2e-3, "free_bits": 0.2}  # fmt: skip
    search.declare_hyperparameters(hp)
    model = search.build(hp)
    assert isinstance(model, ktg.VAE)
    assert (model.latent_dim, model.free_bits) == (16, 0.2)
    assert model.encoder.layers[0].filters == 16
    assert model.encoder.output_shape == (None, 128)
    assert float(model.optimizer.learning_rate) == pytest.approx(2e-3)
    assert model.sample(2, seed=0).shape == (2, 12, 8, 3)


@pytest.mark.parametrize("setting", [True, False])
def test_compilation_by_xla_can_be_fixed(setting):
    search = VAEHyperModel((4,), space={**SMALL, "jit_compile": setting})
    assert search.space["jit_compile"] is setting
    model = search.build(keras_tuner.HyperParameters())
    # A dense network is compiled unless one says otherwise; the file keeps what was said.
    assert model.jit_compile is setting
    assert model.get_compile_config()["jit_compile"] is setting
    with pytest.raises(ValueError, match="jit_compile"):
        VAEHyperModel((4,), space={"jit_compile": "never"})


def test_vectors_have_dense_networks_only():
    space = VAEHyperModel((5,)).space
    assert space["network"] == "dense"
    assert "filters" not in space
    with pytest.raises(ValueError, match="convolutional"):
        VAEHyperModel((5,), space={"network": "convolutional"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": {"latent_dim": []}}, "at least one choice"),
        ({"space": {"likelihood": ["bernoulli"]}}, "no such hyperparameter"),
        ({"free_bits": 0.1}, "goes into space="),
        ({"encoder": None}, "goes into space="),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        VAEHyperModel((8, 8, 1), **arguments)


def test_the_bound_needs_validation_data(tmp_path):
    (x, _), _ = few_digits()
    search = VAEHyperModel((8, 8, 1), space=SMALL)
    tuner = keras_tuner.RandomSearch(search, search.objective, directory=str(tmp_path))
    with pytest.raises(keras_tuner.errors.FatalValueError, match=r"Give tuner\.search validation"):
        tuner.search(np.asarray(x), verbose=0)
