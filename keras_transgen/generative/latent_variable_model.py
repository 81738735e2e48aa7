"""A decoder from latent vectors to data, an encoder back, and all one can do with the two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.generative.generative_model import GenerativeModel, sampling_seed
from keras_transgen.generative.importance_sampling import ImportanceSampler
from keras_transgen.generative.likelihoods import get_likelihood
from keras_transgen.generative.network_calls import called
from keras_transgen.generative.network_ends import refuse_bounded_logits
from keras_transgen.generative.networks import (
    convolutional_1d_decoder,
    convolutional_1d_encoder,
    convolutional_decoder,
    convolutional_encoder,
    dense_decoder,
    dense_encoder,
)
from keras_transgen.generative.networks.convolutional_1d import SHORTEST
from keras_transgen.generative.priors import get_prior
from keras_transgen.generative.serving import (
    COUNT,
    SEED,
    examples_spec,
    latent_spec,
    stateless_seed,
)
from keras_transgen.training.compilation import resolve_jit_compile
from keras_transgen.training.serving import Endpoint

_SMALLEST_SCALE = 1e-5
# softplus(_UNIT) = 1, so that the posterior's scale starts at the standard normal's.
_UNIT = 0.541324854612918
_EXAMPLES_AT_A_TIME = 1024


class LatentVariableModel(GenerativeModel):
    """The parts of a VAE and what they give once trained; `VAE` adds how they are trained.

    Args:
        example_shape: Shape of one example.
        latent_dim: Number of latent units.
        likelihood: See `VAE`.
        encoder: See `VAE`.
        decoder: See `VAE`.
        prior: See `VAE`.
        **kwargs: Passed to `GenerativeModel`.

    Raises:
        ValueError: If the default networks cannot make examples of this shape, or the decoder's
            output is not what the likelihood needs.
    """

    def __init__(
        self,
        example_shape: tuple[int, ...],
        latent_dim: int,
        likelihood: Any,
        encoder: keras.layers.Layer | None,
        decoder: keras.layers.Layer | None,
        prior: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(example_shape, (0.0, 1.0), **kwargs)
        if latent_dim < 1:
            raise ValueError(f"latent_dim must be at least 1. Received: latent_dim={latent_dim}")
        self.latent_dim = int(latent_dim)
        self.likelihood = get_likelihood(likelihood, self.example_shape)
        self.likelihood.prepare(self.example_shape)
        self.encoder = self._default_encoder() if encoder is None else encoder
        self.posterior_mean = keras.layers.Dense(
            self.latent_dim, dtype="float32", name="posterior_mean"
        )
        self.posterior_raw_scale = keras.layers.Dense(
            self.latent_dim,
            bias_initializer=keras.initializers.Constant(_UNIT),
            dtype="float32",
            name="posterior_raw_scale",
        )
        self._build_encoder()
        self.decoder = self._default_decoder() if decoder is None else decoder
        self._parameter_shape = self._build_decoder()
        if decoder is not None and self.likelihood.of_logits:
            why = f"{type(self.likelihood).__name__} makes probabilities of them"
            refuse_bounded_logits(decoder, "decoder", why)
        self.prior = get_prior(prior)
        self.prior.prepare(self.latent_dim, self.example_shape, self.likelihood.bounded)
        self._sampler: ImportanceSampler | None = None
        self.built = True

    # Networks

    def _default_encoder(self) -> keras.Sequential:
        builders = {3: convolutional_encoder, 2: convolutional_1d_encoder}
        return builders.get(self._places(), dense_encoder)(self.example_shape)

    def _default_decoder(self) -> keras.Sequential:
        builders = {3: convolutional_decoder, 2: convolutional_1d_decoder}
        shape = self.likelihood.parameter_shape() or self.example_shape
        return builders.get(self._places(), dense_decoder)(self.latent_dim, shape)

    def _places(self) -> int:
        """The rank of an example that convolutions fit; 1 for sequences too short for them."""
        short = len(self.example_shape) == 2 and self.example_shape[0] < SHORTEST
        return 1 if short else len(self.example_shape)

    def _build_encoder(self) -> None:
        features = called(self.encoder, keras.Input(self.example_shape), "encoder")
        shape = getattr(features, "shape", None)
        if shape is None or len(shape) < 2 or None in shape[1:]:
            raise ValueError(
                "The encoder must map a batch of examples to one tensor of features of a known "
                f"shape [batch, ...]. Received: {features}"
            )
        width = math.prod(shape[1:])
        self.posterior_mean.build((None, width))
        self.posterior_raw_scale.build((None, width))

    def _build_decoder(self) -> tuple[int, ...]:
        output = called(self.decoder, keras.Input((self.latent_dim,)), "decoder")
        received = tuple(getattr(output, "shape", ()))[1:]
        expected = self.likelihood.parameter_shape()
        if not received or None in received or expected not in (None, received):
            raise ValueError(
                f"For examples of shape {self.example_shape} the decoder must put out the "
                f"parameters of a {type(self.likelihood).__name__} likelihood, of shape "
                f"{expected or 'that is known'} for one latent vector. Received: {received}"
            )
        return received

    def _posterior(self, x: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and scale of q(z|x) for scaled examples, float32 `[batch, latent_dim]` each."""
        features = tf.cast(self.encoder(x, training=training), tf.float32)
        if features.shape.rank > 2:
            features = tf.reshape(features, [-1, math.prod(features.shape[1:])])
        raw_scale = self.posterior_raw_scale(features)
        return self.posterior_mean(features), tf.nn.softplus(raw_scale) + _SMALLEST_SCALE

    def _parameters(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The decoder's output for `[..., latent_dim]`, float32 `[..., *parameter_shape]`."""
        flat = z if z.shape.rank == 2 else tf.reshape(z, [-1, self.latent_dim])
        parameters = tf.cast(self.decoder(flat, training=training), tf.float32)
        if z.shape.rank == 2:
            return parameters
        outer = tf.shape(z)[:-1]
        return tf.reshape(parameters, tf.concat([outer, tf.shape(parameters)[1:]], axis=0))

    def _prior_distribution(self, training: bool = False) -> tfd.Distribution:
        return self.prior.distribution(
            lambda x: tfd.MultivariateNormalDiag(*self._posterior(x, training))
        )

    def call(self, x: Any, training: bool = False) -> tf.Tensor:
        """Reconstruct examples from their posterior means; what `predict` gives."""
        mean, _ = self._posterior(self.scaled(x), training)
        return self.likelihood.mean(self._parameters(mean, training))

    # What a trained model does

    def check_inputs(self, x: Any) -> None:
        """Refuse what is no example of this model; see `TrainerModel.check_inputs`."""
        self.check_examples(x)

    @takes_any_data("x")
    def encode(self, x: Any) -> tfd.MultivariateNormalDiag:
        """The posterior q(z|x).

        Args:
            x: Examples `[batch, *input_shape]`, uint8 or float.

        Returns:
            TFP distribution with batch shape `[batch]` and event shape `[latent_dim]`.

        Raises:
            ValueError: If the examples do not fit the model.
        """
        self.check_examples(x)
        parts = [self._posterior(self.scaled(rows), False) for rows in _in_parts(x)]
        return tfd.MultivariateNormalDiag(*(tf.concat(each, axis=0) for each in zip(*parts)))

    def decode(self, z: Any) -> tfd.Distribution:
        """The likelihood p(x|z).

        Args:
            z: Latent vectors `[batch, latent_dim]`.

        Returns:
            TFP distribution with batch shape `[batch]` and event shape `input_shape`, over values
            as the model sees them: uint8 images in [0, 1].

        Raises:
            ValueError: If the latent vectors have another length.
        """
        z = self._latent(z)
        parameters = [self._parameters(rows) for rows in _in_parts(z)]
        return self.likelihood.distribution(tf.concat(parameters, axis=0))

    def sample(
        self, count: int, seed: int | None = None, observation_noise: bool = False
    ) -> tf.Tensor:
        """Draw examples: z from the prior, then the expected example of p(x|z).

        Args:
            count: How many.
            seed: Makes the draws reproducible; `None` draws fresh ones.
            observation_noise: Draw from p(x|z) instead of taking its mean. Defaults to `False`.

        Returns:
            Float32 `[count, *input_shape]`.

        Raises:
            ValueError: If `count` is less than 1.
        """
        whole = isinstance(count, (int, np.integer)) and not isinstance(count, bool)
        if not whole or count < 1:
            raise ValueError(
                f"count must be a whole number of at least 1. Received: count={count!r}"
            )
        for_latent, for_data = tf.unstack(tf.random.split(sampling_seed(seed), 2))
        z = self._prior_distribution().sample(count, seed=for_latent)
        if not observation_noise:
            return self._decoded_mean(z)
        parts = [
            self.likelihood.distribution(self._parameters(rows)).sample(
                seed=tf.random.experimental.stateless_fold_in(for_data, number)
            )
            for number, rows in enumerate(_in_parts(z))
        ]
        return tf.concat(parts, axis=0)

    @takes_any_data("x")
    def reconstruct(self, x: Any) -> tf.Tensor:
        """Encode examples and decode the posterior's mean.

        Args:
            x: Examples `[batch, *input_shape]`.

        Returns:
            The expected examples, float32 `[batch, *input_shape]`.

        Raises:
            ValueError: If the examples do not fit the model.
        """
        return self._decoded_mean(self.encode(x).mean())

    @takes_any_data("a", "b")
    def interpolate(self, a: Any, b: Any, steps: int = 8) -> tf.Tensor:
        """Go in a straight line through the latent space from examples to others.

        Args:
            a: Examples `[batch, *input_shape]`.
            b: As many others.
            steps: Points of each way, both ends included, at least 2. Defaults to 8.

        Returns:
            The expected examples, float32 `[batch, steps, *input_shape]`.

        Raises:
            ValueError: If there are unequal numbers of examples or fewer than 2 steps.
        """
        if steps < 2 or len(a) != len(b):
            raise ValueError(
                "interpolate needs as many examples b as a, and at least 2 steps. "
                f"Received: {len(a)} and {len(b)} examples, steps={steps}"
            )
        share = tf.linspace(0.0, 1.0, steps)[tf.newaxis, :, tf.newaxis]
        start, end = (self.encode(x).mean()[:, tf.newaxis] for x in (a, b))
        return self._decoded_mean(start + share * (end - start))

    @takes_any_data("x")
    def traverse(
        self,
        x: Any = None,
        dims: Sequence[int] | None = None,
        values: Sequence[float] = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0),
        z: Any = None,
    ) -> tf.Tensor:
        """Decode while one latent unit takes each value and the others rest.

        Args:
            x: Examples `[batch, *input_shape]`, whose posterior means are the start.
            dims: Latent units to move. Defaults to all.
            values: What each takes. Defaults to -3 to 3.
            z: Latent vectors `[batch, latent_dim]` to start from, instead of `x`.

        Returns:
            The expected examples, float32 `[batch, len(dims), len(values), *input_shape]`.

        Raises:
            ValueError: If not exactly one of `x` and `z` is given, or there is no such unit.
        """
        if (x is None) == (z is None):
            raise ValueError(
                "traverse starts from examples x or from latent vectors z, one of them. "
                f"Received: {'neither' if x is None else 'both'}"
            )
        dims = list(range(self.latent_dim) if dims is None else dims)
        if not dims or not all(0 <= unit < self.latent_dim for unit in dims) or not len(values):
            raise ValueError(
                f"dims must name latent units from 0 to {self.latent_dim - 1}, and values hold at "
                f"least one. Received: dims={dims}, values={list(values)}"
            )
        start = self.encode(x).mean() if z is None else self._latent(z)
        moved = tf.one_hot(dims, self.latent_dim)[:, tf.newaxis]
        to = tf.cast(tf.reshape(values, [1, -1, 1]), tf.float32) * moved
        return self._decoded_mean(start[:, tf.newaxis, tf.newaxis] * (1.0 - moved) + to)

    @takes_any_data("x")
    def log_likelihood(
        self, x: Any, num_samples: int = 500, seed: int | None = 0, batch_size: int = 100
    ) -> tf.Tensor:
        """Estimate log p(x) by importance sampling from the posterior; see `ImportanceSampler`.

        Runs on the device in batches of examples and samples, in bounded memory.

        Args:
            x: Examples `[count, *input_shape]`.
            num_samples: Importance samples for each. Defaults to 500.
            seed: Makes the estimate reproducible (with the same `batch_size`); `None` draws
                fresh ones. Defaults to 0.
            batch_size: Examples at a time. Defaults to 100.

        Returns:
            Nats per example, float32 `[count]`: a lower bound in expectation, which rises to
            log p(x) with `num_samples`.

        Raises:
            ValueError: If the examples do not fit the model, `num_samples` is less than 1, or the
                likelihood is not normalised.

        Reference:
            Burda et al., "Importance Weighted Autoencoders", 2016.
        """
        self.check_examples(x)
        if not self.likelihood.normalized:
            raise ValueError(
                f"A {type(self.likelihood).__name__} knows p(x|z) only up to a factor that depends "
                "on z, so log p(x) cannot be estimated with it. Compare models by their samples, "
                f"keras_transgen.evaluation. Received: likelihood={self.likelihood.name!r}"
            )
        if num_samples < 1 or batch_size < 1:
            raise ValueError(
                "num_samples and batch_size must be at least 1. "
                f"Received: num_samples={num_samples}, batch_size={batch_size}"
            )
        if self._sampler is None:
            self._sampler = ImportanceSampler(
                lambda x: self._posterior(self.scaled(x), False),
                self._log_weights,
                math.prod(self._parameter_shape),
                resolve_jit_compile(self, "auto"),
            )
        return self._sampler(x, num_samples, sampling_seed(seed), batch_size)

    def _log_weights(
        self, x: tf.Tensor, mean: tf.Tensor, scale: tf.Tensor, noise: tf.Tensor
    ) -> tf.Tensor:
        z = mean + scale * noise
        log_likelihood = self.likelihood.log_prob(self._parameters(z), self.scaled(x))
        return log_likelihood + self._prior_distribution().log_prob(z) - log_density(noise, scale)

    def _decoded_mean(self, z: tf.Tensor) -> tf.Tensor:
        flat = tf.reshape(z, [-1, self.latent_dim])
        parts = [self._expected(rows) for rows in _in_parts(flat)]
        return tf.reshape(tf.concat(parts, axis=0), [*z.shape[:-1], *self.example_shape])

    def _expected(self, z: tf.Tensor) -> tf.Tensor:
        """The expected examples for latent vectors `[batch, latent_dim]`, in a graph too."""
        return self.likelihood.mean(self._parameters(z))

    def _drawn(self, z: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """What `sample` gives for latent vectors, by its defaults, in a graph too."""
        return self._expected(z)

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """`sample(count, seed)`, `encode(inputs)` and `decode(latents)`.

        A seed gives the samples that `sample` gives for it. `encode` returns `mean` and `scale` of
        the posterior, `decode` the `mean` of p(x|z).
        """

        def sample(count: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
            for_latent, for_data = tf.unstack(tf.random.split(stateless_seed(seed), 2))
            latents = self._prior_distribution().sample(count, seed=for_latent)
            return {"samples": self._drawn(latents, for_data)}

        def encode(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            mean, scale = self._posterior(self.scaled(inputs), False)
            return {"mean": mean, "scale": scale}

        def decode(latents: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"mean": self._expected(latents)}

        return {
            "sample": Endpoint(sample, (COUNT, SEED), draws_noise=True),
            "encode": Endpoint(
                encode, examples_spec(self.example_shape, input_signature), (self.encoder,)
            ),
            "decode": Endpoint(decode, (latent_spec(self),)),
        }

    def _latent(self, z: Any) -> tf.Tensor:
        z = tf.cast(tf.convert_to_tensor(z), tf.float32)
        if z.shape.rank != 2 or z.shape[-1] != self.latent_dim:
            raise ValueError(
                f"Latent vectors must have shape [batch, {self.latent_dim}]. "
                f"Received: shape {z.shape}"
            )
        return z


def log_density(noise: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Log q(z|x) of z = mean + scale * noise, summed over latent units."""
    terms = -0.5 * tf.square(noise) - tf.math.log(scale) - 0.5 * math.log(2.0 * math.pi)
    return tf.reduce_sum(terms, axis=-1)


def _in_parts(x: Any) -> list[Any]:
    """Rows a thousand at a time, so that memory does not grow with their number."""
    return [x[i : i + _EXAMPLES_AT_A_TIME] for i in range(0, x.shape[0], _EXAMPLES_AT_A_TIME)]
