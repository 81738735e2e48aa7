"""The variational autoencoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.generative.active_units_metric import ActiveUnits
from keras_transgen.generative.beta_schedules import Schedule
from keras_transgen.generative.kl import kl_by_group, sum_with_free_bits
from keras_transgen.generative.latent_variable_model import LatentVariableModel, log_density
from keras_transgen.generative.likelihoods import Likelihood
from keras_transgen.generative.priors import Prior
from keras_transgen.training import loss_weight
from keras_transgen.training.compilation import prefers_xla
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.entrance import FIT_DATA, PARTS
from keras_transgen.training.gradients import num_replicas
from keras_transgen.training.trainer import batch_size_of

_STEPS_AT_A_TIME = 16
# The initial scale of Keras' LossScaleOptimizer.
_LOSS_SCALE_OF_MEANS = 2.0**15
_PARTS = ("encoder", "decoder", "likelihood", "prior")
# What a file gives as objects.
VAE_PARTS = {
    "encoder": Nested(keras.layers.Layer, optional=True),
    "decoder": Nested(keras.layers.Layer, optional=True),
    "likelihood": Nested(Likelihood, names=True),
    "prior": Nested(Prior, names=True),
    "beta": Nested(Schedule, numbers=True),
}


@keras.saving.register_keras_serializable(package="keras_transgen")
class VAE(LatentVariableModel):
    """A variational autoencoder: q(z|x) diagonal normal, p(z) and p(x|z) of your choice.

    It maximises the evidence lower bound, summed over values and latent units and averaged over the
    batch:

        loss = mean over x of ( -E[log p(x|z)] + beta KL(q(z|x) || p(z)) ),  z from q(z|x)

    or, with K = `num_importance_samples` above 1, the tighter bound

        loss = -mean over x of log 1/K sum over k of p(x|z_k) (p(z_k) / q(z_k|x))^beta

    `fit` logs `loss`, `reconstruction` (`-E[log p(x|z)]`, nats) and `kl` (nats, before `beta` and
    `free_bits`), the same with `val_`, and `val_active_units`, the number of latent units that the
    model uses on the validation data. Labels that come with the data are ignored.

    Args:
        input_shape: Shape of one example: `(height, width, channels)`, `(length, channels)` or
            `(features,)`. `example_shape`, as in `GAN`, is another name of it.
        latent_dim: Number of latent units. Defaults to 32.
        likelihood: `"bernoulli"` (the default), `"gaussian"`, `"discretized_logistic"`,
            `"categorical"`, an instance from `keras_transgen.generative.likelihoods`, or a callable
            from the decoder's output to a TFP distribution over examples. uint8 data are scaled to
            [0, 1] on the device; float data must lie in the likelihood's support.
        encoder: Keras model or layer, or a backbone, from an example to features; the heads for
            the posterior's mean and scale are added, in float32. The default is convolutional for
            images and dense for everything else.
        decoder: Keras model or layer from a latent vector to the likelihood's parameters (logits
            for Bernoulli). The default mirrors the default encoder.
        prior: `"standard_normal"` (the default), `"mixture"`, `"vamp"`, an instance from
            `keras_transgen.generative.priors`, or a TFP distribution over latent vectors. The KL is
            TFP's analytic one where it is known, else a Monte Carlo estimate.
        beta: Weight of the KL: a number, or a schedule from the step to one, such as
            `beta_schedules.LinearWarmup` or any of `keras.optimizers.schedules`. It is held in the
            variable `vae.beta`. Defaults to 1.
        free_bits: Nats that a latent unit may cost, on average over the batch, before its KL
            counts. A prior whose units are not independent normals has one KL, whose threshold is
            `free_bits * latent_dim`. Defaults to 0.
        num_importance_samples: Samples K of the bound. Defaults to 1.
        seed: Seed of noise and order. See `TrainerModel`.
        **kwargs: Passed to `keras.Model`.

    Raises:
        ValueError: If an argument is out of its range, the default networks cannot make images of
            this size, or the decoder's output is not what the likelihood needs.

    Example:
        ```python
        import keras_transgen as ktg

        images, _ = ktg.datasets.load_digits()
        vae = ktg.VAE(input_shape=(8, 8, 1), latent_dim=8)
        vae.fit(images, epochs=1, verbose=0)
        samples = vae.sample(64, seed=0)
        nats = vae.log_likelihood(images[:10], num_samples=50)
        ```

    Reference:
        Kingma and Welling, "Auto-Encoding Variational Bayes", 2013; Burda et al., "Importance
        Weighted Autoencoders", 2016; Higgins et al., "beta-VAE", 2017; Kingma et al., "Improving
        Variational Inference with Inverse Autoregressive Flow", 2016 (free bits).
    """

    weighs_examples = True

    def __init__(
        self,
        input_shape: Sequence[int] = (28, 28, 1),
        latent_dim: int = 32,
        likelihood: Any = "bernoulli",
        encoder: keras.layers.Layer | None = None,
        decoder: keras.layers.Layer | None = None,
        prior: Any = "standard_normal",
        beta: float | Schedule = 1.0,
        free_bits: float = 0.0,
        num_importance_samples: int = 1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        # What a GAN calls it.
        input_shape = kwargs.pop("example_shape", input_shape)
        super().__init__(
            tuple(input_shape), latent_dim, likelihood, encoder, decoder, prior, seed=seed, **kwargs
        )
        _check_arguments(beta, free_bits, num_importance_samples)
        self.free_bits = float(free_bits)
        self.num_importance_samples = int(num_importance_samples)
        self.beta_schedule = beta if isinstance(beta, Schedule) else None
        self.beta = self.add_weight(
            name="beta",
            initializer=keras.initializers.Constant(float(beta(0) if callable(beta) else beta)),
            dtype="float32",
            trainable=False,
            aggregation="only_first_replica",
        )
        self._reconstruction_tracker = keras.metrics.Mean(name="reconstruction")
        self._kl_tracker = keras.metrics.Mean(name="kl")
        self._active_units = ActiveUnits(self.latent_dim)

    # Training

    def compile(
        self,
        optimizer: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int | str = "auto",
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Configure training; `fit` does it with these defaults where it has not been called.

        Args:
            optimizer: Keras optimizer or its name. Defaults to Adam with a learning rate of 0.001.
            run_eagerly: See `TrainerModel.compile`.
            steps_per_execution: Batches that one call of the training function takes. `"auto"`, the
                default, is 16 where a step takes milliseconds, which is on one GPU and for networks
                without convolutions, and 1 elsewhere. Callbacks are called once for all of them.
            jit_compile: See `TrainerModel.compile`.
            auto_scale_loss: See `TrainerModel.compile`.
        """
        # An optimizer's own variables belong to the strategy too.
        with self.distribute_strategy.scope():
            given = keras.optimizers.get(
                keras.optimizers.Adam(1e-3) if optimizer is None else optimizer
            )
            scales = auto_scale_loss and self.dtype_policy.name == "mixed_float16"
            optimizer = self._scaled_for_sums(given) if scales else given
        steps = steps_per_execution
        if steps == "auto":
            alone = self.distribute_strategy.num_replicas_in_sync == 1
            quick = alone and prefers_xla(self) and not run_eagerly
            steps = _STEPS_AT_A_TIME if quick else 1
        super().compile(
            optimizer=optimizer,
            run_eagerly=run_eagerly,
            steps_per_execution=int(steps),
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )
        self.remember_compile(
            optimizer=given,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            auto_scale_loss=auto_scale_loss,
        )

    def _scaled_for_sums(self, optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
        """An optimizer whose loss scale starts lower by the number of values that are summed.

        Keras' default suits means; of a sum over an image the first gradients would overflow, and
        as many steps be lost as it takes to halve the scale down.
        """
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            return optimizer
        halvings = math.ceil(math.log2(math.prod(self.example_shape)))
        return keras.optimizers.LossScaleOptimizer(
            optimizer, initial_scale=max(1.0, _LOSS_SCALE_OF_MEANS / 2.0**halvings)
        )

    @takes_any_data(*FIT_DATA, training=True)
    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train the model, with the arguments of `keras.Model.fit`; see `GenerativeModel.fit`."""
        y = _labels_for_weights(x, y, kwargs.get("sample_weight"))
        if kwargs.get("validation_data") is not None:
            held_out = keras.utils.unpack_x_y_sample_weight(kwargs["validation_data"])
            if held_out[2] is not None:
                labels = _labels_for_weights(*held_out)
                kwargs["validation_data"] = (held_out[0], labels, held_out[2])
        return super().fit(x, y, *args, **kwargs)

    @takes_any_data(*PARTS)
    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluate the model, with the arguments and the result of `keras.Model.evaluate`."""
        y = _labels_for_weights(x, y, kwargs.get("sample_weight"))
        return super().evaluate(x, y, *args, **kwargs)

    def check_bytes(self, values: np.ndarray, name: str) -> None:
        super().check_bytes(values, name)
        self.likelihood.check_bytes(name)

    def check_values(self, values: np.ndarray, low: float, high: float, name: str) -> None:
        self.likelihood.check_support(values, low, high, name)

    @property
    def limits(self) -> tuple[float, float] | None:
        """Lowest and highest value that the likelihood takes, where it says so."""
        says = type(self.likelihood).check_support is not Likelihood.check_support
        return (0.0, 1.0) if says and self.likelihood.bounded else None

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> tf.Tensor:
        """Standard normal `[batch, latent_dim]`, or `[K, batch, latent_dim]` for K samples."""
        if training and self.beta_schedule is not None:
            # Here, since XLA compiles what follows, and this is a replica's first act in a step.
            self.beta.assign(self.beta_schedule(self.progress.step.value))
        shape = [batch_size_of(data), self.latent_dim]
        if self.num_importance_samples > 1:
            shape = [self.num_importance_samples, *shape]
        return tf.random.stateless_normal(shape, seed)

    def update_step(self, data: Any, noise: tf.Tensor) -> dict[str, tf.Tensor]:
        x, _, sample_weight = self.unpack(data)
        size = batch_size_of(x)
        mean_kl = self._mean_kl(x, sample_weight, noise, size, training=True)
        variables = self.trainable_variables
        gradients, loss, parts = self.gradients_of(
            lambda: self._objective(x, sample_weight, noise, mean_kl, True),
            variables,
            loss_weight(size, self.optimizer),
        )
        self.apply_gradients(self.optimizer, gradients, variables)
        return self._logs(loss, parts, size)

    def evaluation_step(self, data: Any, noise: tf.Tensor) -> dict[str, tf.Tensor]:
        x, _, sample_weight = self.unpack(data)
        size = batch_size_of(x)
        mean_kl = self._mean_kl(x, sample_weight, noise, size, training=False)
        loss, parts = self.replica_function(self._objective)(
            x, sample_weight, noise, mean_kl, False
        )
        self._active_units.update_state(parts[-1])
        logs = self._logs(loss, parts, size)
        return {**logs, "active_units": self._active_units.result()}

    def _logs(self, loss: tf.Tensor, parts: Any, size: tf.Tensor) -> dict[str, tf.Tensor]:
        trackers = (self._loss_tracker, self._reconstruction_tracker, self._kl_tracker)
        for tracker, value in zip(trackers, (loss, *parts)):
            # The mean over a replica's no examples is NaN, which no weight of zero removes.
            tracker.update_state(tf.where(size > 0, value, 0.0), sample_weight=size)
        logs = {tracker.name: tracker.result() for tracker in trackers}
        if self.beta_schedule is not None:
            logs["beta"] = tf.convert_to_tensor(self.beta)
        return logs

    def _objective(
        self, x: tf.Tensor, sample_weight: Any, noise: tf.Tensor, mean_kl: Any, training: bool
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
        """The loss; and reconstruction, KL and the posterior's means."""
        mean, scale = self._posterior(x, training)
        z = mean + scale * noise
        log_likelihood = self.likelihood.log_prob(self._parameters(z, training), x)
        posterior = tfd.MultivariateNormalDiag(mean, scale)
        prior = self._prior_distribution(training)
        kl = kl_by_group(posterior, prior, z)
        beta = tf.convert_to_tensor(self.beta)
        if self.num_importance_samples > 1:
            log_ratio = prior.log_prob(z) - log_density(noise, scale)
            bound = tf.reduce_logsumexp(log_likelihood + beta * log_ratio, axis=0)
            loss = _mean(math.log(self.num_importance_samples) - bound, sample_weight)
            log_likelihood = tf.reduce_mean(log_likelihood, axis=0)
        reconstruction = -_mean(log_likelihood, sample_weight)
        weighted = kl if sample_weight is None else kl * _column(sample_weight)
        if self.num_importance_samples == 1:
            threshold = self.free_bits * self.latent_dim / kl.shape[-1]
            loss = reconstruction + beta * sum_with_free_bits(weighted, threshold, mean_kl)
        if self.losses:
            loss = loss + tf.add_n([tf.cast(extra, tf.float32) for extra in self.losses])
        return loss, (reconstruction, tf.reduce_sum(tf.reduce_mean(weighted, 0)), mean)

    def _mean_kl(
        self, x: tf.Tensor, sample_weight: Any, noise: tf.Tensor, size: tf.Tensor, training: bool
    ) -> tf.Tensor | None:
        """With free bits on several replicas, the KL of each group over the whole batch.

        Which groups count is decided by a mean, which replicas must agree on before they
        differentiate.
        """
        if not self.free_bits or num_replicas() == 1:
            return None

        def local_mean(x: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
            mean, scale = self._posterior(x, training)
            posterior = tfd.MultivariateNormalDiag(mean, scale)
            prior = self._prior_distribution(training)
            kl = kl_by_group(posterior, prior, mean + scale * noise)
            weighted = kl if sample_weight is None else kl * _column(sample_weight)
            return tf.reduce_sum(weighted, 0)

        total = self.replica_function(local_mean)(x, noise)
        replica = tf.distribute.get_replica_context()
        whole, count = replica.all_reduce(
            tf.distribute.ReduceOp.SUM, [total, tf.cast(size, tf.float32)]
        )
        return whole / count

    # Saving

    def get_config(self) -> dict[str, Any]:
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in _PARTS}
        schedule = self.beta_schedule
        # On several replicas the weight is no number by itself.
        beta: Any = float(keras.ops.convert_to_numpy(self.beta))
        if schedule:
            beta = keras.saving.serialize_keras_object(schedule)
        return {
            **super().get_config(),
            **parts,
            "input_shape": self.example_shape,
            "latent_dim": self.latent_dim,
            "beta": beta,
            "free_bits": self.free_bits,
            "num_importance_samples": self.num_importance_samples,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> VAE:
        return cls(**arguments_from_file(cls, config, **VAE_PARTS))


def _check_arguments(beta: Any, free_bits: float, num_importance_samples: int) -> None:
    if num_importance_samples < 1:
        raise ValueError(
            "num_importance_samples must be at least 1. "
            f"Received: num_importance_samples={num_importance_samples}"
        )
    number = isinstance(beta, (int, float)) and 0.0 <= beta < math.inf
    if not isinstance(beta, Schedule) and not number:
        raise ValueError(
            "beta must be a number of at least 0 or a schedule from the step to one, such as "
            "beta_schedules.LinearWarmup or one of keras.optimizers.schedules. "
            f"Received: beta={beta!r}"
        )
    if not 0.0 <= free_bits < math.inf:
        raise ValueError(
            f"free_bits must be a number of at least 0. Received: free_bits={free_bits}"
        )
    if free_bits and num_importance_samples > 1:
        raise ValueError(
            "The importance-weighted bound has no KL term that free bits could change; choose one. "
            f"Received: free_bits={free_bits}, num_importance_samples={num_importance_samples}"
        )


def _labels_for_weights(x: Any, y: Any, sample_weight: Any) -> Any:
    """Labels that nobody reads: Keras drops the weights of data that have none."""
    return np.zeros(len(x), "float32") if y is None and sample_weight is not None else y


def _mean(values: tf.Tensor, sample_weight: Any) -> tf.Tensor:
    weighted = values if sample_weight is None else values * tf.cast(sample_weight, values.dtype)
    return tf.reduce_mean(weighted)


def _column(sample_weight: Any) -> tf.Tensor:
    return tf.cast(sample_weight, tf.float32)[:, tf.newaxis]
