"""Blocks of networks for sequences of any length, in which padding changes nothing."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_transgen.sequences.sizes import check_sizes
from keras_transgen.sequences.transformer.block import TransformerBlock
from keras_transgen.sequences.transformer.rotary import rotation

_EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="keras_transgen")
class DilatedBlock(keras.layers.Layer):
    """Adds a dilated convolution of what it is given, normalised at each position.

    What Keras masks as padding is zero to the convolution, as what lies beyond the ends is.

    Args:
        filters: Size of the vectors.
        kernel_size: Positions that the convolution sees, odd.
        dilation: From one of these positions to the next. Defaults to 1.
        dropout: Share of what is added that is dropped in training. Defaults to 0.
        **kwargs: As in `keras.layers.Layer`.

    Input shape:
        `[batch, length, filters]`, and so is what comes out.

    Reference:
        Kalchbrenner et al., "Neural machine translation in linear time", 2016; Jaganathan et al.,
        "Predicting splicing from primary sequence with deep learning", 2019.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        dilation: int = 1,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_sizes(dropout, filters=filters, kernel_size=kernel_size, dilation=dilation)
        if kernel_size % 2 == 0:
            raise ValueError(
                "kernel_size must be odd, so that a position sees as far to either side. "
                f"Received: kernel_size={kernel_size}"
            )
        self.filters, self.kernel_size = filters, kernel_size
        self.dilation, self.dropout_rate = dilation, dropout
        self.supports_masking = True
        options = {"dtype": self.dtype_policy}
        self.norm = keras.layers.LayerNormalization(epsilon=_EPSILON, name="norm", **options)
        self.convolution = keras.layers.Conv1D(
            filters,
            kernel_size,
            padding="same",
            dilation_rate=dilation,
            activation="gelu",
            name="convolution",
            **options,
        )
        self.projection = keras.layers.Dense(filters, name="projection", **options)
        self.dropout = keras.layers.Dropout(dropout, name="dropout", **options)

    def build(self, input_shape: Any) -> None:
        if input_shape[-1] != self.filters:
            raise ValueError(
                f"A DilatedBlock adds to what it is given, so both have one size, {self.filters}. "
                f"Received: inputs of shape {tuple(input_shape)}"
            )
        for layer in (self.norm, self.convolution, self.projection, self.dropout):
            layer.build((None, None, self.filters))
        self.built = True

    def call(self, x: Any, mask: Any = None, training: bool = False) -> Any:
        seen = self.norm(x)
        if mask is not None:
            seen = ops.where(mask[..., None], seen, ops.zeros_like(seen))
        added = self.projection(self.convolution(seen))
        return x + self.dropout(added, training=training)

    def compute_output_spec(self, x: Any, mask: Any = None, training: bool = False) -> Any:
        return keras.KerasTensor(x.shape, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "dilation": self.dilation,
            "dropout": self.dropout_rate,
        }


@keras.saving.register_keras_serializable(package="keras_transgen")
class SelfAttentionBlock(keras.layers.Layer):
    """A Transformer's block in which each position sees all others, by rotary positions.

    What Keras masks as padding is not seen.

    Args:
        model_dim: Size of the vectors, a multiple of `2 * num_heads`.
        num_heads: Heads of attention.
        dropout: Share of what each part adds that is dropped in training. Defaults to 0.
        **kwargs: As in `keras.layers.Layer`.

    Input shape:
        `[batch, length, model_dim]`, and so is what comes out.

    Reference:
        Vaswani et al., "Attention is all you need", 2017.
    """

    def __init__(self, model_dim: int, num_heads: int, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_sizes(dropout, model_dim=model_dim, num_heads=num_heads)
        if model_dim % (2 * num_heads):
            raise ValueError(
                "model_dim must be a multiple of 2 * num_heads. "
                f"Received: model_dim={model_dim}, num_heads={num_heads}"
            )
        self.model_dim, self.num_heads, self.dropout_rate = model_dim, num_heads, dropout
        self.supports_masking = True
        self.block = TransformerBlock(
            model_dim, num_heads, 4 * model_dim, dropout, name="block", dtype=self.dtype_policy
        )
        # It is told what is hidden, in words of its own.
        self.block.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self.block.build()
        self.built = True

    def call(self, x: Any, mask: Any = None, training: bool = False) -> Any:
        places = ops.arange(ops.shape(x)[1])[None]
        turn = rotation(places, self.model_dim // self.num_heads)
        hidden = None if mask is None else ops.logical_not(mask)[:, None, None, :]
        return self.block(x, hidden=hidden, turn=turn, training=training)[0]

    def compute_output_spec(self, x: Any, mask: Any = None, training: bool = False) -> Any:
        return keras.KerasTensor(x.shape, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "model_dim": self.model_dim,
            "num_heads": self.num_heads,
            "dropout": self.dropout_rate,
        }
