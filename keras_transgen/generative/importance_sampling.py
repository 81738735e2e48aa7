"""The log-likelihood of examples by importance sampling, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_transgen.training.compilation import compiled

# Numbers that one call of the decoder may put out: 16 MiB of float32, near a cache's size.
_LARGEST_OUTPUT = 2**22


class ImportanceSampler:
    """Estimates `log p(x)` by the mean of importance weights under the posterior.

        log p(x) is about log 1/K sum over k of p(x|z_k) p(z_k) / q(z_k|x),  z_k from q(z|x)

    The estimate is below the truth in expectation and rises to it with K.

    Args:
        posterior: From examples to `(mean, scale)` of q(z|x), `[batch, latent_dim]` each.
        log_weights: From `(examples, means, scales, noise)` to the logarithms of the weights,
            `[samples, batch]`; noise is standard normal `[samples, batch, latent_dim]`.
        output_size: How many numbers the decoder puts out for one latent vector.
        jit_compile: Whether XLA compiles the weights.

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016.
    """

    def __init__(
        self,
        posterior: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
        log_weights: Callable[..., tf.Tensor],
        output_size: int,
        jit_compile: bool,
    ) -> None:
        self._posterior = posterior
        self._log_weights = compiled(log_weights, jit_compile)
        self._rows = max(1, _LARGEST_OUTPUT // output_size)
        self._estimate = tf.function(self._estimate_batch, autograph=False)

    def __call__(self, x: Any, num_samples: int, seed: tf.Tensor, batch_size: int) -> tf.Tensor:
        """The estimates of all examples, nats `[count]`, `batch_size` at a time."""
        count = int(x.shape[0])
        size = min(batch_size, count, self._rows)
        chunks = math.ceil(num_samples / max(1, self._rows // size))
        samples = math.ceil(num_samples / chunks)
        results = []
        for number, start in enumerate(range(0, count, size)):
            batch = tf.convert_to_tensor(x[start : start + size])
            # Filled up to one shape, so that one compiled function serves all batches.
            missing = size - int(batch.shape[0])
            if missing:
                batch = tf.concat([batch, tf.repeat(batch[:1], missing, axis=0)], axis=0)
            at_batch = tf.random.experimental.stateless_fold_in(seed, number)
            estimate = self._estimate(
                batch, at_batch, tf.constant(num_samples), tf.constant(chunks), samples
            )
            results.append(estimate[: size - missing])
        return tf.concat(results, axis=0)

    def _estimate_batch(
        self, x: tf.Tensor, seed: tf.Tensor, num_samples: tf.Tensor, chunks: tf.Tensor, samples: int
    ) -> tf.Tensor:
        mean, scale = self._posterior(x)

        def add(chunk: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            at_chunk = tf.random.experimental.stateless_fold_in(seed, chunk)
            noise = tf.random.stateless_normal([samples, *mean.shape], at_chunk)
            weights = self._log_weights(x, mean, scale, noise)
            # The last chunk may hold more samples than are still wanted.
            wanted = chunk * samples + tf.range(samples) < num_samples
            weights = tf.where(wanted[:, tf.newaxis], weights, -math.inf)
            chunk_total = tf.reduce_logsumexp(weights, axis=0)
            return chunk + 1, tf.reduce_logsumexp(tf.stack([total, chunk_total]), axis=0)

        start = tf.fill([mean.shape[0]], -math.inf)
        _, total = tf.while_loop(lambda chunk, _: chunk < chunks, add, (tf.constant(0), start))
        return total - tf.math.log(tf.cast(num_samples, tf.float32))
