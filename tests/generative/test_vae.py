"""Training of the VAE: the objective by closed forms, the harness, the logs, the errors."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_transgen.evaluation import active_units
from keras_transgen.generative.beta_schedules import LinearWarmup
from keras_transgen.generative.likelihoods import Gaussian
from keras_transgen.generative.networks import (
    convolutional_decoder,
    convolutional_encoder,
    dense_decoder,
    dense_encoder,
)
from keras_transgen.generative.priors import Mixture, VampPrior
from keras_transgen.generative.vae import VAE
from tests.generative.models import DataNoiseVAE, LinearGaussian
from tests.harness import ModelCase, every_check

RNG = np.random.default_rng(0)
VECTORS = RNG.uniform(size=(24, 6)).astype("float32")
IMAGES = RNG.integers(0, 256, (24, 8, 8, 1)).astype("uint8")
MODEL = LinearGaussian()


def dense_vae(kind=VAE, **kwargs):
    shape = (6,)
    return kind(
        shape, 3, encoder=dense_encoder(shape, (8,), "tanh"), decoder=dense_decoder(3, shape, (8,)),
        **kwargs,
    )  # fmt: skip


def image_vae(**kwargs):
    return VAE((8, 8, 1), 3, **kwargs)


def small_image_vae():
    shape = (8, 8, 1)
    return VAE(
        shape,
        3,
        likelihood="discretized_logistic",
        encoder=convolutional_encoder(shape, 2, 8, "tanh"),
        decoder=convolutional_decoder(3, (8, 8, 2), 2, 8, "tanh"),
        prior=VampPrior(4),
    )


def case(make, data, **kwargs):
    return ModelCase(
        make=make,
        data=(data,),
        compile=lambda model, **arguments: model.compile("adam", **arguments),
        outputs=("log_likelihood", (data[:5],), {"num_samples": 4}),
        imports=("tests.generative.models",),
        **{"tolerance": None, **kwargs},
    )


CASES = {
    "vectors, free bits over replicas": case(
        lambda: dense_vae(DataNoiseVAE, free_bits=0.35, likelihood="gaussian"),
        VECTORS,
        tolerance=1e-5,
    ),
    "importance weights, mixture, warm-up": case(
        lambda: dense_vae(
            num_importance_samples=3, prior=Mixture(4), beta=LinearWarmup(5, start=0.1)
        ),
        VECTORS,
        moves=lambda path: True,
    ),
    "bytes, convolutions, pseudo-inputs": case(small_image_vae, IMAGES),
}


@pytest.mark.parametrize(("name", "check"), every_check(CASES))
def test_model(name, check, tools):
    check(CASES[name], tools)


# The objective


def evaluated(vae, x, **kwargs):
    vae.compile(jit_compile=False)
    return vae.evaluate(x, verbose=0, return_dict=True, **kwargs)


def test_the_loss_is_the_evidence_lower_bound():
    x = MODEL.data(4000)
    vae = MODEL.vae(shift=0.3, stretch=1.4)
    logs = evaluated(vae, x, batch_size=1000)
    expected = -MODEL.log_likelihood(x).mean() + MODEL.gap(0.3, 1.4)
    assert logs["loss"] == pytest.approx(expected, abs=0.03)
    scale = 1.4 * MODEL.posterior_scale
    mean = (x - MODEL.bias) @ MODEL.encode.T + 0.3
    kl = (0.5 * (scale**2 + mean**2 - 1) - np.log(scale)).sum(-1).mean()
    assert logs["kl"] == pytest.approx(kl, rel=1e-4)
    assert logs["loss"] == pytest.approx(logs["reconstruction"] + logs["kl"], abs=1e-3)
    assert logs["active_units"] == active_units(mean) == 2


def test_at_the_true_posterior_the_loss_is_the_negative_log_likelihood():
    x = MODEL.data(2000)
    loss = evaluated(MODEL.vae(), x, batch_size=2000)["loss"]
    # The KL is the mean one, the reconstruction one draw's, so single examples do not cancel.
    assert loss == pytest.approx(-MODEL.log_likelihood(x).mean(), abs=0.06)


def test_the_importance_weighted_loss_lies_between():
    x = MODEL.data(4000)
    losses = [
        evaluated(
            MODEL.vae(shift=0.4, stretch=1.5, num_importance_samples=count), x, batch_size=1000
        )["loss"]
        for count in (1, 3, 10)
    ]
    truth = -MODEL.log_likelihood(x).mean()
    assert losses[0] > losses[1] + 0.05 > losses[2] + 0.1 > truth


def test_the_importance_weighted_loss_is_exact_at_the_true_posterior():
    x = MODEL.data(50)
    vae = MODEL.vae(num_importance_samples=2)
    loss = evaluated(vae, x, batch_size=50)["loss"]
    assert loss == pytest.approx(-MODEL.log_likelihood(x).mean(), abs=1e-3)


def test_beta_weighs_the_kl():
    x = MODEL.data(64)
    logs = [evaluated(MODEL.vae(shift=0.3, beta=beta, seed=1), x) for beta in (1.0, 4.0)]
    assert logs[0]["kl"] == pytest.approx(logs[1]["kl"])
    assert logs[1]["loss"] - logs[0]["loss"] == pytest.approx(3 * logs[0]["kl"], rel=1e-4)


def test_free_bits_count_in_the_loss_only():
    x = MODEL.data(64)
    vae = MODEL.vae(free_bits=100.0)
    logs = evaluated(vae, x, batch_size=64)
    assert logs["kl"] < 10
    assert logs["loss"] == pytest.approx(logs["reconstruction"] + 200.0, rel=1e-5)


def test_free_bits_of_a_prior_without_units():
    vae = dense_vae(free_bits=50.0, prior="mixture")
    logs = evaluated(vae, VECTORS)
    assert logs["loss"] == pytest.approx(logs["reconstruction"] + 150.0, rel=1e-5)


@pytest.mark.slow
def test_sample_weights():
    """Weights of 0 leave examples out; the mean is still over all."""
    weights = np.repeat([2.0, 0.0], 12).astype("float32")
    full = dense_vae(DataNoiseVAE)
    whole = evaluated(full, VECTORS[:12], batch_size=24)
    weighted = evaluated(full, VECTORS, sample_weight=weights, batch_size=24)
    full.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    fitted = full.fit(
        VECTORS, sample_weight=weights, batch_size=24, verbose=0,
        validation_data=(VECTORS, None, weights),
    ).history  # fmt: skip
    for name in ("loss", "reconstruction", "kl"):
        assert weighted[name] == pytest.approx(whole[name], rel=1e-5)
        assert fitted[name][0] == pytest.approx(whole[name], rel=1e-5)
        assert fitted[f"val_{name}"][0] == pytest.approx(whole[name], rel=1e-5)


def test_regularizers_count():
    encoder = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(4, kernel_regularizer=keras.regularizers.L2(0.5))]
    )
    vae = VAE((6,), 3, encoder=encoder)
    logs = evaluated(vae, VECTORS)
    extra = 0.5 * np.square(encoder.layers[0].kernel.numpy()).sum()
    assert logs["loss"] - logs["reconstruction"] - logs["kl"] == pytest.approx(extra, rel=1e-3)


@pytest.mark.slow
def test_training_finds_the_likelihood():
    """Learned by gradients, the bound comes close to the truth it may not cross."""
    x = MODEL.data(2000)
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(5)])
    encoder = keras.Sequential([keras.Input((5,)), keras.layers.Identity()])
    vae = VAE((5,), 2, Gaussian(), encoder, decoder, seed=0)
    before = evaluated(vae, x)["loss"]
    vae.compile(keras.optimizers.Adam(0.02), jit_compile=False)
    vae.fit(x, batch_size=100, epochs=20, verbose=0)
    after = evaluated(vae, x)["loss"]
    # The optimum is the maximum-likelihood model, a little better than the one that drew the data.
    truth = -MODEL.log_likelihood(x).mean()
    assert before > truth + 2.0
    assert truth - 0.03 < after < truth + 0.1
    assert vae.likelihood.log_sigma.numpy() == pytest.approx(np.log(0.7), abs=0.05)


# Beta


@pytest.mark.slow
def test_a_schedule_sets_the_variable_every_step():
    vae = dense_vae(beta=LinearWarmup(4))
    vae.compile("adam", steps_per_execution=1, jit_compile=False)
    seen = []
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(float(logs["beta"]))
    )
    vae.fit(VECTORS, batch_size=8, epochs=2, verbose=0, callbacks=[callback])
    assert seen == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert float(vae.beta) == 1.0
    vae.evaluate(VECTORS, verbose=0)
    assert float(vae.beta) == 1.0


def test_beta_can_be_assigned_between_compiled_steps():
    vae = MODEL.vae(beta=1.0)
    vae.compile(keras.optimizers.SGD(0.0), jit_compile=True)
    x = MODEL.data(32)
    first = vae.fit(x, verbose=0, shuffle=False).history
    vae.beta.assign(3.0)
    second = vae.fit(x, verbose=0, shuffle=False).history
    assert second["kl"] == pytest.approx(first["kl"], rel=1e-5)
    assert second["loss"][0] - second["reconstruction"][0] == pytest.approx(
        3 * first["kl"][0], rel=1e-4
    )


# fit


@pytest.mark.slow
def test_defaults_and_logs():
    images = IMAGES[..., :1]
    vae = image_vae()
    history = vae.fit(images, batch_size=8, epochs=2, validation_data=images[:8], verbose=0).history
    assert set(history) == {
        "loss", "reconstruction", "kl",
        "val_loss", "val_reconstruction", "val_kl", "val_active_units",
    }  # fmt: skip
    assert history["loss"][1] < history["loss"][0]
    assert isinstance(vae.optimizer, keras.optimizers.Adam)
    assert float(vae.optimizer.learning_rate) == pytest.approx(1e-3)


def test_steps_at_a_time():
    dense, images = dense_vae(), image_vae()
    dense.compile()
    images.compile()
    assert (dense.steps_per_execution, images.steps_per_execution) == (16, 1)
    dense.compile(steps_per_execution=3)
    assert dense.steps_per_execution == 3


@pytest.mark.slow
@pytest.mark.long
def test_steps_at_a_time_on_replicas(two_replicas):
    with two_replicas.scope():
        vae = dense_vae()
    # Compiled by fit, outside the scope.
    vae.fit(VECTORS, batch_size=8, verbose=0)
    assert vae.steps_per_execution == 1
    assert len(vae.optimizer.iterations.value.values) == 2


def test_logs_are_means_over_the_epoch():
    vae = dense_vae(DataNoiseVAE)
    vae.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    in_parts = vae.fit(VECTORS, batch_size=7, verbose=0).history
    whole = vae.fit(VECTORS, batch_size=24, verbose=0).history
    for name in ("loss", "reconstruction", "kl"):
        assert in_parts[name] == pytest.approx(whole[name], rel=1e-4)


def test_labelled_data_sets():
    data = tf.data.Dataset.from_tensor_slices((IMAGES, np.arange(24))).batch(8)
    history = image_vae().fit(data, validation_data=data, verbose=0).history
    assert np.isfinite(history["val_loss"]).all()


@pytest.mark.slow
def test_noise_differs_between_steps_and_comes_back_with_the_seed():
    def losses(seed):
        keras.utils.set_random_seed(0)
        vae = dense_vae(seed=seed)
        vae.compile(keras.optimizers.SGD(0.0), jit_compile=False)
        return vae.fit(VECTORS, batch_size=24, epochs=3, verbose=0).history["loss"]

    first = losses(1)
    assert len(set(first)) == 3
    assert losses(1) == first
    assert losses(2) != first


def test_keras_average_of_the_weights():
    """A VAE has no moving average built in; Keras' optimizers and `SwapEMAWeights` give one."""
    seen = []
    vae = dense_vae()
    vae.compile(
        keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8),
        steps_per_execution=1,
        jit_compile=False,
    )
    record = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(
            [weight.numpy() for weight in vae.trainable_weights]
        )
    )
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    vae.fit(VECTORS, batch_size=8, verbose=0, callbacks=[record, swap])
    expected = seen[0]
    for weights in seen[1:]:
        expected = [0.8 * old + 0.2 * new for old, new in zip(expected, weights)]
    for average, weight, last in zip(expected, vae.trainable_weights, seen[-1]):
        np.testing.assert_allclose(weight.numpy(), average, atol=1e-6)
        assert not np.allclose(average, last, atol=1e-7)


@pytest.mark.slow
@pytest.mark.long
def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.progress.step.numpy() == 8:
                raise KeyboardInterrupt

    def run(*callbacks):
        keras.utils.set_random_seed(1)
        vae = dense_vae(beta=LinearWarmup(10), prior=Mixture(3))
        vae.compile("adam", steps_per_execution=2)
        vae.fit(VECTORS, batch_size=4, epochs=3, verbose=0, callbacks=list(callbacks))
        return [weight.numpy() for weight in vae.weights]

    def backup():
        return keras.callbacks.BackupAndRestore(str(tmp_path / "backup"), save_freq=2)

    expected = run()
    with pytest.raises(KeyboardInterrupt):
        run(backup(), Stop())
    for one, other in zip(expected, run(backup())):
        np.testing.assert_array_equal(one, other)


def test_mixed_precision_keeps_heads_and_parameters_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    vae = image_vae()
    posterior = vae.encode(IMAGES)
    assert posterior.dtype == tf.float32
    assert vae.encoder.compute_dtype == "float16"
    vae.compile()
    assert isinstance(vae.optimizer, keras.optimizers.LossScaleOptimizer)
    # 2^15 over the 64 values of an image.
    assert float(vae.optimizer.initial_scale) == 512.0
    assert np.isfinite(vae.fit(IMAGES, verbose=0).history["loss"]).all()


# Errors, before training


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"latent_dim": 0}, "latent_dim=0"),
        ({"beta": -1.0}, "beta=-1"),
        ({"beta": "warm"}, "beta"),
        ({"free_bits": -0.1}, "free_bits=-0.1"),
        ({"num_importance_samples": 0}, "num_importance_samples=0"),
        ({"num_importance_samples": 2, "free_bits": 0.1}, "choose one"),
        ({"likelihood": "poisson"}, "likelihood='poisson'"),
        ({"prior": "flat"}, "prior='flat'"),
        ({"input_shape": (3, 8, 1)}, "at least 4x4"),
        ({"prior": tfp.distributions.MultivariateNormalDiag([0.0, 0.0])}, "32 units"),
        (
            {"decoder": dense_decoder(32, (28, 28, 2), (4,))},
            r"\(28, 28, 1\).*Received: \(28, 28, 2\)",
        ),
        (
            {"decoder": dense_decoder(32, (28, 28, 1), (4,)), "likelihood": "categorical"},
            r"Categorical.*\(28, 28, 256\).*Received: \(28, 28, 1\)",
        ),
    ],
)
def test_wrong_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        VAE(**kwargs)


def test_grey_values_of_bytes_as_floats():
    with pytest.raises(ValueError, match="Bernoulli likelihood needs values in"):
        image_vae().fit(IMAGES.astype("float32"))


def test_validation_data_are_checked_too():
    vae = dense_vae()
    with pytest.raises(ValueError, match="from 0 to 2"):
        vae.fit(VECTORS, validation_data=np.array([[0.0, 2.0] * 3]), verbose=0)
    assert int(vae.progress.step.numpy()) == 0


def test_a_diverged_run_names_the_step():
    vae = dense_vae(likelihood=Gaussian(sigma=1.0))
    vae.compile(keras.optimizers.SGD(1e30), jit_compile=False)
    with pytest.raises(ArithmeticError, match="at step"):
        vae.fit(VECTORS, batch_size=8, epochs=5, verbose=0)


def test_the_shape_has_the_name_that_a_gan_gives_it_too():
    vae = VAE(example_shape=(6,), latent_dim=2, likelihood="gaussian")
    assert vae.sample(3).shape == (3, 6)
    assert VAE.from_config(vae.get_config()).sample(3).shape == (3, 6)
