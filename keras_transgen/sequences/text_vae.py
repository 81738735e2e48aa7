"""The variational autoencoder of texts."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_transgen.generative.active_units_metric import ActiveUnits
from keras_transgen.generative.beta_schedules import Schedule
from keras_transgen.generative.kl import sum_with_free_bits
from keras_transgen.sequences.endpoint_inputs import refuse_signature
from keras_transgen.sequences.endpoints import latent_endpoints
from keras_transgen.sequences.latent_text_model import LatentTextModel
from keras_transgen.sequences.sequence_model import check_known, checked_tokens
from keras_transgen.sequences.token_rows import same_length
from keras_transgen.sequences.vocabulary import Vocabulary
from keras_transgen.training import loss_weight
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.gradients import num_replicas
from keras_transgen.training.serving import Endpoint
from keras_transgen.training.trainer import batch_size_of


@keras.saving.register_keras_serializable(package="keras_transgen")
class TextVAE(LatentTextModel):
    """Texts as latent vectors and back: q(z|text) diagonal normal, p(text|z) a language model.

    `loss` is the bound on -log p(text) that is trained on, in nats a text, with free bits and
    `beta`; `reconstruction` is -E[log p(text|z)], `kl` the divergence from the prior, both in nats
    a text, and `active_units`, of validation data, how many latent units vary with the text.

    A decoder that is strong enough to do without z ignores it. Free bits, word dropout and a
    `beta` that begins small are the ways out; whether they worked, `reconstruction_gap` says:
    units can be active and say nothing.

    Args:
        vocabulary: A `Vocabulary`.
        latent_dim: Number of latent units. Defaults to 16.
        context_length: Most tokens of a text, with its end. Defaults to 64.
        num_layers: Blocks of the encoder, and of the decoder. Defaults to 2.
        model_dim: Size of the vectors, a multiple of `num_heads`. Defaults to 128.
        num_heads: Heads of attention. Defaults to 4.
        dropout: Share dropped in training. Defaults to 0.1.
        word_dropout: Share of the decoder's input tokens that are hidden in training. Defaults to
            0.
        beta: Weight of the KL: a number, or a schedule from the step to one, such as
            `generative.beta_schedules.LinearWarmup`. Defaults to 1.
        free_bits: Nats that a latent unit may cost, on average over the batch, before its KL
            counts. Defaults to 0.5.
        decoder: `"transformer"` (default), or `"gru"`, gated recurrent units, which XLA leaves
            alone on a CPU.
        seed: Seed of noise, order and dropout. See `TrainerModel`.
        **kwargs: Passed to `keras.Model`.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        ```python
        import keras_transgen as ktg

        texts = ["to be or not", "not to be", "to be"] * 20
        vocabulary = ktg.Vocabulary.characters(texts)
        vae = ktg.TextVAE(vocabulary, latent_dim=4, context_length=16, num_layers=1, model_dim=16)
        vae.fit(texts, epochs=1, verbose=0)
        new = vae.sample(3, seed=0)
        between = vae.interpolate("to be", "not to be", steps=5)
        nats = vae.log_likelihood(["to be"], num_samples=10)
        ```

    Reference:
        Bowman et al., "Generating sentences from a continuous space", 2016; Kingma et al.,
        "Improving variational inference with inverse autoregressive flow", 2016 (free bits).
    """

    default_rate = 2e-3

    def __init__(
        self,
        vocabulary: Vocabulary,
        latent_dim: int = 16,
        context_length: int = 64,
        num_layers: int = 2,
        model_dim: int = 128,
        num_heads: int = 4,
        dropout: float = 0.1,
        word_dropout: float = 0.0,
        beta: float | Schedule = 1.0,
        free_bits: float = 0.5,
        decoder: str = "transformer",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            vocabulary,
            latent_dim,
            context_length,
            num_layers,
            model_dim,
            num_heads,
            dropout,
            decoder,
            seed=seed,
            **kwargs,
        )
        _check_rates(word_dropout, beta, free_bits)
        self.word_dropout, self.free_bits = word_dropout, float(free_bits)
        self.beta = beta
        self._trackers = [keras.metrics.Mean(name=name) for name in ("reconstruction", "kl")]
        self._active_units = ActiveUnits(latent_dim)
        self.build()

    # Data on their way in

    def rows_of(self, texts: list[str], training: bool) -> np.ndarray:
        tokens = self._tokens(texts)
        check_known(tokens)
        longest = max(len(each) - 1 for each in tokens)
        return same_length(tokens, min(self.context_length, 8 * math.ceil(longest / 8)) + 1)

    def check_data(self, x: Any, y: Any, sample_weight: Any, training: bool) -> None:
        """Refuse what is no row of tokens, and labels."""
        if y is not None or sample_weight is not None:
            self.refuse_labels("y" if y is not None else "sample_weight")
        tokens = checked_tokens(x, self.vocabulary)
        if tokens.ndim != 2 or not 2 <= tokens.shape[1] <= self.context_length + 1:
            raise ValueError(
                "A text VAE takes texts, or rows of tokens [count, length] of at most "
                f"{self.context_length + 1}, each with its start and end. "
                f"Received: x of shape {list(tokens.shape)}"
            )

    # Training

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> Any:
        """Standard normal `[batch, latent_dim]`, which words are hidden, and `beta`."""
        rows = keras.utils.unpack_x_y_sample_weight(data)[0]
        normal = tf.random.stateless_normal([batch_size_of(rows), self.latent_dim], seed)
        uniform = tf.random.stateless_uniform(tf.shape(rows[:, :-1]), seed + 1)
        hidden = uniform < (self.word_dropout if training else 0.0)
        return normal, hidden, self._beta_now()

    def _beta_now(self) -> tf.Tensor:
        beta = self.beta(self.progress.step.value) if callable(self.beta) else self.beta
        return tf.cast(beta, tf.float32)

    def update_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        tokens = _tokens(data)
        size = batch_size_of(tokens)
        mean_kl = self._mean_kl(tokens, size, training=True)
        variables = self.trainable_variables
        gradients, loss, parts = self.gradients_of(
            lambda: self._objective(tokens, noise, mean_kl, training=True),
            variables,
            loss_weight(size, self.optimizer),
        )
        self.apply_gradients(self.optimizer, gradients, variables)
        return self._logs(loss, parts, size)

    def evaluation_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        tokens = _tokens(data)
        size = batch_size_of(tokens)
        mean_kl = self._mean_kl(tokens, size, training=False)
        loss, parts = self.replica_function(self._objective)(tokens, noise, mean_kl, training=False)
        self._active_units.update_state(parts[-1])
        logs = self._logs(loss, parts, size)
        return {**logs, "active_units": self._active_units.result()}

    def _logs(self, loss: tf.Tensor, parts: Any, size: tf.Tensor) -> dict[str, tf.Tensor]:
        trackers = [self._loss_tracker, *self._trackers]
        for tracker, value in zip(trackers, (loss, *parts)):
            # The mean over a replica's no examples is NaN, which no weight of zero removes.
            tracker.update_state(tf.where(size > 0, value, 0.0), sample_weight=size)
        return {tracker.name: tracker.result() for tracker in trackers}

    def _mean_kl(self, tokens: tf.Tensor, size: tf.Tensor, training: bool) -> tf.Tensor | None:
        """With free bits on several replicas, the KL of each unit over the whole batch.

        Which units count is decided by a mean, on which replicas agree before they differentiate.
        """
        if not self.free_bits or num_replicas() == 1:
            return None

        def total(tokens: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(_kl(*self.posterior(tokens, training)), axis=0)

        replica = tf.distribute.get_replica_context()
        whole, count = replica.all_reduce(
            tf.distribute.ReduceOp.SUM,
            [self.replica_function(total)(tokens), tf.cast(size, tf.float32)],
        )
        return whole / count

    def _objective(
        self, tokens: tf.Tensor, noise: Any, mean_kl: Any, training: bool
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
        """The loss; and reconstruction, KL and the posterior's means."""
        normal, hidden, beta = noise
        mean, scale = self.posterior(tokens, training)
        nats = self.text_nats(tokens, mean + scale * normal, hidden, training)
        kl = _kl(mean, scale)
        reconstruction = tf.reduce_mean(nats)
        loss = reconstruction + beta * sum_with_free_bits(kl, self.free_bits, mean_kl)
        return loss, (reconstruction, tf.reduce_sum(tf.reduce_mean(kl, axis=0)), mean)

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """See `sequences.endpoints.latent_endpoints`."""
        refuse_signature(self, input_signature)
        return latent_endpoints(self)

    # Saving

    def get_config(self) -> dict[str, Any]:
        stack = self.encoder
        beta = self.beta
        return {
            **super().get_config(),
            "vocabulary": keras.saving.serialize_keras_object(self.vocabulary),
            "latent_dim": self.latent_dim,
            "context_length": self.context_length,
            "num_layers": stack.num_layers,
            "model_dim": stack.model_dim,
            "num_heads": stack.num_heads,
            "dropout": stack.dropout_rate,
            "word_dropout": self.word_dropout,
            "beta": keras.saving.serialize_keras_object(beta) if callable(beta) else beta,
            "free_bits": self.free_bits,
            "decoder": self.decoder_name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TextVAE:
        return cls(
            **arguments_from_file(
                cls, config, vocabulary=Nested(Vocabulary), beta=Nested(Schedule, numbers=True)
            )
        )


def _tokens(data: Any) -> tf.Tensor:
    return tf.cast(keras.utils.unpack_x_y_sample_weight(data)[0], tf.int32)


def _kl(mean: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """KL(q(z|text) || N(0, 1)) of each unit, `[batch, latent_dim]`."""
    return tfd.kl_divergence(tfd.Normal(mean, scale), tfd.Normal(0.0, 1.0))


def _check_rates(word_dropout: Any, beta: Any, free_bits: Any) -> None:
    if not 0.0 <= word_dropout <= 1.0:
        raise ValueError(f"word_dropout must be in [0, 1]. Received: word_dropout={word_dropout!r}")
    number = isinstance(beta, (int, float)) and 0.0 <= beta < math.inf
    if not isinstance(beta, Schedule) and not number:
        raise ValueError(
            "beta must be a number of at least 0, or a schedule from the step to one. "
            f"Received: beta={beta!r}"
        )
    if not 0.0 <= free_bits < math.inf:
        raise ValueError(
            f"free_bits must be a number of at least 0. Received: free_bits={free_bits!r}"
        )
