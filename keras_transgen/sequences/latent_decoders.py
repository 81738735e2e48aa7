"""Networks that write a text of a latent vector, by the names that `TextVAE(decoder=)` takes."""

from __future__ import annotations

from typing import Any

import keras

from keras_transgen.sequences.recurrent_stack import RecurrentStack
from keras_transgen.sequences.transformer.stack import TransformerStack
from keras_transgen.training.registry import Registry

# From a trained stack's sizes and its embedding, which is shared, to a network called as it is.
LATENT_DECODERS = Registry("decoder")


@LATENT_DECODERS.register("transformer")
def transformer_decoder(encoder: TransformerStack, **options: Any) -> keras.layers.Layer:
    """Blocks as the encoder's, each position of which sees those before it.

    Args:
        encoder: Whose sizes and embedding are taken.
        **options: Of `keras.layers.Layer`.
    """
    return TransformerStack(
        encoder.vocabulary_size,
        encoder.context_length,
        encoder.num_layers,
        encoder.model_dim,
        encoder.num_heads,
        encoder.feedforward_dim,
        encoder.dropout_rate,
        embedding=encoder.embedding,
        **options,
    )


@LATENT_DECODERS.register("gru")
def gru_decoder(encoder: TransformerStack, **options: Any) -> keras.layers.Layer:
    """As many layers of gated recurrent units.

    Args:
        encoder: Whose sizes and embedding are taken.
        **options: Of `keras.layers.Layer`.
    """
    return RecurrentStack(
        encoder.vocabulary_size,
        encoder.num_layers,
        encoder.model_dim,
        encoder.dropout_rate,
        encoder.embedding,
        **options,
    )
