"""Networks from sequences of any length to a vector for each position: to label, to pretrain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_transgen.sequences.masked_blocks import DilatedBlock, SelfAttentionBlock
from keras_transgen.sequences.sizes import check_sizes, check_whole


def dilated_sequence_network(
    channels: int,
    length: int | None = None,
    *,
    filters: int = 48,
    kernel_size: int = 5,
    dilations: Sequence[int] = (1, 1, 2, 4, 8, 1),
    dropout: float = 0.1,
    name: str = "dilated_sequence_network",
) -> keras.Model:
    """A residual network of dilated convolutions, each position's vector seeing its surroundings.

    Rows of zeros are padding, as `datasets.one_hot_sequences` makes them, and so is what a list of
    arrays lacks in length: a sequence gives the same alone and padded in a batch.

    `TransferModel(network, num_classes, task="sequence_labelling")` labels every position by it;
    `MaskedSequenceModel(network)` trains it on sequences without labels.

    Args:
        channels: Size of the input at a position: letters of the alphabet, bins of a spectrogram.
        length: Of all sequences. Defaults to `None`: any.
        filters: Size of the vectors. Defaults to 48.
        kernel_size: Positions that a convolution sees, odd. Defaults to 5.
        dilations: Of the blocks, in order. A position sees
            `1 + (kernel_size - 1) * sum(dilations)` positions, by default 69. Defaults to
            `(1, 1, 2, 4, 8, 1)`.
        dropout: Share of what each block adds that is dropped in training. Defaults to 0.1.
        name: Of the network.

    Returns:
        A `keras.Model` from `[batch, length, channels]` to `[batch, length, filters]`.

    Raises:
        ValueError: A size is out of its range.

    Example:
        ```python
        import keras_transgen as ktg

        x = ktg.datasets.one_hot_sequences(["ACGTTA", "GGC"])
        network = ktg.sequences.dilated_sequence_network(4, filters=8, dilations=(1, 2))
        model = ktg.TransferModel(network, 2, task="sequence_labelling")
        assert model(x).shape == (2, 6, 2)
        ```

    Reference:
        Jaganathan et al., "Predicting splicing from primary sequence with deep learning", 2019.
    """
    if not dilations:
        raise ValueError("dilations must name at least one block. Received: dilations=()")
    makers = [
        lambda place, dilation=dilation: DilatedBlock(
            filters, kernel_size, dilation, dropout, name=f"block_{place}"
        )
        for dilation in dilations
    ]
    check_sizes(dropout, filters=filters, kernel_size=kernel_size)
    return _network(channels, length, filters, makers, name)


def transformer_sequence_network(
    channels: int,
    length: int | None = None,
    *,
    num_layers: int = 4,
    model_dim: int = 64,
    num_heads: int = 4,
    dropout: float = 0.1,
    name: str = "transformer_sequence_network",
) -> keras.Model:
    """A Transformer's encoder over sequences, each position's vector seeing all others.

    Takes and gives what `dilated_sequence_network` does, padding included. Its cost grows with the
    square of the length.

    Args:
        channels: Size of the input at a position.
        length: Of all sequences. Defaults to `None`: any.
        num_layers: Blocks. Defaults to 4.
        model_dim: Size of the vectors, a multiple of `2 * num_heads`. Defaults to 64.
        num_heads: Heads of attention. Defaults to 4.
        dropout: Share of what each part adds that is dropped in training. Defaults to 0.1.
        name: Of the network.

    Returns:
        A `keras.Model` from `[batch, length, channels]` to `[batch, length, model_dim]`.

    Raises:
        ValueError: A size is out of its range.

    Example:
        ```python
        import keras_transgen as ktg

        x = ktg.datasets.one_hot_sequences(["MKV", "GWYHH"], ktg.datasets.PROTEIN)
        network = ktg.sequences.transformer_sequence_network(
            20, num_layers=1, model_dim=8, num_heads=2
        )
        assert network(x).shape == (2, 5, 8)
        ```

    Reference:
        Vaswani et al., "Attention is all you need", 2017; Rives et al., "Biological structure and
        function emerge from scaling unsupervised learning to 250 million protein sequences", 2021.
    """
    check_sizes(dropout, num_layers=num_layers, model_dim=model_dim, num_heads=num_heads)
    makers = [
        lambda place: SelfAttentionBlock(model_dim, num_heads, dropout, name=f"block_{place}")
    ] * num_layers
    return _network(channels, length, model_dim, makers, name)


def _network(
    channels: int,
    length: int | None,
    size: int,
    makers: Sequence[Callable[..., Any]],
    name: str,
) -> keras.Model:
    check_whole("channels", channels)
    if length is not None:
        check_whole("length", length)
    inputs = keras.Input((length, channels), name="sequences")
    x = keras.layers.Masking(0.0, name="padding")(inputs)
    x = keras.layers.Dense(size, name="embedding")(x)
    for place, make in enumerate(makers):
        x = make(place)(x)
    x = keras.layers.LayerNormalization(epsilon=1e-5, name="final_norm")(x)
    return keras.Model(inputs, x, name=name)
