"""Networks for generative models; one file a family, every builder returns a built network."""

from keras_transgen.generative.networks.convolutional import (
    convolutional_decoder,
    convolutional_encoder,
)
from keras_transgen.generative.networks.convolutional_1d import (
    convolutional_1d_decoder,
    convolutional_1d_encoder,
)
from keras_transgen.generative.networks.dense import dense_decoder, dense_encoder

__all__ = [
    "convolutional_1d_decoder",
    "convolutional_1d_encoder",
    "convolutional_decoder",
    "convolutional_encoder",
    "dense_decoder",
    "dense_encoder",
]
